//! Why a unit waits.

use message::MessageId;

use crate::site::{Block, Site};
use crate::unit::{NONE, State};
use crate::{Millis, Recipients, Scheduler, Scope, SiteId, SiteName};

/// What some recipients of a message wait for.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Who waits.
    pub recipients: Recipients,
    /// Where they are in line, or were last; `None` while that is not known.
    pub site: Option<SiteName>,
    /// What for.
    pub wait: Wait,
}

/// What a unit waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Its time.
    Scheduled {
        /// When it comes into line.
        due: Millis,
    },
    /// To be routed.
    Routing {
        /// Units that wait for that.
        waiting: usize,
    },
    /// Nothing: it is in somebody's hands.
    InFlight,
    /// Others at its site, which go first.
    InLine {
        /// Units in line there, this one included.
        waiting: usize,
        /// Those of its account.
        of_account: usize,
        /// Units under way there.
        busy: u32,
        /// Units that may be.
        limit: u32,
    },
    /// It is the next of its account, but the site has as many units under way as it may have.
    Connections {
        /// So many.
        limit: u32,
    },
    /// This node has as many sessions as it may have.
    Sessions {
        /// So many.
        limit: u32,
    },
    /// The site's rate of messages or connections is used up.
    Rate {
        /// When it allows the next.
        until: Millis,
    },
    /// The site could not be reached and is left alone.
    Down {
        /// Until then.
        until: Millis,
        /// One unit is trying it now.
        probing: bool,
    },
    /// An operator suspended this.
    Suspended(Scope),
}

impl Scheduler {
    /// Why each unit of a message has not gone yet.
    pub fn explain(&self, message: MessageId, now: Millis) -> Vec<Explanation> {
        let explain = |slot| {
            let site = self.units[slot].site;
            let is_known = ![NONE, Self::ROUTING.0].contains(&site);
            Explanation {
                recipients: self.units[slot].recipients.clone(),
                site: is_known.then(|| self.sites[SiteId(site)].name.clone()),
                wait: self.wait(slot, now),
            }
        };
        self.units.of(message).into_iter().map(explain).collect()
    }

    fn wait(&self, slot: u32, now: Millis) -> Wait {
        let unit = &self.units[slot];
        match unit.state {
            State::Scheduled => Wait::Scheduled { due: self.timers.of(&self.units, slot).unwrap_or(now) },
            State::InLine => self.wait_in_line(slot, now),
            State::AsideAccount => Wait::Suspended(Scope::Account((&**self.account_name(slot)).into())),
            State::AsideDomain => Wait::Suspended(Scope::Domain((&**self.domains.name(unit.domain)).into())),
            State::Vacant | State::Overdue | State::InFlight => Wait::InFlight,
        }
    }

    fn wait_in_line(&self, slot: u32, now: Millis) -> Wait {
        let (unit, id) = (&self.units[slot], SiteId(self.units[slot].site));
        let site = &self.sites[id];
        if self.suspensions.covers_account(unit.account) {
            return Wait::Suspended(Scope::Account((&**self.account_name(slot)).into()));
        }
        if self.suspensions.covers_domain(unit.domain) {
            return Wait::Suspended(Scope::Domain((&**self.domains.name(unit.domain)).into()));
        }
        if id == Self::ROUTING {
            return Wait::Routing { waiting: site.line.len() };
        }
        let is_next = site.line.is_next(&self.units, slot);
        match site.block(now, false) {
            Some(Block::Suspended) => Wait::Suspended(Scope::Site(site.name.clone())),
            Some(Block::Down { until, probing }) => Wait::Down { until, probing },
            Some(Block::Rate(until)) if is_next => Wait::Rate { until },
            Some(Block::Connections) if is_next => Wait::Connections { limit: site.limit(now) },
            None if is_next && site.limits.counted && self.sessions >= self.config.sessions => {
                Wait::Sessions { limit: self.config.sessions }
            }
            _ => in_line(site, unit.account, now),
        }
    }
}

fn in_line(site: &Site, account: u32, now: Millis) -> Wait {
    Wait::InLine {
        waiting: site.line.len(),
        of_account: site.line.of_account(account),
        busy: site.busy,
        limit: site.limit(now),
    }
}
