//! The REFERENCES algorithm (RFC 5256 §3), step by step. Nothing recurses: a thread may be as deep as it is long.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Threadable;
use super::forest::{Forest, NodeId};

/// Threads in the making.
pub(super) struct Linker<'a> {
    messages: &'a [Threadable],
    forest: Forest,
    /// By node.
    parents: Vec<Option<NodeId>>,
}

impl<'a> Linker<'a> {
    /// Steps 1 and 2: messages are linked to those they refer to; those without a parent are roots.
    pub(super) fn link(messages: &'a [Threadable]) -> Self {
        let mut linker = Self { messages, forest: Forest::default(), parents: Vec::new() };
        let mut by_id: HashMap<&str, NodeId> = HashMap::new();
        for (index, message) in messages.iter().enumerate() {
            let node = linker.node_of(index, message, &mut by_id);
            let mut last = None;
            for reference in &message.references {
                let referred = *by_id.entry(reference).or_insert_with(|| linker.add(None));
                if let Some(parent) = last
                    && linker.parents[referred.0].is_none()
                {
                    linker.set_parent(referred, parent);
                }
                last = Some(referred);
            }
            // What the message itself says of its parent counts more than what others have said.
            linker.parents[node.0] = None;
            if let Some(parent) = last {
                linker.set_parent(node, parent);
            }
        }
        linker.plant();
        linker
    }

