//! The results of a search in their order, and what becomes of them.

#[cfg(test)]
mod tests;

use crate::imap::parse::SortCriterion;
use crate::imap::session::sort::Sortable;
use crate::store::{Uid, UidSet};

/// Places, and the messages from there on: the first result is 1, and 0 is wherever the order of the mailbox has them.
/// To be gone through from the first: each place is right after what went before.
pub(super) type Places = Vec<(usize, Vec<Uid>)>;

/// The messages that match a search.
pub(in crate::imap::session) struct Results {
    members: UidSet,
    /// None: that of the mailbox.
    order: Option<Order>,
}

struct Order {
    criteria: Vec<SortCriterion>,
    sorted: Vec<Sortable>,
    /// That it takes, roughly.
    octets: usize,
}

impl Results {
    /// In the order of the mailbox.
    pub(in crate::imap::session) fn found(found: &[Uid]) -> Self {
        Self { members: found.iter().copied().collect(), order: None }
    }

    /// In another order, in which they are.
    pub(in crate::imap::session) fn sorted(sorted: Vec<Sortable>, criteria: Vec<SortCriterion>) -> Self {
        let members = sorted.iter().map(Sortable::uid).collect();
        let octets = sorted.iter().map(Sortable::octets).sum();
        Self { members, order: Some(Order { criteria, sorted, octets }) }
    }

    pub(super) fn members(&self) -> &UidSet {
        &self.members
    }

    pub(super) fn criteria(&self) -> Option<&[SortCriterion]> {
        self.order.as_ref().map(|order| &order.criteria[..])
    }

    /// Octets that they take, roughly.
    pub(super) fn octets(&self) -> usize {
        self.members.octets() + self.order.as_ref().map_or(0, |order| order.octets)
    }

    /// Messages match no more, or are gone. Of the places the last is first.
    pub(super) fn remove(&mut self, left: &UidSet) -> Places {
        let left = self.members.intersection(left);
        if left.is_empty() {
            return Places::new();
        }
        self.members = self.members.without(&left);
        let Some(Order { sorted, octets, .. }) = &mut self.order else {
            return vec![(0, left.iter().collect())];
        };
        let mut places = Places::new();
        for (at, sortable) in sorted.iter().enumerate().rev() {
            if !left.contains(sortable.uid()) {
                continue;
            }
            let place = at + 1;
            *octets -= sortable.octets();
            match places.last_mut() {
                Some((first, uids)) if *first == place + 1 => {
                    *first = place;
                    uids.push(sortable.uid());
                }
                _ => places.push((place, vec![sortable.uid()])),
            }
        }
        for (_, uids) in &mut places {
            uids.reverse();
        }
        sorted.retain(|sortable| !left.contains(sortable.uid()));
        places
    }

    /// More messages match, in the order of the mailbox.
    pub(super) fn add(&mut self, came: Vec<Uid>) -> Places {
        if came.is_empty() {
            return Places::new();
        }
        self.take_in(&came);
        vec![(0, came)]
    }

    /// The same in the order of the results, whatever order they are given in.
    pub(super) fn add_sorted(&mut self, mut came: Vec<Sortable>) -> Places {
        if came.is_empty() {
            return Places::new();
        }
        self.take_in(&came.iter().map(Sortable::uid).collect::<Vec<_>>());
        let Some(Order { criteria, sorted, octets }) = &mut self.order else { return Places::new() };
        *octets += came.iter().map(Sortable::octets).sum::<usize>();
        came.sort_by(|one, other| one.compare(other, criteria));
        let is_before = |one: &Sortable, other: &Sortable| one.compare(other, criteria).is_lt();
        let ats: Vec<usize> =
            came.iter().map(|new| sorted.partition_point(|before| is_before(before, new))).collect();
        let mut places = Places::new();
        let mut all = Vec::with_capacity(sorted.len() + came.len());
        let mut before = std::mem::take(sorted).into_iter();
        for (passed, (at, sortable)) in ats.into_iter().zip(came).enumerate() {
            all.extend(before.by_ref().take(at + passed - all.len()));
            let (place, uid) = (all.len() + 1, sortable.uid());
            match places.last_mut() {
                Some((first, uids)) if *first + uids.len() == place => uids.push(uid),
                _ => places.push((place, vec![uid])),
            }
            all.push(sortable);
        }
        all.extend(before);
        *sorted = all;
        places
    }

    fn take_in(&mut self, came: &[Uid]) {
        let came = came.iter().map(|uid| *uid..=*uid);
        self.members = self.members.ranges().iter().cloned().chain(came).collect();
    }
}

/// `sequence-set` whose order says something.
pub(in crate::imap::session) fn runs(numbers: &[u32]) -> String {
    let runs = numbers.chunk_by(|one, next| one.checked_add(1) == Some(*next)).map(|run| match run {
        [first, .., last] => format!("{first}:{last}"),
        run => run.iter().map(u32::to_string).collect(),
    });
    runs.collect::<Vec<_>>().join(",")
}
