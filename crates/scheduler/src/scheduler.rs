//! The whole order: what waits for its time, what stands in line, and what has to be looked at next.

use std::sync::Arc;

use crate::names::Names;
use crate::site::Site;
use crate::sites::Sites;
use crate::suspension::Suspensions;
use crate::timers::Timers;
use crate::unit::{NONE, NewUnit, State, UnitId};
use crate::units::{List, Units};
use crate::{Config, Millis, SiteId, SiteLimits, SiteName};

/// A unit that comes into line gets so long to be tried, however near its deadline is: else the last attempt, which the
/// time table puts at the deadline, would never be made.
const LAST_TRY: Millis = 60_000;
/// Sites that one [`Scheduler::advance`] looks at whether they can be forgotten.
const SWEPT: usize = 8;

/// The order of the queue. See the crate's documentation.
///
/// Invariant: a unit that is scheduled, in line or aside has a timer (its time, or its deadline), and no other has.
#[derive(Debug)]
pub struct Scheduler {
    pub(crate) config: Config,
    pub(crate) units: Units,
    pub(crate) timers: Timers,
    pub(crate) sites: Sites,
    pub(crate) accounts: Names,
    pub(crate) domains: Names,
    pub(crate) suspensions: Suspensions,
    pub(crate) overdue: List,
    /// Units under way at sites that count towards the sessions.
    pub(crate) sessions: u32,
    /// Units in somebody's hands.
    pub(crate) in_flight: usize,
    /// A line was left although it could go on, because too much in it had to be kept aside.
    pub(crate) unfinished: bool,
}

impl Scheduler {
    /// The site at which units stand whose way is not known yet. Units whose time has come go there.
    pub const ROUTING: SiteId = SiteId(0);

    /// An empty queue. `routing` limits [`Scheduler::ROUTING`].
    pub fn new(config: Config, routing: SiteLimits) -> Self {
        let mut sites = Sites::default();
        sites.insert(Site::new(SiteName::new("<routing>"), routing, false));
        Self {
            config,
            units: Units::default(),
            timers: Timers::default(),
            sites,
            accounts: Names::default(),
            domains: Names::default(),
            suspensions: Suspensions::default(),
            overdue: List::default(),
            sessions: 0,
            in_flight: 0,
            unfinished: false,
        }
    }

    /// The site of this name, with these limits from now on. A site that nothing uses is forgotten after a while. The
    /// limits of a place of our own stay as they were given first.
    pub fn site(&mut self, name: &SiteName, limits: SiteLimits) -> SiteId {
        if let Some(id) = self.sites.find(name) {
            if self.sites[id].limits.counted {
                self.sites[id].set_limits(limits);
            }
            return id;
        }
        let suspended = self.suspensions.covers_site(name);
        self.sites.insert(Site::new(name.clone(), limits, suspended))
    }

    /// The name of a site.
    pub fn site_name(&self, site: SiteId) -> &SiteName {
        &self.sites[site].name
    }

    /// Puts a unit in line at a site.
    pub fn push(&mut self, unit: NewUnit<'_>, site: SiteId, now: Millis) {
        let slot = self.insert(unit);
        self.set_site(slot, Some(site));
        self.enter_line(slot, site, now);
    }

    /// Lets a unit wait until `due`; then it stands in line to be routed. `site` is where it was tried last, if it was.
    pub fn schedule(&mut self, unit: NewUnit<'_>, due: Millis, site: Option<SiteId>) {
        let slot = self.insert(unit);
        self.set_site(slot, site);
        if let Some(site) = site {
            self.sites[site].scheduled += 1;
        }
        self.units[slot].state = State::Scheduled;
        self.timers.insert(&mut self.units, slot, due);
    }

