//! The queue: every recipient in the spool is in line, waiting for its time, or in the hands of one worker.
//!
//! It owns the order ([`scheduler`]) and the life of a unit: routed, attempted, settled. It keeps nothing of its own:
//! all of it is made anew from the spool at start.

mod backoff;
mod redistribute;
mod report;
mod scheduler;
mod settle;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use service::drain::Shutdown;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

pub use backoff::RetryConfig;
pub(crate) use scheduler::{Destination, Limits, Unit};
pub(crate) use settle::{Outcome, Verdict};

use crate::clock;
use crate::deliver::Hops;
use crate::events::Events;
use crate::metrics::Metrics;
use crate::spool::{Message, Spool};
use scheduler::Scheduler;

/// The longest that the dispatcher sleeps: so it also notices a clock that was set.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// What the queue works with.
pub(crate) struct Parts {
    /// This host's name, for reports.
    pub(crate) hostname: String,
    pub(crate) retry: RetryConfig,
    pub(crate) limits: Limits,
    pub(crate) messages_per_session: usize,
    pub(crate) spool: Arc<dyn Spool>,
    pub(crate) events: Events,
    pub(crate) hops: Hops,
    pub(crate) metrics: Metrics,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// The queue. One per node; shared by reference.
pub(crate) struct Queue {
    parts: Parts,
    scheduler: Mutex<Scheduler>,
    /// Something came into line, or a time came nearer.
    changed: Notify,
    workers: TaskTracker,
    /// Workers finish what they have in hand and take no more.
    draining: AtomicBool,
}

impl Queue {
    /// A queue with everything that waits in the spool.
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let scheduler = Mutex::new(Scheduler::new(parts.limits));
        let queue = Self {
            parts,
            scheduler,
            changed: Notify::new(),
            workers: TaskTracker::new(),
            draining: AtomicBool::new(false),
        };
        let mut after = None;
        loop {
            let page = queue.parts.spool.page(after, 10_000);
            let Some(last) = page.last() else { return Arc::new(queue) };
            after = Some(last.id);
            for message in &page {
                queue.resume(message);
            }
        }
    }

    /// Puts a message that the spool has just taken in line. Recipients that it was taken with in a final state are
    /// left alone.
    pub(crate) fn admit(&self, message: &Message) {
        self.resume(message);
        self.changed.notify_one();
    }

    /// Puts each recipient that something can still happen to in line, by when it is due.
    fn resume(&self, message: &Message) {
        let mut due: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (status, index) in message.statuses().iter().zip(0..) {
            if !status.is_final() {
                due.entry(status.next_attempt_at).or_default().push(index);
            }
        }
        let now = clock::now();
        let mut scheduler = self.scheduler.lock();
        for (due, recipients) in due {
            let unit = Unit { message: message.id, recipients, stalls: 0 };
            if due <= now {
                scheduler.push_ready(Destination::Unrouted, unit);
            } else {
                scheduler.push_waiting(due, unit);
            }
        }
    }

    /// Units that wait or stand in line.
    pub(crate) fn len(&self) -> usize {
        self.scheduler.lock().len()
    }

    /// Messages in the spool.
    pub(crate) fn messages(&self) -> usize {
        self.parts.spool.len()
    }

    /// Works until `shutdown`, then lets the attempts under way come to their end.
    pub(crate) async fn run(self: Arc<Self>, shutdown: Shutdown) {
        while !shutdown.is_started() {
            let sleep = self.dispatch();
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(sleep) => {}
                () = shutdown.started() => {}
            }
        }
        self.draining.store(true, Ordering::Relaxed);
        self.workers.close();
        self.workers.wait().await;
    }

    /// Starts a worker for each destination that has work and room; returns how long there is nothing more to do.
    fn dispatch(self: &Arc<Self>) -> Duration {
        let mut scheduler = self.scheduler.lock();
        let now = clock::now();
        scheduler.release_due(now);
        while let Some((destination, unit)) = scheduler.start_worker() {
            self.workers.spawn(Arc::clone(self).work(destination, unit));
        }
        let due = scheduler.next_due().map_or(u64::MAX, |due| due.saturating_sub(now));
        Duration::from_millis(due).min(LONGEST_SLEEP)
    }

    /// The next unit for a worker of `destination`; none once this node drains.
    fn take(&self, destination: &Destination) -> Option<Unit> {
        if self.draining.load(Ordering::Relaxed) {
            return None;
        }
        self.scheduler.lock().take(destination)
    }

    /// A worker has no more to do.
    fn end_worker(&self, destination: &Destination) {
        self.scheduler.lock().end_worker(destination);
        self.changed.notify_one();
    }

    /// Puts units in line for a destination.
    fn push_ready(&self, units: impl IntoIterator<Item = (Destination, Unit)>) {
        let mut scheduler = self.scheduler.lock();
        for (destination, unit) in units {
            scheduler.push_ready(destination, unit);
        }
        drop(scheduler);
        self.changed.notify_one();
    }

    /// Lets a unit wait.
    fn push_waiting(&self, due: u64, unit: Unit) {
        self.scheduler.lock().push_waiting(due, unit);
        self.changed.notify_one();
    }

    /// Lets a unit wait because a service of our own did not answer. That is no attempt and leaves no record: after a
    /// restart it is simply tried.
    fn stall(&self, unit: Unit) {
        let stalls = unit.stalls + 1;
        let wait = self.parts.retry.stall(stalls, fastrand::f64());
        self.push_waiting(clock::now() + clock::millis(wait), Unit { stalls, ..unit });
    }
}
