//! Getting the space of dead records back.

use bytes::Bytes;

use crate::position::SegmentId;

/// What becomes of a record whose segment is reclaimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody needs it.
    Drop,
    /// It is copied forward as it is, body and all.
    Keep,
    /// It is copied forward with a new meta.
    Rewrite(Bytes),
}

/// A segment that is worth reclaiming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The segment.
    pub segment: SegmentId,
    /// Bytes its file takes.
    pub bytes: u64,
    /// Bytes noted live in it.
    pub live: u64,
}

/// What reclaiming a segment did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Bytes of the file that was removed.
    pub freed: u64,
    /// Records copied forward.
    pub kept: u64,
    /// Bytes of their bodies.
    pub copied: u64,
    /// Records dropped.
    pub dropped: u64,
}
