//! From the socket to a peer with a role.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::Peer;
use crate::{
    config::GrpcConfig,
    drain::Shutdown,
    grpc::stream::{PeerStream, Wire},
    listen::{Acceptor, ListenMetrics},
    tls::{PeerIdentity, Role, subject},
};

/// A connection and its share of the limit.
pub(super) type Accepted = PeerStream<OwnedSemaphorePermit>;

/// Accepts connections and shakes hands with each in a task of its own, so that a slow peer delays nobody.
/// Beyond `max_connections` none is accepted until one ends: peers wait in the kernel's backlog.
pub(super) async fn accept_peers(
    socket: TcpListener,
    config: &GrpcConfig,
    identity: Option<PeerIdentity>,
    metrics: ListenMetrics,
    accepted: mpsc::Sender<Result<Accepted, Infallible>>,
    shutdown: &Shutdown,
) {
    let limit = Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS)));
    let mut acceptor = Acceptor::new("grpc", b"", metrics);
    let accepting = async {
        // The semaphore is never closed.
        while let Ok(permit) = limit.clone().acquire_owned().await {
            let Some((stream, address)) = acceptor.next(&socket).await else { continue };
            let handshake = Handshake {
                identity: identity.clone(),
                plaintext_role: config.plaintext_role,
                timeout: *config.handshake_timeout,
            };
            let (accepted, patience) = (accepted.clone(), handshake.timeout);
            tokio::spawn(async move {
                if let Some((wire, peer)) = handshake.shake(stream, address).await {
                    // Fails only once the server has stopped.
                    let _ = accepted.send(Ok(PeerStream::new(wire, peer, patience, permit))).await;
                }
            });
        }
    };
    tokio::select! {
        biased;
        () = shutdown.started() => {}
        () = accepting => {}
    }
}

struct Handshake {
    /// None: plaintext.
    identity: Option<PeerIdentity>,
    plaintext_role: Role,
    timeout: Duration,
}

impl Handshake {
    /// The peer, if it is one that the pipeline knows.
    async fn shake(&self, stream: TcpStream, address: SocketAddr) -> Option<(Wire, Peer)> {
        let Some(identity) = &self.identity else {
            let peer = Peer { role: self.plaintext_role, address, subject: Arc::default() };
            return Some((Wire::Plain(stream), peer));
        };
        let acceptor = TlsAcceptor::from(identity.server_config());
        let stream = match tokio::time::timeout(self.timeout, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                debug!(%address, %error, "gRPC handshake failed");
                return None;
            }
            Err(_) => {
                debug!(%address, "gRPC handshake timed out");
                return None;
            }
        };
        // The verifier asks for a certificate, so there is one.
        let certificate = stream.get_ref().1.peer_certificates()?.first()?;
        let subject = subject(certificate);
        let Some(role) = Role::of_certificate(certificate) else {
            warn!(%address, subject, "gRPC peer refused: its certificate names no role");
            return None;
        };
        let peer = Peer { role, address, subject: subject.into() };
        Some((Wire::ServerTls(Box::new(stream)), peer))
    }
}
