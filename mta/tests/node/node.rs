//! The MTA under test.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use message::MessageId;
use proto::mail::{Envelope, Recipient};
use proto::mta::events_client::EventsClient;
use proto::mta::queue_client::QueueClient;
use proto::mta::transfer_client::TransferClient;
use proto::mta::{
    EnqueueReceipt, EnqueueRequest, Event, EventKind, GetRequest, ListRequest, QueuedMessage, TraceRequest,
    WatchRequest, WatchResponse,
};
use service::cli::{Context, Reload};
use service::config::{DnsConfig, HttpConfig, HumanDuration, PeerConfig};
use service::drain::Shutdown;
use service::grpc::client::{Channels, PeerChannel, Target};
use service::tls::Role;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::{Status, Streaming};

use super::mda::Mda;
use super::names::Names;
use service::testing::Authority;

/// So long a test waits for what should come at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// Octets of a message that are handed over at a time.
const PIECE: usize = 1 << 20;

pub struct Node {
    pub smtp: SocketAddr,
    pub grpc: SocketAddr,
    pub mda: Arc<Mda>,
    pub authority: Arc<Authority>,
    config: mta::Config,
    msa: Channels,
    operator: Channels,
    shutdown: Shutdown,
    running: Option<JoinHandle<()>>,
    folder: Option<TempDir>,
}

impl Node {
    /// With the defaults, but that an attempt is repeated soon.
    pub async fn start(names: Names, remote_port: u16) -> Self {
        Self::start_with(names, remote_port, |_| {}).await
    }

    pub async fn start_with(names: Names, remote_port: u16, change: impl FnOnce(&mut mta::Config)) -> Self {
        let authority = Arc::new(Authority::new());
        let mda = Arc::new(Mda::start(&authority));
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let mut config = mta::Config {
            hostname: "mta.example.test".into(),
            grpc: authority.grpc(Role::Mta),
            http: HttpConfig::on_port(0),
            mda: PeerConfig::at([mda.address.to_string()]),
            dns: DnsConfig { servers: vec![names.start().await], attempts: 0, ..DnsConfig::default() },
            ..mta::Config::default()
        };
        config.smtp.listen = vec![loopback(0)];
        config.spool.min_free = service::config::ByteSize(0);
        config.outbound.port = remote_port;
        config.retry.first = HumanDuration::from_millis(50);
        config.retry.stall_first = HumanDuration::from_millis(20);
        change(&mut config);
        Box::pin(Self::run(authority, mda, config, TempDir::new().unwrap())).await
    }

    /// One more node beside this one, with a spool of its own.
    pub async fn another(&self, name: &str) -> Self {
        let mut config = self.config.clone();
        config.node = name.into();
        let (authority, mda) = (Arc::clone(&self.authority), Arc::clone(&self.mda));
        Box::pin(Self::run(authority, mda, config, TempDir::new().unwrap())).await
    }

    /// Stops this node, and starts it again at the same address.
    pub async fn restart(mut self) -> Self {
        self.stop_and_wait().await;
        self.start_again().await
    }

    /// Tells the node to end, and waits until it has.
    pub async fn stop_and_wait(&mut self) {
        self.shutdown.start();
        self.running.take().unwrap().await.unwrap();
    }

    /// Starts a node that has ended again, at the same address.
    pub async fn start_again(mut self) -> Self {
        let mut config = self.config.clone();
        config.grpc.listen = self.grpc;
        let folder = self.folder.take().unwrap();
        let (authority, mda) = (Arc::clone(&self.authority), Arc::clone(&self.mda));
        Box::pin(Self::run(authority, mda, config, folder)).await
    }

    async fn run(authority: Arc<Authority>, mda: Arc<Mda>, mut config: mta::Config, folder: TempDir) -> Self {
        config.spool.dir = folder.path().join("spool");
        config.events.dir = folder.path().join("events");
        let context = Context { shutdown: Shutdown::new(), reload: Reload::default() };
        let shutdown = context.shutdown.clone();
        let mta = mta::build(config.clone(), &context).await.unwrap();
        let (smtp, grpc) = (mta.smtp_addresses()[0], mta.grpc_address());
        let running = tokio::spawn(async move { mta.run(&context).await.unwrap() });
        let channels = |role, service| {
            let config =
                PeerConfig { wait: HumanDuration::from_secs(30), ..PeerConfig::at([grpc.to_string()]) };
            let target = Target { role: Role::Mta, service };
            Channels::new(&config, target, Some(authority.identity(role))).unwrap()
        };
        let msa = channels(Role::Msa, "waypost.mta.v1.Transfer");
        let operator = channels(Role::Operator, "waypost.mta.v1.Queue");
        let (running, folder) = (Some(running), Some(folder));
        let node = Self { smtp, grpc, mda, authority, config, msa, operator, shutdown, running, folder };
        // The MTA sees its MDA once it takes an address at its front door.
        node.eventually(|| async {
            super::client::Client::connect(node.smtp).await.takes("ready@example.test").await
        })
        .await;
        node
    }

