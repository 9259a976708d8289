//! The server: one listener, mutual TLS, a table of who may call what, health and reflection.
//!
//! ```text
//! accept → TLS handshake (concurrent, timed) → role of the certificate → access table → the service
//! ```

mod accept;
mod access;
mod health;
mod peer;

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tracing::warn;

pub use access::Access;
pub use health::Health;
pub use peer::Peer;

use super::{CONNECTION_WINDOW, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, STREAM_WINDOW};
use crate::{
    config::GrpcConfig,
    drain::Shutdown,
    listen::{ListenError, ListenMetrics, bind},
    tls::{PeerIdentity, TlsError},
};

/// Why the gRPC server cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken, or not allowed.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The identity is of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Plaintext is not configured, or for an address that others can reach.
    #[error("gRPC in plaintext needs grpc.plaintext_on_loopback and a loopback address; grpc.listen is {0}")]
    Plaintext(SocketAddr),
    /// The descriptors for reflection cannot be read.
    #[error("cannot serve reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The server failed as a whole.
    #[error("gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// A bound gRPC server.
#[derive(Debug)]
pub struct Server {
    socket: tokio::net::TcpListener,
    address: SocketAddr,
    config: GrpcConfig,
    identity: Option<PeerIdentity>,
    metrics: ListenMetrics,
    health: Health,
}

impl Server {
    /// Binds `config.listen`. Without an identity the configuration must allow plaintext, see [`identity`].
    pub fn bind(
        config: &GrpcConfig,
        identity: Option<PeerIdentity>,
        metrics: &ListenMetrics,
    ) -> Result<Self, ServerError> {
        let plaintext_allowed = config.plaintext_on_loopback && config.listen.ip().is_loopback();
        if identity.is_none() && !plaintext_allowed {
            return Err(ServerError::Plaintext(config.listen));
        }
        let socket = bind(config.listen)?;
        let address = socket.local_addr().map_err(|error| ListenError { address: config.listen, error })?;
        Ok(Self {
            socket,
            address,
            config: config.clone(),
            identity,
            metrics: metrics.clone(),
            health: Health::new(),
        })
    }

    /// Where it listens, with the port that the kernel chose.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// The handle that says which services are serving.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Serves until the shutdown starts, then reports NOT_SERVING, lets running calls end within
    /// `config.drain_timeout`, and returns.
    ///
    /// `access` lists every RPC of `routes`; what it does not list cannot be called. Health and reflection are added
    /// here. The services in `access` are known to health as NOT_SERVING until [`Health::set_serving`].
    pub async fn serve(self, routes: Routes, access: Access, shutdown: &Shutdown) -> Result<(), ServerError> {
        let Self { socket, address, config, identity, metrics, health } = self;
        let services = access.services();
        let routes = with_standard_services(routes, &health, &services)?;
        health.know(services);
        let (accepted, incoming) = mpsc::channel(1);
        let accepting = async {
            accept::accept_peers(socket, &config, identity, metrics, accepted, shutdown).await;
            health.drain();
        };
        let serving = tonic::transport::Server::builder()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .max_concurrent_streams(config.max_concurrent_streams)
            .layer(access.layer())
            .add_routes(routes)
            .serve_with_incoming_shutdown(ReceiverStream::new(incoming), shutdown.started());
        let bounded = async {
            tokio::select! {
                served = serving => served.map_err(ServerError::from),
                () = time_is_up(shutdown, *config.drain_timeout) => {
                    warn!(address = %address, "gRPC calls were cut off by the end of the drain");
                    Ok(())
                }
            }
        };
        let ((), served) = tokio::join!(accepting, bounded);
        served
    }
}

/// The identity that the `[grpc]` section asks for: none if it says plaintext on loopback.
pub fn identity(config: &GrpcConfig) -> Result<Option<PeerIdentity>, ServerError> {
    if !config.plaintext_on_loopback {
        return Ok(Some(PeerIdentity::load(config)?));
    }
    if config.listen.ip().is_loopback() {
        return Ok(None);
    }
    Err(ServerError::Plaintext(config.listen))
}

fn with_standard_services(
    routes: Routes,
    health: &Health,
    services: &BTreeSet<&'static str>,
) -> Result<Routes, ServerError> {
    let reflection = || {
        let contracts = tonic_reflection::server::Builder::configure()
            .include_reflection_service(false)
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET);
        // The contracts describe all services; a server lists those that it serves.
        services
            .iter()
            .chain(&access::OPEN_SERVICES)
            .fold(contracts, |builder, name| builder.with_service_name(*name))
    };
    Ok(routes
        .add_service(health.service())
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?))
}

async fn time_is_up(shutdown: &Shutdown, timeout: Duration) {
    shutdown.started().await;
    tokio::time::sleep(timeout).await;
}
