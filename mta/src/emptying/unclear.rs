//! Messages of which another node has not said whether it took them: asked for again and again, until it says so.

use std::sync::Arc;
use std::time::Duration;

use message::MessageId;

use super::hand_over::Ended;
use super::{Emptying, PAGE};

/// How often the other nodes are asked.
const AGAIN: Duration = Duration::from_secs(2);

impl Emptying {
    pub(super) fn note_unclear(&self, id: MessageId) {
        self.unclear.lock().insert(id);
        self.added.notify_one();
    }

    /// Asks for receipts until this node ends; first for those that a restart left open.
    pub(crate) async fn keep_asking(self: Arc<Self>) {
        self.find_unclear().await;
        loop {
            let unclear: Vec<MessageId> = self.unclear.lock().iter().copied().collect();
            if unclear.is_empty() {
                tokio::select! {
                    () = self.added.notified() => continue,
                    () = self.parts.work.started() => return,
                }
            }
            for id in unclear {
                match self.ask_again(id).await {
                    None | Some(Ended::Left) => {
                        self.unclear.lock().remove(&id);
                    }
                    Some(Ended::Kept(why) | Ended::NobodyTakes(why)) => {
                        tracing::debug!(%id, why, "it is not clear yet whether another node has the message");
                    }
                }
                if self.parts.work.is_started() {
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = self.parts.work.started() => return,
            }
        }
    }

    async fn find_unclear(&self) {
        let mut after = None;
        loop {
            let page = self.parts.spool.page(after, PAGE);
            let Some(last) = page.last() else { return };
            after = Some(last.id);
            for message in page {
                if message.statuses().iter().any(|status| !status.is_final() && status.handed_to().is_some())
                {
                    self.unclear.lock().insert(message.id);
                }
            }
            tokio::task::yield_now().await;
        }
    }
}
