//! Sessions that are open and that nobody uses now.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Session;
use scheduler::SiteName;

/// Open sessions, each for the next message to its site. Those that were used last are used first, so that the others
/// come to their end.
#[derive(Default)]
pub(crate) struct Pool {
    /// In the order in which they were left.
    idle: VecDeque<Idle>,
}

struct Idle {
    site: SiteName,
    carried: Carried,
    since: Instant,
}

/// A session, and how many messages it has carried.
pub(crate) struct Carried {
    pub(crate) session: Session,
    pub(crate) messages: usize,
}

impl Pool {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.idle.len()
    }

    /// How many there are to a site.
    pub(crate) fn to(&self, site: &SiteName) -> u32 {
        let count = self.idle.iter().filter(|idle| idle.site == *site).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Keeps a session.
    pub(crate) fn park(&mut self, site: SiteName, carried: Carried) {
        self.idle.push_back(Idle { site, carried, since: Instant::now() });
    }

    /// A session to a site.
    pub(crate) fn take(&mut self, site: &SiteName) -> Option<Carried> {
        let place = self.idle.iter().rposition(|idle| idle.site == *site)?;
        self.idle.remove(place).map(|idle| idle.carried)
    }

    /// Gives up the session that has waited longest.
    pub(crate) fn evict(&mut self) -> Option<(SiteName, Session)> {
        self.idle.pop_front().map(|idle| (idle.site, idle.carried.session))
    }

    /// Gives up a session that has waited for `longest`.
    pub(crate) fn expire(&mut self, longest: Duration) -> Option<(SiteName, Session)> {
        self.idle.front().filter(|idle| idle.since.elapsed() >= longest)?;
        self.evict()
    }

    /// How long until the first has waited for `longest`; `None` if there is none.
    pub(crate) fn next(&self, longest: Duration) -> Option<Duration> {
        self.idle.front().map(|idle| longest.saturating_sub(idle.since.elapsed()))
    }
}
