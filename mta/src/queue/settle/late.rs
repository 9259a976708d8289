//! Results that the spool has not taken yet, because its disk is full for a while, say.
//!
//! What a remote said must not be forgotten, and must be in the spool before the recipient is tried again. So the
//! result waits here, in memory, and its recipients are in nobody's line; one task offers all of them to the spool
//! again and again. Workers go on meanwhile, until what waits takes up its room: then they wait for some of it.
//!
//! A node that ends with results that wait has tried to write them until its drain's time was up. The spool then knows
//! the attempt, and not what came of it: the recipient is tried again when the attempt's record says, or at once if it
//! was the first.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::super::Queue;
use super::Settlement;
use crate::spool::SpoolError;

/// Octets that all late results together may take.
const ROOM: usize = 64 << 20;
/// Octets that are counted for a result, and for each of its recipients, beside what was said and the report.
const RESULT: usize = 512;
const RECIPIENT: usize = 512;

/// Late results that are offered to the spool at a time: one sync serves for all that it takes of them.
const TOGETHER: usize = 64;

/// The wait before late results are offered to the spool again.
const AGAIN: Duration = Duration::from_secs(1);

/// The results that wait.
pub(crate) struct Late {
    waiting: Mutex<Vec<Waiting>>,
    room: Arc<Semaphore>,
    changed: Notify,
    closed: AtomicBool,
}

struct Waiting {
    settlement: Settlement,
    _room: OwnedSemaphorePermit,
}

impl Default for Late {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            room: Arc::new(Semaphore::new(ROOM)),
            changed: Notify::new(),
            closed: AtomicBool::new(false),
        }
    }
}

impl Late {
    /// Adds a result; waits while there is no room.
    pub(super) async fn add(&self, settlement: Settlement) {
        let octets = u32::try_from(octets(&settlement).min(ROOM)).unwrap_or(u32::MAX);
        // It is never closed.
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(octets).await else { return };
        self.waiting.lock().push(Waiting { settlement, _room: room });
        self.changed.notify_one();
    }

    /// No more will come: [`Queue::write_late`] ends when nothing waits.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.changed.notify_one();
    }
}

impl Queue {
    /// Offers late results to the spool until none waits and no more will come.
    pub(crate) async fn write_late(self: Arc<Self>) {
        loop {
            let waiting = std::mem::take(&mut *self.late.waiting.lock());
            if waiting.is_empty() {
                if self.late.closed.load(Ordering::Acquire) {
                    return;
                }
                self.late.changed.notified().await;
                continue;
            }
            tokio::time::sleep(AGAIN).await;
            let offered = stream::iter(waiting).map(|one| self.offer(one)).buffer_unordered(TOGETHER);
            let refused: Vec<(Waiting, SpoolError)> = offered.filter_map(std::future::ready).collect().await;
            if let Some((_, error)) = refused.last() {
                tracing::error!(results = refused.len(), %error, "results of attempts wait for the spool");
            }
            self.late.waiting.lock().extend(refused.into_iter().map(|(one, _)| one));
        }
    }

    /// Offers a late result to the spool; gives it back if it has to wait on.
    async fn offer(&self, one: Waiting) -> Option<(Waiting, SpoolError)> {
        let id = one.settlement.message.id;
        let Ok(written) = AssertUnwindSafe(self.complete(&one.settlement)).catch_unwind().await else {
            tracing::error!(%id, "writing a result panicked; it is left to the spool");
            let busy = self.withdraw_again(&one.settlement);
            self.set_aside(&one.settlement, &busy);
            return None;
        };
        match written {
            // Written, or never to be: this node is about to end.
            Ok(()) | Err(SpoolError::Stopped(_)) => None,
            Err(error @ SpoolError::NotUnderstood) => {
                tracing::error!(%id, %error, "a result cannot be written");
                self.set_aside(&one.settlement, &[]);
                None
            }
            Err(error) => Some((one, error)),
        }
    }
}

fn octets(settlement: &Settlement) -> usize {
    let said = |text: &str| RECIPIENT + text.len();
    let settled = settlement.settled.iter().map(|one| {
        let reply = one.status.last_reply().map_or(0, |reply| reply.text.len());
        said(&one.outcome.peer) + one.outcome.tls.len() + one.outcome.detail.len() + 2 * reply
    });
    let report = settlement.report.as_ref().map_or(0, |(_, body)| body.len());
    RESULT + settled.sum::<usize>() + report
}
