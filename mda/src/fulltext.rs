//! Spares searches for words the reading of messages that cannot hold them.
//!
//! Each account has an index of its own, made once its messages were searched in vain by reading them, and taken
//! further, behind all else, whenever a search meets many that are not in it. Delivery knows nothing of it; what is not in it yet is
//! read. An index is a copy: it is thrown away when it cannot be read, or is mostly of messages that are gone.

mod learning;
mod quiet;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fulltext::{Error, Part, TextIndex};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::store::{AccountId, EmailId, MailStore, StoreError};
use learning::{Finding, learn_all};
use quiet::Quiet;

/// Messages above this size are always read: few, and costly to take in.
pub(crate) const MAX_LEARNED: u64 = 1 << 20;
/// As many messages have to be new to a search before they are taken in.
const WORTH_LEARNING: usize = 200;
/// Messages that may be gone before an index is begun anew.
const GONE: u64 = 2_000;
/// Ends the name of a removed account's index while it is removed.
const GONE_FOR_GOOD: &str = "gone";
/// Indexes that are kept open.
const MAX_OPEN: usize = 64;
/// Searches' findings that wait to be taken in; more are left to the next search.
const WAITING: usize = 16;

/// The search indexes of all accounts. Clones are handles to the same.
#[derive(Clone)]
pub struct FullText {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    dir: PathBuf,
    /// The newest message when the service started: an index that knows of newer ones is of another past, before the
    /// store was restored from a backup.
    newest: EmailId,
    open: Mutex<HashMap<AccountId, Slot>>,
    to_learn: mpsc::Sender<Finding>,
    quiet: Quiet,
}

/// An account's index, once it was opened. It is locked while it is opened or thrown away, never by a thread of the least
/// priority, and not by those who search in it or take messages in: a search finds what was committed before it began.
type Slot = Arc<Mutex<Option<Arc<TextIndex>>>>;

/// What an index says of some words.
#[derive(Default)]
pub(crate) struct Hits {
    /// The messages that the index knows, ascending.
    known: Vec<u64>,
    by_words: HashMap<String, Found>,
}

/// The messages that may hold some words, ascending; `None` if the words are too short to tell.
struct Found {
    head: Option<Vec<u64>>,
    body: Option<Vec<u64>>,
}

impl FullText {
    /// No index: all messages are read.
    pub fn off() -> Self {
        Self { inner: None }
    }

    /// Keeps indexes in `dir`. Takes in messages in the background for as long as a handle lives.
    pub fn start(dir: PathBuf, store: impl MailStore) -> Self {
        let (to_learn, findings) = mpsc::channel(WAITING);
        let newest = store.newest_email();
        let inner = Arc::new(Inner { dir, newest, open: Mutex::default(), to_learn, quiet: Quiet::new() });
        let (removed, known) = (Arc::clone(&inner), store.clone());
        tokio::task::spawn_blocking(move || removed.forget_removed(&known));
        tokio::spawn(learn_all(Arc::downgrade(&inner), findings, store));
        Self { inner: Some(inner) }
    }

    /// What is known of some words, in lower case, in an account's messages.
    pub(crate) async fn hits(&self, account: AccountId, words: Vec<String>) -> Hits {
        let Some(inner) = self.inner.clone().filter(|_| !words.is_empty()) else { return Hits::default() };
        let hits = tokio::task::spawn_blocking(move || inner.hits(account, words)).await;
        match hits {
            Ok(Ok(hits)) => hits,
            Ok(Err(error)) => {
                tracing::warn!(%account, %error, "a search index cannot be used: messages are read");
                Hits::default()
            }
            Err(error) => {
                tracing::error!(%account, %error, "looking into a search index broke off");
                Hits::default()
            }
        }
    }

    /// The account was removed, and its mail with it.
    pub(crate) async fn forget(&self, account: AccountId) {
        let Some(inner) = self.inner.clone() else { return };
        // What cannot be removed now is at the next start.
        let _ = tokio::task::spawn_blocking(move || inner.forget(account)).await;
    }

    /// An IMAP client asks for something: what is taken in in the background waits.
    pub(crate) fn stand_back(&self) {
        if let Some(inner) = &self.inner {
            inner.quiet.used();
        }
    }

