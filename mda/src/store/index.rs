//! The messages of a mailbox in memory, shared by all sessions that look at it.
//!
//! An [`Index`] never changes once it was handed out. The next one shares with it all but the chunks that a change
//! touched: following the store means comparing two indexes and passing over what they share.

mod chunk;
mod keywords;
mod personal;
mod registry;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use jiff::Timestamp;

use super::leaf::{FlagState, Leaf, Message};
use super::record::Counters;
use super::{EmailId, Flags, MailboxStatus, ModSeq, Row, SystemFlag, Uid, UidSet};
use chunk::{Chunk, Cursor};
use keywords::{Interner, Keywords, SetId};

pub use personal::Personal;
pub(super) use registry::{Commits, Found, Indexes};

/// A mailbox's messages at one moment: all of what was committed by then, and nothing else.
#[derive(Debug, Clone)]
pub struct Index {
    status: MailboxStatus,
    /// Ascending by UID.
    parts: Vec<Part>,
    keywords: Keywords,
}

/// A chunk, and how many messages stand before it.
#[derive(Debug, Clone)]
struct Part {
    before: u32,
    chunk: Arc<Chunk>,
}

/// A message in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    modseq: ModSeq,
    email: u64,
    size: u64,
    /// Seconds since 1970.
    internal_date: i64,
    /// Seconds since 1970; 0 where it was not recorded.
    saved_at: u32,
    uid: Uid,
    keywords: SetId,
    system: u8,
}

/// Stands for the flags of a message within its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FlagsKey(u8, SetId);

/// What became of messages from one index of a mailbox to a later one; UIDs ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Those that are gone.
    pub gone: Vec<Uid>,
    /// Those that have another modseq.
    pub changed: Vec<Uid>,
    /// Those that came: above all that were there before.
    pub new: Vec<Uid>,
}

impl Entry {
    /// Its number in the mailbox.
    pub fn uid(&self) -> Uid {
        self.uid
    }

    /// Its last change.
    pub fn modseq(&self) -> ModSeq {
        self.modseq
    }

    /// The body, the same for all copies.
    pub fn email(&self) -> EmailId {
        EmailId(self.email)
    }

    /// Octets of the body.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// When it arrived.
    pub fn internal_date(&self) -> Timestamp {
        Timestamp::from_second(self.internal_date).unwrap_or(Timestamp::MIN)
    }

    /// When it came into this mailbox, where that was recorded.
    pub fn saved_at(&self) -> Option<Timestamp> {
        (self.saved_at > 0).then(|| Timestamp::from_second(self.saved_at.into()).unwrap_or(Timestamp::MIN))
    }

    /// The system flag is set.
    pub fn has(&self, flag: SystemFlag) -> bool {
        self.system & flag as u8 != 0
    }

    /// Two messages with the same have the same flags, if they are of one index.
    pub(crate) fn flags_key(&self) -> FlagsKey {
        FlagsKey(self.system, self.keywords)
    }

    fn new(message: &Message, flags: &FlagState, keywords: SetId) -> Self {
        Self {
            modseq: flags.modseq,
            email: message.email,
            size: message.size,
            internal_date: message.internal_date,
            saved_at: u32::try_from(message.saved_at).unwrap_or_default(),
            uid: message.uid,
            keywords,
            system: flags.flags as u8,
        }
    }
}

impl Index {
    /// Counts and sequences: no message here is newer than its `highest_modseq`.
    pub fn status(&self) -> &MailboxStatus {
        &self.status
    }

    /// How many messages.
    pub fn len(&self) -> u32 {
        self.parts.last().map_or(0, |part| part.before + part.chunk.len())
    }

    /// There is no message.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// How many messages stand before this one, or before where it would stand.
    pub fn position(&self, uid: Uid) -> Result<u32, u32> {
        let Some(part) = self.part_of(uid) else { return Err(0) };
        let Part { before, chunk } = &self.parts[part];
        match chunk.position(uid) {
            Ok(place) => Ok(before + place as u32),
            Err(place) => Err(before + place as u32),
        }
    }

    /// The message of this UID.
    pub fn get(&self, uid: Uid) -> Option<&Entry> {
        let chunk = &self.parts[self.part_of(uid)?].chunk;
        chunk.position(uid).ok().map(|place| &chunk.entries()[place])
    }

    /// The message with so many before it.
    pub fn at(&self, position: u32) -> Option<&Entry> {
        let part = self.parts.partition_point(|part| part.before <= position).checked_sub(1)?;
        let Part { before, chunk } = &self.parts[part];
        chunk.entries().get((position - before) as usize)
    }

