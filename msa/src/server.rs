//! The composition root: what the MSA is made of, and how it is run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use message::{AddressError, Domain};
use prometheus_client::registry::Registry;
use proto::msa::submission_server::SubmissionServer;
use service::cli::{AnyError, Context};
use service::directory::{self, Directory};
use service::drain::Shutdown;
use service::grpc::client::{Channels, ClientError};
use service::grpc::server::{self, Access, Health, Server, ServerError};
use service::listen::{ListenError, ListenMetrics, Listener, ListenerOptions};
use service::smtp::server::{Arrival, BUSY_REPLY, Options, Port, Security, Timeouts};
use service::telemetry::{self, HttpServer};
use service::tls::{Role, TlsError, acceptor};
use smtp::Mechanisms;
use tonic::service::Routes;

use crate::config::Config;
use crate::exchanges::Exchanges;
use crate::hand_over::{self, Mtas};
use crate::metrics::Metrics;
use crate::session::Session;
use crate::submission::Desk;
use crate::submit_rpc::SubmissionService;

/// Who may call what; the words of the contract.
const ACCESS: [(&str, &[Role]); 1] = [("/waypost.msa.v1.Submission/Submit", &[Role::Operator])];

/// How often it is looked whether the MTAs and the directory are there.
const READINESS: Duration = Duration::from_millis(250);

/// Why the MSA cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// `hostname` is no domain name.
    #[error("hostname: {0}")]
    Hostname(#[source] AddressError),
    /// There is no certificate, without which nobody can log in.
    #[error("submissions.listen needs a certificate: set tls.certificate and tls.key, or listen nowhere")]
    NoCertificate,
    /// The certificate is of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address is taken, or not allowed.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The gRPC server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The way to the MTAs and the directory.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// An MSA that is bound, but serves nobody yet.
pub struct Msa {
    grpc: Server,
    http: HttpServer,
    smtp: Vec<Port>,
    desk: Arc<Desk>,
    registry: Arc<Registry>,
}

/// Builds an MSA and binds every listener.
pub async fn build(config: Config, context: &Context) -> Result<Msa, BuildError> {
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

    let directory = Channels::new(&config.directory, directory::TARGET, identity.clone())?;
    let mtas = Channels::new(&config.mta, hand_over::TARGET, identity)?;
    let desk = Arc::new(Desk {
        hostname: config.hostname,
        directory: Arc::new(Directory::new(directory)),
        exchanges: Exchanges::default(),
        mtas: Mtas::new(mtas, &config.limits),
        limits: config.limits,
        metrics,
    });
    Ok(Msa { grpc, http, smtp, desk, registry: Arc::new(registry) })
}

impl Msa {
    /// Where it takes submissions, with the ports that the kernel chose: STARTTLS first.
    pub fn smtp_addresses(&self) -> Vec<SocketAddr> {
        self.smtp.iter().map(|port| port.listener.local_address()).collect()
    }

    /// Where it serves gRPC.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc.local_address()
    }

    /// Serves until the shutdown starts, then lets what has begun come to its end.
    pub async fn run(self, context: &Context) -> Result<(), AnyError> {
        let shutdown = &context.shutdown;
        let Self { grpc, http, smtp, desk, registry } = self;
        let service = SubmissionService { desk: Arc::clone(&desk), shutdown: shutdown.clone() };
        let routes = Routes::new(SubmissionServer::new(service));
        let smtp = smtp.into_iter().map(|port| port.serve(shutdown, || Session::new(Arc::clone(&desk))));
        let ready: telemetry::Readiness = Arc::new({
            let desk = Arc::clone(&desk);
            move || desk.is_ready()
        });
        let watching = watch_readiness(&desk, grpc.health(), shutdown);
        context.ready();
        let (served, ..) = tokio::join!(
            grpc.serve(routes, Access::new(ACCESS), shutdown),
            http.serve(registry, ready, shutdown),
            futures_util::future::join_all(smtp),
            watching,
        );
        Ok(served?)
    }
}

/// Keeps the health true: an MSA without an MTA or without the directory serves nobody.
async fn watch_readiness(desk: &Desk, health: Health, shutdown: &Shutdown) {
    loop {
        let ready = desk.is_ready();
        for service in ["waypost.msa.v1.Submission", ""] {
            health.set_serving(service, ready);
        }
        tokio::select! {
            () = tokio::time::sleep(READINESS) => {}
            () = shutdown.started() => return,
        }
    }
}

fn bind_smtp(
    config: &Config,
    hostname: &Domain,
    metrics: &ListenMetrics,
    context: &Context,
) -> Result<Vec<Port>, BuildError> {
    let acceptor =
        config.tls.as_ref().map(|tls| acceptor(tls, config.client_ca(), &context.reload)).transpose()?;
    let options = |starttls| Options {
        session: Arc::new(smtp::server::Config {
            max_message_size: *config.limits.message_size,
            max_recipients: u32::try_from(config.limits.recipients).unwrap_or(u32::MAX),
            starttls,
            mechanisms: Mechanisms::ALL,
            mail_needs_tls: true,
            mail_needs_auth: true,
            require_tls: true,
            ..smtp::server::Config::new(hostname.clone())
        }),
        timeouts: Timeouts::default(),
        arrival: Arrival::default(),
    };
    let bind = |name, address: &SocketAddr| {
        let max_connections = config.limits.connections;
        let max_per_network = Some(config.limits.connections_per_network).filter(|number| *number > 0);
        let options = ListenerOptions { name, max_connections, max_per_network, busy_reply: BUSY_REPLY };
        Listener::bind(*address, options, metrics.clone())
    };
    let mut ports = Vec::new();
    for address in &config.submission.listen {
        let acceptor = acceptor.clone().ok_or(BuildError::NoCertificate)?;
        let (listener, security) = (bind("submission", address)?, Security::StartTls(acceptor));
        ports.push(Port { listener, security, options: options(true) });
    }
    for address in &config.submissions.listen {
        let acceptor = acceptor.clone().ok_or(BuildError::NoCertificate)?;
        let (listener, security) = (bind("submissions", address)?, Security::Implicit(acceptor));
        ports.push(Port { listener, security, options: options(false) });
    }
    Ok(ports)
}
