//! Work that nobody waits for: rows of removed mailboxes, outlines of large messages, and space of dead ones.

use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Instant;

use super::{Inner, LocalStore};
use crate::store::{EmailId, Result, StoreError};

/// Rows that are removed at once while deliveries wait.
const PURGE_BATCH: usize = 500;

/// Hands work to the housekeeping thread, which ends with the store.
#[derive(Debug)]
pub(super) struct Housekeeper {
    work: Sender<Work>,
}

/// What the thread does on request.
#[derive(Debug)]
pub(super) enum Work {
    /// Remove the rows of a mailbox that is gone.
    Purge(u64),
    /// Make the outline of a message that came in too large to be held in memory.
    Outline(EmailId),
    /// End, and say so by dropping this.
    Stop(#[allow(dead_code, reason = "its drop is the message")] Sender<()>),
}

impl Housekeeper {
    pub(super) fn new() -> (Self, Receiver<Work>) {
        let (work, receiver) = mpsc::channel();
        (Self { work }, receiver)
    }

    pub(super) fn purge(&self, mailbox: u64) {
        // Without the thread the store is closing: the next start purges.
        let _ = self.work.send(Work::Purge(mailbox));
    }

    pub(super) fn outline(&self, email: EmailId) {
        // If it is not made now, it is when it is first asked for.
        let _ = self.work.send(Work::Outline(email));
    }

    /// Waits until the thread is done with what it was doing.
    pub(super) fn stop(&self) {
        let (done, ended) = mpsc::channel();
        if self.work.send(Work::Stop(done)).is_ok() {
            let _ = ended.recv();
        }
    }
}

/// Starts the thread.
pub(super) fn start(store: &LocalStore, work: Receiver<Work>) -> Result<()> {
    let weak = Arc::downgrade(&store.inner);
    let every = store.inner.config.reclaim_every;
    let body = move || {
        let mut next_reclaim = Instant::now() + every;
        loop {
            // However much else there is to do: else a busy store would never get its space back.
            let until_reclaim = next_reclaim.saturating_duration_since(Instant::now());
            let next = if until_reclaim.is_zero() {
                Err(RecvTimeoutError::Timeout)
            } else {
                work.recv_timeout(until_reclaim)
            };
            let result = match next {
                Ok(Work::Purge(mailbox)) => with(&weak, |store| store.purge(mailbox)),
                Ok(Work::Outline(email)) => with(&weak, |store| store.make_outline(email)),
                Err(RecvTimeoutError::Timeout) => {
                    let reclaimed = with(&weak, LocalStore::reclaim);
                    next_reclaim = Instant::now() + every;
                    reclaimed
                }
                Ok(Work::Stop(_)) | Err(RecvTimeoutError::Disconnected) => return,
            };
            match result {
                Ok(()) | Err(StoreError::Closed(_)) => {}
                Err(error) => {
                    tracing::warn!(%error, "the mail store's housekeeping broke off, the rest is left for later");
                }
            }
        }
    };
    let started = thread::Builder::new().name("mail-store".to_owned()).spawn(body);
    started.map(drop).map_err(|error| StoreError::Io {
        what: "cannot start the housekeeping thread".to_owned(),
        reason: error.to_string(),
    })
}

/// Does some work, if the store is still there. What panics is that work's failure and not the thread's: it reads what
/// strangers have sent.
fn with(store: &Weak<Inner>, work: impl FnOnce(&LocalStore) -> Result<()>) -> Result<()> {
    let Some(inner) = store.upgrade() else { return Ok(()) };
    let store = LocalStore { inner };
    let done = panic::catch_unwind(AssertUnwindSafe(|| store.noting(work(&store))));
    done.unwrap_or_else(|_| {
        let (what, reason) = ("housekeeping".to_owned(), "it panicked".to_owned());
        Err(StoreError::Io { what, reason })
    })
}

impl LocalStore {
    /// Removes the rows of a mailbox that is gone, a few at a time: deliveries go on in between.
    pub(in crate::store) fn purge(&self, mailbox: u64) -> Result<()> {
        while self.may_stop(self.inner.state.lock().purge(mailbox, PURGE_BATCH))? {
            thread::yield_now();
        }
        Ok(())
    }

    /// Removes what is left of all mailboxes that are gone.
    pub(super) fn purge_removed(&self) -> Result<()> {
        self.removed_mailboxes()?.into_iter().try_for_each(|mailbox| self.purge(mailbox))
    }

    /// Ends the housekeeping, for tests of what there is before it.
    #[cfg(test)]
    pub(in crate::store) fn stop_housekeeping(&self) {
        self.inner.housekeeper.stop();
    }
}
