//! What a client believes about its selected mailbox: message numbers and UIDs (RFC 9051 §2.3.1), and the flags it was
//! told.
//!
//! Message numbers change only by what is told: the view is what the client was sent, and [`View::apply`] gives what
//! it must be sent to follow the store. Everything here is of one session, and needs no I/O.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::store::{Changes, Flags, MailboxId, ModSeq, Row, Snapshot, Uid, UidSet};

use super::parse::{MessageSet, SequenceSet, SetEnd};

/// A selected mailbox.
#[derive(Debug)]
pub(super) struct View {
    pub(super) mailbox: MailboxId,
    pub(super) uid_validity: u32,
    pub(super) read_only: bool,
    /// Ascending by UID; the place is the message number less one.
    messages: Vec<Known>,
    /// No message with this UID or a lower one is new.
    highest_uid: Uid,
    /// What the client knows of the mailbox comes from here or before.
    modseq: ModSeq,
    /// Gone from the store, but not yet told: the client was in no state to hear it.
    gone: Vec<Uid>,
    /// Keywords that the client was told of.
    keywords: BTreeSet<String>,
    /// `$` (RFC 9051 §6.4.4.1).
    pub(super) saved: UidSet,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    uid: Uid,
    flags: Flags,
}

/// Something the client must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Update {
    /// The message with this number is gone, and those behind it move up.
    Expunge(u32),
    /// So many messages there are now.
    Exists(u32),
    /// There are new keywords: these are all.
    Keywords,
    /// A message has other flags.
    Flags { number: u32, uid: Uid, flags: Flags },
}

/// A number beyond the mailbox's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such message number")]
pub(super) struct NoSuchNumber;

impl View {
    pub(super) fn new(mailbox: MailboxId, uid_validity: u32, read_only: bool, snapshot: Snapshot) -> Self {
        let mut view = Self {
            mailbox,
            uid_validity,
            read_only,
            messages: Vec::with_capacity(snapshot.rows.len()),
            highest_uid: snapshot.rows.last().map_or(0, |row| row.uid),
            modseq: snapshot.status.highest_modseq,
            gone: Vec::new(),
            keywords: BTreeSet::new(),
            saved: UidSet::default(),
        };
        for Row { uid, flags, .. } in snapshot.rows {
            view.learn_keywords(&flags);
            view.messages.push(Known { uid, flags });
        }
        view
    }

    /// How many messages the client knows of.
    pub(super) fn exists(&self) -> u32 {
        self.messages.len() as u32
    }

    /// Ask the store for what changed since.
    pub(super) fn modseq(&self) -> ModSeq {
        self.modseq
    }

    /// There are messages whose end the client was not told yet.
    pub(super) fn owes_expunge(&self) -> bool {
        !self.gone.is_empty()
    }

    /// Keywords in use, as far as the client was told.
    pub(super) fn keywords(&self) -> impl Iterator<Item = &str> {
        self.keywords.iter().map(String::as_str)
    }

