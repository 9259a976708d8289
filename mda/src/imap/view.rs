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

use crate::store::{Entry, Index, MailboxId, ModSeq, Uid, UidSet};

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
    /// Messages whose flags changed while the client wanted to hear of none.
    withheld: UidSet,
    /// The client knows all that happened up to here.
    settled: ModSeq,
    /// `$` (RFC 9051 §6.4.4.1).
    pub(super) saved: UidSet,
}

/// Something the client must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Update {
    /// So many messages there are now.
    Exists(u32),
    /// There are new keywords.
    Keywords,
    /// A message has other flags, or another modseq.
    Message { number: u32, uid: Uid },
}

/// What the client must be told, in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Updates {
    /// Messages that are gone, with their numbers, from the last: those behind each move up.
    pub(super) gone: Vec<(u32, Uid)>,
    pub(super) others: Vec<Update>,
}

/// What the client may hear now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hearing {
    /// That messages are gone (RFC 9051 §7.5.1).
    pub(super) expunges: bool,
    /// That flags have changed; a client may want no news at all (RFC 5465 §3.1).
    pub(super) flags: bool,
    /// It is told of other modseqs too, not of other flags only.
    pub(super) modseqs: bool,
}

/// A number beyond the mailbox's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such message number")]
pub(super) struct NoSuchNumber;

impl View {
    pub(super) fn new(mailbox: MailboxId, read_only: bool, index: Arc<Index>) -> Self {
        let settled = index.status().highest_modseq;
        Self {
            mailbox,
            read_only,
            index,
            owed: Vec::new(),
            withheld: UidSet::none(),
            settled,
            saved: UidSet::default(),
        }
    }

    /// The messages as they were told.
    pub(super) fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// How many messages the client knows of.
    pub(super) fn exists(&self) -> u32 {
        self.index.len() + self.owed.len() as u32
    }

    /// The modseq up to which the client knows everything. What it was not told yet is above.
    pub(super) fn highest_modseq(&self) -> ModSeq {
        self.settled
    }

    /// There are messages whose end the client was not told yet.
    pub(super) fn owes_expunge(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Flags have changed of which the client was not told because it wanted to hear of none.
    pub(super) fn withholds(&self) -> bool {
        !self.withheld.is_empty()
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

    /// As [`Self::resolve`], but UIDs of no message may be among them: for sets that messages are held against, so that
    /// the work is in proportion to the set and not to the mailbox.
    /// In a search numbers of no message match none, and are no error (RFC 7377 §2).
    pub(super) fn within(&self, set: &MessageSet, by_uid: bool) -> UidSet {
        let MessageSet::Numbers(numbers) = set else { return self.named(set) };
        if by_uid {
            return self.named(set);
        }
        let exists = self.exists();
        let ranges = numbers.ranges(exists).into_iter();
        let here = ranges
            .filter_map(|range| Some(self.uid(*range.start())?..=self.uid((*range.end()).min(exists))?));
        here.collect()
    }

    fn uids_in(&self, set: &SequenceSet) -> UidSet {
        self.known_within(set.ranges(self.last()).into_iter())
    }

    /// The UIDs that a set of them names, whether or not there are such messages.
    pub(super) fn named(&self, set: &MessageSet) -> UidSet {
        match set {
            MessageSet::Saved => self.saved.clone(),
            MessageSet::Numbers(set) => set.ranges(self.last()).into_iter().collect(),
        }
    }

    /// The same with the UIDs of messages to come, where a range goes up to the last. None: the set is about the last
    /// message, whichever that is.
    pub(super) fn named_to_come(&self, set: &MessageSet) -> Option<UidSet> {
        let named = self.named(set);
        let MessageSet::Numbers(numbers) = set else { return Some(named) };
        let last = self.last();
        let mut goes_on = false;
        for ends in &numbers.0 {
            match *ends {
                (SetEnd::Number(_), SetEnd::Number(_)) => {}
                (SetEnd::Number(first), SetEnd::Last) | (SetEnd::Last, SetEnd::Number(first))
                    if first <= last =>
                {
                    goes_on = true;
                }
                _ => return None,
            }
        }
        let to_come = goes_on.then_some(last..=Uid::MAX);
        Some(named.ranges().iter().cloned().chain(to_come).collect())
    }

    /// As [`Self::named`], where a range that ends in `*` has no end: what was expunged may have been the last.
    pub(super) fn named_without_end(set: &SequenceSet) -> UidSet {
        set.ranges(Uid::MAX).into_iter().collect()
    }

    /// `*` (RFC 9051 §9, `seq-number`); of an empty mailbox it is UIDNEXT, which no message has either.
    fn last(&self) -> Uid {
        self.uid(self.exists()).unwrap_or(self.index.status().uid_next)
    }

    /// The greatest UID of those that are given with the number they have here; 0 if there is none (RFC 7162
    /// §3.2.5.2).
    pub(super) fn last_match(&self, numbers: &SequenceSet, uids: &SequenceSet) -> Uid {
        let (numbers, uids) = (numbers.ranges(0).into_iter().flatten(), uids.ranges(0).into_iter().flatten());
        let here = numbers.zip(uids).take_while(|(number, _)| *number <= self.exists());
        here.filter(|(number, uid)| self.uid(*number) == Some(*uid)).last().map_or(0, |(_, uid)| uid)
    }

    /// Those of some UIDs that the client does not know of.
    pub(super) fn unknown(&self, uids: &UidSet) -> UidSet {
        uids.without(&self.known_within(uids.ranges().iter().cloned()))
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

    /// Goes on to a later index. What the client may not hear now is held back; of the messages of `told` it hears the
    /// flags in another way. That there are new messages it always hears: their numbers may be spoken of next.
    pub(super) fn follow(&mut self, index: Arc<Index>, hearing: Hearing, told: &UidSet) -> Updates {
        let difference = index.since(&self.index);
        let old = std::mem::replace(&mut self.index, index);
        self.owed.extend(difference.gone);
        self.owed.sort_unstable();
        let mut updates = Updates::default();
        if hearing.expunges {
            let gone = self.owed.iter().rev().filter_map(|uid| Some((self.number(*uid)?, *uid)));
            updates.gone = gone.collect();
            self.owed.clear();
        }
        if !difference.new.is_empty() {
            updates.others.push(Update::Exists(self.exists()));
        }
        let changed = difference.changed.into_iter().filter(|uid| !told.contains(*uid));
        if !hearing.flags {
            let untold = changed.chain(difference.new).map(|uid| uid..=uid);
            let before = self.withheld.without(told);
            self.withheld = before.ranges().iter().cloned().chain(untold).collect();
            return updates;
        }
        let withheld = std::mem::replace(&mut self.withheld, UidSet::none());
        if self.owed.is_empty() {
            self.settled = self.index.status().highest_modseq;
        }
        if old.may_lack_keywords_of(&self.index) || !withheld.is_empty() {
            updates.others.push(Update::Keywords);
        }
        let withheld = withheld.without(told);
        let news: UidSet = changed.chain(difference.new).chain(withheld.iter()).collect();
        for uid in news.iter() {
            let (Some(number), Some(now)) = (self.number(uid), self.index.get(uid)) else { continue };
            let is_known = !withheld.contains(uid)
                && match old.get(uid) {
                    Some(before) => !hearing.modseqs && self.index.has_flags_of(now, &old, before),
                    None => self.index.flags(now).is_empty(),
                };
            if !is_known {
                updates.others.push(Update::Message { number, uid });
            }
        }
        updates
    }
}
