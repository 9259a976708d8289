//! What waits for the committer.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{
    append::Completion,
    body::Extent,
    config::Config,
    error::Error,
    position::{Position, SegmentId},
    segments::Segments,
    space::Space,
};

/// One thing for the committer to do. They are done in the order they were pushed.
#[derive(Debug)]
pub(crate) enum Item<T> {
    Entry(Outgoing<T>),
    Chunk(OutgoingChunk),
    Barrier(Barrier),
}

/// An entry on its way.
#[derive(Debug)]
pub(crate) struct Outgoing<T> {
    pub(crate) kind: u8,
    pub(crate) meta: Bytes,
    pub(crate) body: OutgoingBody,
    pub(crate) copied_from: Option<Position>,
    /// `None` for a relaxed append.
    pub(crate) completion: Option<Completion<T>>,
}

#[derive(Debug)]
pub(crate) enum OutgoingBody {
    Inline {
        bytes: Bytes,
        crc: u32,
    },
    /// Its pieces stand before the entry in the queue, or in the log already.
    Pieces(Arc<Pieces>),
}

impl OutgoingBody {
    pub(crate) fn inline(bytes: Bytes) -> Self {
        let crc = crc32c::crc32c(&bytes);
        Self::Inline { bytes, crc }
    }
}

/// A piece of a large body on its way.
#[derive(Debug)]
pub(crate) struct OutgoingChunk {
    pub(crate) bytes: Bytes,
    pub(crate) crc: u32,
    pub(crate) pieces: Arc<Pieces>,
    /// Given back once the piece is written.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

/// Asks to be told when everything before it is durable and applied.
#[derive(Debug)]
pub(crate) struct Barrier {
    /// Whether the follower is to make its state durable too.
    pub(crate) checkpoint: bool,
    pub(crate) done: oneshot::Sender<Result<(), Error>>,
}

impl<T> Item<T> {
    /// Bytes of the owner's that it holds.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Entry(entry) => entry.meta.len() + entry.body.weight(),
            Self::Chunk(chunk) => chunk.bytes.len(),
            Self::Barrier(_) => 0,
        }
    }

    /// Whether nobody waits for it.
    pub(crate) fn is_relaxed(&self) -> bool {
        matches!(self, Self::Entry(Outgoing { completion: None, .. }))
    }

    /// Ends it with an error.
    pub(crate) fn refuse(self, error: &Error) {
        match self {
            Self::Entry(entry) => {
                if let Some(completion) = entry.completion {
                    // Whoever appended may have stopped waiting.
                    let _ = completion.send(Err(error.clone()));
                }
            }
            Self::Chunk(chunk) => chunk.pieces.fail(error),
            Self::Barrier(barrier) => drop(barrier.done.send(Err(error.clone()))),
        }
    }
}

impl OutgoingBody {
    fn weight(&self) -> usize {
        match self {
            Self::Inline { bytes, .. } => bytes.len(),
            Self::Pieces(_) => 0,
        }
    }
}

/// The pieces of a large body, noted by the committer as it writes them. While this is held, their segments are
/// not reclaimed.
#[derive(Debug)]
pub(crate) struct Pieces {
    segments: Arc<Segments>,
    state: Mutex<PiecesState>,
}

#[derive(Debug, Default)]
struct PiecesState {
    extents: Vec<Extent>,
    pinned: BTreeSet<SegmentId>,
    failed: Option<Error>,
}

impl Pieces {
    pub(crate) fn new(segments: &Arc<Segments>) -> Arc<Self> {
        Arc::new(Self { segments: Arc::clone(segments), state: Mutex::default() })
    }

    pub(crate) fn add(&self, extent: Extent) {
        let mut state = self.state.lock();
        state.extents.push(extent);
        if state.pinned.insert(extent.segment) {
            self.segments.update(extent.segment, |segment| segment.pins += 1);
        }
    }

    pub(crate) fn fail(&self, error: &Error) {
        self.state.lock().failed.get_or_insert_with(|| error.clone());
    }

    /// Fails if a piece could not be written.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.state.lock().failed.clone().map_or(Ok(()), Err)
    }

    /// The pieces written so far, in order.
    pub(crate) fn extents(&self) -> Result<Vec<Extent>, Error> {
        let state = self.state.lock();
        state.failed.clone().map_or_else(|| Ok(state.extents.clone()), Err)
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        for &id in &self.state.get_mut().pinned {
            self.segments.update(id, |segment| segment.pins -= 1);
        }
    }
}

/// Whether the journal takes appends.
#[derive(Clone, Debug)]
enum Mode {
    Running,
    Closed,
    Failed(Error),
}

impl Mode {
    fn check(&self) -> Result<(), Error> {
        match self {
            Self::Running => Ok(()),
            Self::Closed => Err(Error::Closed),
            Self::Failed(error) => Err(error.clone()),
        }
    }
}

