//! The composition root: what the MTA is made of, and how it is run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use message::{AddressError, Domain};
use prometheus_client::registry::Registry;
use proto::mta::events_server::EventsServer;
use proto::mta::queue_server::QueueServer;
use proto::mta::transfer_server::TransferServer;
use service::cli::{AnyError, Context};
use service::directory::{self, Directory};
use service::dns::{Dns, DnsSetupError};
use service::drain::{Drained, Shutdown};
use service::grpc::client::{Channels, ClientError};
use service::grpc::server::{self, Access, Health, Server, ServerError};
use service::listen::{ListenError, ListenMetrics, Listener, ListenerOptions};
use service::smtp::server::{BUSY_REPLY, Options, Port, Security, Timeouts};
use service::telemetry::{self, HttpServer};
use service::tls::{Role, TlsError, acceptor};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tonic::service::Routes;

use crate::config::{Config, ConfigError, Limits, OutboundConfig};
use crate::deliver::{self, Connector, ConversionMemory, Dead, Hops, Mda, Remote, Sources};
use crate::emptying::{self, Emptying, Nodes};
use crate::events::{Events, EventsService};
use crate::housekeeping::keep_house;
use crate::intake::{Gate, Intake};
use crate::metrics::Metrics;
use crate::queue::{self, Queue, RetryError, TimeTable};
use crate::queue_rpc::QueueService;
use crate::receiving::{self, EarlyTalkers, Inbound, Policy, Prober, RelayDomainError, Session};
use crate::routing::{RouteError, Router};
use crate::site::{Own, Sites};
use crate::spool::{JournalSpool, Spool as _};
use crate::tls::{TlsPolicies, TlsSetupError};
use crate::transfer::TransferService;

/// Who may call what; the words of the contracts.
const ACCESS: [(&str, &[Role]); 13] = [
    ("/waypost.mta.v1.Transfer/Enqueue", &[Role::Msa, Role::Mta]),
    ("/waypost.mta.v1.Queue/List", &[Role::Operator]),
    ("/waypost.mta.v1.Queue/Get", &[Role::Operator]),
    ("/waypost.mta.v1.Queue/Read", &[Role::Operator]),
    ("/waypost.mta.v1.Queue/Explain", &[Role::Operator]),
    ("/waypost.mta.v1.Queue/Trace", &[Role::Operator]),
    ("/waypost.mta.v1.Queue/Sites", &[Role::Operator]),
    ("/waypost.mta.v1.Queue/Steer", &[Role::Operator]),
    ("/waypost.mta.v1.Queue/Suspend", &[Role::Operator]),
    ("/waypost.mta.v1.Queue/Resume", &[Role::Operator]),
    ("/waypost.mta.v1.Queue/ListSuspensions", &[Role::Operator]),
    ("/waypost.mta.v1.Queue/Drain", &[Role::Operator]),
    ("/waypost.mta.v1.Events/Watch", &[Role::Operator]),
];