    /// The node of a message: a new one, unless others have referred to it.
    fn node_of<'b>(
        &mut self,
        index: usize,
        message: &'b Threadable,
        by_id: &mut HashMap<&'b str, NodeId>,
    ) -> NodeId {
        let Some(id) = &message.message_id else { return self.add(Some(index)) };
        match by_id.entry(id) {
            Entry::Vacant(unknown) => *unknown.insert(self.add(Some(index))),
            Entry::Occupied(known) => {
                let known = *known.get();
                // The id is that of the first message that has it.
                if self.forest.message(known).is_some() {
                    return self.add(Some(index));
                }
                self.forest.set_message(known, index);
                known
            }
        }
    }

    fn add(&mut self, message: Option<usize>) -> NodeId {
        self.parents.push(None);
        self.forest.add(message)
    }

    /// Links, unless that would make a loop.
    fn set_parent(&mut self, child: NodeId, parent: NodeId) {
        let mut above = Some(parent);
        while let Some(node) = above {
            if node == child {
                return;
            }
            above = self.parents[node.0];
        }
        self.parents[child.0] = Some(parent);
    }

    /// Makes trees of the links.
    fn plant(&mut self) {
        for (index, parent) in self.parents.iter().enumerate() {
            match parent {
                Some(parent) => self.forest.push_child(*parent, NodeId(index)),
                None => self.forest.roots.push(NodeId(index)),
            }
        }
    }

    fn is_dummy(&self, node: NodeId) -> bool {
        self.forest.message(node).is_none()
    }

    /// Step 3: nodes without a message go; what is below them moves up, save to the top where it would be many.
    pub(super) fn prune(&mut self) {
        for node in self.forest.top_down().into_iter().rev() {
            let children = std::mem::take(self.forest.children_mut(node));
            let kept = self.without_dummies(children, false);
            *self.forest.children_mut(node) = kept;
        }
        let roots = std::mem::take(&mut self.forest.roots);
        self.forest.roots = self.without_dummies(roots, true);
    }

    /// Siblings, with the children of dummies in their place.
    fn without_dummies(&mut self, siblings: Vec<NodeId>, at_the_top: bool) -> Vec<NodeId> {
        let mut kept = Vec::with_capacity(siblings.len());
        for node in siblings {
            if !self.is_dummy(node) || at_the_top && self.forest.children(node).len() > 1 {
                kept.push(node);
            } else {
                kept.append(self.forest.children_mut(node));
            }
        }
        kept
    }

    /// What a node is put in order by: its date, then its place in the mailbox. A dummy's is that of its first child,
    /// whose siblings are in order.
    fn order(&self, node: NodeId) -> (i64, usize) {
        let first = self.forest.message(node).or_else(|| {
            let first = self.forest.children(node).first()?;
            self.forest.message(*first)
        });
        first.map_or((i64::MAX, usize::MAX), |index| (self.messages[index].date, index))
    }

    fn sort(&mut self, mut siblings: Vec<NodeId>) -> Vec<NodeId> {
        siblings.sort_by_cached_key(|node| self.order(*node));
        siblings
    }

    fn sort_children(&mut self, node: NodeId) {
        let children = std::mem::take(self.forest.children_mut(node));
        *self.forest.children_mut(node) = self.sort(children);
    }

    /// Step 4.
    pub(super) fn sort_roots(&mut self) {
        let roots = std::mem::take(&mut self.forest.roots);
        for root in &roots {
            if self.is_dummy(*root) {
                self.sort_children(*root);
            }
        }
        self.forest.roots = self.sort(roots);
    }

    /// Step 6: the siblings farthest down first.
    pub(super) fn sort_all(&mut self) {
        for node in self.forest.top_down().into_iter().rev() {
            self.sort_children(node);
        }
        let roots = std::mem::take(&mut self.forest.roots);
        self.forest.roots = self.sort(roots);
    }

    /// Orders threads by the newest message in each.
    pub(super) fn sort_roots_by_newest(&mut self) {
        let own = |linker: &Self, node| {
            linker.forest.message(node).map_or((i64::MIN, 0), |index| (linker.messages[index].date, index))
        };
        let mut newest: Vec<(i64, usize)> = (0..self.parents.len()).map(|at| own(self, NodeId(at))).collect();
        for node in self.forest.top_down().into_iter().rev() {
            let below = self.forest.children(node).iter().map(|child| newest[child.0]).max();
            newest[node.0] = newest[node.0].max(below.unwrap_or((i64::MIN, 0)));
        }
        self.forest.roots.sort_by_key(|root| newest[root.0]);
    }

    /// The message that a thread's subject is that of.
    fn head(&self, root: NodeId) -> Option<&'a Threadable> {
        let head = self.forest.message(root).or_else(|| {
            let first = self.forest.children(root).first()?;
            self.forest.message(*first)
        });
        head.map(|index| &self.messages[index])
    }

    fn is_reply(&self, root: NodeId) -> bool {
        self.forest.message(root).is_some_and(|index| self.messages[index].subject.is_reply)
    }

    /// Step 5: threads of one subject are one thread.
    pub(super) fn merge_subjects(&mut self) {
        let roots = std::mem::take(&mut self.forest.roots);
        let topics: Vec<String> =
            roots.iter().map(|root| self.head(*root).map(Threadable::topic).unwrap_or_default()).collect();
        // The place of each subject's thread among the roots.
        let mut table: HashMap<&str, usize> = HashMap::new();
        for (place, topic) in topics.iter().enumerate().filter(|(_, topic)| !topic.is_empty()) {
            match table.entry(topic) {
                Entry::Vacant(entry) => {
                    entry.insert(place);
                }
                Entry::Occupied(mut entry) => {
                    let (current, known) = (roots[place], roots[*entry.get()]);
                    let replies = self.is_reply(known) && !self.is_reply(current);
                    if !self.is_dummy(known) && (self.is_dummy(current) || replies) {
                        entry.insert(place);
                    }
                }
            }
        }
        let mut merged: Vec<Option<NodeId>> = roots.iter().copied().map(Some).collect();
        for (place, topic) in topics.iter().enumerate() {
            if let Some(&into) = table.get(topic.as_str()).filter(|into| **into != place)
                && let Some(known) = merged[into]
            {
                merged[into] = Some(self.merge(known, roots[place]));
                merged[place] = None;
            }
        }
        self.forest.roots = merged.into_iter().flatten().collect();
    }

    /// Joins the thread `current` to the thread `known`; gives the root of both.
    fn merge(&mut self, known: NodeId, current: NodeId) -> NodeId {
        match (self.is_dummy(known), self.is_dummy(current)) {
            (true, true) => {
                let mut children = std::mem::take(self.forest.children_mut(current));
                self.forest.children_mut(known).append(&mut children);
                known
            }
            (true, false) => {
                self.forest.push_child(known, current);
                known
            }
            (false, _) if self.is_reply(current) && !self.is_reply(known) => {
                self.forest.push_child(known, current);
                known
            }
            (false, _) => {
                let both = self.add(None);
                self.forest.push_child(both, known);
                self.forest.push_child(both, current);
                both
            }
        }
    }
}

impl Linker<'_> {
    /// The finished threads.
    pub(super) fn into_forest(self) -> Forest {
        self.forest
    }
}
