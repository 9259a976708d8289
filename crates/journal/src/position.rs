//! Places in the log.

use std::fmt;

/// The number of a segment file. Numbers only grow and are never used twice within a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u64);

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Where a record starts. Positions compare in log order.
///
/// A position names a record for as long as its segment lives: a record that [`reclaim`] copies forward gets
/// a new, later position.
///
/// [`reclaim`]: crate::Journal::reclaim
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The segment that holds the record.
    pub segment: SegmentId,
    /// Bytes from the start of the segment file to the record's header.
    pub offset: u32,
}

impl Position {
    /// Length of the encoded form.
    pub const ENCODED_LEN: usize = 12;

    /// A fixed-size form whose byte order is the log's order, fit for keys and rows of a database.
    pub fn to_bytes(self) -> [u8; Self::ENCODED_LEN] {
        let mut bytes = [0; Self::ENCODED_LEN];
        bytes[..8].copy_from_slice(&self.segment.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.offset.to_be_bytes());
        bytes
    }

    /// The inverse of [`Position::to_bytes`].
    pub fn from_bytes(bytes: [u8; Self::ENCODED_LEN]) -> Self {
        let (mut segment, mut offset) = ([0; 8], [0; 4]);
        segment.copy_from_slice(&bytes[..8]);
        offset.copy_from_slice(&bytes[8..]);
        Self { segment: SegmentId(u64::from_be_bytes(segment)), offset: u32::from_be_bytes(offset) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}
