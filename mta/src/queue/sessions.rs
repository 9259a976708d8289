//! Sessions that wait for the next message to their site.

use std::sync::Arc;
use std::time::Duration;

use scheduler::SiteName;
use service::drain::Shutdown;

use super::Queue;
use crate::deliver::{Carried, Session};

/// How long nothing is looked at while no session waits.
const NOBODY: Duration = Duration::from_hours(1);

impl Queue {
    /// An open session to a site.
    pub(super) fn idle_session(&self, site: &SiteName) -> Option<Carried> {
        let mut pool = self.pool.lock();
        let carried = pool.take(site)?;
        self.scheduler.lock().set_idle(site, pool.to(site), self.pace.now());
        Some(carried)
    }

    /// Keeps a session open for the next message to its site; ends the one that has waited longest if there are too many.
    pub(super) async fn leave_session(&self, site: SiteName, carried: Carried) {
        if self.is_draining() {
            return carried.session.quit().await;
        }
        let evicted = {
            let mut pool = self.pool.lock();
            pool.park(site.clone(), carried);
            let mut scheduler = self.scheduler.lock();
            let now = self.pace.now();
            // The one who leaves it is still counted as busy.
            let open = pool.len() + scheduler.sessions() as usize;
            let evicted = if open > self.parts.sessions + 1 { pool.evict() } else { None };
            if let Some((evicted, _)) = &evicted {
                scheduler.set_idle(evicted, pool.to(evicted), now);
            }
            scheduler.set_idle(&site, pool.to(&site), now);
            self.wake(&scheduler);
            evicted
        };
        self.pool_changed.notify_one();
        if let Some((_, session)) = evicted {
            session.quit().await;
        }
    }

    /// Ends sessions that have waited too long, and at the end all.
    pub(super) async fn end_idle_sessions(self: Arc<Self>, shutdown: Shutdown) {
        let longest = *self.parts.sites.idle;
        while !shutdown.is_started() {
            while let Some(session) = self.expired(longest) {
                self.workers.spawn(session.quit());
            }
            let next = self.pool.lock().next(longest).unwrap_or(NOBODY);
            tokio::select! {
                () = tokio::time::sleep(next) => {}
                () = self.pool_changed.notified() => {}
                () = shutdown.started() => {}
            }
        }
        while let Some(session) = self.expired(Duration::ZERO) {
            self.workers.spawn(session.quit());
        }
    }

    fn expired(&self, longest: Duration) -> Option<Session> {
        let mut pool = self.pool.lock();
        let (site, session) = pool.expire(longest)?;
        let mut scheduler = self.scheduler.lock();
        scheduler.set_idle(&site, pool.to(&site), self.pace.now());
        self.wake(&scheduler);
        Some(session)
    }
}
