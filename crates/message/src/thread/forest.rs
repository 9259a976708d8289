//! Trees of messages.

/// A node of a [`Forest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) usize);

/// Threads: trees whose nodes are messages. The top of a thread may stand for a message that is not there.
#[derive(Clone, Debug, Default)]
pub struct Forest {
    pub(super) roots: Vec<NodeId>,
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
struct Node {
    message: Option<usize>,
    children: Vec<NodeId>,
}

impl Forest {
    /// The tops of the threads, in order.
    pub fn roots(&self) -> &[NodeId] {
        &self.roots
    }

    /// The message of a node; `None` for a top that has two children at least and no message itself.
    pub fn message(&self, node: NodeId) -> Option<usize> {
        self.nodes[node.0].message
    }

    /// What is below a node, in order.
    pub fn children(&self, node: NodeId) -> &[NodeId] {
        &self.nodes[node.0].children
    }

    pub(super) fn children_mut(&mut self, node: NodeId) -> &mut Vec<NodeId> {
        &mut self.nodes[node.0].children
    }

    pub(super) fn add(&mut self, message: Option<usize>) -> NodeId {
        self.nodes.push(Node { message, children: Vec::new() });
        NodeId(self.nodes.len() - 1)
    }

    pub(super) fn set_message(&mut self, node: NodeId, message: usize) {
        self.nodes[node.0].message = Some(message);
    }

    pub(super) fn push_child(&mut self, parent: NodeId, child: NodeId) {
        self.nodes[parent.0].children.push(child);
    }

    /// All nodes below the roots and the roots themselves, each before what is below it.
    pub(super) fn top_down(&self) -> Vec<NodeId> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut open: Vec<NodeId> = self.roots.clone();
        while let Some(node) = open.pop() {
            order.push(node);
            open.extend(self.children(node));
        }
        order
    }
}
