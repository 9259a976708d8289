//! What an operator suspended: a site, a domain or an account.
//!
//! A suspended site starts nothing. Units of a suspended domain or account are kept aside, in order, when their turn
//! comes, and go back to the end of their line when the suspension ends, a bounded number at a time.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::unit::{NONE, State};
use crate::units::{List, Units};
use crate::{Millis, Scheduler, SiteId, SiteName};

/// What a suspension covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All that goes to a site.
    Site(SiteName),
    /// All that goes to recipients in a domain.
    Domain(Box<str>),
    /// All that an account submitted.
    Account(Box<str>),
}

/// The suspensions in force, and what is kept aside for them.
#[derive(Debug, Default)]
pub(crate) struct Suspensions {
    sites: HashSet<SiteName>,
    /// By number; the number is in use for as long as it stands here.
    accounts: HashMap<u32, Aside>,
    domains: HashMap<u32, Aside>,
    /// Suspensions that have ended and whose units are on their way back. May name ones that began anew since.
    ending: VecDeque<Ending>,
}

/// What is kept aside for one suspension.
#[derive(Debug, Default)]
struct Aside {
    units: List,
    /// It has ended; the units are on their way back.
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Account(u32),
    Domain(u32),
}

impl Suspensions {
    pub(crate) fn covers_site(&self, name: &SiteName) -> bool {
        self.sites.contains(name)
    }

    pub(crate) fn covers_account(&self, account: u32) -> bool {
        self.accounts.get(&account).is_some_and(|aside| !aside.ended)
    }

    pub(crate) fn covers_domain(&self, domain: u32) -> bool {
        domain != NONE && self.domains.get(&domain).is_some_and(|aside| !aside.ended)
    }

    pub(crate) fn is_resuming(&self) -> bool {
        !self.ending.is_empty()
    }

    /// Keeps a unit that is in no list aside, if a suspension covers it.
    pub(crate) fn keep_aside(&mut self, units: &mut Units, slot: u32) -> bool {
        let (account, domain) = (units[slot].account, units[slot].domain);
        let (state, aside) = if self.covers_account(account) {
            (State::AsideAccount, self.accounts.get_mut(&account))
        } else if self.covers_domain(domain) {
            (State::AsideDomain, self.domains.get_mut(&domain))
        } else {
            return false;
        };
        let Some(aside) = aside else { return false };
        units[slot].state = state;
        aside.units.push(units, slot);
        true
    }

    /// Takes out a unit that is kept aside.
    pub(crate) fn remove(&mut self, units: &mut Units, slot: u32) {
        let aside = match units[slot].state {
            State::AsideAccount => self.accounts.get_mut(&units[slot].account),
            _ => self.domains.get_mut(&units[slot].domain),
        };
        if let Some(aside) = aside {
            aside.units.remove(units, slot);
        }
    }
}

impl Scheduler {
    /// Starts nothing more that `scope` covers. What is under way goes on.
    pub fn suspend(&mut self, scope: Scope) {
        match scope {
            Scope::Site(name) => {
                if let Some(site) = self.sites.find(&name) {
                    self.sites[site].suspended = true;
                }
                self.suspensions.sites.insert(name);
            }
            Scope::Account(name) => {
                let account = self.accounts.acquire(&name);
                if let Some(aside) = self.suspensions.accounts.get_mut(&account) {
                    self.accounts.release(account);
                    aside.ended = false;
                } else {
                    self.suspensions.accounts.insert(account, Aside::default());
                }
            }
            Scope::Domain(name) => {
                let domain = self.domains.acquire(&name);
                if let Some(aside) = self.suspensions.domains.get_mut(&domain) {
                    self.domains.release(domain);
                    aside.ended = false;
                } else {
                    self.suspensions.domains.insert(domain, Aside::default());
                }
            }
        }
    }

    /// Ends a suspension; says whether there was one.
    pub fn resume(&mut self, scope: &Scope, now: Millis) -> bool {
        match scope {
            Scope::Site(name) => {
                let was_suspended = self.suspensions.sites.remove(name);
                if let Some(site) = self.sites.find(name) {
                    self.sites[site].suspended = false;
                    self.offer(site, now);
                }
                was_suspended
            }
            Scope::Account(name) => {
                let Some(account) = self.accounts.find(name) else { return false };
                let ended = end(self.suspensions.accounts.get_mut(&account));
                if ended {
                    self.suspensions.ending.push_back(Ending::Account(account));
                }
                ended
            }
            Scope::Domain(name) => {
                let Some(domain) = self.domains.find(name) else { return false };
                let ended = end(self.suspensions.domains.get_mut(&domain));
                if ended {
                    self.suspensions.ending.push_back(Ending::Domain(domain));
                }
                ended
            }
        }
    }

    /// Puts units whose suspension has ended back in line, at most `budget`.
    pub(crate) fn bring_back(&mut self, now: Millis, budget: usize) {
        let mut left = budget;
        while left > 0 {
            let Some(&ending) = self.suspensions.ending.front() else { return };
            let (asides, names, number) = match ending {
                Ending::Account(number) => (&mut self.suspensions.accounts, &mut self.accounts, number),
                Ending::Domain(number) => (&mut self.suspensions.domains, &mut self.domains, number),
            };
            let Some(aside) = asides.get_mut(&number).filter(|aside| aside.ended) else {
                self.suspensions.ending.pop_front();
                continue;
            };
            if let Some(slot) = aside.units.pop(&mut self.units) {
                left -= 1;
                let site = SiteId(self.units[slot].site);
                self.sites[site].aside -= 1;
                self.enter_line(slot, site, now);
            } else {
                asides.remove(&number);
                names.release(number);
                self.suspensions.ending.pop_front();
            }
        }
    }
}

/// Ends a suspension that is in force.
fn end(aside: Option<&mut Aside>) -> bool {
    aside.is_some_and(|aside| !std::mem::replace(&mut aside.ended, true))
}
