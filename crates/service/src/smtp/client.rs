//! The client's driver: a connection to one server, and messages over it.

use std::io;
use std::net::SocketAddr;

use ::smtp::client::{Envelope, Event, Failure, Outcome, Session, Stage, StartTls};
use ::smtp::{Extensions, Reply};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::TlsFacts;

mod clock;
mod dial;
mod error;
mod exchange;
#[cfg(test)]
mod tests;
mod timeouts;
mod transport;

use clock::Clock;
pub use dial::{Dialled, Target, dial};
pub use error::ConnectError;
use error::lost;
pub use timeouts::Timeouts;
use transport::Transport;

/// Octets of a message that gather before they are written.
const WRITE_SIZE: usize = 64 * 1024;

/// How to connect.
#[derive(Clone)]
pub struct Options {
    /// What to say: EHLO, STARTTLS, AUTH.
    pub session: ::smtp::client::Options,
    /// TLS, without which there is no STARTTLS either.
    pub tls: Option<Tls>,
    /// How long things may take.
    pub timeouts: Timeouts,
}

/// TLS towards a server.
#[derive(Clone)]
pub struct Tls {
    /// Decides who is trusted, if that is checked at all.
    pub connector: TlsConnector,
    /// The name that the certificate has to be for.
    pub server_name: ServerName<'static>,
    /// TLS from the start (RFC 8314) in place of STARTTLS.
    pub implicit: bool,
}

/// A connection to a server, on which messages can be sent one after the other.
pub struct Connection<S = TcpStream> {
    stream: Transport<S>,
    session: Session,
    tls: Option<TlsFacts>,
    timeouts: Timeouts,
    clock: Clock,
}

