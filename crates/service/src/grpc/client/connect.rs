//! Connecting to one address, and watching whether what is there serves.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tracing::{debug, info};

use super::{ClientError, Target, balance::Pool, member::Member, resolve::Name};
use crate::{
    config::PeerConfig,
    grpc::{CONNECTION_WINDOW, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, STREAM_WINDOW, stream::Wire},
    tls::{PeerIdentity, Role},
};

/// The pauses between attempts to connect grow from the first to the last; a restarted node is found within the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// How any node of a service is connected to.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    target: Target,
    identity: Option<PeerIdentity>,
    server_name: Option<ServerName<'static>>,
    timeout: Duration,
}

/// How one address is connected to.
#[derive(Clone, Debug)]
pub(super) struct AddressConnector {
    common: Connector,
    host: String,
    address: SocketAddr,
}

#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    #[error("plaintext is for loopback addresses only")]
    PlaintextNotLoopback,
    #[error("`{0}` is not a name that a certificate can carry")]
    ServerName(String),
    #[error("the peer's certificate does not name the role {0}")]
    WrongRole(Role),
    #[error(transparent)]
    Transport(#[from] tonic::transport::Error),
}

impl Connector {
    pub(super) fn new(
        config: &PeerConfig,
        target: Target,
        identity: Option<PeerIdentity>,
    ) -> Result<Self, ClientError> {
        let server_name = match &config.server_name {
            Some(name) => {
                Some(ServerName::try_from(name.clone()).map_err(|_| ClientError::ServerName(name.clone()))?)
            }
            None => None,
        };
        Ok(Self { target, identity, server_name, timeout: *config.connect_timeout })
    }

    pub(super) fn to(self, name: &Name, address: SocketAddr) -> AddressConnector {
        AddressConnector { common: self, host: name.host().to_owned(), address }
    }
}

impl AddressConnector {
    /// A channel whose first connection is up.
    async fn channel(&self) -> Result<Channel, ConnectError> {
        let scheme = if self.common.identity.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{}", self.address))?
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let connector = self.clone();
        let connect = tower::service_fn(move |_| {
            let connector = connector.clone();
            async move { connector.connect().await.map(TokioIo::new) }
        });
        Ok(endpoint.connect_with_connector(connect).await?)
    }

    async fn connect(&self) -> Result<Wire, ConnectError> {
        let timeout = self.common.timeout;
        tokio::time::timeout(timeout, self.shake()).await.map_err(|_| ConnectError::Timeout(timeout))?
    }

    async fn shake(&self) -> Result<Wire, ConnectError> {
        let Some(identity) = &self.common.identity else {
            if !self.address.ip().is_loopback() {
                return Err(ConnectError::PlaintextNotLoopback);
            }
            return Ok(Wire::Plain(self.dial().await?));
        };
        let connector = TlsConnector::from(identity.client_config());
        let stream = connector.connect(self.server_name()?, self.dial().await?).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        if certificate.and_then(Role::of_certificate) != Some(self.common.target.role) {
            return Err(ConnectError::WrongRole(self.common.target.role));
        }
        Ok(Wire::ClientTls(Box::new(stream)))
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn server_name(&self) -> Result<ServerName<'static>, ConnectError> {
        match &self.common.server_name {
            Some(name) => Ok(name.clone()),
            None => ServerName::try_from(self.host.clone())
                .map_err(|_| ConnectError::ServerName(self.host.clone())),
        }
    }
}

/// Keeps a member connected and its health known, for ever.
pub(super) async fn supervise(pool: Arc<Pool>, member: Arc<Member>, connector: AddressConnector) {
    let mut pause = FIRST_PAUSE;
    loop {
        match connector.channel().await {
            Ok(channel) => {
                let ended = watch_health(&pool, &member, &channel).await;
                debug!(address = %member.address, ?ended, "health watch ended");
                if member.set_channel(None) {
                    info!(peer = %pool.target.role, name = &*member.name, address = %member.address, "peer lost");
                    pool.lost.notify_one();
                    pause = FIRST_PAUSE;
                }
            }
            Err(error) => {
                let error = with_source(&error);
                debug!(address = %member.address, error, "cannot connect to peer");
            }
        }
        // Jitter, so that many clients do not dial a restarted node in step.
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Offers the channel while the node says that it is serving; returns when the node cannot be heard any more.
async fn watch_health(pool: &Pool, member: &Member, channel: &Channel) -> Result<(), Status> {
    let request = HealthCheckRequest { service: pool.target.service.to_owned() };
    let mut statuses = HealthClient::new(channel.clone()).watch(request).await?.into_inner();
    while let Some(response) = statuses.message().await? {
        let serving = response.status() == ServingStatus::Serving;
        if member.set_channel(serving.then(|| channel.clone())) {
            info!(peer = %pool.target.role, name = &*member.name, address = %member.address, serving, "peer's health");
        }
        if serving {
            pool.announce_healthy();
        }
    }
    Ok(())
}

/// tonic's errors say what failed only in their source.
fn with_source(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
