//! What the mail store makes durable, and what it costs to work on a mailbox of many messages.
//!
//! `cargo bench -p mda --bench store` delivers to the disk that has `target/` and measures time there. In memory, where a
//! sync costs nothing, it measures CPU time: the store's own cost, steady enough to compare. What the disk alone gives
//! for such messages, and the journal alone, tells the journal's bench.

#![allow(clippy::expect_used, reason = "a benchmark stops at the first failure")]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cpu_time::{CpuTime, messages};
use criterion::measurement::Measurement;
use criterion::{BatchSize, Criterion, SamplingMode, Throughput};
use futures_util::future::{join_all, try_join_all};
use jiff::Timestamp;
use mda::store::{
    AccountId, BodySource, Delivery, DeliveryRecipient, FlagChange, Flags, LocalStore, MailStore as _,
    Mailbox, MailboxName, NewAccount, Password, StoreConfig, SystemFlag, UidSet,
};
use message::MessageId;
use tempfile::TempDir;
use tokio::runtime::Runtime;

// As the service itself.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const WRITERS: usize = 16;
/// Messages that each turn of a measurement delivers.
const MESSAGES: usize = 512;
/// Messages of the large mailbox.
const LARGE: u32 = 10_000;
const MEMORY: &str = "/dev/shm";

fn main() {
    let (mut by_time, mut by_cpu_time) = (Criterion::default().configure_from_args(), cpu_time::criterion());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR"));
    deliveries(&mut by_time, &runtime, "deliver to disk", disk);
    if Path::new(MEMORY).is_dir() {
        deliveries(&mut by_cpu_time, &runtime, "deliver in memory", Path::new(MEMORY));
    }
    mailbox(&mut by_cpu_time, &runtime, disk);
    by_cpu_time.final_summary();
}

/// A store in a folder of its own.
struct Bed {
    store: LocalStore,
    accounts: Vec<(AccountId, String)>,
    dir: TempDir,
}

impl Bed {
    async fn new(folder: &Path, accounts: usize) -> Self {
        let dir = tempfile::tempdir_in(folder).expect("a folder for the benchmark");
        // What is dead goes soon, so that a long measurement does not fill the disk.
        let config = StoreConfig {
            keep_expunged: Duration::ZERO,
            reclaim_every: Duration::from_secs(5),
            index_bytes: 0,
            ..StoreConfig::new(dir.path())
        };
        let (store, _) = LocalStore::open(config).expect("a store");
        let accounts = join_all((0..accounts).map(|number| create_account(&store, number))).await;
        Self { store, accounts, dir }
    }

    /// Delivers each message to the next account, each writer the next when its last is durable.
    async fn deliver_all(&self, messages: &[Bytes]) {
        let next = &AtomicUsize::new(0);
        join_all((0..WRITERS).map(|_| async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(body) = messages.get(number) else { return };
                self.deliver(body.clone(), number).await;
            }
        }))
        .await;
    }

    async fn deliver(&self, body: Bytes, number: usize) {
        let (account, address) = self.accounts[number % self.accounts.len()].clone();
        let recipient =
            DeliveryRecipient { address, account, mailbox: MailboxName::inbox(), flags: Flags::none() };
        let delivery = Delivery {
            message_id: MessageId::new(),
            internal_date: Timestamp::UNIX_EPOCH,
            body: BodySource::Bytes(body),
            recipients: vec![recipient],
        };
        let receipts = self.store.deliver(delivery).await.expect("it is delivered");
        assert!(receipts.into_iter().all(|receipt| receipt.is_ok()));
    }

    /// The first account's.
    fn inbox(&self) -> Mailbox {
        let inbox = self.store.mailbox(self.accounts[0].0, &MailboxName::inbox());
        inbox.expect("rows").expect("an INBOX")
    }

    /// Removes all messages of all accounts.
    async fn empty(&self) {
        let emptied = self.accounts.iter().map(async |(account, _)| {
            let inbox = self.store.mailbox(*account, &MailboxName::inbox())?.expect("an INBOX");
            self.store.expunge(inbox.id, UidSet::all(), false).await
        });
        try_join_all(emptied).await.expect("all are expunged");
    }

    async fn close(self) {
        self.store.close().await.expect("the store closes");
        drop(self.dir);
    }
}

