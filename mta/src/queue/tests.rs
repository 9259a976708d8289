use std::ops::Range;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use journal::faults::Faults;
use message::{Domain, MessageId};
use proto::mail::{Envelope, Recipient};
use service::config::{ByteSize, DnsConfig, HumanDuration, PeerConfig};
use service::directory::{self, Directory};
use service::dns::Dns;
use service::grpc::client::Channels;
use service::smtp::client::Timeouts;
use tokio::sync::{RwLock, watch};

use super::*;

mod deadlines;
mod panics;
mod results;
mod scale;

use crate::config::{Config, EventsConfig};
use crate::deliver::{Connector, ConversionMemory, Dead, MDA_TARGET, Mda, Remote, Sources};
use crate::routing::Router;
use crate::site::{Own, Sites};
use crate::spool::{
    Accepted, Change, Deadlines, HandOver, JournalSpool, NewMessage, Scope, SpoolConfig, SpoolError, Staging,
    Status as RecipientStatus, Suspension,
};
use crate::tls::TlsPolicies;

/// A spool with faults that tests turn on.
pub(super) struct Faulty {
    pub(super) spool: JournalSpool,
    /// The first look at a message panics.
    pub(super) has_bug: bool,
    /// The disk is full, so that no progress is taken.
    pub(super) is_full: Arc<AtomicBool>,
    pub(super) looks: watch::Sender<u32>,
    /// Panics when progress is written so many times from now; 0: never.
    pub(super) bug_in: Arc<AtomicUsize>,
    /// It understands no progress.
    pub(super) is_confused: bool,
    /// How often it was full for somebody.
    pub(super) refusals: watch::Sender<u32>,
    /// How often it was given a record, of which nobody may have heard yet.
    pub(super) given: watch::Sender<u32>,
    /// How often progress was written.
    pub(super) writes: watch::Sender<u32>,
    /// Nobody hears that progress was written while it is held.
    pub(super) held: Arc<RwLock<()>>,
}

impl Faulty {
    /// In a folder, without a fault.
    pub(super) fn open(folder: &std::path::Path) -> Self {
        Self::on_disk(folder, Faults::default())
    }

    /// In a folder on a disk with these faults, without one of its own.
    pub(super) fn on_disk(folder: &std::path::Path, faults: Faults) -> Self {
        let dir = journal::Config::new(folder.join("spool"));
        let config = journal::Config { min_free_bytes: 0, faults, ..dir };
        let (spool, _) = JournalSpool::open_journal(config, Duration::MAX).unwrap();
        Self {
            spool,
            has_bug: false,
            is_full: Arc::default(),
            bug_in: Arc::default(),
            is_confused: false,
            looks: watch::channel(0).0,
            refusals: watch::channel(0).0,
            given: watch::channel(0).0,
            writes: watch::channel(0).0,
            held: Arc::default(),
        }
    }
}

/// A message to these recipients.
pub(super) fn new_message(recipients: Vec<Recipient>) -> NewMessage {
    let id = MessageId::new();
    let envelope = Envelope {
        message_id: id.to_string(),
        reverse_path: "alice@example.test".into(),
        recipients,
        received_at: Some(crate::clock::timestamp(crate::clock::now())),
        ..Envelope::default()
    };
    let deadlines = Deadlines::All(u64::MAX);
    NewMessage { id, envelope, deadlines, recipients: Vec::new(), settles: None, hand_overs: 0 }
}

/// What a queue over this spool works with, in which nobody answers.
pub(super) fn parts(folder: &std::path::Path, spool: Faulty) -> Parts {
    let events = EventsConfig { dir: folder.join("events"), keep: ByteSize::mib(1) };
    let retry = RetryConfig { stall_first: HumanDuration::from_millis(1), ..RetryConfig::default() };
    Parts {
        hostname: "mta.example.test".into(),
        retry: TimeTable::new(&retry).unwrap(),
        sites: SitesConfig::default(),
        sessions: 1,
        messages_per_session: 1,
        spool: Arc::new(spool),
        events: Events::open(&events).unwrap(),
        hops: hops(folder),
        metrics: Metrics::default(),
    }
}

impl Faulty {
    /// Records what `record` says, unless a fault comes before it.
    fn recorded(
        &self,
        record: impl FnOnce(&JournalSpool) -> BoxFuture<'static, Result<(), SpoolError>>,
    ) -> BoxFuture<'static, Result<(), SpoolError>> {
        if self.is_full.load(Ordering::SeqCst) {
            self.refusals.send_modify(|refusals| *refusals += 1);
            let full = SpoolError::Full(journal::Error::DiskFull { free: 0, min_free: 1 });
            return std::future::ready(Err(full)).boxed();
        }
        if self.is_confused {
            return std::future::ready(Err(SpoolError::NotUnderstood)).boxed();
        }
        let bug_in = self.bug_in.load(Ordering::SeqCst);
        self.bug_in.store(bug_in.saturating_sub(1), Ordering::SeqCst);
        assert_ne!(bug_in, 1, "the bug");
        let (written, writes) = (record(&self.spool), self.writes.clone());
        self.given.send_modify(|given| *given += 1);
        written.inspect(move |_| writes.send_modify(|writes| *writes += 1)).boxed()
    }
}

impl Spool for Faulty {
    fn get(&self, id: MessageId) -> Option<Arc<Message>> {
        self.looks.send_modify(|looks| *looks += 1);
        assert!(!self.has_bug || *self.looks.borrow() > 1, "the bug");
        self.spool.get(id)
    }

    fn stage(&self) -> Box<dyn Staging> {
        self.spool.stage()
    }