    /// All messages, ascending by UID.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.parts.iter().flat_map(|part| part.chunk.entries())
    }

    /// The messages of a range of UIDs, ascending.
    pub fn range(&self, uids: RangeInclusive<Uid>) -> impl Iterator<Item = &Entry> {
        let (first, last) = uids.into_inner();
        let part = self.part_of(first).unwrap_or(0);
        let (head, tail) = self.parts[part.min(self.parts.len())..].split_first().unzip();
        let head = head.map_or(&[][..], |part: &Part| {
            let start = part.chunk.position(first).unwrap_or_else(|place| place);
            &part.chunk.entries()[start..]
        });
        let tail = tail.unwrap_or_default().iter().flat_map(|part| part.chunk.entries());
        head.iter().chain(tail).take_while(move |entry| entry.uid <= last)
    }

    /// The messages of a set, ascending.
    pub fn within<'a>(&'a self, uids: &'a UidSet) -> impl Iterator<Item = &'a Entry> {
        uids.ranges().iter().flat_map(|range| self.range(range.clone()))
    }

    /// The messages that came or changed after a modification sequence, ascending; passes over chunks without any.
    pub fn changed_since(&self, modseq: ModSeq) -> impl Iterator<Item = &Entry> {
        let parts = self.parts.iter().filter(move |part| part.chunk.highest_modseq() > modseq);
        parts.flat_map(|part| part.chunk.entries()).filter(move |entry| entry.modseq > modseq)
    }

    /// How many messages stand before the first without `\Seen`; None if there is none.
    pub fn first_unseen(&self) -> Option<u32> {
        let part = self.parts.iter().find(|part| part.chunk.unseen() > 0)?;
        let place = part.chunk.entries().iter().position(|entry| !entry.has(SystemFlag::Seen))?;
        Some(part.before + place as u32)
    }

    /// The flags of a message of this index.
    pub fn flags(&self, entry: &Entry) -> Flags {
        Flags::shared(entry.system.into(), self.keywords.set(entry.keywords).cloned())
    }

    /// All of a message of this index.
    pub fn row(&self, entry: &Entry) -> Row {
        Row {
            uid: entry.uid,
            email: entry.email(),
            flags: self.flags(entry),
            internal_date: entry.internal_date(),
            size: entry.size,
            modseq: entry.modseq,
            saved_at: entry.saved_at(),
        }
    }

    /// The keywords that messages have or had.
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        self.keywords.names().map(|name| &**name)
    }

    /// Another index of the mailbox may have keywords that this one has not.
    pub fn may_lack_keywords_of(&self, other: &Self) -> bool {
        !self.keywords.has_all_of(&other.keywords)
    }

    /// The flags that a message has here are those that it had in another index of the mailbox.
    pub fn has_flags_of(&self, entry: &Entry, other: &Self, before: &Entry) -> bool {
        entry.system == before.system
            && self.keywords.set(entry.keywords) == other.keywords.set(before.keywords)
    }

    /// What became of the messages since an earlier index of the same mailbox. Chunks that both share are passed over.
    pub fn since(&self, old: &Self) -> Difference {
        let mut difference = Difference::default();
        let (mut old, mut new) = (Cursor::new(&old.parts), Cursor::new(&self.parts));
        loop {
            if let (Some(before), Some(now)) = (old.whole_chunk(), new.whole_chunk())
                && Arc::ptr_eq(before, now)
            {
                old.pass_chunk();
                new.pass_chunk();
                continue;
            }
            let (before, now) = (old.entry(), new.entry());
            let order = match (before, now) {
                (None, None) => return difference,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some(now)) => before.uid.cmp(&now.uid),
            };
            match order {
                Ordering::Less => difference.gone.extend(before.map(Entry::uid)),
                Ordering::Greater => difference.new.extend(now.map(Entry::uid)),
                Ordering::Equal if before.map(Entry::modseq) == now.map(Entry::modseq) => {}
                Ordering::Equal => difference.changed.extend(now.map(Entry::uid)),
            }
            if order.is_le() {
                old.pass();
            }
            if order.is_ge() {
                new.pass();
            }
        }
    }

    fn part_of(&self, uid: Uid) -> Option<usize> {
        self.parts.partition_point(|part| part.chunk.first_uid() <= uid).checked_sub(1)
    }

    /// Octets that it takes, roughly.
    fn octets(&self) -> u64 {
        let entries = self.len() as usize * size_of::<Entry>();
        let parts = self.parts.len() * (size_of::<Part>() + size_of::<Chunk>());
        (entries + parts + self.keywords.octets()) as u64
    }
}

