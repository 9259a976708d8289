//! POP3 (RFC 1939): a maildrop is listed, read and emptied, one session at a time.
//!
//! ```text
//! octets → line → command → session → action → connection (TLS, store, timeouts)
//! ```
//! All but the last is a state machine without I/O.

use std::{io, net::SocketAddr, sync::Arc};

use service::drain::Shutdown;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use self::{
    connection::{Connection, End},
    lock::Locks,
    session::{Policy, Session},
};
use crate::{
    auth::Authenticator,
    config::{Limits, PlaintextAuth},
    metrics::Metrics,
    store::MailStore,
};

mod command;
mod connection;
mod line;
mod lock;
mod maildrop;
mod multiline;
mod session;

#[cfg(test)]
mod tests;

/// What a client beyond the limit of connections is told.
pub(crate) const BUSY_REPLY: &[u8] = b"-ERR [SYS/TEMP] too many connections, try again later\r\n";

/// Serves POP3 on connections that someone else accepts.
pub(crate) struct Pop3<S> {
    pub(crate) hostname: String,
    pub(crate) store: S,
    pub(crate) authenticator: Authenticator,
    /// Without it there is no STLS, and no POP3 over TLS.
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) plaintext_auth: PlaintextAuth,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) locks: Locks,
    pub(crate) shutdown: Shutdown,
}

impl<S: MailStore> Pop3<S> {
    /// Serves a connection to the port with STLS, to its end.
    pub(crate) async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let served = self.clear(stream, peer).await;
        note_end(peer, &served);
    }

    /// Serves a connection to the port for POP3 over TLS, to its end.
    pub(crate) async fn serve_tls(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let session = Session::new(self.policy(peer), true);
        let served = match self.handshake(stream).await {
            Ok(stream) => self.session(stream, session, peer, true).await.map(|_| ()),
            Err(error) => Err(error),
        };
        note_end(peer, &served);
    }

    async fn clear(&self, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let session = Session::new(self.policy(peer), false);
        let Some((stream, mut session)) = self.session(stream, session, peer, true).await? else { return Ok(()) };
        let stream = self.handshake(stream).await?;
        session.secured();
        self.session(stream, session, peer, false).await.map(|_| ())
    }

    /// Speaks until the session ends, or until TLS is to begin.
    async fn session<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: T,
        session: Session,
        peer: SocketAddr,
        greet: bool,
    ) -> io::Result<Option<(T, Session)>> {
        let mut connection = Connection::new(self, stream, session, peer);
        if greet {
            connection.greet();
        }
        match connection.run().await? {
            End::Closed => Ok(None),
            End::StartTls => Ok(Some(connection.into_parts())),
        }
    }

    async fn handshake(&self, stream: TcpStream) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
        let acceptor = self.tls.as_ref().ok_or_else(|| io::Error::other("there is no certificate"))?;
        // No one has logged in: the time for that counts.
        timeout(*self.limits.login_timeout, acceptor.accept(stream)).await?
    }

    fn policy(&self, peer: SocketAddr) -> Policy {
        Policy {
            tls_available: self.tls.is_some(),
            plaintext_auth: self.plaintext_auth.allows(peer),
            max_errors: self.limits.session_errors,
        }
    }
}

fn note_end(peer: SocketAddr, served: &io::Result<()>) {
    match served {
        Ok(()) => debug!(%peer, "pop3 session ended"),
        Err(error) => debug!(%peer, %error, "pop3 session broke off"),
    }
}
