//! The service as a whole: what it is built of, and how it runs and ends.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use proto::mda::{
    delivery_server::DeliveryServer, directory_server::DirectoryServer, mailbox_server::MailboxServer,
    store_server::StoreServer,
};
use service::{
    cli::Reload,
    drain::{Drained, Shutdown},
    grpc::server::{self as grpc, Access, Health},
    listen::{ListenError, ListenMetrics},
    telemetry::HttpServer,
    tls::{PublicIdentity, Role, TlsError},
};
use tokio::time::timeout;
use tonic::service::Routes;
use tracing::{error, info, warn};

use self::listeners::Listeners;
use crate::{
    auth::{AuthError, Authenticator, Decoy, Tokens, TokensError},
    config::{Config, ConfigProblem},
    delivery::DeliveryService,
    directory::DirectoryService,
    fulltext::FullText,
    imap::{self, Imap},
    mailbox::MailboxService,
    metrics::Metrics,
    operations::StoreService,
    pop3::{self, Pop3},
    recipients::Recipients,
    store::{LocalStore, StoreError},
    sweeper,
};

mod listeners;
#[cfg(test)]
mod tests;

/// The MDA, with every listener bound and the store open.
pub struct Service {
    metrics: Metrics,
    listeners: Listeners,
    grpc: grpc::Server,
    http: HttpServer,
    routes: Routes,
    imap: Imap<LocalStore>,
    pop3: Pop3<LocalStore>,
    store: LocalStore,
    registry: Registry,
    addresses: Addresses,
    drain_timeout: Duration,
}

/// Where the service listens, with the ports that the kernel chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// IMAP with STARTTLS.
    pub imap: Vec<SocketAddr>,
    /// IMAP over TLS.
    pub imaps: Vec<SocketAddr>,
    /// POP3 with STLS.
    pub pop3: Vec<SocketAddr>,
    /// POP3 over TLS.
    pub pop3s: Vec<SocketAddr>,
    /// gRPC.
    pub grpc: SocketAddr,
    /// Metrics and health.
    pub http: SocketAddr,
}

