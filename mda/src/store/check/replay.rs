//! The rows are what the journal says: it is replayed into other rows, and both are compared.

use std::fs;
use std::path::PathBuf;

use journal::{Entry, Position};

use super::{Check, Findings};
use crate::store::index::Indexes;
use crate::store::local::left_of_removed_mailboxes;
use crate::store::record::BodyRow;
use crate::store::state::State;
use crate::store::table::{CHECKSUM, HEADER, Table};
use crate::store::{LocalStore, Result, StoreError, keys};

/// Journal records between two commits of the other rows.
const BATCH: u64 = 1_024;

/// Differences that are looked at again; more are as bad.
const SUSPECTS: usize = 100_000;

/// Rows of removed mailboxes that go at once.
const PURGED: usize = 10_000;

/// Memory that the other rows are cached in, in octets.
const CACHE: u64 = 16 << 20;

/// Kinds of rows that name no record, or not before what they hold: what was counted, leaves, and indexes.
const DERIVED: &[u8] = b"cefilnw";

/// Rows that are no part of what the journal says: how far it was applied, and what its segments are needed for.
const LOCAL: [&[u8]; 2] = [keys::APPLIED, keys::SEGMENTS];

impl Check<'_> {
    pub(super) fn replay(&mut self) -> Result<()> {
        let scratch = Scratch::new(self.store)?;
        let table = Table::open(&scratch.dir, CACHE)?;
        let mut other = Replay { state: State::load(table.clone(), Indexes::new(0))?, table, applied: 0 };
        self.catch_up(&mut other)?;
        other.purge()?;
        // Theirs are gone, so ours must be: what is left of removed mailboxes goes in the background.
        self.store.removed_mailboxes()?.into_iter().try_for_each(|mailbox| self.store.purge(mailbox))?;
        let suspects = differences(self.table, &other.table)?;
        self.tell("differences", suspects.len() as u64)?;
        if suspects.is_empty() {
            return Ok(());
        }
        // What changed since looks different too: both are compared as of one moment.
        let mut state = self.store.state().lock();
        state.settle_quietly()?;
        if let Some(end) = state.applied() {
            other.follow(self.store, end)?;
            other.state.end_replay()?;
        }
        other.purge()?;
        purge(&mut state, self.table)?;
        suspects.iter().try_for_each(|key| compare(key, self.table, &other.table, &mut self.findings))
    }

    /// Replays until little is missing: that is caught up with while nothing changes.
    fn catch_up(&mut self, other: &mut Replay) -> Result<()> {
        loop {
            let end = self.store.state().lock().applied();
            let before = other.applied;
            other.follow(self.store, end.unwrap_or_default())?;
            self.tell("records replayed", other.applied)?;
            if other.applied - before <= BATCH {
                return Ok(());
            }
        }
    }
}

/// Rows that are made anew.
struct Replay {
    state: State,
    table: Table,
    applied: u64,
}

impl Replay {
    /// Applies what stands in the journal up to `end`.
    fn follow(&mut self, store: &LocalStore, end: Position) -> Result<()> {
        let mut failed = None;
        let scanned = store.journal().scan(self.state.applied(), |entry| {
            if entry.position > end {
                return Err(journal::Error::Closed);
            }
            self.apply(entry).map_err(|error| {
                failed.get_or_insert(error);
                journal::Error::Closed
            })
        });
        match (failed, scanned) {
            (Some(error), _) => Err(error),
            (None, Ok(()) | Err(journal::Error::Closed)) => self.state.settle().map(drop),
            (None, Err(error)) => Err(error.into()),
        }
    }

    fn purge(&mut self) -> Result<()> {
        purge(&mut self.state, &self.table)
    }

    fn apply(&mut self, entry: &Entry) -> Result<()> {
        self.state.apply(entry)?;
        self.applied += 1;
        if self.applied.is_multiple_of(BATCH) {
            self.state.settle()?;
        }
        Ok(())
    }
}

/// Removes what is left of mailboxes that are gone.
fn purge(state: &mut State, table: &Table) -> Result<()> {
    for mailbox in left_of_removed_mailboxes(table)? {
        while state.purge(mailbox, PURGED)? {}
    }
    Ok(())
}

/// The keys under which both hold different things.
fn differences(here: &Table, there: &Table) -> Result<Vec<Vec<u8>>> {
    let mut suspects = Vec::new();
    for row in here.all_raw() {
        let (key, value) = row?;
        if !is_same(&key, Some(&value), there.raw(&key)?.as_deref()) {
            suspects.push(key.to_vec());
        }
        if suspects.len() >= SUSPECTS {
            return Ok(suspects);
        }
    }
    for row in there.all_raw() {
        let (key, _) = row?;
        if here.raw(&key)?.is_none() {
            suspects.push(key.to_vec());
        }
        if suspects.len() >= SUSPECTS {
            break;
        }
    }
    Ok(suspects)
}

fn compare(key: &[u8], here: &Table, there: &Table, findings: &mut Findings) -> Result<()> {
    let what = match (here.raw(key)?, there.raw(key)?) {
        (here, there) if is_same(key, here.as_deref(), there.as_deref()) => return Ok(()),
        (None, _) => "is missing, the journal has it",
        (_, None) => "is there, the journal does not have it",
        _ => "is not what the journal says",
    };
    if !is_excused(key, here, there)? {
        findings.add(format!("row {}: {what}", key.escape_ascii()));
    }
    Ok(())
}

/// Both are there and hold the same, or neither is there.
fn is_same(key: &[u8], here: Option<&[u8]>, there: Option<&[u8]>) -> bool {
    // Where the record stands that made a row is of no meaning if reclaim does not look for it.
    let skipped = if key.first().is_some_and(|kind| DERIVED.contains(kind)) { HEADER } else { CHECKSUM };
    here.map(|row| row.get(skipped..)) == there.map(|row| row.get(skipped..))
}

fn is_excused(key: &[u8], here: &Table, there: &Table) -> Result<bool> {
    if LOCAL.iter().any(|prefix| key.starts_with(prefix)) {
        return Ok(true);
    }
    // That something is gone is known for longer than the journal needs to say so.
    if key.starts_with(keys::REMOVED) {
        return Ok(there.raw(key)?.is_none());
    }
    // A body that nothing shows is forgotten with its segment.
    if key.starts_with(keys::BODIES) && here.raw(key)?.is_none() {
        return Ok(there.get::<BodyRow>(key)?.is_some_and(|body| body.value.references == 0));
    }
    // Nor is its outline kept by whoever replays.
    if key.starts_with(keys::OUTLINES) && there.raw(key)?.is_none() {
        let body = here.get::<BodyRow>(&keys::body(keys::last_u64(key)))?;
        return Ok(body.is_none_or(|body| body.value.references == 0));
    }
    Ok(false)
}

/// A folder for the other rows, removed when it is dropped.
struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    fn new(store: &LocalStore) -> Result<Self> {
        let scratch = Self { dir: store.dir().join("check") };
        scratch.remove().map_err(|error| StoreError::Io {
            what: format!("cannot remove {}", scratch.dir.display()),
            reason: error.to_string(),
        })?;
        Ok(scratch)
    }

    fn remove(&self) -> std::io::Result<()> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(%error, dir = %self.dir.display(), "cannot remove what a check has left");
        }
    }
}
