//! The units in line at one site: accounts take turns, and have their mail in order.
//!
//! Turns are a weighted round-robin. An account that comes anew goes before those that keep the site busy, until it has
//! had its **burst**: so a hundred messages wait no longer behind two hundred thousand of another than behind none. It
//! gets the next burst when its share of the site would have given it as much: what it had too early, it has not too
//! much.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::units::{List, Units};

/// What one account may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// Units in one turn; at least 1.
    pub(crate) weight: u32,
    /// Units that go first when it comes anew.
    pub(crate) burst: u32,
}

/// Units in line, by account and priority.
///
/// Invariant: a lane that is `queued` stands once in the ring that its burst says (`fresh` if some is left), one that is
/// not has nothing in line. A lane with nothing in line may be queued, because its units were taken out from its middle,
/// until its turn comes.
#[derive(Debug, Default)]
pub(crate) struct Line {
    lanes: HashMap<u32, Lane>,
    /// Accounts with some of their burst left, in the order of their turns: before all others.
    fresh: VecDeque<u32>,
    /// The others.
    steady: VecDeque<u32>,
    /// Lanes without units, by the `served` at which they are forgotten.
    resting: BTreeSet<(u64, u32)>,
    /// Units that left the line in their turn.
    served: u64,
    len: usize,
}

/// What one account has in line.
#[derive(Debug)]
struct Lane {
    /// By priority, the highest first. At most 19; none is empty.
    lists: Vec<(i8, List)>,
    /// Units that may still go in this turn.
    credit: u32,
    /// Units that may still go before those of others.
    burst: u32,
    /// Units of the burst that have gone.
    spent: u32,
    queued: bool,
    /// When it is forgotten.
    rests_until: Option<u64>,
}

impl Line {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many units an account has in line.
    pub(crate) fn of_account(&self, account: u32) -> usize {
        let lists = self.lanes.get(&account).map(|lane| lane.lists.iter());
        lists.into_iter().flatten().map(|(_, list)| list.len()).sum()
    }

    /// Whether a unit of this line is the next one of its account.
    pub(crate) fn is_next(&self, units: &Units, slot: u32) -> bool {
        let lane = self.lanes.get(&units[slot].account);
        lane.and_then(|lane| lane.lists.first()).is_some_and(|(_, list)| list.first() == Some(slot))
    }

    /// Puts a unit at the end of its account's line for its priority.
    pub(crate) fn push(&mut self, units: &mut Units, slot: u32, share: Share) {
        let (account, priority) = (units[slot].account, units[slot].priority);
        let lane = self.lanes.entry(account).or_insert_with(|| Lane {
            lists: Vec::new(),
            credit: 0,
            burst: share.burst,
            spent: 0,
            queued: false,
            rests_until: None,
        });
        let place = match lane.lists.binary_search_by(|(listed, _)| priority.cmp(listed)) {
            Ok(place) => place,
            Err(place) => {
                lane.lists.insert(place, (priority, List::default()));
                place
            }
        };
        lane.lists[place].1.push(units, slot);
        self.len += 1;
        if !lane.queued {
            lane.queued = true;
            if let Some(until) = lane.rests_until.take() {
                self.resting.remove(&(until, account));
            }
            if lane.burst > 0 { &mut self.fresh } else { &mut self.steady }.push_back(account);
        }
    }

    /// Takes the next unit. `share` is what an account may have.
    pub(crate) fn pop(&mut self, units: &mut Units, share: impl Fn(u32) -> Share) -> Option<u32> {
        self.forget_rested();
        loop {
            let is_fresh = !self.fresh.is_empty();
            let account = if is_fresh { self.fresh.pop_front() } else { self.steady.pop_front() }?;
            let Some(lane) = self.lanes.get_mut(&account) else { continue };
            let slot = lane.pop(units);
            if slot.is_some() {
                self.len -= 1;
                self.served += 1;
                lane.pay(is_fresh, share(account).weight);
            }
            if lane.lists.is_empty() {
                self.rest(account);
            } else if is_fresh && lane.burst > 0 {
                self.fresh.push_back(account);
            } else if lane.credit > 0 && !is_fresh {
                self.steady.push_front(account);
            } else {
                self.steady.push_back(account);
            }
            if slot.is_some() {
                return slot;
            }
        }
    }

    /// Takes out a unit that is in line.
    pub(crate) fn remove(&mut self, units: &mut Units, slot: u32) {
        let (account, priority) = (units[slot].account, units[slot].priority);
        let Some(lane) = self.lanes.get_mut(&account) else { return };
        if let Some((_, list)) = lane.lists.iter_mut().find(|(listed, _)| *listed == priority) {
            list.remove(units, slot);
            self.len -= 1;
        }
        lane.drop_empty();
    }

    /// An account that is in no ring has nothing in line. It is remembered until its share of what is served would have
    /// given it what it had.
    fn rest(&mut self, account: u32) {
        let sharing = (self.fresh.len() + self.steady.len() + 1) as u64;
        let Some(lane) = self.lanes.get_mut(&account) else { return };
        lane.queued = false;
        let until = self.served + u64::from(lane.spent) * sharing;
        lane.rests_until = Some(until);
        self.resting.insert((until, account));
    }

    fn forget_rested(&mut self) {
        while let Some(&(until, account)) = self.resting.first().filter(|(until, _)| *until <= self.served) {
            self.resting.remove(&(until, account));
            self.lanes.remove(&account);
        }
    }
}

impl Lane {
    fn pop(&mut self, units: &mut Units) -> Option<u32> {
        let slot = self.lists.first_mut()?.1.pop(units);
        self.drop_empty();
        slot
    }

    /// A unit has gone.
    fn pay(&mut self, is_fresh: bool, weight: u32) {
        if is_fresh {
            self.burst = self.burst.saturating_sub(1);
            self.spent += 1;
            return;
        }
        if self.credit == 0 {
            self.credit = weight.max(1);
        }
        self.credit -= 1;
    }

    fn drop_empty(&mut self) {
        self.lists.retain(|(_, list)| !list.is_empty());
    }
}
