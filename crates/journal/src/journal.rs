//! The handle.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{
    Append, BodyRef, BodyWriter, Candidate, Config, Entry, Error, Follower, Liveness, Position, Reclaimed,
    Record, Recovery, SegmentId, Verdict,
};

/// An append-only log in segment files. Cheap to clone; the clones are one journal.
///
/// `T` is what the follower returns for each entry. All methods but [`append`](Self::append),
/// [`append_relaxed`](Self::append_relaxed), [`body_writer`](Self::body_writer), [`liveness`](Self::liveness) and
/// [`segment_exists`](Self::segment_exists) read or wait for the disk: from async code, call them on a thread that
/// may block.
#[derive(Debug)]
pub struct Journal<T = ()> {
    inner: Arc<std::marker::PhantomData<fn() -> T>>,
}

impl<T> Clone for Journal<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<T: Send + 'static> Journal<T> {
    /// Opens the journal in `config.dir`, or makes it: locks the directory, checks the segments, cuts off the
    /// tail that a crash has torn, and replays to the follower what it has not applied.
    pub fn open<F: Follower<Output = T>>(config: Config, follower: F) -> Result<(Self, Recovery), Error> {
        let _ = (config, follower);
        unimplemented!()
    }

    /// Appends `record`. Its place in the log is taken now, not when the future is first polled, and the log's
    /// order is the order of these calls. The future resolves after the record is on stable storage and the
    /// follower has applied it.
    ///
    /// Refused at once (the future is ready) when the queue is full, the disk is full, the record is too large,
    /// or the journal has stopped.
    pub fn append(&self, record: Record) -> Append<T> {
        let _ = record;
        unimplemented!()
    }

    /// Appends `record` without waiting for it, for logs whose last second may be lost: it is written soon, and
    /// synced with the next synced append or after
    /// [`Config::relaxed_sync_after`](crate::Config::relaxed_sync_after), whichever comes first. The follower
    /// sees it after that sync, in its place in the order.
    pub fn append_relaxed(&self, record: Record) -> Result<(), Error> {
        let _ = record;
        unimplemented!()
    }

    /// Begins a body that is written while it arrives.
    pub fn body_writer(&self) -> BodyWriter<T> {
        unimplemented!()
    }

    /// Reads `range` of a body. Every extent that the range touches is verified against its checksum. Safe
    /// beside everything else; [`Error::Gone`] means the record was reclaimed since the reference was looked up.
    pub fn read(&self, body: &BodyRef, range: Range<u64>) -> Result<Bytes, Error> {
        let _ = (body, range);
        unimplemented!()
    }

    /// The record at `position`, without its body.
    pub fn entry(&self, position: Position) -> Result<Entry, Error> {
        let _ = position;
        unimplemented!()
    }

    /// Calls `visit` for each entry after `from` (`None`: all) that is durable now, in log order, skipping bodies.
    pub fn scan(
        &self,
        from: Option<Position>,
        visit: impl FnMut(&Entry) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let _ = (from, visit);
        unimplemented!()
    }

    /// Reads a whole segment and verifies every record, bodies too.
    pub fn verify(&self, segment: SegmentId) -> Result<(), Error> {
        let _ = segment;
        unimplemented!()
    }

    /// The owner's notes of what lives; the same as the follower was given.
    pub fn liveness(&self) -> &Liveness {
        unimplemented!()
    }

    /// The segments there are, in order.
    pub fn segments(&self) -> Vec<SegmentId> {
        unimplemented!()
    }

    /// Whether the segment's file is there: a tombstone for a record is needed until the record's segment is gone.
    pub fn segment_exists(&self, segment: SegmentId) -> bool {
        let _ = segment;
        unimplemented!()
    }

    /// Sealed segments of whose bytes at most the fraction `threshold` (0 to 1) is noted live, the deadest first.
    pub fn reclaim_candidates(&self, threshold: f64) -> Vec<Candidate> {
        let _ = threshold;
        unimplemented!()
    }

    /// Empties `segment` and removes it: `decide` is called for each of its records, and for each later record
    /// that has a part of its body there. What it keeps is appended anew (whole, the body copied too), synced and
    /// applied; then the file is unlinked and the directory synced.
    ///
    /// A crash at any moment leaves every kept record in the log at least once. A copy is later in the log than
    /// its original, says so in [`Entry::copied_from`], and supersedes it.
    ///
    /// `decide` says [`Verdict::Drop`] for an entry unless the owner's state points at exactly its position.
    pub fn reclaim(
        &self,
        segment: SegmentId,
        decide: impl FnMut(&Entry) -> Verdict,
    ) -> Result<Reclaimed, Error> {
        let _ = (segment, decide);
        unimplemented!()
    }

    /// Writes and syncs what waits, seals the newest segment, stops the threads and releases the directory.
    /// Later appends through other clones fail with [`Error::Closed`]. Dropping the last clone does the same
    /// without waiting for it.
    pub fn close(self) -> Result<(), Error> {
        unimplemented!()
    }
}