async fn create_account(store: &LocalStore, number: usize) -> (AccountId, String) {
    let name = format!("user{number}@example.test");
    let new = NewAccount {
        name: name.clone(),
        password: Password { hash: "*".to_owned(), scram: None },
        domain: "example.test".to_owned(),
    };
    (store.create_account(new).await.expect("an account").id, name)
}

fn deliveries<M: Measurement>(criterion: &mut Criterion<M>, runtime: &Runtime, name: &str, folder: &Path) {
    let messages = messages(MESSAGES);
    let octets = messages.iter().map(Bytes::len).sum::<usize>() as u64;
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat).sample_size(20).measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::ElementsAndBytes { elements: MESSAGES as u64, bytes: octets });
    for (name, accounts) in [("to one account", 1), ("to 500 accounts", 500)] {
        let bed = runtime.block_on(Bed::new(folder, accounts));
        group.bench_function(name, |bencher| {
            let deliver = |()| runtime.block_on(bed.deliver_all(&messages));
            bencher.iter_batched(|| runtime.block_on(bed.empty()), deliver, BatchSize::PerIteration);
        });
        runtime.block_on(bed.close());
    }
    group.finish();
}

/// Work on one mailbox of [`LARGE`] messages.
fn mailbox(criterion: &mut Criterion<CpuTime>, runtime: &Runtime, folder: &Path) {
    let bed = runtime.block_on(Bed::new(folder, 1));
    let short = vec![Bytes::from_static(b"Subject: a\r\n\r\na short one\r\n"); LARGE as usize];
    runtime.block_on(bed.deliver_all(&short));
    let (store, inbox) = (&bed.store, bed.inbox().id);
    let mut group = criterion.benchmark_group("mailbox of 10,000");
    group.sample_size(20);
    // Nobody has its index, which is not kept then.
    group.bench_function("load", |bencher| {
        bencher.iter(|| runtime.block_on(store.index(inbox)).expect("an index"));
    });
    let _index = runtime.block_on(store.index(inbox)).expect("an index");
    let every_other: UidSet = (1..=LARGE).filter(|uid| uid % 2 == 0).collect();
    let cases = [
        ("flags of all", UidSet::all()),
        ("flags of every other", every_other),
        ("flags of one", [LARGE / 2].into_iter().collect()),
    ];
    for (name, uids) in cases {
        let mut is_seen = false;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let seen = Flags::none().with(SystemFlag::Seen);
                is_seen = !is_seen;
                let change = if is_seen { FlagChange::Add(seen) } else { FlagChange::Remove(seen) };
                let stored = runtime.block_on(store.store_flags(inbox, uids.clone(), change, None));
                stored.map(drop).expect("flags are stored");
            });
        });
    }
    let archive = MailboxName::parse("Archive").expect("a name");
    let account = bed.accounts[0].0;
    let copy = || {
        let copied = runtime.block_on(store.copy(inbox, (1..=1_000).collect(), archive.clone()));
        copied.map(drop).expect("they are copied");
    };
    let copies = || store.mailbox(account, &archive).expect("rows").expect("the mailbox").id;
    let expunge = || {
        let expunged = runtime.block_on(store.expunge(copies(), UidSet::all(), false));
        expunged.map(drop).expect("they are expunged");
    };
    group.bench_function("copy 1,000", |bencher| {
        bencher.iter_batched(expunge, |()| copy(), BatchSize::PerIteration);
    });
    group.bench_function("expunge 1,000", |bencher| {
        bencher.iter_batched(copy, |()| expunge(), BatchSize::PerIteration);
    });
    group.finish();
    runtime.block_on(bed.close());
}
