//! The thread that applies what is durable to the follower and then completes the appends.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
};

use crate::{
    append::{Appended, Completion},
    error::Error,
    follower::{Follower, FollowerError},
    queue::{Barrier, Pieces, Queue},
    record::Entry,
};

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

/// Applies until the committer is gone.
pub(crate) fn run<F: Follower>(
    follower: F,
    queue: &Queue<F::Output>,
    durable: &mpsc::Receiver<Durable<F::Output>>,
) {
    let mut applier = Applier { follower, failed: None };
    for step in durable {
        match step {
            Durable::Batch(entries) => applier.batch(entries, queue),
            Durable::Barrier(barrier) => applier.barrier(barrier, queue),
        }
    }
}

struct Applier<F> {
    follower: F,
    failed: Option<Error>,
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