    /// The UIDs from the first message's to the last one's.
    pub(super) fn uids(&self) -> impl Iterator<Item = Uid> + '_ {
        self.messages.iter().map(|message| message.uid)
    }

    /// The number of the first message whose flags pass a test.
    pub(super) fn first_where(&self, test: impl Fn(&Flags) -> bool) -> Option<u32> {
        self.messages.iter().position(|message| test(&message.flags)).map(|index| index as u32 + 1)
    }

    /// The message number of a UID.
    pub(super) fn number(&self, uid: Uid) -> Option<u32> {
        self.index(uid).map(|index| index as u32 + 1)
    }

    /// The flags that the client was told.
    pub(super) fn flags(&self, uid: Uid) -> Option<&Flags> {
        self.index(uid).map(|index| &self.messages[index].flags)
    }

    /// The messages a command is about. UIDs without a message are passed over; numbers without one are an error.
    pub(super) fn resolve(&self, set: &MessageSet, by_uid: bool) -> Result<UidSet, NoSuchNumber> {
        match set {
            MessageSet::Saved => Ok(self.uids().filter(|uid| self.saved.contains(*uid)).collect()),
            MessageSet::Numbers(set) if by_uid => Ok(self.uids_in(set)),
            MessageSet::Numbers(set) => self.numbers_in(set),
        }
    }

    fn uids_in(&self, set: &SequenceSet) -> UidSet {
        // RFC 9051 §9, `seq-number`: `*` of an empty mailbox is UIDNEXT, which no message has either.
        let last = self.messages.last().map_or(self.highest_uid.saturating_add(1), |message| message.uid);
        let mut uids = Vec::new();
        for range in set.ranges(last) {
            let start = self.messages.partition_point(|message| message.uid < *range.start());
            let known = self.messages.iter().skip(start).map(|message| message.uid);
            uids.extend(known.take_while(|uid| uid <= range.end()));
        }
        uids.into_iter().collect()
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
        let indexes = set.ranges(exists).into_iter().flatten().map(|number| number as usize - 1);
        Ok(indexes.filter_map(|index| self.messages.get(index)).map(|message| message.uid).collect())
    }

    /// The client learns these flags by what it is being sent. New keywords must be told first: true if there are.
    pub(super) fn tell_flags(&mut self, uid: Uid, flags: &Flags) -> bool {
        if let Some(index) = self.index(uid) {
            self.messages[index].flags = flags.clone();
        }
        self.learn_keywords(flags)
    }

    /// Follows the store. EXPUNGE is held back while the client must not hear it (RFC 9051 §7.5.1).
    pub(super) fn apply(&mut self, changes: Changes, may_expunge: bool) -> Vec<Update> {
        self.modseq = self.modseq.max(changes.highest_modseq);
        if !changes.vanished.is_empty() {
            let vanished: Vec<Uid> = self.uids().filter(|uid| changes.vanished.contains(*uid)).collect();
            self.gone.extend(vanished);
        }
        let mut updates = Vec::new();
        if may_expunge {
            self.expunge(&mut updates);
        }
        self.change(changes, &mut updates);
        updates
    }

    fn expunge(&mut self, updates: &mut Vec<Update>) {
        let gone: UidSet = std::mem::take(&mut self.gone).into_iter().collect();
        if gone.is_empty() {
            return;
        }
        // From the last: so each number is right whatever went before it.
        let numbers = (1..=self.exists()).zip(self.uids()).filter(|(_, uid)| gone.contains(*uid));
        let mut numbers: Vec<u32> = numbers.map(|(number, _)| number).collect();
        numbers.reverse();
        updates.extend(numbers.into_iter().map(Update::Expunge));
        self.messages.retain(|message| !gone.contains(message.uid));
    }

    fn change(&mut self, changes: Changes, updates: &mut Vec<Update>) {
        let mut flags = Vec::new();
        let mut grown = false;
        let mut new_keywords = false;
        for row in changes.changed {
            if changes.vanished.contains(row.uid) {
                continue;
            }
            if row.uid > self.highest_uid {
                self.highest_uid = row.uid;
                grown = true;
                new_keywords |= self.learn_keywords(&row.flags);
                if !row.flags.is_empty() {
                    flags.push(row.uid);
                }
                self.messages.push(Known { uid: row.uid, flags: row.flags });
            } else if self.flags(row.uid).is_some_and(|told| *told != row.flags) {
                new_keywords |= self.tell_flags(row.uid, &row.flags);
                flags.push(row.uid);
            }
        }
        if grown {
            updates.push(Update::Exists(self.exists()));
        }
        if new_keywords {
            updates.push(Update::Keywords);
        }
        updates.extend(flags.into_iter().filter_map(|uid| {
            let number = self.number(uid)?;
            Some(Update::Flags { number, uid, flags: self.flags(uid)?.clone() })
        }));
    }

    fn learn_keywords(&mut self, flags: &Flags) -> bool {
        let before = self.keywords.len();
        for keyword in flags.keywords() {
            if !self.keywords.contains(keyword) {
                self.keywords.insert(keyword.to_owned());
            }
        }
        self.keywords.len() > before
    }

    fn index(&self, uid: Uid) -> Option<usize> {
        self.messages.binary_search_by_key(&uid, |message| message.uid).ok()
    }
}