/// The bounded queue between the appenders and the committer.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    /// Wakes the committer.
    wake: Condvar,
    max_bytes: usize,
    max_records: usize,
    /// Bytes of the newest segment that are reserved and not yet written.
    pub(crate) preallocated: AtomicU64,
    /// Entries that were taken although nobody waits for them, and could not be written.
    lost: AtomicU64,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<Item<T>>,
    /// Bytes and entries that are waiting or being written, those of large bodies' pieces apart.
    bytes: usize,
    records: usize,
    /// Bytes of pieces that are waiting or being written; the streaming semaphore bounds them.
    streaming: usize,
    mode: Mode,
    space: Space,
    /// Items that somebody waits for.
    awaited: usize,
    /// When the oldest of the items that nobody waits for came.
    relaxed_since: Option<Instant>,
    /// Of what nobody waits for, more is written at once: items and bytes.
    most_relaxed: (usize, usize),
    /// What the committer waits for.
    sleep: Option<Sleep>,
}

/// What wakes the committer before its deadline.
#[derive(Clone, Copy, Debug)]
enum Sleep {
    /// So many items.
    UntilItems(usize),
    /// Something that somebody waits for, or too much that nobody does.
    UntilPressed {
        /// It has a deadline; else the first item wakes it, to be given one.
        timed: bool,
    },
}

/// What [`Queue::take`] found.
#[derive(Debug)]
pub(crate) enum Taken {
    /// Whatever there was, perhaps nothing; and since when the oldest of it that nobody waits for did wait.
    Items { relaxed_since: Option<Instant> },
    /// The journal is closed or has failed, and nothing is left.
    End,
}

/// Items that nobody waits for and that gather before they are written all the same.
const MOST_RELAXED: usize = 1_000;
/// The same in bytes.
const MOST_RELAXED_BYTES: usize = 1 << 20;

/// Which limits an item is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limits {
    All,
    /// As `All`, but it may use half of the space that is to stay free: space becomes free by it, so it must not
    /// wait for free space.
    Bookkeeping,
    /// The reclaimer bounds itself, and may use the last space because it will free more.
    Reclaim,
}

