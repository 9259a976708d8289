//! Takes messages in, behind all else that the server does.
//!
//! It begins once no IMAP client has used the server for a moment, goes on in steps of a few messages, and waits again before
//! each if somebody does; but never for ever. What takes time is done on a thread that gets less of the processors than
//! all others.

use std::io;
use std::iter::Peekable;
use std::path::Path;
use std::slice::Chunks;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use fulltext::{Error, TextIndex};
use message::mime::Structure;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::{GONE, Inner};
use crate::store::{AccountId, EmailId, MailStore, StoreError};
use crate::text::DecodedText;

/// Octets of messages that become known together.
const BATCH: usize = 16 << 20;
/// Messages of one step.
const AT_ONCE: usize = 16;
/// How long it waits for others, in all: after that it goes on beside them.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How much less than others its threads get of a processor.
const NICE: i32 = 19;

/// Messages that a search has read, of which the index knew nothing.
pub(super) struct Finding {
    account: AccountId,
    emails: Vec<EmailId>,
    came: Instant,
}

impl Finding {
    pub(super) fn new(account: AccountId, emails: Vec<EmailId>) -> Self {
        Self { account, emails, came: Instant::now() }
    }
}

/// Takes in what searches have read, one search after the other.
pub(super) async fn learn_all(
    inner: Weak<Inner>,
    mut findings: mpsc::Receiver<Finding>,
    store: impl MailStore,
) {
    while let Some(finding) = findings.recv().await {
        let account = finding.account;
        if let Err(error) = learn(&inner, finding, &store).await {
            tracing::warn!(%account, error = error.as_ref(), "a search index was not taken further");
        }
    }
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Ends early if the account goes, or the last handle.
pub(super) async fn learn(
    inner: &Weak<Inner>,
    finding: Finding,
    store: &impl MailStore,
) -> Result<(), Broken> {
    let account = finding.account;
    let learned = learn_unless_gone(inner, finding, store).await;
    // However it ended, nobody writes to the index any more. Whoever removed the account before may have met files that
    // were being written; whoever removes it from here on finds its folder.
    if matches!(store.account(account), Err(StoreError::NoSuchAccount))
        && let Some(handle) = inner.upgrade()
    {
        return Ok(spawn_blocking(move || handle.forget(account)).await?);
    }
    learned
}

async fn learn_unless_gone(
    inner: &Weak<Inner>,
    finding: Finding,
    store: &impl MailStore,
) -> Result<(), Broken> {
    let Finding { account, emails, came } = finding;
    let latest = came + PATIENCE;
    let Some(handle) = when_quiet(inner, latest).await else { return Ok(()) };
    let messages = store.usage(account)?.messages;
    // Not behind all else: a search of the account waits until its index is open.
    let index = spawn_blocking(move || handle.open(account)).await??;
    let unknown = behind(move || unknown(&index, &emails, messages))?.await??;
    if unknown.is_stale {
        let Some(handle) = inner.upgrade() else { return Ok(()) };
        spawn_blocking(move || handle.begin_anew(account)).await??;
    }
    let mut left = unknown.emails.chunks(AT_ONCE).peekable();
    while left.peek().is_some() {
        let Some(handle) = when_quiet(inner, latest).await else { return Ok(()) };
        store.account(account)?;
        let Some(taking) = Taking::begin(handle, account).await? else { return Ok(()) };
        let fed = feed(inner, latest, &taking, &mut left, store).await;
        // In any case: until then the thread writes.
        let taken = taking.end().await?;
        fed?;
        if taken == Taken::Gone {
            return Ok(());
        }
    }
    tracing::debug!(%account, messages = unknown.emails.len(), "a search index was taken further");
    Ok(())
}

/// Messages that are taken in together, some at a time.
type Few<'a> = Peekable<Chunks<'a, EmailId>>;

/// Gives a batch of messages to a thread.
async fn feed(
    inner: &Weak<Inner>,
    latest: Instant,
    taking: &Taking,
    left: &mut Few<'_>,
    store: &impl MailStore,
) -> Result<(), Broken> {
    let mut octets = 0;
    while octets < BATCH
        && let Some(few) = left.next()
    {
        if when_quiet(inner, latest).await.is_none() {
            return Ok(());
        }
        let few = read(store, few).await?;
        octets += few.iter().map(|(_, octets)| octets.len()).sum::<usize>();
        if !taking.step(few).await {
            return Ok(());
        }
    }
    Ok(())
}

/// Messages that are not in an index yet.
struct Unknown {
    emails: Vec<EmailId>,
    /// The index is mostly of messages that are gone, and has to be begun anew.
    is_stale: bool,
}

fn unknown(index: &TextIndex, emails: &[EmailId], messages: u64) -> Result<Unknown, Error> {
    let known = index.known()?;
    let is_stale = known.len() as u64 > 2 * messages + GONE;
    let is_new = |email: &&EmailId| is_stale || known.binary_search(&email.0).is_err();
    Ok(Unknown { emails: emails.iter().filter(is_new).copied().collect(), is_stale })
}

/// Waits until no IMAP client uses the server, or for so long; `None` if the last handle has gone.
async fn when_quiet(inner: &Weak<Inner>, latest: Instant) -> Option<Arc<Inner>> {
    loop {
        let inner = inner.upgrade()?;
        let Some(left) = inner.quiet.left().filter(|_| Instant::now() < latest) else { return Some(inner) };
        drop(inner);
        sleep(left).await;
    }
}

/// Reads messages; what is gone or damaged holds no text.
async fn read(store: &impl MailStore, emails: &[EmailId]) -> Result<Vec<(EmailId, Bytes)>, Broken> {
    let messages = Arc::new(Mutex::new(Vec::with_capacity(emails.len())));
    let (gathered, numbers) = (Arc::clone(&messages), emails.to_vec());
    let visit = move |place: usize, octets: Result<Bytes, StoreError>| {
        if let (Some(email), Ok(octets)) = (numbers.get(place), octets) {
            gathered.lock().push((*email, octets));
        }
    };
    store.read_each(emails.to_vec(), visit).await?;
    Ok(std::mem::take(&mut *messages.lock()))
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is known now.
    In,
    /// The account was removed meanwhile, and its index.
    Gone,
}

/// A thread that takes in a batch, some messages at a time. Dropped, it takes in what it was given.
pub(super) struct Taking {
    steps: mpsc::Sender<Step>,
    ended: oneshot::Receiver<Result<Taken, Error>>,
}

/// Messages, and who wants to know when their text was added.
type Step = (Vec<(EmailId, Bytes)>, oneshot::Sender<()>);

impl Taking {
    /// `None` if the account was removed.
    pub(super) async fn begin(inner: Arc<Inner>, account: AccountId) -> Result<Option<Self>, Broken> {
        let place = inner.place(account);
        // Not behind all else, see above. The last handle may go while the thread waits.
        let Some(index) = spawn_blocking(move || inner.to_add_to(account)).await?? else { return Ok(None) };
        let (steps, given) = mpsc::channel(1);
        let ended = behind(move || take_in(&index, &place, given))?;
        Ok(Some(Self { steps, ended }))
    }

    /// False if there is no use in going on.
    pub(super) async fn step(&self, messages: Vec<(EmailId, Bytes)>) -> bool {
        let (done, told) = oneshot::channel();
        self.steps.send((messages, done)).await.is_ok() && told.await.is_ok()
    }

    pub(super) async fn end(self) -> Result<Taken, Broken> {
        drop(self.steps);
        Ok(self.ended.await??)
    }
}

fn take_in(index: &TextIndex, place: &Path, mut steps: mpsc::Receiver<Step>) -> Result<Taken, Error> {
    let writer = index.writer()?;
    while let Some((messages, done)) = steps.blocking_recv() {
        if !place.exists() {
            return Ok(Taken::Gone);
        }
        for (email, octets) in messages {
            let text = DecodedText::new(&octets, &Structure::parse(&octets));
            writer.add(email.0, text.header(), text.body())?;
        }
        // Nobody waits any more if the service ends.
        let _ = done.send(());
    }
    writer.commit()?;
    Ok(Taken::In)
}

/// Does something on a thread of its own, behind all others of this process: the threads that it starts inherit that.
fn behind<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> io::Result<oneshot::Receiver<T>> {
    let (tell, told) = oneshot::channel();
    thread::Builder::new().name("learn".to_owned()).spawn(move || {
        if let Err(error) = rustix::process::nice(NICE) {
            tracing::debug!(%error, "a search index is taken further with the priority of all else");
        }
        // Nobody waits any more if the service ends.
        let _ = tell.send(job());
    })?;
    Ok(told)
}
