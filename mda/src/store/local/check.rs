//! What a check looks at.

use std::path::Path;

use journal::{Journal, Position};
use parking_lot::Mutex;

use super::LocalStore;
use crate::store::state::State;
use crate::store::table::Table;
use crate::store::{EmailId, Result, StoreError};

/// Octets of a body that are read at once.
const PIECE: u64 = 8 << 20;

impl LocalStore {
    pub(in crate::store) fn table(&self) -> &Table {
        &self.inner.table
    }

    /// Whoever holds its lock keeps the rows as they are.
    pub(in crate::store) fn state(&self) -> &Mutex<State> {
        &self.inner.state
    }

    pub(in crate::store) fn journal(&self) -> &Journal<()> {
        &self.inner.journal
    }

    pub(in crate::store) fn dir(&self) -> &Path {
        &self.inner.config.dir
    }

    /// Damaged stretches of the journal that were met when it was opened.
    pub(in crate::store) fn lost_stretches(&self) -> &[String] {
        &self.inner.lost
    }

    /// The segment of this position is there.
    pub(in crate::store) fn is_in_journal(&self, at: Position) -> bool {
        self.inner.journal.segment_exists(at.segment)
    }

    /// Reads a whole body against its checksums; gives its octets, or `None` if nothing shows it any more.
    pub(in crate::store) fn verify_body(&self, email: u64) -> Result<Option<u64>> {
        let mut octets = 0;
        loop {
            match self.read_body(EmailId(email), octets..octets + PIECE) {
                Ok(piece) if piece.is_empty() => return Ok(Some(octets)),
                Ok(piece) => octets += piece.len() as u64,
                Err(StoreError::Expunged) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}