impl<T> Queue<T> {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                bytes: 0,
                records: 0,
                streaming: 0,
                mode: Mode::Running,
                space: Space::new(config),
                awaited: 0,
                relaxed_since: None,
                most_relaxed: (
                    MOST_RELAXED.min(config.max_queued_records / 2),
                    MOST_RELAXED_BYTES.min(config.max_queued_bytes / 2),
                ),
                sleep: None,
            }),
            wake: Condvar::new(),
            max_bytes: config.max_queued_bytes,
            max_records: config.max_queued_records,
            preallocated: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    /// Takes all `items`, in order and next to each other, or none: then they are refused with the error that is
    /// returned.
    pub(crate) fn push(&self, items: Vec<Item<T>>, limits: Limits) -> Result<(), Error> {
        let mut state = self.state.lock();
        if let Err(error) = self.admit(&mut state, &items, limits) {
            drop(state);
            for item in items {
                item.refuse(&error);
            }
            return Err(error);
        }
        for item in &items {
            state.add(item);
        }
        state.items.extend(items);
        if state.wakes() {
            state.sleep = None;
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Whether one entry of so many bytes would be taken now.
    pub(crate) fn room_for(&self, weight: usize) -> Result<(), Error> {
        let mut state = self.state.lock();
        state.mode.check()?;
        if self.is_full(&state, weight, 1) {
            return Err(Error::Overloaded { bytes: state.bytes, records: state.records });
        }
        let (queued, preallocated) = (state.queued(), self.preallocated.load(Ordering::Relaxed));
        state.space.look(Limits::All, weight as u64, queued, preallocated)
    }

    fn is_full(&self, state: &State<T>, weight: usize, records: usize) -> bool {
        state.bytes + weight > self.max_bytes || state.records + records > self.max_records
    }

    fn admit(&self, state: &mut State<T>, items: &[Item<T>], limits: Limits) -> Result<(), Error> {
        state.mode.check()?;
        if limits == Limits::Reclaim {
            return Ok(());
        }
        let weight: usize = items.iter().map(Item::weight).sum();
        let records = items.iter().filter(|item| matches!(item, Item::Entry(_))).count();
        // A piece has the semaphore's permit instead.
        let permitted = matches!(items, [Item::Chunk(OutgoingChunk { permit: Some(_), .. })]);
        if self.is_full(state, weight, records) && !permitted {
            return Err(Error::Overloaded { bytes: state.bytes, records: state.records });
        }
        let (queued, preallocated) = (state.queued(), self.preallocated.load(Ordering::Relaxed));
        state.space.admit(limits, weight as u64, queued, preallocated)
    }

    /// Waits for items and appends them to `taken`: for one that somebody waits for; for many that nobody does, or
    /// until the oldest of them has waited for `patience`; or until `deadline`.
    pub(crate) fn take(
        &self,
        taken: &mut VecDeque<Item<T>>,
        deadline: Option<Instant>,
        patience: Duration,
    ) -> Taken {
        let mut state = self.state.lock();
        while taken.is_empty() && !state.is_pressed() {
            if !matches!(state.mode, Mode::Running) {
                if state.items.is_empty() {
                    return Taken::End;
                }
                break;
            }
            let overdue = state.relaxed_since.map(|since| since + patience);
            let deadline = deadline.into_iter().chain(overdue).min();
            if !self.wait(&mut state, Sleep::UntilPressed { timed: deadline.is_some() }, deadline) {
                break;
            }
        }
        taken.append(&mut state.items);
        state.awaited = 0;
        Taken::Items { relaxed_since: state.relaxed_since.take() }
    }

    /// Waits until so many items wait to be written, or until `deadline`. Says how many do.
    pub(crate) fn gather(&self, items: usize, deadline: Instant) -> usize {
        let mut state = self.state.lock();
        while state.items.len() < items && matches!(state.mode, Mode::Running) {
            if !self.wait(&mut state, Sleep::UntilItems(items), Some(deadline)) {
                break;
            }
        }
        state.items.len()
    }

    /// Waits until what it sleeps for is there, the mode changes, or something else wakes it; false at the deadline.
    fn wait(&self, state: &mut MutexGuard<'_, State<T>>, sleep: Sleep, deadline: Option<Instant>) -> bool {
        state.sleep = Some(sleep);
        let in_time = match deadline {
            Some(deadline) => !self.wake.wait_until(state, deadline).timed_out(),
            None => {
                self.wake.wait(state);
                true
            }
        };
        state.sleep = None;
        in_time
    }

    /// How many items wait to be written.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().items.len()
    }

    /// Gives back what the committer is done with.
    pub(crate) fn done(&self, weight: Weight) {
        let mut state = self.state.lock();
        state.bytes -= weight.bytes;
        state.records -= weight.records;
        state.streaming -= weight.streaming;
    }

    /// Takes no more items; the committer finishes what is there.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        if matches!(state.mode, Mode::Running) {
            state.mode = Mode::Closed;
        }
        self.wake.notify_one();
    }

    /// Takes no more items, for `error`. The first failure stays.
    pub(crate) fn fail(&self, error: Error) {
        let mut state = self.state.lock();
        if !matches!(state.mode, Mode::Failed(_)) {
            tracing::error!(%error, "journal stopped");
            state.mode = Mode::Failed(error);
        }
        self.wake.notify_one();
    }

    /// Takes no more items, for `error`, and ends those that wait: nobody is left to write them.
    pub(crate) fn abandon(&self, error: &Error) {
        self.fail(error.clone());
        let waiting = std::mem::take(&mut self.state.lock().items);
        for item in waiting {
            self.note_lost(usize::from(item.is_relaxed()));
            item.refuse(error);
        }
    }

    /// Why the journal stopped, if it did.
    pub(crate) fn failure(&self) -> Option<Error> {
        match &self.state.lock().mode {
            Mode::Failed(error) => Some(error.clone()),
            Mode::Running | Mode::Closed => None,
        }
    }

    /// So many entries that nobody waits for were lost after they were taken.
    pub(crate) fn note_lost(&self, entries: usize) {
        self.lost.fetch_add(entries as u64, Ordering::Relaxed);
    }

    /// How many were lost so far.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(crate) fn disk_full(&self) -> Error {
        self.state.lock().space.full()
    }

    pub(crate) fn headroom(&self) -> u64 {
        self.state.lock().space.headroom()
    }
}

impl<T> State<T> {
    /// Bytes that were admitted and are not yet written.
    fn queued(&self) -> u64 {
        (self.bytes + self.streaming) as u64
    }

    fn add(&mut self, item: &Item<T>) {
        let weight = Weight::of(item);
        self.bytes += weight.bytes;
        self.records += weight.records;
        self.streaming += weight.streaming;
        if item.is_relaxed() {
            self.relaxed_since.get_or_insert_with(Instant::now);
        } else {
            self.awaited += 1;
        }
    }

    /// Whether what waits should be written now.
    fn is_pressed(&self) -> bool {
        let (items, bytes) = self.most_relaxed;
        self.awaited > 0 || self.items.len() > items || self.bytes > bytes
    }

    /// Whether the committer sleeps and should not.
    fn wakes(&self) -> bool {
        match self.sleep {
            None => false,
            Some(Sleep::UntilItems(items)) => items <= self.items.len(),
            Some(Sleep::UntilPressed { timed }) => !timed || self.is_pressed(),
        }
    }
}

/// What items count for in the queue's bounds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weight {
    bytes: usize,
    records: usize,
    streaming: usize,
}

impl Weight {
    pub(crate) fn of<T>(item: &Item<T>) -> Self {
        match item {
            Item::Entry(_) => Self { bytes: item.weight(), records: 1, streaming: 0 },
            Item::Chunk(chunk) if chunk.permit.is_some() => {
                Self { streaming: item.weight(), ..Self::default() }
            }
            Item::Chunk(_) => Self { bytes: item.weight(), ..Self::default() },
            Item::Barrier(_) => Self::default(),
        }
    }
}

impl std::ops::AddAssign for Weight {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.records += other.records;
        self.streaming += other.streaming;
    }
}