    fn accept(&self, message: NewMessage, body: Bytes) -> BoxFuture<'static, Result<Accepted, SpoolError>> {
        self.spool.accept(message, body)
    }

    fn begin(
        &self,
        id: MessageId,
        recipients: Vec<(u32, RecipientStatus)>,
    ) -> BoxFuture<'static, Result<(), SpoolError>> {
        self.recorded(|spool| spool.begin(id, recipients))
    }

    fn progress(
        &self,
        id: MessageId,
        recipients: Vec<(u32, RecipientStatus)>,
    ) -> BoxFuture<'static, Result<(), SpoolError>> {
        let (written, held) = (self.recorded(|spool| spool.progress(id, recipients)), Arc::clone(&self.held));
        async move {
            drop(held.read().await);
            written.await
        }
        .boxed()
    }

    fn steer(
        &self,
        id: MessageId,
        changes: Vec<(u32, Change)>,
    ) -> BoxFuture<'static, Result<(), SpoolError>> {
        self.spool.steer(id, changes)
    }

    fn suspensions(&self) -> Arc<[Suspension]> {
        self.spool.suspensions()
    }

    fn suspend(&self, suspension: Suspension) -> BoxFuture<'static, Result<(), SpoolError>> {
        self.spool.suspend(suspension)
    }

    fn resume(&self, scope: Scope) -> BoxFuture<'static, Result<bool, SpoolError>> {
        self.spool.resume(scope)
    }

    fn knows(&self, id: MessageId, hand_overs: u32) -> bool {
        self.spool.knows(id, hand_overs)
    }

    fn page(&self, after: Option<MessageId>, limit: usize) -> Vec<Arc<Message>> {
        self.spool.page(after, limit)
    }

    fn room_for(&self, octets: usize) -> Result<(), SpoolError> {
        self.spool.room_for(octets)
    }

    fn len(&self) -> usize {
        self.spool.len()
    }

    fn stopped(&self) -> BoxFuture<'_, ()> {
        self.spool.stopped()
    }

    fn envelope(&self, message: &Message) -> BoxFuture<'static, Result<Arc<Envelope>, SpoolError>> {
        self.spool.envelope(message)
    }

    fn read(&self, message: &Message, range: Range<u64>) -> BoxFuture<'static, Result<Bytes, SpoolError>> {
        self.spool.read(message, range)
    }
}

/// Nobody answers at any of these.
fn hops(folder: &std::path::Path) -> Hops {
    let nowhere = PeerConfig { wait: HumanDuration::from_millis(1), ..PeerConfig::at(["127.0.0.1:1"]) };
    let hostname = Domain::parse("mta.example.test").unwrap();
    let dns = Dns::new(&DnsConfig {
        servers: vec![([127, 0, 0, 1], 1).into()],
        timeout: HumanDuration::from_millis(50),
        ..DnsConfig::default()
    });
    let dns = dns.unwrap();
    let config = Config {
        spool: SpoolConfig { dir: folder.join("spool"), ..SpoolConfig::default() },
        ..Config::default()
    };
    let tls = Arc::new(TlsPolicies::open(&config, &dns).unwrap());
    let own = Own { hostname: hostname.clone(), addresses: Vec::new(), listeners: Vec::new() };
    let sites = Sites::new(dns, own, 25);
    let connector = Connector {
        sites,
        hostname,
        tls,
        timeouts: Timeouts::default(),
        chunking: true,
        sources: Sources::default(),
        dead: Dead::new(Duration::ZERO, Duration::ZERO),
    };
    let remote = Remote { connector: Arc::new(connector), conversion: ConversionMemory::new(0) };
    let directory = Directory::new(Channels::new(&nowhere, directory::TARGET, None).unwrap());
    let mda = Mda::new(Channels::new(&nowhere, MDA_TARGET, None).unwrap());
    Hops { directory: Arc::new(directory), router: Router::new(&[]).unwrap(), mda, remote }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_panics_loses_neither_its_unit_nor_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (looks, mut looked) = watch::channel(0);
    let spool = Faulty { has_bug: true, looks, ..Faulty::open(folder.path()) };
    let recipient = Recipient { address: "bob@remote.test".into(), ..Recipient::default() };
    spool.accept(new_message(vec![recipient]), Bytes::from_static(b"x")).await.unwrap();
    let parts = parts(folder.path(), spool);
    // One worker: if its place were lost, there would be no other.
    let queue = Queue::with_routing(parts, SiteLimits::fixed(1));
    let shutdown = Shutdown::new();
    let running = tokio::spawn(Arc::clone(&queue).run(shutdown.clone()));
    // The one that panics, the one that puts the unit off, and a new attempt.
    looked.wait_for(|looks| *looks >= 3).await.unwrap();
    shutdown.start();
    running.await.unwrap();
    assert_eq!(queue.len(), 1);
}

/// The clock was set back while the node was away: the time table has no such time.
#[tokio::test]
async fn an_attempt_is_never_further_away_than_the_longest_wait() {
    const DAY: u64 = 24 * 3_600_000;
    let folder = tempfile::tempdir().unwrap();
    let spool = Faulty::open(folder.path());
    let recipient = Recipient { address: "bob@remote.test".into(), ..Recipient::default() };
    let next_attempt_at = crate::clock::now() + DAY;
    let status = RecipientStatus { attempts: 1, next_attempt_at, ..RecipientStatus::default() };
    let message = NewMessage { recipients: vec![(0, status)], ..new_message(vec![recipient]) };
    let id = message.id;
    spool.accept(message, Bytes::from_static(b"x")).await.unwrap();
    let queue = Queue::new(parts(folder.path(), spool));
    let explained = queue.explain(id).unwrap();
    let next = crate::clock::from_timestamp(&explained[0].next_attempt_at.unwrap());
    // 4 h, and the most that chance adds.
    assert!(next <= crate::clock::now() + DAY / 5, "in {} ms", next - crate::clock::now());
}
