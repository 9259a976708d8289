//! How many messages a second the store makes durable, beside what the disk and the journal alone give for the same
//! bytes in the same run; and what it costs to work on a mailbox of many messages.
//!
//! `cargo bench -p mda --bench store [-- MESSAGES | -- large]`

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(clippy::cast_sign_loss, reason = "sizes are positive")]

use std::fs::File;
use std::future::Future;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use jiff::Timestamp;
use journal::{Journal, Record};
use mda::store::{
    AccountId, BodySource, Delivery, DeliveryRecipient, FlagChange, Flags, LocalStore, MailStore as _,
    MailboxName, NewAccount, Password, StoreConfig, SystemFlag, UidSet,
};
use message::MessageId;

// As the service itself.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const ACCOUNTS: usize = 1_000;
const WRITERS: usize = 16;
/// Messages unless the command line says otherwise.
const MESSAGES: usize = 20_000;
/// The raw loop syncs each message alone: fewer are enough.
const RAW_MESSAGES: usize = 2_000;

/// Messages of the large mailbox.
const LARGE: u32 = 10_000;

fn main() -> Result<()> {
    if std::env::args().any(|argument| argument == "large") {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        return runtime.block_on(large(dir.path()));
    }
    let messages = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(MESSAGES);
    let bodies = Arc::new(bodies(messages));
    let octets: usize = bodies.iter().map(Bytes::len).sum();
    println!("{messages} messages, {} octets on average, {WRITERS} writers", octets / messages.max(1));

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    raw(dir.path(), &bodies)?;
    runtime.block_on(journal_alone(dir.path(), &bodies))?;
    runtime.block_on(store(dir.path(), &bodies))?;
    Ok(())
}

/// Message sizes as mail has them: log-normal around a median of 12 KB, the same in every run.
fn bodies(messages: usize) -> Vec<Bytes> {
    let mut random = fastrand::Rng::with_seed(12);
    let noise: Bytes = std::iter::repeat_with(|| random.u8(32..127)).take(2 << 20).collect();
    let size = |random: &mut fastrand::Rng| {
        // The sum of twelve uniform numbers is as good as normal.
        let normal: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        (12_288.0 * (0.75 * normal).exp()).clamp(512.0, 1_048_576.0) as usize
    };
    std::iter::repeat_with(|| {
        let (start, size) = (random.usize(..1 << 20), size(&mut random));
        noise.slice(start..start + size)
    })
    .take(messages)
    .collect()
}

/// One file, one write and one fdatasync for each message.
fn raw(dir: &Path, bodies: &[Bytes]) -> Result<()> {
    let mut file = File::create(dir.join("raw"))?;
    let start = Instant::now();
    let mut latencies = Vec::new();
    for body in bodies.iter().take(RAW_MESSAGES) {
        let begin = Instant::now();
        file.write_all(body)?;
        file.sync_data()?;
        latencies.push(begin.elapsed());
    }
    report("raw write + fdatasync, 1 writer", start.elapsed(), latencies);
    Ok(())
}

async fn journal_alone(dir: &Path, bodies: &Arc<Vec<Bytes>>) -> Result<()> {
    let (journal, _) = Journal::open(journal::Config::new(dir.join("journal")), ())?;
    let append = |body: Bytes, _: usize| {
        let journal = journal.clone();
        async move {
            journal.append(Record { kind: 1, meta: Bytes::from_static(&[0; 120]), body }).await?;
            Ok(())
        }
    };
    write_all("journal alone", bodies, append).await?;
    Ok(journal.close()?)
}

async fn store(dir: &Path, bodies: &Arc<Vec<Bytes>>) -> Result<()> {
    let (store, _) = LocalStore::open(StoreConfig::new(dir.join("store")))?;
    let accounts = create_accounts(&store).await?;
    let deliver = |body: Bytes, number: usize| {
        let store = store.clone();
        let (account, address) = accounts[number % ACCOUNTS].clone();
        async move { deliver_one(&store, account, address, body).await }
    };
    write_all("store: deliver", bodies, deliver).await?;
    Ok(store.close().await?)
}

async fn deliver_one(store: &LocalStore, account: AccountId, address: String, body: Bytes) -> Result<()> {
    let recipient =
        DeliveryRecipient { address, account, mailbox: MailboxName::inbox(), flags: Flags::none() };
    let delivery = Delivery {
        message_id: MessageId::new(),
        internal_date: Timestamp::now(),
        body: BodySource::Bytes(body),
        recipients: vec![recipient],
    };
    for receipt in store.deliver(delivery).await? {
        receipt?;
    }
    Ok(())
}

async fn create_accounts(store: &LocalStore) -> Result<Vec<(AccountId, String)>> {
    let mut accounts = Vec::with_capacity(ACCOUNTS);
    for number in 0..ACCOUNTS {
        accounts.push(create_account(store, number).await?);
    }
    Ok(accounts)
}

