//! What a client believes about its selected mailbox: message numbers and UIDs (RFC 9051 §2.3.1), and the flags it was
//! told.
//!
//! The view is an index of the mailbox, shared with all other sessions, and what this client was not told since: the
//! messages that are gone from the index but keep their numbers until the client may hear of it. [`View::follow`] gives
//! what it must be sent to follow the store. Everything here is of one session, and needs no I/O.

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::store::{Entry, Index, MailboxId, Uid, UidSet};

use super::parse::{MessageSet, SequenceSet, SetEnd};

/// A selected mailbox.
#[derive(Debug)]
pub(super) struct View {
    pub(super) mailbox: MailboxId,
    pub(super) read_only: bool,
    /// All but the numbers of `owed` is told.
    index: Arc<Index>,
    /// Not in the index, but still numbered: the client was in no state to hear that they are gone. Ascending.
    owed: Vec<Uid>,
    /// `$` (RFC 9051 §6.4.4.1).
    pub(super) saved: UidSet,
}

/// Something the client must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Update {
    /// The message with this number is gone, and those behind it move up.
    Expunge(u32),
    /// So many messages there are now.
    Exists(u32),
    /// There are new keywords.
    Keywords,
    /// A message has other flags.
    Flags { number: u32, uid: Uid },
}

/// A number beyond the mailbox's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such message number")]
pub(super) struct NoSuchNumber;

impl View {
    pub(super) fn new(mailbox: MailboxId, read_only: bool, index: Arc<Index>) -> Self {
        Self { mailbox, read_only, index, owed: Vec::new(), saved: UidSet::default() }
    }

    /// The messages as they were told.
    pub(super) fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// How many messages the client knows of.
    pub(super) fn exists(&self) -> u32 {
        self.index.len() + self.owed.len() as u32
    }

    /// There are messages whose end the client was not told yet.
    pub(super) fn owes_expunge(&self) -> bool {
        !self.owed.is_empty()
    }

    /// The message number of a UID.
    pub(super) fn number(&self, uid: Uid) -> Option<u32> {
        let owed_before = self.owed.partition_point(|owed| *owed < uid);
        let place = match self.index.position(uid) {
            Ok(place) => place,
            Err(place) if self.owed.get(owed_before) == Some(&uid) => place,
            Err(_) => return None,
        };
        Some(place + owed_before as u32 + 1)
    }

    /// The UID of a message number.
    fn uid(&self, number: u32) -> Option<Uid> {
        let owed = self.owed.partition_point(|uid| self.number(*uid).is_some_and(|owed| owed <= number));
        let last = owed.checked_sub(1).map(|last| self.owed[last]);
        if let Some(uid) = last.filter(|uid| self.number(*uid) == Some(number)) {
            return Some(uid);
        }
        self.index.at(number.checked_sub(owed as u32 + 1)?).map(Entry::uid)
    }

    /// The messages of a set that are there, with their numbers, ascending.
    pub(super) fn messages<'a>(&'a self, uids: &'a UidSet) -> impl Iterator<Item = (u32, &'a Entry)> {
        uids.ranges().iter().flat_map(move |range| {
            // Among messages of which none is owed, numbers go up by one.
            let mut next = None;
            self.index.range(range.clone()).filter_map(move |entry| {
                let number = match next.take().filter(|_| self.owed.is_empty()) {
                    Some(number) => number,
                    None => self.number(entry.uid())?,
                };
                next = Some(number + 1);
                Some((number, entry))
            })
        })
    }

    /// The messages a command is about. UIDs without a message are passed over; numbers without one are an error.
    pub(super) fn resolve(&self, set: &MessageSet, by_uid: bool) -> Result<UidSet, NoSuchNumber> {
        match set {
            MessageSet::Saved => Ok(self.known_within(self.saved.ranges().iter().cloned())),
            MessageSet::Numbers(set) if by_uid => Ok(self.uids_in(set)),
            MessageSet::Numbers(set) => self.numbers_in(set),
        }
    }

    fn uids_in(&self, set: &SequenceSet) -> UidSet {
        // RFC 9051 §9, `seq-number`: `*` of an empty mailbox is UIDNEXT, which no message has either.
        let last = self.uid(self.exists()).unwrap_or(self.index.status().uid_next);
        self.known_within(set.ranges(last).into_iter())
    }

    fn numbers_in(&self, set: &SequenceSet) -> Result<UidSet, NoSuchNumber> {
        let exists = self.exists();
        let too_high = |end: SetEnd| match end {
            SetEnd::Number(number) => number > exists,
            SetEnd::Last => exists == 0,
        };
        if set.0.iter().any(|&(one, other)| too_high(one) || too_high(other)) {
            return Err(NoSuchNumber);
        }
        let ranges = set.ranges(exists).into_iter();
        Ok(self.known_within(
            ranges.filter_map(|range| Some(self.uid(*range.start())?..=self.uid(*range.end())?)),
        ))
    }

    /// The UIDs that the client knows of within ranges.
    fn known_within(&self, ranges: impl Iterator<Item = RangeInclusive<Uid>>) -> UidSet {
        let mut known: Vec<RangeInclusive<Uid>> = Vec::new();
        for range in ranges {
            let here = self.index.range(range.clone()).map(Entry::uid);
            let from = self.owed.partition_point(|uid| uid < range.start());
            let owed = self.owed[from..].iter().copied().take_while(|uid| uid <= range.end());
            for uid in here.chain(owed) {
                match known.last_mut() {
                    Some(last) if uid.checked_sub(1) == Some(*last.end()) => *last = *last.start()..=uid,
                    _ => known.push(uid..=uid),
                }
            }
        }
        known.into_iter().collect()
    }

    /// Goes on to a later index. EXPUNGE is held back while the client must not hear it (RFC 9051 §7.5.1); of the
    /// messages of `told` the client hears the flags in another way.
    pub(super) fn follow(&mut self, index: Arc<Index>, may_expunge: bool, told: &UidSet) -> Vec<Update> {
        let difference = index.since(&self.index);
        let old = std::mem::replace(&mut self.index, index);
        self.owed.extend(difference.gone);
        self.owed.sort_unstable();
        let mut updates = Vec::new();
        if may_expunge {
            // From the last: so each number is right whatever went before it.
            let numbers = self.owed.iter().rev().filter_map(|uid| self.number(*uid));
            updates.extend(numbers.map(Update::Expunge));
            self.owed.clear();
        }
        if !difference.new.is_empty() {
            updates.push(Update::Exists(self.exists()));
        }
        if old.may_lack_keywords_of(&self.index) {
            updates.push(Update::Keywords);
        }
        let changed = difference.changed.into_iter().filter(|uid| !told.contains(*uid));
        for uid in changed.chain(difference.new) {
            let (Some(number), Some(now)) = (self.number(uid), self.index.get(uid)) else { continue };
            let is_known = match old.get(uid) {
                Some(before) => self.index.has_flags_of(now, &old, before),
                None => self.index.flags(now).is_empty(),
            };
            if !is_known {
                updates.push(Update::Flags { number, uid });
            }
        }
        updates
    }
}
