//! The rows as what applying the journal gives.
//!
//! [`State::apply`] is the only way by which a change reaches the rows, live as well as in replay. Reclaim copies
//! records forward, and so changes their order; the rows come out the same because
//! - of two states of one thing the newer by revision or modseq holds, of equals the later in the log;
//! - what is gone for good (an expunged UID, a removed mailbox or account) is remembered, and its states are ignored;
//! - flags that come before their message wait for it.

mod accounts;
mod messages;
mod notes;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use journal::{BodyRef, Entry, Liveness, Position, SegmentId};
use prost::Message;

use super::index::{Commits, Indexes};
use super::record::{Change, Counters, Marks, Nothing, Number, Placed, RECORD_KIND};
use super::table::{Pending, Table};
use super::{Result, StoreError, keys};

pub(super) use messages::place_of;

/// What the journal's entries have made so far.
#[derive(Debug)]
pub(super) struct State {
    table: Table,
    pending: Pending,
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
}

/// Whom a batch of changes concerns.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) mailboxes: HashMap<u64, Counters>,
    /// What was written of the mailboxes that are followed.
    pub(super) rows: Commits,
    pub(super) accounts: HashSet<u64>,
    pub(super) notes: Vec<Note>,
    pub(super) removed_mailboxes: HashSet<u64>,
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
        })
    }

    /// Takes over the journal's count of what is needed, and tells it of what was needed before.
    pub(super) fn attach(&mut self, liveness: &Liveness) -> Option<Position> {
        self.liveness = liveness.clone();
        for (segment, octets) in &self.needed {
            if let Some((position, body)) = stand_in(*segment, *octets) {
                liveness.note_live(position, &body);
            }
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
            self.body(at, change.body, &entry.body)?;
        }
        self.apply_messages(at, change)?;
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
        for segment in self.reweighed.drain() {
            let octets = self.needed.get(&segment).copied().unwrap_or(0).max(0);
            self.pending.put(keys::segment(segment.0), at, &Number { value: octets.cast_unsigned() });
        }
        self.note_rows()?;
        self.pending.commit()?;
        self.commits += 1;
        Ok(std::mem::take(&mut self.news))
    }

    /// Keeps what the indexes want to know of what is about to be committed.
    fn note_rows(&mut self) -> Result<()> {
        for mailbox in self.news.mailboxes.keys().filter(|mailbox| self.indexes.follows(**mailbox)) {
            let rows = self.news.rows.entry(*mailbox).or_default();
            for row in self.pending.written_within::<Placed>(&keys::rows(*mailbox)) {
                let (key, placed) = row?;
                rows.insert(keys::last_u32(key), placed);
            }
        }
        Ok(())
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
    /// [`State::forget_segment`].
    pub(super) fn forget_missing(&mut self, exists: impl Fn(SegmentId) -> bool) -> Result<()> {
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

    /// Flags and outlines that waited for their message are of no use once a replay is over: the message is gone.
    pub(super) fn end_replay(&mut self) -> Result<()> {
        self.step(|state| {
            state.pending.delete_within(keys::EARLY_FLAGS, usize::MAX)?;
            state.forget_dead_outlines()
        })?;
        self.settle_quietly()
    }

    /// Commits, and leaves the news to the next [`State::settle`].
    pub(super) fn settle_quietly(&mut self) -> Result<()> {
        self.news = self.settle()?;
        Ok(())
    }

    /// Notes that a record is needed (`sign` 1), or no longer for this reason (−1).
    fn note(&mut self, position: Position, body: &BodyRef, sign: i64) {
        if sign > 0 {
            self.liveness.note_live(position, body);
        } else {
            self.liveness.note_dead(position, body);
        }
        self.weigh(position.segment, sign * RECORD_WEIGHT);
        for extent in body.extents() {
            self.weigh(extent.segment, sign * i64::from(extent.length));
        }
    }

    fn weigh(&mut self, segment: SegmentId, octets: i64) {
        *self.needed.entry(segment).or_default() += octets;
        self.reweighed.insert(segment);
    }
}

/// What a record without body counts; roughly what it takes on disk.
pub(super) const RECORD_WEIGHT: i64 = 128;

/// A record that weighs about as much as all that a segment holds: the journal's counts start from it.
fn stand_in(segment: SegmentId, octets: i64) -> Option<(Position, BodyRef)> {
    let length = u32::try_from(octets - RECORD_WEIGHT).ok().filter(|length| *length > 0)?;
    // An extent's encoding: segment, offset, length, checksum. Nobody reads it.
    let mut extent = segment.0.to_be_bytes().to_vec();
    extent.extend_from_slice(&[0; 4]);
    extent.extend_from_slice(&length.to_be_bytes());
    extent.extend_from_slice(&[0; 4]);
    Some((Position { segment, offset: 0 }, BodyRef::from_bytes(&extent)?))
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