    /// Does what its time has come for: units that are due come into line, those whose deadline has passed out of it,
    /// sites that were left alone may start again. Of each at most `budget`; says whether more is to be done at once.
    pub fn advance(&mut self, now: Millis, budget: usize) -> bool {
        self.unfinished = false;
        for _ in 0..budget {
            let Some(site) = self.sites.woken(now) else { break };
            self.offer(site, now);
        }
        for _ in 0..budget {
            let Some(slot) = self.timers.pop(&mut self.units, now) else { break };
            if self.units[slot].state == State::Scheduled {
                self.detach(slot);
                self.set_site(slot, Some(Self::ROUTING));
                self.enter_line(slot, Self::ROUTING, now);
            } else {
                self.detach(slot);
                self.units[slot].state = State::Overdue;
                self.overdue.push(&mut self.units, slot);
            }
        }
        self.bring_back(now, budget);
        self.sites.sweep(now, SWEPT);
        self.next_time().is_some_and(|next| next <= now)
    }

    /// When [`Scheduler::advance`] has something to do again.
    pub fn next_time(&self) -> Option<Millis> {
        let at_once = self.unfinished || self.suspensions.is_resuming();
        let times = [self.timers.next(), self.sites.next_wake(), at_once.then_some(0)];
        times.into_iter().flatten().min()
    }

    /// Units that wait or stand in line, without those in somebody's hands.
    pub fn len(&self) -> usize {
        self.units.len() - self.in_flight
    }

    /// Whether nothing waits or stands in line.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn insert(&mut self, unit: NewUnit<'_>) -> u32 {
        let account = self.accounts.acquire(unit.account);
        let domain = if unit.domain.is_empty() { NONE } else { self.domains.acquire(unit.domain) };
        let slot = self.units.insert(unit.message);
        let place = &mut self.units[slot];
        place.recipients = unit.recipients;
        place.deadline = unit.deadline;
        place.account = account;
        place.domain = domain;
        place.priority = unit.priority;
        place.tag = unit.tag;
        slot
    }

    /// Takes a unit out of wherever it waits. Its state has to be set next.
    pub(crate) fn detach(&mut self, slot: u32) {
        let site = self.units[slot].site;
        let units = &mut self.units;
        self.timers.remove(units, slot);
        match units[slot].state {
            State::Vacant => {}
            State::InFlight => self.in_flight -= 1,
            State::Scheduled => {
                if site != NONE {
                    self.sites[SiteId(site)].scheduled -= 1;
                }
            }
            State::InLine => self.sites[SiteId(site)].line.remove(units, slot),
            State::AsideAccount | State::AsideDomain => {
                self.suspensions.remove(units, slot);
                self.sites[SiteId(site)].aside -= 1;
            }
            State::Overdue => self.overdue.remove(units, slot),
        }
    }

    /// Forgets a unit that was detached.
    pub(crate) fn forget(&mut self, slot: u32) {
        self.set_site(slot, None);
        self.accounts.release(self.units[slot].account);
        if self.units[slot].domain != NONE {
            self.domains.release(self.units[slot].domain);
        }
        self.units.remove(slot);
    }

    /// Puts a unit that was detached in line at its site.
    pub(crate) fn enter_line(&mut self, slot: u32, site: SiteId, now: Millis) {
        self.units[slot].state = State::InLine;
        if self.timers.of(&self.units, slot).is_none() {
            let deadline = self.units[slot].deadline.max(now.saturating_add(LAST_TRY));
            self.timers.insert(&mut self.units, slot, deadline);
        }
        let share = self.config.share(self.account_name(slot));
        self.sites[site].line.push(&mut self.units, slot, share);
        self.offer(site, now);
    }

    /// Lets a site start something, now or as soon as it may.
    pub(crate) fn offer(&mut self, site: SiteId, now: Millis) {
        self.sites.offer(site, now);
    }

    fn set_site(&mut self, slot: u32, site: Option<SiteId>) {
        if let Some(site) = site {
            self.sites[site].uses += 1;
            self.sites[site].unused_since = None;
        }
        let before = std::mem::replace(&mut self.units[slot].site, site.map_or(NONE, |site| site.0));
        if before != NONE {
            self.sites[SiteId(before)].uses -= 1;
        }
    }

    pub(crate) fn unit_id(&self, slot: u32) -> UnitId {
        UnitId { slot, generation: self.units[slot].generation }
    }

    pub(crate) fn account_name(&self, slot: u32) -> &Arc<str> {
        self.accounts.name(self.units[slot].account)
    }
}
