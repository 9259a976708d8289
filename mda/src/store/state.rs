//! The rows as what applying the journal gives.
//!
//! [`State::apply`] is the only way by which a change reaches the rows, live as well as in replay. Reclaim copies
//! records forward, and so changes their order; the rows come out the same because
//! - of two states of one thing the newer by revision or modseq holds, of equals the later in the log;
//! - what is gone for good (an expunged UID, a removed mailbox or account) is remembered, and its states are ignored;
//! - flags that come before their message wait for it.

mod accounts;
mod leaves;
mod messages;
mod notes;
mod seen;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use failpoint::{Point, hit};
use journal::{Entry, Liveness, Position, SegmentId};
use prost::Message;

use super::index::{Commits, Indexes};
use super::record::{BodyRow, Change, Counters, Marks, Nothing, Number, RECORD_KIND, Removed};
use super::table::{Pending, Stored, Table, prefixed};
use super::{Result, StoreError, keys};

pub(super) use messages::place_of;

/// What the journal's entries have made so far.
#[derive(Debug)]
pub(super) struct State {
    table: Table,
    pending: Pending,
    /// Part of what is pending.
    leaves: leaves::Held,
    /// How many rows more, or less, show a body by the record at hand: one that is moved is shown as before.
    referenced: HashMap<u64, i64>,
    /// Who wants to know which rows are written.
    indexes: Arc<Indexes>,
    /// An entry was applied in part, or a commit failed: what is pending must not reach the rows any more.
    spoilt: bool,
    applied: Option<Position>,
    commits: u64,
    marks: Marks,
    liveness: Liveness,
    /// Octets needed per segment, as [`State::liveness`] knows them, to be known again after a restart.
    needed: HashMap<SegmentId, i64>,
    /// Segments whose number in `needed` is newer than its row.
    reweighed: HashSet<SegmentId>,
    news: Changed,
    /// Bodies whose outlines were applied while the journal is replayed; `None` after that.
    outlined: Option<Vec<u64>>,
}

/// Whom a batch of changes concerns.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) mailboxes: HashMap<u64, Counters>,
    /// What was written of the mailboxes that are followed.
    pub(super) leaves: Commits,
    pub(super) accounts: HashSet<u64>,
    pub(super) notes: Vec<Note>,
    pub(super) removed_mailboxes: HashSet<u64>,
    /// What was INBOX, and is not any more (RFC 9051 §6.3.6).
    pub(super) former_inboxes: HashSet<u64>,
    pub(super) removed_accounts: HashSet<u64>,
}

/// An annotation that changed.
#[derive(Debug)]
pub(super) struct Note {
    /// 0 for the server.
    pub(super) mailbox: u64,
    /// Who sees it; 0 for everybody.
    pub(super) account: u64,
    pub(super) entry: String,
    pub(super) revision: u64,
}

impl State {
    /// The state as it was committed.
    pub(super) fn load(table: Table, indexes: Arc<Indexes>) -> Result<Self> {
        let marks = table.get::<Marks>(keys::MARKS)?.map_or_else(Marks::default, |stored| stored.value);
        let applied = table.get::<Nothing>(keys::APPLIED)?.map(|stored| stored.at);
        let mut needed = HashMap::new();
        for row in table.scan::<Number>(keys::within(keys::SEGMENTS)) {
            let (key, octets) = row?;
            needed.insert(SegmentId(keys::last_u64(&key)), octets.value.value.cast_signed());
        }
        Ok(Self {
            pending: Pending::new(table.clone()),
            leaves: leaves::Held::new(),
            referenced: HashMap::new(),
            table,
            indexes,
            spoilt: false,
            applied,
            commits: 0,
            marks,
            liveness: Liveness::default(),
            needed,
            reweighed: HashSet::new(),
            news: Changed::default(),
            outlined: Some(Vec::new()),
        })
    }

    /// Takes over the journal's count of what is needed, and tells it of what was needed before.
    pub(super) fn attach(&mut self, liveness: &Liveness) -> Option<Position> {
        self.liveness = liveness.clone();
        for (segment, octets) in &self.needed {
            liveness.add(*segment, *octets);
        }
        self.applied
    }

    /// Applies one journal entry; one that was applied before changes nothing.
    pub(super) fn apply(&mut self, entry: &Entry) -> Result<()> {
        if self.applied.is_some_and(|applied| entry.position <= applied) {
            return Ok(());
        }
        let change = decode(entry)?;
        self.step(|state| state.apply_change(entry, &change))
    }