    pub async fn transfer(&self) -> TransferClient<PeerChannel> {
        TransferClient::new(self.msa.pick().await.unwrap())
    }

    /// The operator's way to the queue.
    pub async fn queue(&self) -> QueueClient<PeerChannel> {
        QueueClient::new(self.operator.pick().await.unwrap().without_deadline())
    }

    /// Whether it says that it takes mail.
    pub fn takes_mail(&self) -> bool {
        self.msa.is_ready()
    }

    /// Hands over a message as an MSA does.
    pub async fn enqueue(&self, envelope: Envelope, body: &str) -> Result<EnqueueReceipt, Status> {
        let first = EnqueueRequest { envelope: Some(envelope), ..EnqueueRequest::default() };
        let piece =
            |piece| EnqueueRequest { data: Bytes::copy_from_slice(piece), ..EnqueueRequest::default() };
        let pieces: Vec<_> = [first].into_iter().chain(body.as_bytes().chunks(PIECE).map(piece)).collect();
        Ok(self.transfer().await.enqueue(tokio_stream::iter(pieces)).await?.into_inner())
    }

    /// A message that waits; `None` if it does not.
    pub async fn get(&self, id: &str) -> Option<QueuedMessage> {
        let request = GetRequest { message_id: id.into() };
        self.queue().await.get(request).await.ok().map(tonic::Response::into_inner)
    }

    pub async fn trace(&self, id: &str) -> Vec<Event> {
        let request = TraceRequest { message_id: id.into() };
        self.queue().await.trace(request).await.map(|found| found.into_inner().events).unwrap_or_default()
    }

    /// Follows the events of this node, as `role` does.
    pub async fn watch(&self, role: Role, request: WatchRequest) -> Result<Streaming<WatchResponse>, Status> {
        let channels = if role == Role::Operator { &self.operator } else { &self.msa };
        let mut events = EventsClient::new(channels.pick().await?.without_deadline());
        Ok(events.watch(request).await?.into_inner())
    }

    /// Tells the node to end.
    pub fn stop(&self) {
        self.shutdown.start();
    }

    /// The first event of this kind in a message's story, once there is one.
    pub async fn event(&self, id: &str, kind: EventKind) -> Event {
        self.eventually(|| async { self.trace(id).await.iter().any(|event| event.kind() == kind) }).await;
        self.trace(id).await.into_iter().find(|event| event.kind() == kind).unwrap()
    }

    /// How the first attempt at a message ended, once it has.
    pub async fn outcome(&self, id: &str) -> Event {
        let is_outcome = |event: &Event| {
            matches!(event.kind(), EventKind::Delivered | EventKind::Deferred | EventKind::Bounced)
        };
        self.eventually(|| async { self.trace(id).await.iter().any(is_outcome) }).await;
        self.trace(id).await.into_iter().find(is_outcome).unwrap()
    }

    /// Messages in the spool.
    pub async fn waiting(&self) -> u64 {
        self.queue().await.list(ListRequest::default()).await.unwrap().into_inner().total
    }

    /// Looks until it is so.
    pub async fn eventually<F: Future<Output = bool>>(&self, mut is_so: impl FnMut() -> F) {
        let looking = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shutdown.start();
    }
}

/// An envelope from `alice@example.test`.
pub fn envelope(recipients: &[&str]) -> Envelope {
    let recipient = |address: &&str| Recipient { address: (*address).into(), ..Recipient::default() };
    Envelope {
        message_id: MessageId::new().to_string(),
        reverse_path: "alice@example.test".into(),
        recipients: recipients.iter().map(recipient).collect(),
        ..Envelope::default()
    }
}

pub fn no_remote() -> (Names, u16) {
    (Names::default(), 1)
}
