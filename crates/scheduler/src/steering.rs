//! What an operator does to single messages.

use message::MessageId;

use crate::unit::{NONE, State};
use crate::{Millis, Scheduler, SiteId, SiteName};

/// What [`Scheduler::withdraw`] took out.
#[derive(Clone, Debug, Default)]
pub struct Withdrawn {
    /// Recipients that wait no longer, ascending.
    pub taken: Vec<u32>,
    /// Recipients that were left alone because they are in somebody's hands.
    pub busy: Vec<u32>,
    /// Sites in whose lines they stood, or at which they were tried last.
    pub sites: Vec<SiteName>,
}

impl Scheduler {
    /// Takes recipients of a message out of wherever they wait: those for which `chosen` holds.
    pub fn withdraw(&mut self, message: MessageId, chosen: impl Fn(u32) -> bool) -> Withdrawn {
        let mut withdrawn = Withdrawn::default();
        for slot in self.units.of(message) {
            let (taken, left) = self.units[slot].recipients.split(&chosen);
            if taken.is_empty() {
                continue;
            }
            let state = self.units[slot].state;
            if matches!(state, State::InFlight | State::Overdue) {
                withdrawn.busy.extend(taken.iter());
                continue;
            }
            withdrawn.taken.extend(taken.iter());
            let site = SiteId(self.units[slot].site);
            if ![NONE, Self::ROUTING.0].contains(&site.0) {
                let name = self.site_name(site);
                if !withdrawn.sites.contains(name) {
                    withdrawn.sites.push(name.clone());
                }
            }
            if left.is_empty() {
                self.detach(slot);
                self.forget(slot);
            } else {
                self.units[slot].recipients = left;
            }
        }
        withdrawn.taken.sort_unstable();
        withdrawn.busy.retain(|index| withdrawn.taken.binary_search(index).is_err());
        withdrawn
    }

    /// Lets a site that is left alone be tried at once, by one unit. One that was forgotten is not left alone.
    pub fn probe(&mut self, site: &SiteName, now: Millis) {
        if let Some(site) = self.sites.find(site) {
            self.sites[site].outage.probe(now);
            self.offer(site, now);
        }
    }

    /// Where the unit in somebody's hands stood that has this recipient.
    pub fn site_in_flight(&self, message: MessageId, recipient: u32) -> Option<SiteId> {
        let slots = self.units.of(message).into_iter();
        let mut sites = slots.filter_map(|slot| {
            let unit = &self.units[slot];
            let is_it =
                unit.state == State::InFlight && unit.recipients.iter().any(|index| index == recipient);
            (is_it && unit.site != NONE && unit.site != Self::ROUTING.0).then_some(SiteId(unit.site))
        });
        sites.next()
    }
}