/// Why the service cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The configuration does not fit together.
    #[error(transparent)]
    Config(#[from] ConfigProblem),
    /// A certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The gRPC server cannot be had.
    #[error(transparent)]
    Grpc(#[from] grpc::ServerError),
    /// The mail store cannot be opened.
    #[error("cannot open the mail store: {0}")]
    Store(#[from] StoreError),
    /// Access tokens cannot be asked about.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// Passwords cannot be checked.
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// Why the service ended otherwise than it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The gRPC server failed.
    #[error(transparent)]
    Grpc(#[from] grpc::ServerError),
    /// The mail store takes nothing more until it is opened anew: whoever runs the service should start it again.
    #[error("the mail store has failed, start the service again: {0}")]
    StoreFailed(StoreError),
    /// The mail store could not be closed; the next start replays what is missing.
    #[error("cannot close the mail store: {0}")]
    Store(#[from] StoreError),
}

/// Opens the store and binds every listener. What can be loaded again is registered with `reload`.
pub async fn build(config: Config, mut registry: Registry, reload: &Reload) -> Result<Service, BuildError> {
    config.validate()?;
    let identity = |tls| PublicIdentity::with_clients(tls, config.client_ca());
    let tls = config.tls.as_ref().map(identity).transpose()?;
    let tokens = config.oauth.as_ref().map(Tokens::new).transpose()?;
    let identity = grpc::identity(&config.grpc)?;
    // Ports first: a second process must fail on them before it touches the store.
    let listen_metrics = ListenMetrics::register(&mut registry);
    let listeners = Listeners::bind(&config, &listen_metrics)?;
    let grpc = grpc::Server::bind(&config.grpc, identity.clone(), &listen_metrics)?;
    let http = HttpServer::bind(&config.http, &listen_metrics)?;
    let addresses = listeners.addresses(&grpc, &http);

    let metrics = Metrics::register(&mut registry);
    let store = open_store(&config).await?;
    let decoy = Decoy::load(&config.data_dir).map_err(|error| AuthError::Unavailable(error.to_string()))?;
    let mut authenticator = Authenticator::new(store.clone(), &config.passwords, &config.sasl, decoy)?;
    if let Some(tokens) = tokens {
        authenticator = authenticator.taking(tokens);
    }
    if let Some(certificates) = &config.client_certificates {
        authenticator = authenticator.mapping(&certificates.accounts);
    }
    let recipients = Recipients::new(store.clone(), &config.postmaster).map_err(ConfigProblem::Postmaster)?;
    let recipients = recipients.separated_by(&config.subaddress.separator);
    let acceptor = tls.as_ref().map(PublicIdentity::acceptor);

    let delivery = DeliveryService::new(store.clone(), recipients.clone(), &config.limits, metrics.clone())
        .into_detail_folders(config.subaddress.folders);
    let full_text = if config.search.index {
        FullText::start(config.data_dir.join("search"), store.clone())
    } else {
        FullText::off()
    };
    let directory = DirectoryService::new(store.clone(), recipients, authenticator.clone(), metrics.clone())
        .searched_by(full_text.clone());
    let routes = Routes::new(DeliveryServer::new(delivery))
        .add_service(DirectoryServer::new(directory))
        .add_service(MailboxServer::new(MailboxService::new(store.clone(), *config.limits.message_size)))
        .add_service(StoreServer::new(StoreService::new(store.clone())));
    let imap = Imap::new(
        store.clone(),
        authenticator.clone(),
        imap::Options {
            hostname: config.hostname.clone(),
            plaintext_auth: config.plaintext_auth,
            limits: config.limits.clone(),
            tls: acceptor.clone(),
            hide: config.imap_hide,
            full_text,
            metrics: metrics.clone(),
        },
    );
    let pop3 = Pop3::new(
        store.clone(),
        authenticator,
        pop3::Options {
            hostname: config.hostname,
            plaintext_auth: config.plaintext_auth,
            limits: config.limits,
            maildrop: config.maildrop,
            tls: acceptor,
            metrics: metrics.clone(),
        },
    );
    if let Some(identity) = tls {
        reload.on("certificate for mail clients", move || identity.reload());
    }
    if let Some(identity) = identity {
        reload.on("certificate for other services", move || identity.reload());
    }
    let drain_timeout = *config.runtime.drain_timeout;
    Ok(Service {
        metrics,
        listeners,
        grpc,
        http,
        routes,
        imap,
        pop3,
        store,
        registry,
        addresses,
        drain_timeout,
    })
}

/// Blocks for as long as the journal's end is replayed, so not on a thread of the runtime.
async fn open_store(config: &Config) -> Result<LocalStore, StoreError> {
    let config = config.store_config();
    let opened = tokio::task::spawn_blocking(move || LocalStore::open(config)).await;
    let (store, _) = opened.unwrap_or_else(|error| Err(StoreError::Closed(error.to_string())))?;
    Ok(store)
}

/// Who may call what, as documented in the contracts.
fn access() -> Access {
    const OPERATOR: &[Role] = &[Role::Operator];
    Access::new([
        ("/waypost.mda.v1.Delivery/Deliver", &[Role::Mta][..]),
        ("/waypost.mda.v1.Directory/Resolve", &[Role::Msa, Role::Mta, Role::Operator]),
        ("/waypost.mda.v1.Directory/Authenticate", &[Role::Msa, Role::Operator]),
        ("/waypost.mda.v1.Directory/ListMechanisms", &[Role::Msa]),
        ("/waypost.mda.v1.Directory/Sasl", &[Role::Msa]),
        ("/waypost.mda.v1.Directory/CreateAccount", OPERATOR),
        ("/waypost.mda.v1.Directory/ListAccounts", OPERATOR),
        ("/waypost.mda.v1.Directory/SetPassword", OPERATOR),
        ("/waypost.mda.v1.Directory/AddAppPassword", OPERATOR),
        ("/waypost.mda.v1.Directory/ListAppPasswords", OPERATOR),
        ("/waypost.mda.v1.Directory/RemoveAppPassword", OPERATOR),
        ("/waypost.mda.v1.Directory/RemoveAccount", OPERATOR),
        ("/waypost.mda.v1.Directory/SetQuota", OPERATOR),
        ("/waypost.mda.v1.Directory/SetDomainQuota", OPERATOR),
        ("/waypost.mda.v1.Directory/ListDomains", OPERATOR),
        ("/waypost.mda.v1.Directory/AddDomain", OPERATOR),
        ("/waypost.mda.v1.Directory/PutAlias", OPERATOR),
        ("/waypost.mda.v1.Directory/RemoveAlias", OPERATOR),
        ("/waypost.mda.v1.Directory/ListAliases", OPERATOR),
        ("/waypost.mda.v1.Mailbox/List", OPERATOR),
        ("/waypost.mda.v1.Mailbox/Status", OPERATOR),
        ("/waypost.mda.v1.Mailbox/Locate", OPERATOR),
        ("/waypost.mda.v1.Mailbox/ListGrants", OPERATOR),
        ("/waypost.mda.v1.Mailbox/SetGrant", OPERATOR),
        ("/waypost.mda.v1.Mailbox/ListExpunged", OPERATOR),
        ("/waypost.mda.v1.Mailbox/Undelete", OPERATOR),
        ("/waypost.mda.v1.Mailbox/SetRetention", OPERATOR),
        ("/waypost.mda.v1.Mailbox/Export", OPERATOR),
        ("/waypost.mda.v1.Mailbox/Import", OPERATOR),
        ("/waypost.mda.v1.Store/Check", OPERATOR),
        ("/waypost.mda.v1.Store/Backup", OPERATOR),
    ])
}

impl Service {
    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Which services are serving; all are, from [`Service::run`] on until the shutdown starts.
    pub fn health(&self) -> Health {
        self.grpc.health()
    }

    /// Serves until the shutdown starts, or the store fails; then lets calls and sessions end, for so long as `runtime.drain_timeout` allows,
    /// and closes the store.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), RunError> {
        let Self {
            metrics,
            listeners,
            grpc,
            http,
            routes,
            imap,
            pop3,
            store,
            registry,
            addresses,
            drain_timeout,
        } = self;
        let health = grpc.health();
        for service in ["", DELIVERY, DIRECTORY, MAILBOX, STORE] {
            health.set_serving(service, true);
        }
        info!(?addresses, "serving");
        let readiness = Arc::new(move || health.is_serving(""));
        // Of their own, because whoever runs this may wait for it as one of the shutdown's tasks.
        let sessions = Shutdown::new();
        let (served, (), (), (), (), failed) = tokio::join!(
            async {
                let served = grpc.serve(routes, access(), &shutdown).await;
                // If it failed, the rest is of no use without it.
                shutdown.start();
                served
            },
            http.serve(Arc::new(registry), readiness, &shutdown),
            listeners.serve(imap, Arc::new(pop3), &sessions),
            async {
                shutdown.started().await;
                end_sessions(&sessions, drain_timeout).await;
            },
            sweeper::run(store.clone(), metrics, &shutdown),
            watch_store(&store, &shutdown),
        );
        if let Err(error) = failed {
            // What made it fail may keep it from closing, too. The next start makes its rows from the journal.
            let _ = timeout(CLOSING_WHAT_FAILED, store.close()).await;
            return Err(error);
        }
        store.close().await?;
        Ok(served?)
    }
}

/// How long a store that has failed may take to close.
const CLOSING_WHAT_FAILED: Duration = Duration::from_secs(5);

/// A store that has failed refuses all mail until it is opened anew: the service ends rather than stand in the way of
/// one that works.
async fn watch_store(store: &LocalStore, shutdown: &Shutdown) -> Result<(), RunError> {
    tokio::select! {
        biased;
        () = shutdown.started() => Ok(()),
        reason = store.failed() => {
            error!(%reason, "the mail store has failed: the service ends, to be started again");
            shutdown.start();
            Err(RunError::StoreFailed(reason))
        }
    }
}

/// Lets sessions of mail clients end, and leaves a quarter of the time for closing the store.
async fn end_sessions(sessions: &Shutdown, drain_timeout: Duration) {
    if let Drained::CutOff(sessions) = sessions.graceful(drain_timeout * 3 / 4).await {
        warn!(sessions, "the drain's time is up: sessions were cut off");
    }
}

const DELIVERY: &str = "waypost.mda.v1.Delivery";
const DIRECTORY: &str = "waypost.mda.v1.Directory";
const MAILBOX: &str = "waypost.mda.v1.Mailbox";
const STORE: &str = "waypost.mda.v1.Store";
