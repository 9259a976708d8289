//! Spares searches for words the reading of messages that cannot hold them.
//!
//! Each account has an index of its own, made once its messages were searched in vain by reading them, and taken
//! further whenever a search meets many that are not in it. Delivery knows nothing of it; what is not in it yet is
//! read. An index is a copy: it is thrown away when it cannot be read, or is mostly of messages that are gone.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::thread;

use bytes::Bytes;
use fulltext::{Error, Part, TextIndex};
use message::mime::Structure;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::store::{AccountId, EmailId, MailStore, StoreError};
use crate::text::DecodedText;

/// Messages above this size are always read: few, and costly to take in.
pub(crate) const MAX_LEARNED: u64 = 1 << 20;
/// As many messages have to be new to a search before they are taken in.
const WORTH_LEARNING: usize = 200;
/// Octets of text that are taken in in one step, and are in memory until then.
const BATCH: usize = 16 << 20;
/// Messages that are read in one go.
const AT_ONCE: usize = 16;
/// Messages that may be gone before an index is begun anew.
const GONE: u64 = 2_000;
/// Indexes that are kept open.
const MAX_OPEN: usize = 64;
/// How much less than others the thread gets of a processor that takes messages in.
const NICE: i32 = 10;
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
    to_learn: mpsc::Sender<(AccountId, Vec<EmailId>)>,
}

/// An account's index, once it was opened. It is locked while it is opened or thrown away, and not by those who search in
/// it or take messages in: a search finds what was committed before it began.
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
        let inner = Arc::new(Inner { dir, newest, open: Mutex::default(), to_learn });
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

    /// A search has read these messages, of which the index knew nothing.
    pub(crate) fn read_in_vain(&self, account: AccountId, emails: Vec<EmailId>) {
        if let Some(inner) = &self.inner
            && emails.len() >= WORTH_LEARNING
        {
            // If too much waits already, the next search finds them again.
            let _ = inner.to_learn.try_send((account, emails));
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
        match std::fs::remove_dir_all(self.place(account)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%account, %error, "the search index of a removed account is left");
            }
            _ => {}
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
        let index = self.opened(account, &mut self.slot(account).lock())?;
        let mut hits = Hits { known: index.known()?, by_words: HashMap::new() };
        for words in words {
            let head = index.candidates(Part::Head, &words)?;
            let body = index.candidates(Part::Body, &words)?;
            hits.by_words.insert(words, Found { head, body });
        }
        Ok(hits)
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

    /// The messages that are not in the index yet. One that is mostly of messages that are gone is begun anew.
    fn unknown(&self, account: AccountId, emails: &[EmailId], messages: u64) -> Result<Vec<EmailId>, Error> {
        let slot = self.slot(account);
        let mut slot = slot.lock();
        let known = self.opened(account, &mut slot)?.known()?;
        if known.len() as u64 > 2 * messages + GONE {
            *slot = None;
            *slot = Some(Arc::new(TextIndex::anew(&self.place(account))?));
            return Ok(emails.to_vec());
        }
        let is_new = |email: &&EmailId| known.binary_search(&email.0).is_err();
        Ok(emails.iter().filter(is_new).copied().collect())
    }

    fn add(&self, account: AccountId, texts: &[(EmailId, DecodedText)]) -> Result<(), Error> {
        let index = {
            let slot = self.slot(account);
            let mut slot = slot.lock();
            if !self.place(account).exists() {
                // The account was removed meanwhile.
                return Ok(());
            }
            self.opened(account, &mut slot)?
        };
        let writer = index.writer()?;
        for (email, text) in texts {
            writer.add(email.0, text.header(), text.body())?;
        }
        writer.commit()
    }
}

/// Takes in what searches have read, one search after the other.
async fn learn_all(
    inner: Weak<Inner>,
    mut findings: mpsc::Receiver<(AccountId, Vec<EmailId>)>,
    store: impl MailStore,
) {
    while let Some((account, emails)) = findings.recv().await {
        let Some(inner) = inner.upgrade() else { return };
        if let Err(error) = learn(&inner, account, emails, &store).await {
            tracing::warn!(%account, error = error.as_ref(), "a search index was not taken further");
        }
    }
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

async fn learn(
    inner: &Arc<Inner>,
    account: AccountId,
    emails: Vec<EmailId>,
    store: &impl MailStore,
) -> Result<(), Broken> {
    let messages = store.usage(account)?.messages;
    let shared = Arc::clone(inner);
    let unknown = tokio::task::spawn_blocking(move || shared.unknown(account, &emails, messages)).await??;
    if matches!(store.account(account), Err(StoreError::NoSuchAccount)) {
        // Whoever removes it from here on finds its folder.
        let shared = Arc::clone(inner);
        return Ok(tokio::task::spawn_blocking(move || shared.forget(account)).await?);
    }
    let mut texts = Vec::new();
    let mut octets = 0;
    for few in unknown.chunks(AT_ONCE) {
        let more = decoded(store, few).await?;
        octets += more.iter().map(|(_, text)| text.octets()).sum::<usize>();
        texts.extend(more);
        if octets >= BATCH {
            take_in(inner, account, std::mem::take(&mut texts)).await?;
            octets = 0;
        }
    }
    take_in(inner, account, texts).await?;
    tracing::debug!(%account, messages = unknown.len(), "a search index was taken further");
    Ok(())
}

/// The text of messages; what is gone or damaged holds none.
async fn decoded(store: &impl MailStore, emails: &[EmailId]) -> Result<Vec<(EmailId, DecodedText)>, Broken> {
    let texts = Arc::new(Mutex::new(Vec::with_capacity(emails.len())));
    let (gathered, numbers) = (Arc::clone(&texts), emails.to_vec());
    let visit = move |place: usize, octets: Result<Bytes, StoreError>| {
        let (Some(email), Ok(octets)) = (numbers.get(place), octets) else { return };
        gathered.lock().push((*email, DecodedText::new(&octets, &Structure::parse(&octets))));
    };
    store.read_each(emails.to_vec(), visit).await?;
    Ok(std::mem::take(&mut *texts.lock()))
}

async fn take_in(
    inner: &Arc<Inner>,
    account: AccountId,
    texts: Vec<(EmailId, DecodedText)>,
) -> Result<(), Broken> {
    if texts.is_empty() {
        return Ok(());
    }
    let inner = Arc::clone(inner);
    let (tell, told) = oneshot::channel();
    // On a thread of its own, behind all others of this process: the threads that the writer starts inherit that.
    thread::Builder::new().name("learn".to_owned()).spawn(move || {
        if let Err(error) = rustix::process::nice(NICE) {
            tracing::debug!(%error, "a search index is taken further with the priority of all else");
        }
        // Nobody waits any more if the service ends.
        let _ = tell.send(inner.add(account, &texts));
    })?;
    Ok(told.await??)
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
