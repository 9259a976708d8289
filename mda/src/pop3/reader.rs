//! Reads the messages of a session, ahead of a client that takes one after the other.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::{
    ahead::{Ahead, PIECE},
    store::{EmailId, Entry, Index, MailStore, StoreError, Uid},
};

/// Octets of messages that are read together. A client may take its time with what was read for it.
const AT_ONCE: u64 = 64 * 1024;

/// Messages that are looked ahead to.
const FORESEEN: usize = 256;

/// The messages of an open maildrop.
pub(super) struct Reader {
    /// As they are now: other sessions may have removed some.
    index: watch::Receiver<Arc<Index>>,
    /// The last one that was read whole; 0 for none.
    last: Uid,
    /// Those behind it, if it was read in turn.
    ahead: Ahead,
}

/// A message as far as it was read.
pub(super) struct Begun {
    pub(super) email: EmailId,
    /// Octets of all of it.
    pub(super) size: u64,
    pub(super) first: Bytes,
}

impl Reader {
    pub(super) fn new(index: watch::Receiver<Arc<Index>>) -> Self {
        Self { index, last: 0, ahead: Ahead::default() }
    }

    /// Reads the beginning of a message of which only that is asked for.
    pub(super) async fn peek(&self, store: &impl MailStore, uid: Uid) -> Result<Begun, StoreError> {
        let (email, size) = self.find(uid)?;
        Ok(Begun { email, size, first: store.read(email, 0..PIECE).await? })
    }

    /// Reads the beginning of a message of which all is asked for.
    pub(super) async fn begin(&mut self, store: &impl MailStore, uid: Uid) -> Result<Begun, StoreError> {
        let (email, size) = self.find(uid)?;
        let in_turn = self.comes_next(uid);
        self.last = uid;
        if !in_turn {
            self.ahead = Ahead::default();
        } else if let Some(first) = self.ahead.next(store, email).await {
            return Ok(Begun { email, size, first: first? });
        } else {
            self.ahead = Ahead::of(self.behind(uid), AT_ONCE);
            self.ahead.begin(store);
        }
        Ok(Begun { email, size, first: store.read(email, 0..PIECE).await? })
    }

    fn find(&self, uid: Uid) -> Result<(EmailId, u64), StoreError> {
        self.index.borrow().get(uid).map(place).ok_or(StoreError::Expunged)
    }

    /// It stands directly behind the last one, or is the first.
    fn comes_next(&self, uid: Uid) -> bool {
        let index = self.index.borrow();
        index.range(self.last.saturating_add(1)..=uid).next().is_some_and(|next| next.uid() == uid)
    }

    fn behind(&self, uid: Uid) -> Vec<(EmailId, u64)> {
        let index = self.index.borrow();
        index.range(uid.saturating_add(1)..=Uid::MAX).take(FORESEEN).map(place).collect()
    }
}

fn place(entry: &Entry) -> (EmailId, u64) {
    (entry.email(), entry.size())
}
