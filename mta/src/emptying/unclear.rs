//! Messages of which another node has not said whether it took them: asked for again and again, until it says so.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use message::MessageId;

use super::hand_over::{Ended, unclear_at};
use super::{Emptying, PAGE};

/// How often the other nodes are asked.
const AGAIN: Duration = Duration::from_secs(2);

impl Emptying {
    pub(super) fn note_unclear(&self, id: MessageId) {
        self.unclear.lock().insert(id);
        self.added.notify_one();
    }

    /// Asks for receipts until this node ends; first for those that a restart left open. Each other node is asked for
    /// itself: one that does not answer holds up nobody's receipts but its own.
    pub(crate) async fn keep_asking(self: Arc<Self>) {
        self.find_unclear().await;
        let mut asking = FuturesUnordered::new();
        let mut asked = HashSet::new();
        loop {
            let ends = self.parts.work.is_started();
            if ends && asking.is_empty() {
                return;
            }
            if !ends {
                for (node, messages) in self.unclear_by_node() {
                    if asked.insert(Arc::clone(&node)) {
                        asking.push(self.ask_node(node, messages));
                    }
                }
            }
            tokio::select! {
                Some(node) = asking.next() => { asked.remove(&node); }
                () = self.added.notified() => {}
                () = self.parts.work.started(), if !ends => {}
            }
        }
    }

    /// Asks a node for its receipts, one after the other, and pauses; returns the node.
    async fn ask_node(&self, node: Arc<str>, messages: Vec<MessageId>) -> Arc<str> {
        for id in messages {
            if self.parts.work.is_started() {
                return node;
            }
            if let Some(Ended::Kept(why) | Ended::NobodyTakes(why)) = self.ask_again(id).await {
                tracing::debug!(%id, why, "it is not clear yet whether another node has the message");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = self.parts.work.started() => {}
        }
        node
    }

    /// The messages of which each node has not said whether it took them. Forgets those that have become clear.
    fn unclear_by_node(&self) -> BTreeMap<Arc<str>, Vec<MessageId>> {
        let mut by_node: BTreeMap<Arc<str>, Vec<MessageId>> = BTreeMap::new();
        self.unclear.lock().retain(|&id| {
            let node = self.parts.spool.get(id).and_then(|message| unclear_at(&message));
            if let Some(node) = &node {
                by_node.entry(Arc::clone(node)).or_default().push(id);
            }
            node.is_some()
        });
        by_node
    }

    async fn find_unclear(&self) {
        let mut after = None;
        loop {
            let page = self.parts.spool.page(after, PAGE);
            let Some(last) = page.last() else { return };
            after = Some(last.id);
            for message in page {
                if unclear_at(&message).is_some() {
                    self.unclear.lock().insert(message.id);
                }
            }
            tokio::task::yield_now().await;
        }
    }
}