    fn apply_change(&mut self, entry: &Entry, change: &Change) -> Result<()> {
        let at = entry.position;
        if let Some(marks) = change.marks {
            self.marks.raise(&marks);
            let marks = self.marks;
            self.pending.put(keys::MARKS.to_vec(), at, &marks);
        }
        self.apply_accounts(at, change)?;
        self.apply_mailboxes(at, change)?;
        self.apply_notes(at, change)?;
        if change.body != 0 {
            let beside = change.outlines.iter().find(|outlined| outlined.email == change.body);
            let outlined = beside.map_or(0, |beside| beside.outline.len() as u64);
            self.body(at, change.body, &entry.body, outlined)?;
        }
        self.apply_messages(at, change)?;
        self.apply_seen(at, change)?;
        self.applied = Some(at);
        Ok(())
    }

    /// Does something that must be pending whole or not at all: what ends it early, an error or a panic, spoils the
    /// state.
    fn step<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if std::mem::replace(&mut self.spoilt, true) {
            return Err(StoreError::Closed("an earlier change could not be applied".to_owned()));
        }
        let done = step(self)?;
        self.spoilt = false;
        Ok(done)
    }

    /// Commits what was applied as one atomic batch, together with how far it comes. Says whom it concerns.
    pub(super) fn settle(&mut self) -> Result<Changed> {
        self.step(Self::commit)
    }

    fn commit(&mut self) -> Result<Changed> {
        if let Some(applied) = self.applied {
            self.pending.put(keys::APPLIED.to_vec(), applied, &Nothing {});
        }
        let at = self.applied.unwrap_or_default();
        self.write_leaves(at);
        for segment in self.reweighed.drain() {
            let octets = self.needed.get(&segment).copied().unwrap_or(0).max(0);
            self.pending.put(keys::segment(segment.0), at, &Number { value: octets.cast_unsigned() });
        }
        hit(Point::MdaApplyBefore);
        self.pending.commit()?;
        hit(Point::MdaApplyAfter);
        self.commits += 1;
        Ok(std::mem::take(&mut self.news))
    }

    /// The greatest numbers that any change has taken.
    pub(super) fn marks(&self) -> Marks {
        self.marks
    }

    /// The last position whose entry is in the rows.
    pub(super) fn applied(&self) -> Option<Position> {
        self.applied
    }

    /// Counts the commits: as long as it stays the same, so do the rows.
    pub(super) fn commits(&self) -> u64 {
        self.commits
    }

    /// Drops what is kept about a segment that is no more, and the bodies that were in it without being shown.
    pub(super) fn forget_segment(&mut self, segment: SegmentId, bodies: &[u64]) -> Result<()> {
        self.needed.remove(&segment);
        self.reweighed.remove(&segment);
        self.pending.delete(keys::segment(segment.0));
        self.step(|state| bodies.iter().try_for_each(|email| state.forget_body(*email, segment)))?;
        self.settle_quietly()
    }

    /// Drops what is kept about segments that `exists` does not know: a crash came between their removal and
    /// [`State::forget_removals`] or [`State::forget_segment`].
    pub(super) fn forget_missing(&mut self, exists: impl Fn(SegmentId) -> bool) -> Result<()> {
        self.forget_missing_removals(&exists)?;
        let missing: Vec<_> = self.needed.keys().copied().filter(|segment| !exists(*segment)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let unused = self.unused_bodies(&missing)?;
        for segment in missing {
            let bodies = unused.iter().filter(|(_, at)| *at == segment).map(|(email, _)| *email);
            self.forget_segment(segment, &bodies.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Drops what is known of removals whose record went with a segment: it was of no use any more.
    fn forget_missing_removals(&mut self, exists: impl Fn(SegmentId) -> bool) -> Result<()> {
        let table = self.table.clone();
        let mut missing = Vec::new();
        for prefix in [keys::REMOVED_ACCOUNTS, keys::REMOVED_MAILBOXES] {
            for row in table.scan::<Removed>(keys::within(prefix)) {
                let (key, row) = row?;
                if exists(row.at.segment) {
                    continue;
                }
                if prefix == keys::REMOVED_MAILBOXES {
                    while self.purge(row.value.id, PURGED)? {}
                }
                missing.push((row.at.segment, key.to_vec()));
            }
        }
        missing.into_iter().try_for_each(|(segment, key)| self.forget_removals(segment, &[key]))
    }

    /// Flags and outlines that waited for their message are of no use once a replay is over: the message is gone.
    pub(super) fn end_replay(&mut self) -> Result<()> {
        self.step(|state| {
            state.pending.delete_within(keys::EARLY_FLAGS, usize::MAX)?;
            state.forget_dead_outlines()
        })?;
        self.settle_quietly()
    }

    /// Drops what is known of removals that nothing in the journal needs any more, if they are from `segment`: their
    /// record went with it. What is left of such mailboxes must have been purged.
    pub(super) fn forget_removals(&mut self, segment: SegmentId, removals: &[Vec<u8>]) -> Result<()> {
        self.step(|state| {
            for key in removals {
                if state.pending.get::<Removed>(key)?.is_some_and(|row| row.at.segment == segment) {
                    state.pending.delete(key.clone());
                }
            }
            Ok(())
        })?;
        self.settle_quietly()
    }

    /// Commits, and leaves the news to the next [`State::settle`].
    pub(super) fn settle_quietly(&mut self) -> Result<()> {
        self.news = self.settle()?;
        Ok(())
    }

    /// Writes the row of a state, which from now on needs the record at `at` in place of the one that it came from.
    fn put_state<T: Message + Default>(
        &mut self,
        key: Vec<u8>,
        at: Position,
        old: Option<&Stored<T>>,
        new: &T,
    ) {
        if let Some(old) = old {
            self.weigh(old.at, -weight(&old.value));
        }
        self.weigh(at, weight(new));
        self.pending.put(key, at, new);
    }

    /// Deletes the row of a state, which needs its record no more.
    fn delete_state<T: Message>(&mut self, key: Vec<u8>, old: &Stored<T>) {
        self.weigh(old.at, -weight(&old.value));
        self.pending.delete(key);
    }

    /// Deletes the rows of states with a prefix.
    fn delete_states<T: Message + Default>(&mut self, prefix: &[u8]) -> Result<()> {
        for (key, old) in self.pending.rows::<T>(prefixed(prefix), usize::MAX)? {
            self.delete_state(key, &old);
        }
        Ok(())
    }

    /// Notes that the record of a body, and the body, are needed (`sign` 1), or no longer for this reason (−1).
    fn note_body(&mut self, at: Position, body: &BodyRow, sign: i64) -> Result<()> {
        self.weigh(at, sign * body_record_weight(body));
        for extent in place_of(body)?.extents() {
            self.weigh_segment(extent.segment, sign * i64::from(extent.length));
        }
        Ok(())
    }

    /// Notes that so much of the record at a position is needed, or, if it is negative, no longer.
    fn weigh(&mut self, at: Position, octets: i64) {
        self.weigh_segment(at.segment, octets);
    }

    fn weigh_segment(&mut self, segment: SegmentId, octets: i64) {
        self.liveness.add(segment, octets);
        *self.needed.entry(segment).or_default() += octets;
        self.reweighed.insert(segment);
    }
}

/// What a record counts in which a message is placed, or its flags are changed, keywords left out
/// ([`Leaf::keyword_octets`](super::leaf::Leaf::keyword_octets)); roughly what it takes on disk.
pub(super) const RECORD_WEIGHT: i64 = 128;

/// Rows of a mailbox that is gone that are removed at once when a store is opened.
const PURGED: usize = 10_000;

/// What a state takes in its record beside its own octets.
const FRAME: i64 = 8;

/// What a state counts that stands in its row as it stands in its record. A segment that is full of states that live
/// must count as full: else it would be copied again and again.
pub(super) fn weight(state: &impl Message) -> i64 {
    octets(state.encoded_len()) + FRAME
}

/// What the record of a body counts, the body left out.
pub(super) fn body_record_weight(body: &BodyRow) -> i64 {
    RECORD_WEIGHT + octets(usize::try_from(body.outlined).unwrap_or(0))
}

/// What an outline counts that stands in a record of its own.
pub(super) fn outline_weight(octets_of_it: Number) -> i64 {
    RECORD_WEIGHT + octets(usize::try_from(octets_of_it.value).unwrap_or(0))
}

fn octets(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Reads a journal entry.
pub(super) fn decode(entry: &Entry) -> Result<Change> {
    if entry.kind != RECORD_KIND {
        return Err(StoreError::NewerFormat { found: u32::from(entry.kind), known: u32::from(RECORD_KIND) });
    }
    Change::decode(entry.meta.clone()).map_err(|error| StoreError::CorruptState {
        what: format!("journal record at {}: {error}", entry.position),
    })
}

#[cfg(test)]
mod tests;
