//! What opening a journal found.

use crate::position::Position;

/// What [`Journal::open`](crate::Journal::open) found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segment files there are.
    pub segments: usize,
    /// Entries handed to the follower.
    pub replayed: u64,
    /// The torn tail that was cut off: the remains of records that a crash interrupted and that were promised to
    /// nobody.
    pub torn: Option<Stretch>,
    /// Damage that was skipped; empty unless
    /// [`OnCorruption::Quarantine`](crate::OnCorruption::Quarantine) is configured.
    pub quarantined: Vec<Stretch>,
}

/// A stretch of a segment that holds no readable record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Where it begins.
    pub start: Position,
    /// Bytes in it.
    pub bytes: u64,
    /// What is wrong at its begin.
    pub reason: &'static str,
}
