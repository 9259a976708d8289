//! The handle.

use std::{
    fs,
    ops::{ControlFlow, Range},
    path::Path,
    sync::{Arc, atomic::AtomicUsize},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use crate::{
    append::Append,
    applier::{self, guarded},
    body::BodyRef,
    body_writer::{BodyWriter, CHUNK_BYTES},
    committer::Committer,
    config::{Config, OnCorruption},
    error::Error,
    file::sync_directory,
    follower::Follower,
    format::{MAX_EXTENT_BYTES, SEGMENT_HEADER},
    held::{self, Held},
    liveness::Liveness,
    lock::DirectoryLock,
    position::{Position, SegmentId},
    queue::{Barrier, Item, Limits, Outgoing, OutgoingBody, Pieces, Queue},
    read,
    reclaim::{self, Candidate, Reclaimed, Verdict},
    record::{Entry, Record, check_meta},
    recover::recover,
    recovery::Recovery,
    scanner::{Scanner, Step},
    segments::Segments,
};

/// Offsets have 32 bits, and a record may go over the end of a segment it has for itself.
const MAX_SEGMENT_BYTES: u64 = 2 << 30;

/// An append-only log in segment files. Cheap to clone; the clones are one journal.
///
/// `T` is what the follower returns for each entry. All methods but [`append`](Self::append),
/// [`append_bookkeeping`](Self::append_bookkeeping), [`append_carried`](Self::append_carried),
/// [`append_relaxed`](Self::append_relaxed),
/// [`body_writer`](Self::body_writer), [`liveness`](Self::liveness), [`segments`](Self::segments), [`segment_exists`](Self::segment_exists) and
/// [`reclaim_candidates`](Self::reclaim_candidates) read or wait for the disk: from async code, call them on a
/// thread that may block.
#[derive(Debug)]
pub struct Journal<T = ()> {
    owner: Arc<Owner<T>>,
}

impl<T> Clone for Journal<T> {
    fn clone(&self) -> Self {
        Self { owner: Arc::clone(&self.owner) }
    }
}

/// Closes the journal when the last handle is gone.
#[derive(Debug)]
struct Owner<T> {
    shared: Arc<Shared<T>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<T> Drop for Owner<T> {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

/// What the handles, the body writers and the threads have in common.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    pub(crate) config: Config,
    pub(crate) segments: Arc<Segments>,
    pub(crate) queue: Arc<Queue<T>>,
    pub(crate) liveness: Liveness,
    /// Bytes that body writers may put on their way.
    pub(crate) streaming: Arc<Semaphore>,
    pub(crate) reclaiming: Mutex<()>,
    /// Those who hold the segments, or are about to.
    pub(crate) holders: AtomicUsize,
}

impl<T: Send + 'static> Journal<T> {
    /// Opens the journal in `config.dir`, or makes it: locks the directory, checks the segments, cuts off the
    /// tail that a crash has torn, and replays to the follower what it has not applied.
    pub fn open<F: Follower<Output = T>>(
        mut config: Config,
        mut follower: F,
    ) -> Result<(Self, Recovery), Error> {
        config.segment_bytes = config.segment_bytes.min(MAX_SEGMENT_BYTES);
        config.max_streaming_bytes = config.max_streaming_bytes.clamp(CHUNK_BYTES, u32::MAX as usize >> 3);
        make_directory(&config)?;
        let lock = DirectoryLock::acquire(&config.dir)?;
        let segments = Arc::new(Segments::new(&config));
        let liveness = Liveness::default();
        let recovered = recover(&config, &segments, &liveness, &mut follower)?;
        let queue = Arc::new(Queue::new(&config));
        let (applying, thread) = applier::new(follower);
        let committer = Committer::new(
            config.clone(),
            Arc::clone(&segments),
            Arc::clone(&queue),
            applying,
            recovered.next_segment,
            recovered.next_sequence,
        );
        let (told, waiting) = (Arc::clone(&queue), Arc::clone(&queue));
        let threads = vec![
            spawn("journal-commit", move || {
                // Else whoever waits behind a bug would wait for ever.
                let ended = guarded(|| {
                    committer.run();
                    Ok(())
                });
                if let Err(error) = ended {
                    waiting.abandon(&Error::Follower(error.into()));
                }
            })?,
            spawn("journal-apply", move || {
                thread.run(&told);
                // The follower is gone, and so is the committer.
                drop(lock);
            })?,
        ];
        let streaming = Arc::new(Semaphore::new(config.max_streaming_bytes));
        let shared = Arc::new(Shared {
            config,
            segments,
            queue,
            liveness,
            streaming,
            reclaiming: Mutex::new(()),
            holders: AtomicUsize::new(0),
        });
        Ok((Self { owner: Arc::new(Owner { shared, threads: Mutex::new(threads) }) }, recovered.report))
    }

    /// Appends `record`. Its place in the log is taken now, not when the future is first polled, and the log's
    /// order is the order of these calls. The future resolves after the record is on stable storage and the
    /// follower has applied it.
    ///
    /// Refused at once (the future is ready) when the queue is full, the disk is full, the record is too large,
    /// or the journal has stopped.
    pub fn append(&self, record: Record) -> Append<T> {
        let (completion, append) = Append::waiting();
        match self.push(record, Some(completion), Limits::All) {
            Ok(()) => append,
            Err(error) => Append::refused(error),
        }
    }

    /// Appends a record by which space becomes free: one that says what is dead now. As [`append`](Self::append), but
    /// the disk is full for it only when half of [`Config::min_free_bytes`](crate::Config::min_free_bytes) is left:
    /// refused like all others, it would keep the disk full for ever. Such records have no body, or a small one.
    pub fn append_bookkeeping(&self, record: Record) -> Append<T> {
        let (completion, append) = Append::waiting();
        match self.push(record, Some(completion), Limits::Bookkeeping) {
            Ok(()) => append,
            Err(error) => Append::refused(error),
        }
    }

    /// Appends a record that writes anew what keeps a segment from being [reclaimed](Self::reclaim). As
    /// [`append`](Self::append), but as for the copies that reclaiming makes, neither the bounds of the queue nor
    /// [`Config::min_free_bytes`](crate::Config::min_free_bytes) hold for it: it may use the last space, because more
    /// becomes free. Whoever appends such records waits for earlier ones, so that few are on their way.
    pub fn append_carried(&self, record: Record) -> Append<T> {
        let (completion, append) = Append::waiting();
        match self.push(record, Some(completion), Limits::Reclaim) {
            Ok(()) => append,
            Err(error) => Append::refused(error),
        }
    }

    /// Appends `record` without waiting for it, for logs whose last second may be lost: it is written and
    /// synced with the next synced append, when much has gathered, or after
    /// [`Config::relaxed_sync_after`](crate::Config::relaxed_sync_after), whichever comes first. Until then it costs
    /// nobody a wake-up. The follower sees it after that sync, in its place in the order.
    ///
    /// That it was taken does not mean that it will be written: what the disk refuses later counts as [`lost`](Self::lost).
    pub fn append_relaxed(&self, record: Record) -> Result<(), Error> {
        self.push(record, None, Limits::All)
    }

    /// Records of [`append_relaxed`](Self::append_relaxed) that were taken and could not be written, since it was opened.
    pub fn lost(&self) -> u64 {
        self.shared().queue.lost()
    }

    /// Whether a record of so many bytes would be taken now: for those who have to know before they do what the record
    /// tells of. Nothing is kept free for it.
    pub fn room_for(&self, bytes: usize) -> Result<(), Error> {
        self.shared().queue.room_for(bytes)
    }

    fn push(
        &self,
        record: Record,
        completion: Option<crate::append::Completion<T>>,
        limits: Limits,
    ) -> Result<(), Error> {
        let Record { kind, meta, body } = record;
        check_meta(&meta)?;
        let shared = self.shared();
        let limit = shared.config.max_queued_bytes.saturating_sub(meta.len());
        if body.len() > limit {
            return Err(Error::TooLarge { part: "body", bytes: body.len() as u64, limit: limit as u64 });
        }
        let mut items = Vec::with_capacity(1);
        let body = if body.len() <= MAX_EXTENT_BYTES {
            OutgoingBody::inline(body)
        } else {
            let pieces = Pieces::new(&shared.segments);
            let starts = (0..body.len()).step_by(CHUNK_BYTES);
            let chunks = starts.map(|start| body.slice(start..body.len().min(start + CHUNK_BYTES)));
            items.extend(chunks.map(|chunk| Item::chunk(chunk, &pieces, None)));
            OutgoingBody::Pieces(pieces)
        };
        items.push(Item::Entry(Outgoing { kind, meta, body, copied_from: None, completion }));
        shared.queue.push(items, limits)
    }

    /// Begins a body that is written while it arrives.
    pub fn body_writer(&self) -> BodyWriter<T> {
        BodyWriter::new(Arc::clone(self.shared()))
    }

    /// Reads `range` of a body. Every extent that the range touches is verified against its checksum. Safe
    /// beside everything else; [`Error::Gone`] means the record was reclaimed since the reference was looked up.
    pub fn read(&self, body: &BodyRef, range: Range<u64>) -> Result<Bytes, Error> {
        read::read(&self.shared().segments, body, range)
    }

    /// As [`read`](Self::read) for each of several bodies, each with a result of its own. Those that lie near each other
    /// are read at once, and share the memory that they were read into.
    pub fn read_many(&self, wanted: &[(BodyRef, Range<u64>)]) -> Vec<Result<Bytes, Error>> {
        read::read_many(&self.shared().segments, wanted)
    }

    /// The record at `position`, without its body.
    pub fn entry(&self, position: Position) -> Result<Entry, Error> {
        let Position { segment, offset } = position;
        let known = self.shared().segments.segment(segment)?;
        let file = self.shared().segments.file(segment)?;
        let corrupt = |reason| Error::Corrupt { segment, offset: u64::from(offset), reason };
        if offset < SEGMENT_HEADER {
            return Err(corrupt("no record starts here"));
        }
        let scanner = Scanner::new(&file, segment, known.salt, u64::from(known.end));
        match scanner.starting_at(u64::from(offset)).step()? {
            Step::Record(record) => record.entry.ok_or_else(|| corrupt("a piece of a body, not a record")),
            Step::Damaged(reason) => Err(corrupt(reason)),
            Step::Seal { .. } | Step::End => Err(corrupt("no record starts here")),
        }
    }

    /// Waits until everything appended so far, relaxed appends too, is durable and applied.
    pub fn sync(&self) -> Result<(), Error> {
        self.shared().barrier(false)
    }

    /// Calls `visit` for each entry after `from` (`None`: all; else as in [`scan_segment`](Self::scan_segment)) that is
    /// durable now, in log order, skipping bodies, and damage if [`OnCorruption::Quarantine`] is configured.
    pub fn scan(
        &self,
        from: Option<Position>,
        mut visit: impl FnMut(&Entry) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for segment in self.segments() {
            if from.is_some_and(|from| segment < from.segment) {
                continue;
            }
            let from = from.filter(|from| from.segment == segment);
            let mut result = Ok(());
            let scanned = self.scan_segment(segment, from, |entry| {
                result = visit(entry);
                if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            match scanned {
                // Reclaimed since: what lived in it stands further on.
                Err(Error::Gone { .. }) => {}
                scanned => scanned.and(result)?,
            }
        }
        Ok(())
    }

    /// Calls `visit` for each entry of `segment` that is durable now, in log order, until it breaks, skipping bodies,
    /// and damage if [`OnCorruption::Quarantine`] is configured. With `after`, which must be the position of a record
    /// of that segment (or its beginning, offset 0), only for what stands behind it, and what stands before it costs
    /// nothing. [`Error::Gone`] if the segment was reclaimed.
    pub fn scan_segment(
        &self,
        segment: SegmentId,
        after: Option<Position>,
        mut visit: impl FnMut(&Entry) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let known = self.shared().segments.segment(segment)?;
        let file = self.shared().segments.file(segment)?;
        let skips_damage = self.shared().config.on_corruption == OnCorruption::Quarantine;
        let start = after.map_or(SEGMENT_HEADER, |after| after.offset.max(SEGMENT_HEADER));
        let scanner = Scanner::new(&file, segment, known.salt, u64::from(known.end));
        let mut scanner = scanner.starting_at(u64::from(start));
        loop {
            match scanner.step()? {
                Step::Record(record) => {
                    let entry = record.entry.filter(|entry| Some(entry.position) > after);
                    if entry.is_some_and(|entry| visit(&entry).is_break()) {
                        return Ok(());
                    }
                }
                Step::Damaged(_) if skips_damage => {
                    scanner.resync()?;
                }
                Step::Damaged(reason) => {
                    return Err(Error::Corrupt { segment, offset: scanner.offset(), reason });
                }
                Step::Seal { .. } | Step::End => return Ok(()),
            }
        }
    }

    /// Reads a whole segment and verifies every record, bodies too.
    pub fn verify(&self, segment: SegmentId) -> Result<(), Error> {
        let known = self.shared().segments.segment(segment)?;
        let file = self.shared().segments.file(segment)?;
        let mut scanner = Scanner::new(&file, segment, known.salt, u64::from(known.end));
        loop {
            match scanner.step()? {
                Step::Record(record) => {
                    if let Some(extent) = record.inline_body(segment) {
                        read::read_extent(&self.shared().segments, &extent)?;
                    }
                }
                Step::Damaged(reason) => {
                    return Err(Error::Corrupt { segment, offset: scanner.offset(), reason });
                }
                Step::Seal { .. } | Step::End => return Ok(()),
            }
        }
    }

    /// The files as of now, for a copy: until it is dropped none of them is removed, and reclaiming is
    /// [busy](Error::Busy). Everything that was appended before is in them.
    pub fn hold(&self) -> Result<Held<'_>, Error> {
        held::hold(self.shared())
    }

    /// Somebody [holds](Self::hold) the files, or waits to: reclaiming is busy.
    pub fn is_held(&self) -> bool {
        held::is_held(self.shared())
    }

    /// The owner's notes of what lives; the same as the follower was given.
    pub fn liveness(&self) -> &Liveness {
        &self.shared().liveness
    }

    /// The segments there are, in order.
    pub fn segments(&self) -> Vec<SegmentId> {
        self.shared().segments.all().into_iter().map(|(id, _)| id).collect()
    }

    /// Whether the segment's file is there: a tombstone for a record is needed until the record's segment is gone.
    pub fn segment_exists(&self, segment: SegmentId) -> bool {
        self.shared().segments.contains(segment)
    }

    /// Sealed segments of whose bytes at most the fraction `threshold` (0 to 1) is noted live, the deadest first.
    pub fn reclaim_candidates(&self, threshold: f64) -> Vec<Candidate> {
        reclaim::candidates(self.shared(), threshold)
    }

    /// Empties `segment` and removes it: `decide` is called for each of its records, and for each later record
    /// that has a part of its body there. What it keeps is appended anew (whole, the body copied too), synced and
    /// applied; then the follower makes its state durable ([`Follower::checkpoint`]), the file is unlinked and the
    /// directory synced.
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
        reclaim::reclaim(self.shared(), segment, decide)
    }

    /// Writes and syncs what waits, seals the newest segment, stops the threads and releases the directory.
    /// Later appends through other clones fail with [`Error::Closed`]. Dropping the last clone does the same
    /// without waiting for it.
    pub fn close(self) -> Result<(), Error> {
        self.shared().queue.close();
        for thread in std::mem::take(&mut *self.owner.threads.lock()) {
            // A panic has failed what it carried; there is nothing else to tell.
            let _ = thread.join();
        }
        self.shared().queue.failure().map_or(Ok(()), Err)
    }

    fn shared(&self) -> &Arc<Shared<T>> {
        &self.owner.shared
    }
}

impl<T> Shared<T> {
    /// Waits until everything appended so far is durable and applied; with `checkpoint`, until the follower's own
    /// state is durable too.
    pub(crate) fn barrier(&self, checkpoint: bool) -> Result<(), Error> {
        let (done, wait) = oneshot::channel();
        self.queue.push(vec![Item::Barrier(Barrier { checkpoint, done })], Limits::Reclaim)?;
        wait.blocking_recv().unwrap_or(Err(Error::Closed))
    }
}

fn make_directory(config: &Config) -> Result<(), Error> {
    let missing: Vec<_> = config.dir.ancestors().take_while(|dir| !dir.exists()).collect();
    fs::create_dir_all(&config.dir).map_err(Error::io("create", &config.dir))?;
    for dir in missing {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync_directory(parent).map_err(Error::io("sync", parent))?;
    }
    Ok(())
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(Error::io("start thread", name.as_ref()))
}
