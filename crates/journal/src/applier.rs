//! Applies what is durable to the follower, and then completes the appends.
//!
//! A thread of its own does it, so that the next batch is synced meanwhile. While nothing else is to be written, or if the
//! follower is so quick that it makes no difference, the committer does it itself: that spares two threads the waking.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use parking_lot::Mutex;

use crate::{
    append::{Appended, Completion},
    error::Error,
    follower::{Follower, FollowerError},
    queue::{Barrier, Pieces, Queue},
    record::Entry,
};

/// Batches that are durable and wait for the follower; above it the committer waits, and the queue fills.
const BATCHES_TO_APPLY: usize = 4;
/// The most entries that the committer applies itself: those that come meanwhile wait for it to be written.
const FEW: usize = 4;
/// The same for a follower that is always quick.
const MANY: usize = 128;
/// The most octets of meta of an entry that it applies itself, and of all entries of a batch together.
const SHORT: usize = 16 << 10;
const SHORT_IN_ALL: usize = 64 << 10;

/// What the committer hands on.
#[derive(Debug)]
pub(crate) enum Durable<T> {
    Batch(Vec<DurableEntry<T>>),
    Barrier(Barrier),
}

/// An entry that is durable and not yet applied.
#[derive(Debug)]
pub(crate) struct DurableEntry<T> {
    pub(crate) entry: Entry,
    pub(crate) completion: Option<Completion<T>>,
    /// Keeps the body's segments from being reclaimed until the follower knows of it.
    pub(crate) pieces: Option<Arc<Pieces>>,
}

impl<T> DurableEntry<T> {
    pub(crate) fn complete(self, result: Result<T, Error>) {
        // Unpinned before anybody can ask to reclaim what was appended.
        drop(self.pieces);
        let Some(completion) = self.completion else { return };
        let Entry { position, body, .. } = self.entry;
        // Whoever appended may have stopped waiting.
        let _ = completion.send(result.map(|output| Appended { position, body, output }));
    }
}

/// The committer's end. Steps are applied one after the other, in the order in which they come.
pub(crate) struct Applying<T> {
    // Let go of before the thread is told to end: the follower ends with the thread.
    applier: Arc<Mutex<dyn Steps<T>>>,
    /// Steps that the thread was given and has not finished. Only the committer adds to them: while it sees none, the
    /// thread is idle and stays so.
    given: Arc<AtomicUsize>,
    thread: mpsc::SyncSender<Durable<T>>,
    /// What the follower says of itself.
    is_always_quick: bool,
}

/// The thread's end.
pub(crate) struct Thread<T> {
    applier: Arc<Mutex<dyn Steps<T>>>,
    given: Arc<AtomicUsize>,
    steps: mpsc::Receiver<Durable<T>>,
}

/// Both ends for a follower.
pub(crate) fn new<F: Follower>(follower: F) -> (Applying<F::Output>, Thread<F::Output>) {
    let is_always_quick = follower.is_always_quick();
    let applier: Arc<Mutex<dyn Steps<F::Output>>> = Arc::new(Mutex::new(Applier { follower, failed: None }));
    let given = Arc::<AtomicUsize>::default();
    let (thread, steps) = mpsc::sync_channel(BATCHES_TO_APPLY);
    let applying =
        Applying { applier: Arc::clone(&applier), given: Arc::clone(&given), thread, is_always_quick };
    (applying, Thread { applier, given, steps })
}

impl<T> Applying<T> {
    /// Has a batch applied: here and now if it is small and quick, nothing before it waits, and the committer has nothing
    /// else to do (`idle`), or as good as nothing is to be done here.
    pub(crate) fn batch(&self, entries: Vec<DurableEntry<T>>, idle: bool, queue: &Queue<T>) {
        let most = if self.is_always_quick { MANY } else { FEW };
        let may_be_here = (idle || self.is_always_quick) && is_small(&entries, most);
        if may_be_here && self.given.load(Ordering::Acquire) == 0 {
            let mut applier = self.applier.lock();
            if entries.iter().all(|durable| applier.is_quick(&durable.entry)) {
                applier.step(Durable::Batch(entries), queue);
                return;
            }
        }
        self.give(Durable::Batch(entries), queue);
    }

    /// Has the thread reach a barrier: what a follower makes durable may take long.
    pub(crate) fn barrier(&self, barrier: Barrier, queue: &Queue<T>) {
        self.give(Durable::Barrier(barrier), queue);
    }

    fn give(&self, step: Durable<T>, queue: &Queue<T>) {
        self.given.fetch_add(1, Ordering::Relaxed);
        // The thread outlives the committer, but for a bug in it; its entries then end as `Closed`.
        if self.thread.send(step).is_err() {
            queue.fail(Error::Closed);
        }
    }
}

fn is_small<T>(entries: &[DurableEntry<T>], most: usize) -> bool {
    let octets = || entries.iter().map(|durable| durable.entry.meta.len());
    entries.len() <= most && octets().all(|octets| octets <= SHORT) && octets().sum::<usize>() <= SHORT_IN_ALL
}

impl<T> Thread<T> {
    /// Applies until the committer is gone.
    pub(crate) fn run(self, queue: &Queue<T>) {
        for step in &self.steps {
            self.applier.lock().step(step, queue);
            self.given.fetch_sub(1, Ordering::Release);
        }
    }
}

/// An applier of any follower.
trait Steps<T>: Send {
    fn step(&mut self, step: Durable<T>, queue: &Queue<T>);

    fn is_quick(&self, entry: &Entry) -> bool;
}

struct Applier<F> {
    follower: F,
    failed: Option<Error>,
}

impl<F: Follower> Steps<F::Output> for Applier<F> {
    fn step(&mut self, step: Durable<F::Output>, queue: &Queue<F::Output>) {
        match step {
            Durable::Batch(entries) => self.batch(entries, queue),
            Durable::Barrier(barrier) => self.barrier(barrier, queue),
        }
    }

    fn is_quick(&self, entry: &Entry) -> bool {
        self.follower.is_quick(entry)
    }
}

impl<F: Follower> Applier<F> {
    fn batch(&mut self, entries: Vec<DurableEntry<F::Output>>, queue: &Queue<F::Output>) {
        let mut outputs = Vec::with_capacity(entries.len());
        if self.failed.is_none() {
            let applied = guarded(|| {
                for durable in &entries {
                    outputs.push(self.follower.apply(&durable.entry)?);
                }
                self.follower.settle()
            });
            self.note(applied, queue);
        }
        match &self.failed {
            None => entries.into_iter().zip(outputs).for_each(|(entry, output)| entry.complete(Ok(output))),
            Some(error) => entries.into_iter().for_each(|entry| entry.complete(Err(error.clone()))),
        }
    }

    fn barrier(&mut self, barrier: Barrier, queue: &Queue<F::Output>) {
        if self.failed.is_none() && barrier.checkpoint {
            let checkpointed = guarded(|| self.follower.checkpoint());
            self.note(checkpointed, queue);
        }
        // Whoever asked may have stopped waiting.
        let _ = barrier.done.send(self.failed.clone().map_or(Ok(()), Err));
    }

    fn note(&mut self, result: Result<(), FollowerError>, queue: &Queue<F::Output>) {
        if let Err(error) = result {
            let error = Error::Follower(error.into());
            self.failed = Some(error.clone());
            queue.fail(error);
        }
    }
}

/// A follower that panics has failed like one that returns an error: the journal must know.
pub(crate) fn guarded<R>(call: impl FnOnce() -> Result<R, FollowerError>) -> Result<R, FollowerError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(format!("panicked: {}", text.unwrap_or_default()).into())
    })
}
