//! Everything that can go wrong, as types.

use std::{io, path::PathBuf, sync::Arc};

use crate::position::{Position, SegmentId};

/// Why an operation on a journal failed.
///
/// Errors are cheap to clone: one failed sync is reported to every writer of its batch.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The append would leave less than the configured minimum of free space, or the disk is full already.
    /// Nothing was stored. Appends succeed again as soon as there is space.
    #[error("disk full: {free} bytes free, {min_free} must stay free")]
    DiskFull {
        /// Bytes free when it was last looked at.
        free: u64,
        /// [`Config::min_free_bytes`](crate::Config::min_free_bytes).
        min_free: u64,
    },
    /// More is waiting to be written than the configuration allows. Nothing was stored; try again later.
    #[error("journal overloaded: {bytes} bytes in {records} records are waiting")]
    Overloaded {
        /// Bytes waiting.
        bytes: usize,
        /// Records waiting.
        records: usize,
    },
    /// A part of the record exceeds its limit. Nothing was stored.
    #[error("{part} of {bytes} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// Which part.
        part: &'static str,
        /// Its size.
        bytes: u64,
        /// The most it may have.
        limit: u64,
    },
    /// The journal was closed before the record was taken. Nothing was stored, unless it ended by a panic of its own:
    /// then the record may be found when it is opened anew.
    #[error("journal closed")]
    Closed,
    /// fdatasync (or the truncation after a failed write) failed: what the disk holds is unknown, so the journal
    /// takes no more appends until it is opened anew. The record may or may not be found then.
    #[error("sync failed, journal stopped: {0}")]
    SyncFailed(#[source] Arc<io::Error>),
    /// The follower failed on an earlier entry or on this one: the journal takes no more appends until it is
    /// opened anew, which replays from where the follower stands. The record itself is durable if it was written.
    #[error("follower failed, journal stopped: {0}")]
    Follower(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// A record that was once durable cannot be read back.
    #[error("corrupt journal: segment {segment} at byte {offset}: {reason}")]
    Corrupt {
        /// The segment.
        segment: SegmentId,
        /// Bytes from the start of the segment file.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// The directory was written by a newer program. It is left untouched.
    #[error(
        "{path}: format version {found} is newer than the latest known, {known}: upgrade, or restore a backup"
    )]
    NewerFormat {
        /// The segment file.
        path: PathBuf,
        /// The version it carries.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// Another journal, in this process or another, has the directory open.
    #[error("{dir} is in use by another process")]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The segment was reclaimed. What lived in it has been copied forward: look the position up anew.
    #[error("segment {segment} was reclaimed")]
    Gone {
        /// The segment.
        segment: SegmentId,
    },
    /// The segment cannot be reclaimed now: it is the newest, a body in it is still being written, or it holds
    /// quarantined records.
    #[error("segment {segment} cannot be reclaimed: {reason}")]
    Busy {
        /// The segment.
        segment: SegmentId,
        /// What holds it.
        reason: &'static str,
    },
    /// The range reaches over the end of the body, or the position names no record.
    #[error("no such range: {start}..{end} of {length} bytes")]
    OutOfRange {
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
        /// Bytes there are.
        length: u64,
    },
    /// The follower has applied a record that the log does not have: the directory is not the one it followed,
    /// or was restored from an older copy.
    #[error("follower has applied {applied}, but the journal ends at {end}")]
    FollowerAhead {
        /// The last position that the follower has applied.
        applied: Position,
        /// Where the log ends.
        end: Position,
    },
    /// Any other failure of the file system.
    #[error("{operation} {path}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: Arc<io::Error>,
    },
}

impl Error {
    /// Wraps an I/O error with what was tried, in the form `map_err` takes.
    pub(crate) fn io(operation: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { operation, path, source: Arc::new(source) }
    }
}