/// Why the MTA cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// `hostname` is no domain name.
    #[error("hostname: {0}")]
    Hostname(#[source] AddressError),
    /// A setting is of no use.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The spool cannot be opened.
    #[error("cannot open the spool in {dir}: {source}")]
    Spool {
        /// Where it should be.
        dir: String,
        /// Why not.
        source: journal::Error,
    },
    /// The log of events cannot be opened.
    #[error("cannot open the events in {dir}: {source}")]
    Events {
        /// Where they should be.
        dir: String,
        /// Why not.
        source: journal::Error,
    },
    /// The certificate is of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address is taken, or not allowed.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The gRPC server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The way to the MDA.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The resolver.
    #[error(transparent)]
    Dns(#[from] DnsSetupError),
    /// The routing table.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// A domain that is to be relayed.
    #[error(transparent)]
    RelayDomain(#[from] RelayDomainError),
    /// The time table.
    #[error(transparent)]
    Retry(#[from] RetryError),
    /// Policies for TLS towards other MTAs.
    #[error(transparent)]
    TlsPolicies(#[from] TlsSetupError),
    /// A thread ended early.
    #[error("start was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// An MTA that is bound and has read its spool, but serves nobody yet.
pub struct Mta {
    grpc: Server,
    http: HttpServer,
    smtp: Vec<Port>,
    inbound: Arc<Inbound>,
    queue: Arc<Queue>,
    emptying: Arc<Emptying>,
    routes: Routes,
    spool: JournalSpool,
    events: Events,
    tls: Arc<TlsPolicies>,
    registry: Arc<Registry>,
    /// Sessions, and messages that are being taken. Apart from the process' own tasks, of which this service is one: the
    /// storage is closed behind them.
    work: Shutdown,
    drain_timeout: Duration,
}

/// Builds an MTA: opens the spool, reads what waits in it, and binds every listener.
pub async fn build(config: Config, context: &Context) -> Result<Mta, BuildError> {
    config.validate()?;
    let hostname = Domain::parse(&config.hostname).map_err(BuildError::Hostname)?;
    let mut registry = telemetry::registry();
    let metrics = Metrics::register(&mut registry);
    let listen_metrics = ListenMetrics::register(&mut registry);

    let identity = server::identity(&config.grpc)?;
    if let Some(identity) = identity.clone() {
        context.reload.on("gRPC certificate", move || identity.reload());
    }
    let grpc = Server::bind(&config.grpc, identity.clone(), &listen_metrics)?;
    let http = HttpServer::bind(&config.http, &listen_metrics)?;
    let smtp = bind_smtp(&config, &hostname, &listen_metrics, context)?;

    let directory = Channels::new(&config.mda, directory::TARGET, identity.clone())?;
    let directory = Arc::new(Directory::new(directory));
    let mda = Mda::new(Channels::new(&config.mda, deliver::MDA_TARGET, identity.clone())?);
    let router = Router::new(&config.route)?;
    context.reload.on_config("routes", "mta", {
        let router = router.clone();
        move |config: Config| router.reload(&config.route)
    });
    let retry = TimeTable::new(&config.retry)?;
    context.reload.on_config("time table", "mta", {
        let retry = retry.clone();
        move |config: Config| retry.reload(&config.retry)
    });
    let dns = Dns::new(&config.dns)?;
    dns.register(&mut registry);
    let tls = tls_policies(&config, &dns).await?;
    let sites = sites(&config, &hostname, &smtp, dns.clone());
    let remote = remote(&config, &hostname, sites, Arc::clone(&tls));
    let refusals = receiving::Metrics::register(&mut registry);
    let prober = Prober { router: router.clone(), connector: Arc::clone(&remote.connector) };
    let policy = policy(&config, Arc::clone(&directory), dns, prober, refusals).await?;

    let (spool, events) = open_storage(&config).await?;
    spool.register(&mut registry);
    events.register(&mut registry);
    let queue = Queue::new(queue::Parts {
        hostname: config.hostname.clone(),
        retry: retry.clone(),
        sites: config.outbound.sites.clone(),
        sessions: config.outbound.sessions,
        messages_per_session: config.outbound.messages_per_session,
        spool: Arc::new(spool.clone()),
        events: events.clone(),
        hops: Hops { directory: Arc::clone(&directory), router: router.clone(), mda: mda.clone(), remote },
        metrics: metrics.clone(),
    });
    Metrics::watch_queue(&mut registry, &queue);
    let (gate, work) = (Gate::default(), Shutdown::new());
    let emptying = Emptying::new(emptying::Parts {
        spool: Arc::new(spool.clone()),
        queue: Arc::clone(&queue),
        events: events.clone(),
        metrics: metrics.clone(),
        gate: gate.clone(),
        health: grpc.health(),
        nodes: Nodes::new(identity),
        node: config.node.clone(),
        work: work.clone(),
    });
    let intake = Arc::new(Intake {
        limits: config.limits.clone(),
        retry,
        directory,
        router,
        mda,
        spool: Arc::new(spool.clone()),
        queue: Arc::clone(&queue),
        events: events.clone(),
        metrics,
        memory: memory(&config.limits),
        gate,
    });
    let transfer =
        TransferService { intake: Arc::clone(&intake), node: config.node.clone(), work: work.clone() };
    let operate = QueueService {
        spool: Arc::new(spool.clone()),
        queue: Arc::clone(&queue),
        events: events.clone(),
        emptying: Arc::clone(&emptying),
        node: config.node.clone(),
        work: work.clone(),
        suspending: Arc::default(),
    };
    let watch = EventsService::new(events.clone(), context.shutdown.clone());
    let routes = Routes::new(TransferServer::new(transfer))
        .add_service(QueueServer::new(operate))
        .add_service(EventsServer::new(watch));
    let inbound = Arc::new(Inbound { hostname: config.hostname, intake, policy });
    Ok(Mta {
        grpc,
        http,
        smtp,
        inbound,
        queue,
        emptying,
        routes,
        spool,
        events,
        tls,
        registry: Arc::new(registry),
        work,
        drain_timeout: *config.runtime.drain_timeout,
    })
}

impl Mta {
    /// Where it takes mail from other MTAs, with the ports that the kernel chose.
    pub fn smtp_addresses(&self) -> Vec<SocketAddr> {
        self.smtp.iter().map(|port| port.listener.local_address()).collect()
    }

    /// Where it serves gRPC.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc.local_address()
    }

    /// Serves until the shutdown starts, then lets what has begun come to its end; a quarter of the drain's time is left
    /// for closing the storage.
    pub async fn run(self, context: &Context) -> Result<(), AnyError> {
        let shutdown = &context.shutdown;
        let Self {
            grpc,
            http,
            smtp,
            inbound,
            queue,
            emptying,
            routes,
            spool,
            events,
            tls,
            registry,
            work,
            drain_timeout,
        } = self;
        let health = grpc.health();
        let ready = Arc::new({
            let health = health.clone();
            move || health.is_serving("waypost.mta.v1.Transfer")
        });
        let access = Access::new(ACCESS);
        let smtp = smtp.into_iter().map(|port| port.serve(&work, || Session::new(Arc::clone(&inbound))));
        shutdown.spawn(keep_house(spool.clone(), events.clone(), shutdown.clone()));
        shutdown.spawn(Arc::clone(&tls).keep(Arc::clone(&inbound.intake), shutdown.clone()));
        shutdown.spawn(inbound.policy.keep(shutdown.clone()));
        work.spawn(emptying.keep_asking());
        let queue = Arc::clone(&queue).run(shutdown.clone());
        set_serving(&health);
        context.ready();
        let (served, ..) = tokio::join!(
            async {
                let served = grpc.serve(routes, access, shutdown).await;
                // If it failed, the rest is of no use without it.
                shutdown.start();
                served
            },
            end_with_the_spool(&spool, shutdown),
            http.serve(registry, ready, shutdown),
            futures_util::future::join_all(smtp),
            async {
                shutdown.started().await;
                end_work(&work, drain_timeout * 3 / 4).await;
            },
            async {
                tokio::select! {
                    () = queue => {}
                    // An attempt that is cut off is made again, no sooner than its record says, or once at once if it was the first.
                    () = time_is_up(shutdown, drain_timeout * 3 / 4) => {}
                }
            },
        );
        let stopped = spool.is_stopped();
        spawn_blocking(move || {
            tls.save();
            let closed = [("spool", spool.close()), ("events", events.close())];
            for (what, closed) in closed {
                if let Err(error) = closed {
                    tracing::warn!(what, %error, "not closed cleanly; nothing that was promised is lost");
                }
            }
        })
        .await?;
        if stopped {
            return Err(
                "the spool has stopped: started again, this node goes on with what its disk holds".into()
            );
        }
        Ok(served?)
    }
}

/// A node whose spool has stopped can promise nothing and forgets what it learns: it ends, to be started again.
async fn end_with_the_spool(spool: &JournalSpool, shutdown: &Shutdown) {
    tokio::select! {
        () = spool.stopped() => {
            tracing::error!("the spool has stopped: this node ends");
            shutdown.start();
        }
        () = shutdown.started() => {}
    }
}

/// Lets sessions end.
async fn end_work(work: &Shutdown, timeout: Duration) {
    if let Drained::CutOff(tasks) = work.graceful(timeout).await {
        tracing::warn!(tasks, "the drain's time is up: sessions were cut off");
    }
}

async fn time_is_up(shutdown: &Shutdown, timeout: Duration) {
    shutdown.started().await;
    tokio::time::sleep(timeout).await;
}

fn set_serving(health: &Health) {
    for service in ["waypost.mta.v1.Transfer", "waypost.mta.v1.Queue", "waypost.mta.v1.Events", ""] {
        health.set_serving(service, true);
    }
}

/// The hosts of other MTAs, and what of them is this node itself.
fn sites(config: &Config, hostname: &Domain, smtp: &[Port], dns: Dns) -> Sites {
    let own = Own {
        hostname: hostname.clone(),
        addresses: config.outbound.own_addresses.clone(),
        listeners: smtp.iter().map(|port| port.listener.local_address()).collect(),
    };
    Sites::new(dns, own, config.outbound.port)
}

/// The way to other MTAs.
fn remote(config: &Config, hostname: &Domain, sites: Sites, tls: Arc<TlsPolicies>) -> Remote {
    let OutboundConfig { timeouts, chunking, conversion_memory, sites: sites_config, .. } = &config.outbound;
    let connector = Connector {
        sites,
        hostname: hostname.clone(),
        tls,
        timeouts: *timeouts,
        chunking: *chunking,
        sources: Sources::default(),
        dead: Dead::new(*sites_config.down_first, *sites_config.down_longest),
    };
    Remote { connector: Arc::new(connector), conversion: ConversionMemory::new(**conversion_memory) }
}

async fn tls_policies(config: &Config, dns: &Dns) -> Result<Arc<TlsPolicies>, BuildError> {
    let (config, dns) = (config.clone(), dns.clone());
    Ok(Arc::new(spawn_blocking(move || TlsPolicies::open(&config, &dns)).await??))
}

/// Whom mail is taken from, and for whom.
async fn policy(
    config: &Config,
    directory: Arc<Directory>,
    dns: Dns,
    prober: Prober,
    metrics: receiving::Metrics,
) -> Result<Policy, BuildError> {
    let config = config.receiving.clone();
    Ok(spawn_blocking(move || Policy::new(&config, directory, dns, prober, metrics)).await??)
}

/// Octets that messages on their way in may be held with.
fn memory(limits: &Limits) -> Arc<Semaphore> {
    let octets = usize::try_from(*limits.in_memory_total).unwrap_or(usize::MAX);
    Arc::new(Semaphore::new(octets.min(Semaphore::MAX_PERMITS)))
}

fn bind_smtp(
    config: &Config,
    hostname: &Domain,
    metrics: &ListenMetrics,
    context: &Context,
) -> Result<Vec<Port>, BuildError> {
    let (security, options) = (security(config, context)?, smtp_options(config, hostname.clone()));
    let bind = |&address: &SocketAddr| {
        let limits = ListenerOptions {
            name: "smtp",
            max_connections: config.limits.connections,
            max_per_network: None,
            busy_reply: BUSY_REPLY,
        };
        let listener = Listener::bind(address, limits, metrics.clone())?;
        Ok(Port { listener, security: security.clone(), options: options.clone() })
    };
    config.smtp.listen.iter().map(bind).collect()
}

fn security(config: &Config, context: &Context) -> Result<Security, TlsError> {
    match &config.tls {
        Some(tls) => acceptor(tls, None, &context.reload).map(Security::StartTls),
        None => Ok(Security::Plain),
    }
}

fn smtp_options(config: &Config, hostname: Domain) -> Options {
    let session = smtp::server::Config {
        max_message_size: *config.limits.message_size,
        max_recipients: u32::try_from(config.limits.recipients).unwrap_or(u32::MAX),
        starttls: config.tls.is_some(),
        mechanisms: smtp::Mechanisms::NONE,
        require_tls: config.tls.is_some(),
        mt_priority: true,
        refuse_early_talkers: config.receiving.early_talkers == EarlyTalkers::Refuse,
        ..smtp::server::Config::new(hostname)
    };
    Options { session: Arc::new(session), timeouts: Timeouts::default(), arrival: config.receiving.arrival() }
}

async fn open_storage(config: &Config) -> Result<(JournalSpool, Events), BuildError> {
    let (spool, events) = (config.spool.clone(), config.events.clone());
    spawn_blocking(move || {
        let (opened, recovery) = JournalSpool::open(&spool)
            .map_err(|source| BuildError::Spool { dir: spool.dir.display().to_string(), source })?;
        tracing::info!(messages = opened.len(), records = recovery.replayed, "the spool is open");
        if let Some(torn) = recovery.torn {
            tracing::warn!(
                bytes = torn.bytes,
                "cut off what a crash left unfinished at the end of the spool"
            );
        }
        for damage in recovery.quarantined {
            tracing::error!(
                position = %damage.start, bytes = damage.bytes, reason = damage.reason,
                "a part of the spool cannot be read and is set aside"
            );
        }
        let events = Events::open(&events)
            .map_err(|source| BuildError::Events { dir: events.dir.display().to_string(), source })?;
        Ok((opened, events))
    })
    .await?
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use message::MessageId;
    use proto::mail::Envelope;
    use service::config::ByteSize;

    use super::*;
    use crate::spool::{Deadlines, NewMessage, SpoolConfig};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_whose_spool_has_stopped_shuts_down() {
        let folder = tempfile::tempdir().unwrap();
        let config =
            SpoolConfig { dir: folder.path().into(), min_free: ByteSize(0), ..SpoolConfig::default() };
        let (spool, _) = JournalSpool::open(&config).unwrap();
        let shutdown = Shutdown::new();
        let ending = tokio::spawn({
            let (spool, shutdown) = (spool.clone(), shutdown.clone());
            async move { end_with_the_spool(&spool, &shutdown).await }
        });
        spool.clone().close().unwrap();
        assert!(!shutdown.is_started());
        let id = MessageId::new();
        let envelope = Envelope { message_id: id.to_string(), ..Envelope::default() };
        let deadlines = Deadlines::All(0);
        let message =
            NewMessage { id, envelope, deadlines, recipients: Vec::new(), settles: None, hand_overs: 0 };
        assert!(spool.accept(message, Bytes::new()).await.is_err());
        ending.await.unwrap();
        assert!(shutdown.is_started() && spool.is_stopped());
    }
}
