//! POP3 (RFC 1939): a maildrop is listed, read and emptied, one session at a time.
//!
//! ```text
//! octets → line → command → session → action → connection (TLS, store, timeouts)
//! ```
//! All but the last is a state machine without I/O.

use std::{io, net::SocketAddr};

use service::{
    drain::Shutdown,
    listen::Permit,
    tls::{Accepted, Acceptor},
};
use tokio::{net::TcpStream, time::timeout};
use tracing::debug;

use self::{
    connection::{Connection, End},
    lock::Locks,
    session::{Policy, Session},
};
use crate::{
    auth::{Authenticator, Client, Tls},
    config::{Limits, MaildropConfig, PlaintextAuth},
    metrics::{Metrics, Protocol},
    store::MailStore,
    strangers::Strangers,
};

mod command;
mod connection;
mod line;
mod lock;
mod maildrop;
mod multiline;
mod reader;
mod session;

#[cfg(test)]
mod tests;

/// Reads all that a client sends, in pieces of so many octets, for fuzzing.
pub(crate) fn read(input: &[u8], piece: usize) {
    let mut lines = line::Lines::default();
    for piece in input.chunks(piece) {
        lines.push(piece);
        while let Some(line) = lines.next() {
            if let line::Line::Whole(line) = line {
                let _ = command::Command::parse(line);
            }
        }
    }
}

/// What a client beyond the limit of connections is told.
pub(crate) const BUSY_REPLY: &[u8] = b"-ERR [SYS/TEMP] too many connections, try again later\r\n";

/// Serves POP3 on connections that someone else accepts.
pub(crate) struct Pop3<S> {
    store: S,
    authenticator: Authenticator,
    options: Options,
    locks: Locks,
    strangers: Strangers,
}

/// What POP3 is set up with.
pub(crate) struct Options {
    /// In the greeting.
    pub(crate) hostname: String,
    /// May passwords travel in clear?
    pub(crate) plaintext_auth: PlaintextAuth,
    /// What a client may take.
    pub(crate) limits: Limits,
    /// How maildrops are served.
    pub(crate) maildrop: MaildropConfig,
    /// For STLS, and for connections under TLS from the first octet.
    pub(crate) tls: Option<Acceptor>,
    pub(crate) metrics: Metrics,
}

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// In clear, port 110.
    Plain,
    /// With a TLS handshake, port 995.
    ImplicitTls,
}

impl<S: MailStore> Pop3<S> {
    pub(crate) fn new(store: S, authenticator: Authenticator, options: Options) -> Self {
        let strangers = Strangers::new(&options.limits);
        Self { store, authenticator, options, locks: Locks::default(), strangers }
    }

    /// Runs a connection to its end.
    pub(crate) async fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        beginning: Beginning,
        shutdown: &Shutdown,
    ) {
        let Ok(stranger) = self.strangers.admit(peer.ip()) else {
            if beginning == Beginning::Plain {
                // Nobody waits until it can be sent.
                let _ = stream.try_write(BUSY_REPLY);
            }
            return;
        };
        let served = match beginning {
            Beginning::Plain => self.clear(stream, peer, shutdown, stranger).await,
            Beginning::ImplicitTls => self.secret(stream, peer, shutdown, stranger).await,
        };
        match served {
            Ok(()) => debug!(%peer, "pop3 session ended"),
            Err(error) => debug!(%peer, %error, "pop3 session broke off"),
        }
    }

    async fn secret(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        shutdown: &Shutdown,
        stranger: Option<Permit>,
    ) -> io::Result<()> {
        let accepted = self.handshake(stream).await?;
        let client = Client { tls: Some(Tls::from(&accepted)), ..client(peer) };
        let session = Session::new(self.policy(peer), true, self.authenticator.mechanisms(&client));
        let mut connection = Connection::new(self, accepted.stream, session, client, peer, shutdown);
        connection.stranger = stranger;
        connection.greet();
        connection.run().await.map(|_| ())
    }

    async fn clear(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        shutdown: &Shutdown,
        stranger: Option<Permit>,
    ) -> io::Result<()> {
        let client = client(peer);
        let session = Session::new(self.policy(peer), false, self.authenticator.mechanisms(&client));
        let mut connection = Connection::new(self, stream, session, client, peer, shutdown);
        connection.stranger = stranger;
        connection.greet();
        match connection.run().await? {
            End::Closed => Ok(()),
            End::StartTls => {
                let stranger = connection.stranger.take();
                let (stream, mut session, client) = connection.into_parts();
                let accepted = self.handshake(stream).await?;
                let client = Client { tls: Some(Tls::from(&accepted)), ..client };
                session.secured(self.authenticator.mechanisms(&client));
                let mut connection = Connection::new(self, accepted.stream, session, client, peer, shutdown);
                connection.stranger = stranger;
                connection.run().await.map(|_| ())
            }
        }
    }

    async fn handshake(&self, stream: TcpStream) -> io::Result<Accepted<TcpStream>> {
        let acceptor =
            self.options.tls.as_ref().ok_or_else(|| io::Error::other("there is no certificate"))?;
        // No one has logged in: the time for that counts.
        timeout(*self.options.limits.login_timeout, acceptor.accept(stream)).await?
    }

    fn policy(&self, peer: SocketAddr) -> Policy {
        Policy {
            tls_available: self.options.tls.is_some(),
            plaintext_auth: self.options.plaintext_auth.allows(false, peer),
            max_errors: self.options.limits.session_errors,
            login_delay: *self.options.maildrop.login_delay,
            strict_utf8: self.options.maildrop.strict_utf8,
        }
    }
}

/// A client that is not under TLS yet.
fn client(peer: SocketAddr) -> Client {
    Client { address: Some(peer.ip()), protocol: Protocol::Pop3, tls: None }
}