impl Connection {
    /// Connects to `address` and goes as far as that a message can be sent.
    ///
    /// # Errors
    /// Behind [`ConnectError::Tls`], a caller to whom TLS is welcome but not needed connects again with
    /// [`StartTls::Never`]; this connection can no longer be used in clear.
    pub async fn connect(address: SocketAddr, options: &Options) -> Result<Self, ConnectError> {
        let target = Target { address, source: None };
        let Dialled { connected, mut failed } = dial(&[target], *options.timeouts.connect).await;
        let Some((_, stream)) = connected else {
            let error = failed.pop().map_or(io::ErrorKind::TimedOut.into(), |(_, error)| error);
            return Err(ConnectError::Connect(error));
        };
        Self::over(stream, options).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    /// Like [`Connection::connect`], over a stream that is there already.
    ///
    /// # Errors
    /// As [`Connection::connect`].
    pub async fn over(stream: S, options: &Options) -> Result<Self, ConnectError> {
        let mut session_options = options.session.clone();
        let implicit = options.tls.as_ref().is_some_and(|tls| tls.implicit);
        if implicit || options.tls.is_none() && session_options.start_tls == StartTls::Opportunistic {
            session_options.start_tls = StartTls::Never;
        }
        let mut connection = Self {
            stream: Transport::Plain(stream),
            session: Session::new(session_options, implicit),
            tls: None,
            timeouts: options.timeouts,
            clock: Clock::new(options.timeouts, Instant::now()),
        };
        if implicit {
            connection = connection.handshake(options.tls.as_ref()).await?;
        }
        loop {
            match connection.next().await {
                Event::StartTls => {
                    connection = connection.handshake(options.tls.as_ref()).await?;
                    connection.session.tls_established();
                }
                Event::Failed(failure) => return Err(ConnectError::Session(failure)),
                _ => return Ok(connection),
            }
        }
    }

    /// What the server offers.
    pub fn extensions(&self) -> &Extensions {
        self.session.extensions()
    }

    /// What the server said first.
    pub fn greeting(&self) -> Option<&Reply> {
        self.session.greeting()
    }

    /// TLS, if it is in use.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    /// Why the server would not begin TLS, if it offered to and did not.
    pub fn start_tls_refusal(&self) -> Option<&Reply> {
        self.session.start_tls_refusal()
    }

    /// Whether another message can be sent.
    pub fn is_ready(&self) -> bool {
        self.session.is_ready() && self.session.has_room()
    }

    /// Sends a message, and says what became of it for each recipient of `envelope`, in their order.
    ///
    /// `body` is the message without dot-stuffing; it is only read if a recipient was accepted. An error of it breaks
    /// the connection, so that the server does not take half a message for a whole one. So does dropping the future.
    pub async fn send<B>(&mut self, envelope: &Envelope, body: B) -> Vec<Outcome>
    where
        B: Stream<Item = io::Result<Bytes>> + Unpin + Send,
    {
        self.transact(envelope, None, body).await
    }

    /// Like [`Connection::send`], with the message in one piece: where the server takes chunks and pipelining, all of it
    /// goes in one breath.
    pub async fn send_whole(&mut self, envelope: &Envelope, message: Bytes) -> Vec<Outcome> {
        let pieces = stream::iter([Ok(message.clone())]);
        self.transact(envelope, Some(message), pieces).await
    }

    /// Asks for each recipient of `envelope`, in their order, whether it would be accepted
    /// ([`Outcome::Delivered`]), and sends no message.
    pub async fn probe(&mut self, envelope: &Envelope) -> Vec<Outcome> {
        let refused = |failure: Failure| vec![Outcome::from(failure); envelope.recipients.len()];
        if !self.is_ready() {
            return refused(Failure::local(Stage::Mail, NOT_READY));
        }
        if let Err(failure) = self.session.probe(envelope) {
            return refused(failure);
        }
        self.clock.begin_transaction(Instant::now());
        match self.next().await {
            Event::Sent(outcomes) => outcomes,
            Event::Failed(failure) => refused(failure),
            _ => refused(Failure::local(Stage::Rcpt, NOT_READY)),
        }
    }

    async fn transact<B>(&mut self, envelope: &Envelope, whole: Option<Bytes>, mut body: B) -> Vec<Outcome>
    where
        B: Stream<Item = io::Result<Bytes>> + Unpin + Send,
    {
        let undelivered = |failure: Failure| vec![Outcome::from(failure); envelope.recipients.len()];
        // A connection whose last message was given up in its middle must not go on with it under another envelope.
        if !self.is_ready() {
            return undelivered(Failure::local(Stage::Mail, NOT_READY));
        }
        let heard = self.hear().await;
        if let Some(failure) = self.session.farewell() {
            return undelivered(failure);
        }
        if let Err(error) = heard {
            let reply = lost(Stage::Mail, &error);
            self.session.disconnected(reply.clone());
            return undelivered(Failure::local(Stage::Mail, reply));
        }
        if let Err(failure) = self.session.begin(envelope, whole) {
            return undelivered(failure);
        }
        self.clock.begin_transaction(Instant::now());
        loop {
            match self.next().await {
                Event::Send => self.send_piece(body.next().await).await,
                Event::Sent(outcomes) => return outcomes,
                Event::Failed(failure) => return undelivered(failure),
                _ => return undelivered(Failure::local(Stage::Mail, NOT_READY)),
            }
        }
    }

    /// Says RSET, to see whether the server is still there before a message is sent on a connection that has waited.
    ///
    /// # Errors
    /// The connection is of no further use.
    pub async fn reset(&mut self) -> Result<(), Failure> {
        self.session.reset();
        match self.next().await {
            Event::Ready => Ok(()),
            Event::Failed(failure) => Err(failure),
            _ => Err(Failure::local(Stage::Reset, NOT_READY)),
        }
    }

    /// Says QUIT and closes the connection.
    pub async fn quit(mut self) {
        self.session.quit();
        self.next().await;
        // The server has answered or is gone: nothing depends on how the connection ends.
        let _ = timeout(*self.timeouts.quit, self.stream.shutdown()).await;
    }

    async fn handshake(self, tls: Option<&Tls>) -> Result<Self, ConnectError> {
        let (Some(tls), Transport::Plain(stream)) = (tls, self.stream) else {
            return Err(ConnectError::Tls(io::Error::other("no TLS is configured")));
        };
        let handshake = timeout(*self.timeouts.tls, tls.connector.connect(tls.server_name.clone(), stream));
        let stream = handshake.await.map_err(io::Error::from).flatten().map_err(ConnectError::Tls)?;
        let facts = TlsFacts::new(stream.get_ref().1, Some(&tls.server_name.to_str()));
        Ok(Self { stream: Transport::Tls(Box::new(stream)), tls: Some(facts), ..self })
    }
}

const NOT_READY: Reply = Reply::fixed(451, 4, 2, "The connection is closed");
