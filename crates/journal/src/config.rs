//! What an owner decides about its journal.

use std::{path::PathBuf, time::Duration};

/// Settings of a journal.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory of the segment files; made if missing. One journal, and one process, per directory.
    pub dir: PathBuf,
    /// A segment is sealed before it would grow over this many bytes; a single larger record has a segment of
    /// its own. At most 2 GiB. Default 128 MiB.
    pub segment_bytes: u64,
    /// Appends are refused with [`Error::DiskFull`](crate::Error::DiskFull) before the file system's free space
    /// falls under this many bytes; [bookkeeping](crate::Journal::append_bookkeeping) may use half of them.
    /// Default 256 MiB.
    pub min_free_bytes: u64,
    /// Bytes (meta and body) that may wait for the committer before appends are refused with
    /// [`Error::Overloaded`](crate::Error::Overloaded); also the largest body of a single append. Default 64 MiB.
    pub max_queued_bytes: usize,
    /// Records that may wait for the committer before appends are refused with
    /// [`Error::Overloaded`](crate::Error::Overloaded). Default 16,384.
    pub max_queued_records: usize,
    /// Bytes that all [`BodyWriter`](crate::BodyWriter)s together may have on their way to the file; their
    /// `write` waits above it. At least 256 KiB. Default 16 MiB.
    pub max_streaming_bytes: usize,
    /// How long a relaxed append may stay unsynced when no synced append comes along. Default 1 s.
    pub relaxed_sync_after: Duration,
    /// Segment files kept open for reading, least recently used closed first. Default 256.
    pub max_open_segments: usize,
    /// What to do about damage outside the torn tail that a crash leaves. Default [`OnCorruption::Refuse`].
    pub on_corruption: OnCorruption,
    /// What goes wrong with the files.
    #[cfg(any(test, feature = "faults"))]
    pub faults: crate::faults::Faults,
}

/// What [`Journal::open`](crate::Journal::open) does when a record that was once durable cannot be read back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCorruption {
    /// Open fails with [`Error::Corrupt`](crate::Error::Corrupt), naming segment and offset; nothing is changed.
    #[default]
    Refuse,
    /// The damaged stretch is skipped and listed in
    /// [`Recovery::quarantined`](crate::Recovery::quarantined), and the journal goes on with the next readable
    /// record. Its segment is never reclaimed, nor are older ones that may hold bodies of what cannot be read.
    Quarantine,
}

impl Config {
    /// The defaults for a journal in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 128 << 20,
            min_free_bytes: 256 << 20,
            max_queued_bytes: 64 << 20,
            max_queued_records: 16_384,
            max_streaming_bytes: 16 << 20,
            relaxed_sync_after: Duration::from_secs(1),
            max_open_segments: 256,
            on_corruption: OnCorruption::Refuse,
            #[cfg(any(test, feature = "faults"))]
            faults: crate::faults::Faults::default(),
        }
    }
}