/// An index in the making, and what is needed to go on making it.
#[derive(Debug)]
pub(super) struct Builder {
    index: Index,
    interner: Interner,
    /// The messages of the last chunk.
    last: Vec<Entry>,
}

impl Builder {
    /// Of a mailbox without messages.
    pub(super) fn new(status: MailboxStatus) -> Self {
        let index = Index { status, parts: Vec::new(), keywords: Keywords::default() };
        Self { index, interner: Interner::default(), last: Vec::new() }
    }

    /// Takes in messages that come after all before.
    pub(super) fn push(&mut self, leaf: &Leaf) {
        for entry in entries_of(leaf, &mut self.index.keywords, &mut self.interner) {
            if self.last.len() == chunk::LENGTH {
                self.end_chunk();
            }
            if self.last.is_empty() {
                self.last.reserve_exact(chunk::LENGTH);
            }
            self.last.push(entry);
        }
    }

    fn end_chunk(&mut self) {
        let chunk = Chunk::of(std::mem::take(&mut self.last));
        chunk::add(&mut self.index.parts, Arc::new(chunk));
    }

    /// The index, for one look at it.
    pub(super) fn index(self) -> Arc<Index> {
        self.followed().0
    }

    /// The index, with what is needed to take in what is committed later.
    fn followed(mut self) -> (Arc<Index>, Interner) {
        self.end_chunk();
        (Arc::new(self.index), self.interner)
    }
}

/// The messages of a leaf.
fn entries_of<'a>(
    leaf: &'a Leaf,
    keywords: &mut Keywords,
    interner: &mut Interner,
) -> impl Iterator<Item = Entry> + use<'a> {
    let (states, messages) = leaf.parts();
    let sets: Vec<SetId> = states.iter().map(|state| interner.intern(keywords, &state.keywords)).collect();
    messages.map(move |(message, state)| Entry::new(message, &states[state], sets[state]))
}

impl Index {
    /// Takes in what was committed: the counts, and the leaves that changed.
    fn apply(&mut self, interner: &mut Interner, counters: &Counters, leaves: &BTreeMap<u32, Leaf>) {
        let mut changes = Vec::new();
        for leaf in leaves.values() {
            let entries = entries_of(leaf, &mut self.keywords, interner);
            self.differences(leaf.uids(), entries, &mut changes);
        }
        chunk::apply(&mut self.parts, &changes);
        let uid_validity = self.status.uid_validity;
        self.status = counters.status(uid_validity);
        if self.keywords.are_mostly_unused(self.len()) {
            self.forget_unused_keywords(interner);
        }
    }

    /// Adds each message that came or changed in a range of UIDs, or went (None), to `changes`.
    fn differences(
        &self,
        uids: RangeInclusive<Uid>,
        now: impl Iterator<Item = Entry>,
        changes: &mut Vec<(Uid, Option<Entry>)>,
    ) {
        let mut before = self.range(uids).peekable();
        for entry in now {
            while let Some(gone) = before.next_if(|before| before.uid < entry.uid) {
                changes.push((gone.uid, None));
            }
            if before.next_if(|before| before.uid == entry.uid) != Some(&entry) {
                changes.push((entry.uid, Some(entry)));
            }
        }
        changes.extend(before.map(|gone| (gone.uid, None)));
    }

    /// Sets of keywords that no message has any more would gather for as long as the mailbox is watched.
    fn forget_unused_keywords(&mut self, interner: &mut Interner) {
        let mut keywords = self.keywords.next_generation();
        *interner = Interner::default();
        for part in &mut self.parts {
            let entries = part.chunk.entries().iter().map(|entry| {
                let set = self.keywords.set(entry.keywords);
                Entry { keywords: interner.intern_set(&mut keywords, set), ..*entry }
            });
            part.chunk = Arc::new(Chunk::of(entries.collect()));
        }
        self.keywords = keywords;
    }
}

impl Counters {
    pub(super) fn status(&self, uid_validity: u32) -> MailboxStatus {
        MailboxStatus {
            uid_validity,
            uid_next: self.uid_next,
            highest_modseq: self.highest_modseq,
            messages: self.messages,
            unseen: self.unseen,
            deleted: self.deleted,
            deleted_octets: self.deleted_octets,
            octets: self.octets,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
