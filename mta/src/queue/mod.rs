//! The queue: every recipient in the spool is in line, waiting for its time, or in the hands of one worker.
//!
//! It owns the life of a unit (the recipients of one message that go together): routed, attempted, settled. The order is
//! that of [`scheduler`], which knows nothing of mail systems; here stand the tasks around it. The queue keeps nothing of
//! its own: all of it is made anew from the spool at start.
//!
//! ```text
//! admit ──▶ routing ──▶ look-up of MX, by domain ──▶ line of a site ──▶ attempt ──▶ settle
//!              ▲                                                                      │
//!              └───────────────────────── waits for its time ◀────────────────────────┘
//! ```

mod config;
mod order;
mod pace;
mod redistribute;
mod report;
mod retry;
mod route;
mod sessions;
mod settle;
mod steer;
#[cfg(test)]
mod tests;
mod view;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use scheduler::{Scheduler, SiteId, SiteLimits, SiteName, Started};
use service::drain::Shutdown;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

pub use config::{RateConfig, SitesConfig};
pub(crate) use retry::TimeTable;
pub use retry::{RetryConfig, RetryError, RetryRuleConfig};
pub(crate) use settle::{Outcome, Verdict};
pub(crate) use steer::Withdrawn;
pub(crate) use view::Place;

use crate::deliver::{Hops, Pool};
use crate::events::Events;
use crate::metrics::Metrics;
use crate::site::MDA_SITE;
use crate::spool::{Message, Spool};
use pace::Pace;

/// The longest that the dispatcher sleeps.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);
/// Units that come into line, and workers that are started, before others have their turn at the order.
const AT_ONCE: usize = 500;
/// Units whose deadline passed in line and that are brought to their end at a time.
const ENDING: usize = 64;

/// What the queue works with.
pub(crate) struct Parts {
    /// This host's name, for reports.
    pub(crate) hostname: String,
    pub(crate) retry: TimeTable,
    pub(crate) sites: SitesConfig,
    /// Sessions with other servers at a time.
    pub(crate) sessions: usize,
    /// Messages that one session may carry.
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
///
/// Where both locks are held, that of the pool is taken first.
pub(crate) struct Queue {
    parts: Parts,
    scheduler: Mutex<Scheduler>,
    pace: Pace,
    /// When this node started, in milliseconds since the epoch.
    started: u64,
    /// The MDA's line.
    mda: SiteId,
    /// Those whose site is being looked up.
    resolving: route::Resolving,
    /// Sessions that nobody uses now.
    pool: Mutex<Pool>,
    pool_changed: Notify,
    /// Something can be started, or a time came nearer.
    changed: Notify,
    /// When the dispatcher looks next by itself, as [`Pace`] counts.
    looks_at: AtomicU64,
    /// Overdue units that are being brought to their end.
    ending: AtomicUsize,
    workers: TaskTracker,
    /// What attempts came to that the spool has not taken yet.
    late: settle::Late,
    /// Workers finish what they have in hand and take no more.
    draining: AtomicBool,
}

impl Queue {
    /// A queue with everything that waits in the spool.
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        Self::with_routing(parts, config::routing())
    }

    fn with_routing(parts: Parts, routing: SiteLimits) -> Arc<Self> {
        let mut scheduler = Scheduler::new(parts.sites.order(parts.sessions, parts.retry.jitter()), routing);
        let mda = scheduler.site(&SiteName::new(MDA_SITE), config::mda());
        for suspension in parts.spool.suspensions().iter() {
            scheduler.suspend(steer::scope(&suspension.scope));
        }
        let queue = Arc::new(Self {
            parts,
            scheduler: Mutex::new(scheduler),
            pace: Pace::new(),
            started: crate::clock::now(),
            mda,
            resolving: route::Resolving::default(),
            pool: Mutex::default(),
            pool_changed: Notify::new(),
            changed: Notify::new(),
            looks_at: AtomicU64::new(0),
            ending: AtomicUsize::new(0),
            workers: TaskTracker::new(),
            late: settle::Late::default(),
            draining: AtomicBool::new(false),
        });
        let mut after = None;
        loop {
            let page = queue.parts.spool.page(after, 10_000);
            let Some(last) = page.last() else { return queue };
            after = Some(last.id);
            for message in &page {
                queue.admit(message);
            }
        }
    }

    /// Puts a message that the spool has just taken in line. Recipients that it was taken with in a final state are
    /// left alone.
    pub(crate) fn admit(&self, message: &Message) {
        self.enter(message, |_| true);
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
        let late = tokio::spawn(Arc::clone(&self).write_late());
        let sessions = tokio::spawn(Arc::clone(&self).end_idle_sessions(shutdown.clone()));
        while !shutdown.is_started() {
            let sleep = self.dispatch();
            if sleep.is_zero() {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(sleep) => {}
                () = shutdown.started() => {}
            }
        }
        self.draining.store(true, Ordering::Relaxed);
        // Whatever kept a task from its end is told where it happened.
        let _ = sessions.await;
        self.workers.close();
        self.workers.wait().await;
        self.late.close();
        let _ = late.await;
    }

    /// Starts workers where there is work and room, but not too many at once; returns how long there is nothing more to
    /// do.
    fn dispatch(self: &Arc<Self>) -> Duration {
        let mut scheduler = self.scheduler.lock();
        let now = self.pace.now();
        let mut is_more = scheduler.advance(now, AT_ONCE);
        for started in 0..=AT_ONCE {
            let Some(unit) = scheduler.start(now) else { break };
            // A worker is large, and a task is moved some times before it runs.
            self.workers.spawn(Box::pin(Arc::clone(self).work(unit)));
            is_more |= started == AT_ONCE;
        }
        while self.ending.load(Ordering::Relaxed) < ENDING
            && let Some(unit) = scheduler.next_overdue(now)
        {
            self.ending.fetch_add(1, Ordering::Relaxed);
            self.workers.spawn(Arc::clone(self).end_overdue(unit));
        }
        if is_more {
            return Duration::ZERO;
        }
        let longest = now.saturating_add(crate::clock::millis(LONGEST_SLEEP));
        let next = scheduler.next_time().map_or(longest, |next| next.min(longest)).max(now + 1);
        self.looks_at.store(next, Ordering::Relaxed);
        Duration::from_millis(next - now)
    }

    /// Wakes the dispatcher if what was just changed gives it something to do before it would look by itself.
    fn wake(&self, scheduler: &Scheduler) {
        let is_sooner =
            || scheduler.next_time().is_some_and(|next| next < self.looks_at.load(Ordering::Relaxed));
        if scheduler.can_start() || is_sooner() {
            self.changed.notify_one();
        }
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The next unit for a worker of `site` that has done `done`; none once this node drains.
    fn take(&self, site: SiteId, done: u32) -> Option<Started> {
        if self.is_draining() {
            return None;
        }
        self.scheduler.lock().take(site, done, self.pace.now())
    }

    /// A worker has no more to do.
    fn end(&self, site: SiteId) {
        let mut scheduler = self.scheduler.lock();
        scheduler.end(site, self.pace.now());
        self.wake(&scheduler);
    }

    /// An overdue unit has come to its end.
    fn ending_done(&self) {
        if self.ending.fetch_sub(1, Ordering::Relaxed) == ENDING {
            self.changed.notify_one();
        }
    }
}
