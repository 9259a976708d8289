//! What can be seen of the sites.

use crate::{Failure, Millis, Scheduler, SiteName};

/// One site as it is now.
#[derive(Clone, Debug)]
pub struct SiteView {
    /// Its name.
    pub name: SiteName,
    /// Units in line.
    pub ready: usize,
    /// Units that were tried there last and wait for their time.
    pub scheduled: usize,
    /// Units that are kept aside because their domain or account is suspended.
    pub aside: usize,
    /// Units under way.
    pub in_flight: u32,
    /// Sessions that are open: those under way, and those that nobody uses now.
    pub connections: u32,
    /// Units that may be under way now; 0 while it is left alone.
    pub limit: u32,
    /// Messages that it took in the last minute.
    pub delivered_last_minute: u64,
    /// Attempts that it refused for now or that failed in the last minute.
    pub deferred_last_minute: u64,
    /// Until when it is left alone.
    pub down_until: Option<Millis>,
    /// An operator suspended it.
    pub suspended: bool,
    /// What it said when it refused or failed last.
    pub last_failure: Option<Failure>,
}

impl Scheduler {
    /// The busiest sites, at most `limit`, and how many there are in all. Looks at every site, but only once.
    pub fn sites(&self, limit: usize, now: Millis) -> (Vec<SiteView>, usize) {
        let known = self.sites.iter().filter(|(id, _)| *id != Self::ROUTING);
        let mut busiest: Vec<_> = known.map(|(_, site)| site).collect();
        let total = busiest.len();
        let busy = |site: &crate::site::Site| (site.busy, site.line.len(), site.scheduled);
        if limit < total {
            busiest.select_nth_unstable_by_key(limit, |site| std::cmp::Reverse(busy(site)));
            busiest.truncate(limit);
        }
        busiest.sort_by(|a, b| busy(b).cmp(&busy(a)).then_with(|| a.name.cmp(&b.name)));
        let view = |site: &crate::site::Site| SiteView {
            name: site.name.clone(),
            ready: site.line.len(),
            scheduled: site.scheduled,
            aside: site.aside,
            in_flight: site.busy,
            connections: site.busy + site.idle,
            limit: site.limit(now),
            delivered_last_minute: site.delivered.sum(now),
            deferred_last_minute: site.deferred.sum(now),
            down_until: site.outage.until().filter(|&until| until > now),
            suspended: site.suspended,
            last_failure: site.last_failure.clone(),
        };
        (busiest.into_iter().map(view).collect(), total)
    }

    /// Units whose site is not known: to be routed, or waiting for their time without having been tried.
    pub fn unrouted(&self) -> usize {
        let known = self.sites.iter().filter(|(id, _)| *id != Self::ROUTING);
        let known: usize = known.map(|(_, site)| site.uses).sum();
        self.units.len().saturating_sub(known)
    }
}