    /// A search has read these messages, of which the index knew nothing.
    pub(crate) fn read_in_vain(&self, account: AccountId, emails: Vec<EmailId>) {
        if let Some(inner) = &self.inner
            && emails.len() >= WORTH_LEARNING
        {
            // If too much waits already, the next search finds them again.
            let _ = inner.to_learn.try_send(Finding::new(account, emails));
        }
    }
}

impl Inner {
    fn place(&self, account: AccountId) -> PathBuf {
        self.dir.join(account.to_string())
    }

    /// Removes the indexes of accounts that are no more.
    fn forget_removed(&self, store: &impl MailStore) {
        // There is none yet.
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if entry.path().extension().is_some_and(|extension| extension == GONE_FOR_GOOD) {
                remove(&entry.path());
            }
            let number = name.to_str().and_then(|name| name.strip_prefix('A'));
            let Some(number) = number.and_then(|number| u64::from_str_radix(number, 16).ok()) else {
                continue;
            };
            if matches!(store.account(AccountId(number)), Err(StoreError::NoSuchAccount)) {
                self.forget(AccountId(number));
            }
        }
    }

    fn forget(&self, account: AccountId) {
        let slot = self.slot(account);
        let mut slot = slot.lock();
        drop(slot.take());
        // Out of the way of whoever writes to it: otherwise new files could come while it is emptied.
        let place = self.place(account);
        let gone = place.with_extension(GONE_FOR_GOOD);
        remove(&gone);
        match std::fs::rename(&place, &gone) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%account, %error, "the search index of a removed account is left");
            }
            _ => remove(&gone),
        }
    }

    /// The account's index, opened or not, to be locked.
    fn slot(&self, account: AccountId) -> Slot {
        let mut open = self.open.lock();
        if open.len() >= MAX_OPEN && !open.contains_key(&account) {
            open.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(open.entry(account).or_default())
    }

    fn hits(&self, account: AccountId, words: Vec<String>) -> Result<Hits, Error> {
        if !self.place(account).exists() {
            return Ok(Hits::default());
        }
        let index = self.open(account)?;
        let mut hits = Hits { known: index.known()?, by_words: HashMap::new() };
        for words in words {
            let head = index.candidates(Part::Head, &words)?;
            let body = index.candidates(Part::Body, &words)?;
            hits.by_words.insert(words, Found { head, body });
        }
        Ok(hits)
    }

    fn open(&self, account: AccountId) -> Result<Arc<TextIndex>, Error> {
        let slot = self.slot(account);
        let mut slot = slot.lock();
        self.opened(account, &mut slot)
    }

    fn opened(&self, account: AccountId, slot: &mut Option<Arc<TextIndex>>) -> Result<Arc<TextIndex>, Error> {
        if let Some(index) = slot {
            return Ok(Arc::clone(index));
        }
        let dir = self.place(account);
        let mut index = TextIndex::open(&dir)?;
        if index.known()?.last().is_some_and(|last| *last > self.newest.0) {
            drop(index);
            index = TextIndex::anew(&dir)?;
        }
        Ok(Arc::clone(slot.insert(Arc::new(index))))
    }

    /// Throws away what the account's index knows.
    fn begin_anew(&self, account: AccountId) -> Result<(), Error> {
        let slot = self.slot(account);
        let mut slot = slot.lock();
        *slot = None;
        *slot = Some(Arc::new(TextIndex::anew(&self.place(account))?));
        Ok(())
    }

    /// The account's index, to add to; `None` if the account was removed meanwhile.
    fn to_add_to(&self, account: AccountId) -> Result<Option<Arc<TextIndex>>, Error> {
        let slot = self.slot(account);
        let mut slot = slot.lock();
        if self.place(account).exists() { self.opened(account, &mut slot).map(Some) } else { Ok(None) }
    }
}

fn remove(folder: &Path) {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), %error, "what a removed account's mail said is left");
        }
        _ => {}
    }
}

impl Hits {
    /// The index has the message.
    pub(crate) fn knows(&self, email: EmailId) -> bool {
        self.known.binary_search(&email.0).is_ok()
    }

    /// The message cannot hold the words in its body, nor, if that is asked for too, in its header.
    pub(crate) fn rule_out(&self, email: EmailId, words: &str, header_too: bool) -> bool {
        let lacks = |found: &Option<Vec<u64>>| {
            found.as_ref().is_some_and(|found| found.binary_search(&email.0).is_err())
        };
        self.by_words.get(words).is_some_and(|found| {
            lacks(&found.body) && (!header_too || lacks(&found.head)) && self.knows(email)
        })
    }
}