async fn create_account(store: &LocalStore, number: usize) -> Result<(AccountId, String)> {
    let name = format!("user{number}@example.test");
    let new = NewAccount {
        name: name.clone(),
        password: Password { hash: "*".to_owned(), scram: None },
        domain: "example.test".to_owned(),
    };
    Ok((store.create_account(new).await?.id, name))
}

/// All bodies, each writer taking the next when its last is durable.
async fn write_all<F>(
    what: &str,
    bodies: &Arc<Vec<Bytes>>,
    write: impl Fn(Bytes, usize) -> F + Clone,
) -> Result<()>
where
    F: Future<Output = Result<()>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let writers = (0..WRITERS).map(|_| {
        let (bodies, next, write) = (Arc::clone(bodies), Arc::clone(&next), write.clone());
        async move {
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(body) = bodies.get(number) else { return Ok::<_, anyhow::Error>(latencies) };
                let begin = Instant::now();
                write(body.clone(), number).await?;
                latencies.push(begin.elapsed());
            }
        }
    });
    let latencies = futures_util::future::try_join_all(writers).await?.concat();
    report(what, start.elapsed(), latencies);
    Ok(())
}

/// Work on one mailbox of [`LARGE`] messages.
async fn large(dir: &Path) -> Result<()> {
    let config = StoreConfig::new(dir.join("store"));
    let (store, _) = LocalStore::open(config.clone())?;
    let (account, address) = create_account(&store, 0).await?;
    let bodies = Arc::new(vec![Bytes::from_static(b"Subject: a\r\n\r\na short one\r\n"); LARGE as usize]);
    let deliver = |body: Bytes, _: usize| {
        let (store, address) = (store.clone(), address.clone());
        async move { deliver_one(&store, account, address, body).await }
    };
    write_all("deliver to one mailbox", &bodies, deliver).await?;
    let inbox = store.mailbox(account, &MailboxName::inbox())?.context("an INBOX")?.id;
    cost("index, first load", 1, async |_| store.index(inbox).await.map(drop)).await?;
    store.close().await?;

    let (store, _) = LocalStore::open(config)?;
    cost("index, first load after a start", 1, async |_| store.index(inbox).await.map(drop)).await?;
    let _index = store.index(inbox).await?;
    let seen = || Flags::none().with(SystemFlag::Seen);
    let flag = async |uids: UidSet, add: bool| {
        let change = if add { FlagChange::Add(seen()) } else { FlagChange::Remove(seen()) };
        store.store_flags(inbox, uids, change, None).await.map(drop)
    };
    cost("flags of all", 40, async |turn| flag(UidSet::all(), turn % 2 == 0).await).await?;
    let every_other: UidSet = (1..=LARGE).filter(|uid| uid % 2 == 0).collect();
    cost("flags of every other", 20, async |turn| flag(every_other.clone(), turn % 2 == 0).await).await?;
    let one = async |turn| flag([turn * 7 % LARGE + 1].into_iter().collect(), true).await;
    cost("flags of one", 1_000, one).await?;
    let delivery = async |_| {
        let body = bodies[0].clone();
        deliver_one(&store, account, address.clone(), body).await
    };
    cost("deliver one", 1_000, delivery).await?;
    let copy =
        async |_| store.copy(inbox, (1..=5_000).collect(), MailboxName::parse("Archive")?).await.map(drop);
    cost("copy 5,000", 4, copy).await?;
    cost("expunge 1,000", 5, async |turn| {
        let uids = (turn * 1_000 + 1..=turn * 1_000 + 1_000).collect();
        store.expunge(inbox, uids, false).await.map(drop)
    })
    .await?;
    Ok(store.close().await?)
}

/// Wall time and CPU time of something that is done some times.
async fn cost<E: Into<anyhow::Error>>(
    what: &str,
    times: u32,
    work: impl AsyncFn(u32) -> Result<(), E>,
) -> Result<()> {
    let (start, cpu_before) = (Instant::now(), cpu()?);
    for turn in 0..times {
        work(turn).await.map_err(Into::into)?;
    }
    let (wall, cpu) = (start.elapsed() / times, cpu()?.saturating_sub(cpu_before) / times);
    println!("{what:32} {wall:9.2?} each, CPU {cpu:9.2?}");
    Ok(())
}

/// CPU time that the process has used.
fn cpu() -> Result<Duration> {
    let mut nanos = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let stat = std::fs::read_to_string(task?.path().join("schedstat"))?;
        nanos += stat.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

fn report(what: &str, elapsed: Duration, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    let quantile = |part: usize| latencies.get(latencies.len() * part / 1_000).copied().unwrap_or_default();
    let rate = latencies.len() as f64 / elapsed.as_secs_f64();
    println!("{what:32} {rate:7.0} messages/s, median {:.2?}, 99.9 % {:.2?}", quantile(500), quantile(999));
}
