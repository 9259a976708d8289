//! Starting units, and learning from how they ended.

use message::MessageId;

use crate::unit::{State, UnitId};
use crate::{Failure, Feedback, Millis, Recipients, Scheduler, SiteId, SiteName};

/// Units that one call sets aside at most, in whatever lines.
const SKIPPED: usize = 1_000;

/// A unit that is in the caller's hands until [`Scheduler::finish`].
#[derive(Clone, Debug)]
pub struct Started {
    /// Its number.
    pub id: UnitId,
    /// Where it stood in line.
    pub site: SiteId,
    /// The message.
    pub message: MessageId,
    /// Its recipients.
    pub recipients: Recipients,
    /// As in [`NewUnit`](crate::NewUnit).
    pub tag: u8,
    /// When.
    pub at: Millis,
}

impl Scheduler {
    /// Starts a unit at a site that has room for one more, the sites in turn. It counts as busy there until
    /// [`Scheduler::end`]. To be called until it gives none whenever something changed: [`Scheduler::next_time`] tells
    /// only of what time changes.
    pub fn start(&mut self, now: Millis) -> Option<Started> {
        let mut budget = SKIPPED;
        for _ in 0..self.sites.startable() {
            let site = self.sites.next_startable(self.sessions < self.config.sessions)?;
            if self.sites[site].block(now, false).is_some() {
                self.offer(site, now);
                continue;
            }
            let Some(slot) = self.next_of(site, &mut budget) else {
                // Empty by now, or there is more to be kept aside than one call should.
                self.offer(site, now);
                if budget == 0 {
                    self.unfinished = true;
                    return None;
                }
                continue;
            };
            let at = &mut self.sites[site];
            at.note_start(now, false);
            at.busy += 1;
            at.idle = at.idle.saturating_sub(1);
            self.sessions += u32::from(at.limits.counted);
            self.offer(site, now);
            return self.hand_out(slot, site, now);
        }
        None
    }

    /// Whether [`Scheduler::start`] would have something to look at.
    pub fn can_start(&self) -> bool {
        self.sites.can_start(self.sessions < self.config.sessions)
    }

    /// Units under way at all sites that count towards the sessions.
    pub fn sessions(&self) -> u32 {
        self.sessions
    }

    /// The next unit for one who is busy at `site` and has done `done` units there; none if it should end, because the
    /// line is empty, a limit says so, or other sites have waited long enough for a session.
    pub fn take(&mut self, site: SiteId, done: u32, now: Millis) -> Option<Started> {
        let sessions_are_short =
            self.sessions >= self.config.sessions && self.sites.others_wait_for_a_session(site);
        let gives_way = self.sites[site].limits.counted && done >= self.config.turn && sessions_are_short;
        if gives_way || self.sites[site].block(now, true).is_some() {
            return None;
        }
        let slot = self.next_of(site, &mut { SKIPPED })?;
        self.sites[site].note_start(now, true);
        self.hand_out(slot, site, now)
    }

    /// One who was busy at a site is no longer.
    pub fn end(&mut self, site: SiteId, now: Millis) {
        let at = &mut self.sites[site];
        at.busy = at.busy.saturating_sub(1);
        self.sessions -= u32::from(at.limits.counted && self.sessions > 0);
        self.offer(site, now);
    }

    /// A unit is in nobody's hands any more. What is left to do for its recipients has been pushed or scheduled anew.
    pub fn finish(&mut self, unit: UnitId) {
        if let Some(slot) = self.units.find(unit) {
            self.detach(slot);
            self.forget(slot);
        }
    }

    /// Hands out a unit whose deadline passed while it stood in line, to be brought to its end. It is busy nowhere.
    pub fn next_overdue(&mut self, now: Millis) -> Option<Started> {
        let slot = self.overdue.first()?;
        self.detach(slot);
        let site = SiteId(self.units[slot].site);
        self.hand_out(slot, site, now)
    }

    /// Learns from an attempt at `site` that was started at `started`. `random` is a number from 0 up to 1.
    pub fn learn(&mut self, site: SiteId, feedback: Feedback, started: Millis, now: Millis, random: f64) {
        self.sites[site].learn(feedback, started, now, random, &self.config);
        self.offer(site, now);
    }

    /// Keeps what a site said when it refused or failed last.
    pub fn note_failure(&mut self, site: SiteId, failure: Failure) {
        self.sites[site].last_failure = Some(failure);
    }

    /// What a site said when it refused or failed last.
    pub fn last_failure(&self, site: SiteId) -> Option<&Failure> {
        self.sites[site].last_failure.as_ref()
    }

    /// So many open sessions to a site wait to be used again. Each is meant for one unit that is started.
    pub fn set_idle(&mut self, site: &SiteName, sessions: u32, now: Millis) {
        if let Some(id) = self.sites.find(site) {
            self.sites[id].idle = sessions;
            self.offer(id, now);
        }
    }

    /// The next unit of a line that nobody suspended. At most `budget` are set aside on the way, which they are taken from.
    fn next_of(&mut self, site: SiteId, budget: &mut usize) -> Option<u32> {
        while *budget > 0 {
            let Self { sites, units, accounts, config, suspensions, .. } = self;
            let slot = sites[site].line.pop(units, |account| config.share(accounts.name(account)))?;
            if !suspensions.keep_aside(units, slot) {
                return Some(slot);
            }
            *budget -= 1;
            sites[site].aside += 1;
        }
        None
    }

    /// Puts a unit that stands in no list into the caller's hands.
    fn hand_out(&mut self, slot: u32, site: SiteId, at: Millis) -> Option<Started> {
        self.timers.remove(&mut self.units, slot);
        self.in_flight += 1;
        self.units[slot].state = State::InFlight;
        let id = self.unit_id(slot);
        let unit = &self.units[slot];
        let (message, recipients) = (unit.message?, unit.recipients.clone());
        Some(Started { id, site, message, recipients, tag: unit.tag, at })
    }
}
