//! The client's driver: a connection to one server, and messages over it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ::smtp::client::{Envelope, Event, Failure, Outcome, Session, Stage, StartTls};
use ::smtp::{Extensions, Reply};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::{TlsFacts, minutes, read_now};

#[cfg(test)]
mod tests;
mod transport;

use transport::Transport;

/// Octets that one read asks for: replies are short.
const READ_SIZE: usize = 4 * 1024;
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

/// How long to wait for a server (RFC 5321 §4.5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The TCP connection.
    pub connect: Duration,
    /// The greeting.
    pub greeting: Duration,
    /// The replies to EHLO, HELO and STARTTLS, those of AUTH, and the TLS handshake.
    pub hello: Duration,
    /// The reply to MAIL, and to RSET.
    pub mail: Duration,
    /// The reply to RCPT.
    pub rcpt: Duration,
    /// The reply to DATA.
    pub data: Duration,
    /// A piece of the message to leave.
    pub block: Duration,
    /// The reply to the message. To give up too early is to send it twice.
    pub end: Duration,
    /// The reply to QUIT, of which nobody needs to know.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: minutes(1),
            greeting: minutes(5),
            hello: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            block: minutes(3),
            end: minutes(10),
            quit: Duration::from_secs(5),
        }
    }
}

impl Timeouts {
    fn of(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Connect => self.connect,
            Stage::Greeting => self.greeting,
            Stage::Hello | Stage::StartTls | Stage::Auth => self.hello,
            Stage::Mail | Stage::Reset => self.mail,
            Stage::Rcpt => self.rcpt,
            Stage::Data => self.data,
            Stage::Body => self.block,
            Stage::End => self.end,
            Stage::Quit => self.quit,
        }
    }
}

/// A connection to a server, on which messages can be sent one after the other.
pub struct Connection<S = TcpStream> {
    stream: Transport<S>,
    session: Session,
    tls: Option<TlsFacts>,
    timeouts: Timeouts,
    /// Which reply is waited for, and until when.
    awaited: Option<((Stage, u64), Instant)>,
}

impl Connection {
    /// Connects to `address` and goes as far as that a message can be sent.
    ///
    /// # Errors
    /// Behind [`ConnectError::Tls`], a caller to whom TLS is welcome but not needed connects again with
    /// [`StartTls::Never`]; this connection can no longer be used in clear.
    pub async fn connect(address: SocketAddr, options: &Options) -> Result<Self, ConnectError> {
        let stream = timeout(options.timeouts.connect, TcpStream::connect(address));
        let stream = stream.await.map_err(io::Error::from).flatten().map_err(ConnectError::Connect)?;
        // Commands are small and wait for their replies.
        stream.set_nodelay(true).map_err(ConnectError::Connect)?;
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
            awaited: None,
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
        self.session.is_ready()
    }

    /// Sends a message, and says what became of it for each recipient of `envelope`, in their order.
    ///
    /// `body` is the message without dot-stuffing; it is only read if a recipient was accepted. An error of it breaks
    /// the connection, so that the server does not take half a message for a whole one. So does dropping the future.
    pub async fn send<B>(&mut self, envelope: &Envelope, mut body: B) -> Vec<Outcome>
    where
        B: Stream<Item = io::Result<Bytes>> + Unpin + Send,
    {
        let undelivered = |failure: Failure| vec![Outcome::from(failure); envelope.recipients.len()];
        // A connection whose last message was given up in its middle must not go on with it under another envelope.
        if !self.is_ready() {
            return undelivered(Failure::local(Stage::Mail, NOT_READY));
        }
        if let Err(failure) = self.session.begin(envelope) {
            return undelivered(failure);
        }
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
        let _ = timeout(self.timeouts.quit, self.stream.shutdown()).await;
    }

    /// Goes on until there is more to do than to write and to read.
    async fn next(&mut self) -> Event {
        loop {
            match self.session.poll() {
                Event::Wait(stage) => self.exchange(stage).await,
                event => return event,
            }
        }
    }

    /// Writes what is due and reads what comes.
    async fn exchange(&mut self, stage: Stage) {
        if let Err(error) = self.write_commands(stage).await {
            self.session.disconnected(lost(stage, &error));
            return;
        }
        let limit = self.deadline(stage);
        let input = self.session.input();
        input.reserve(READ_SIZE);
        let read = timeout_at(limit, self.stream.read_buf(input)).await.map_err(io::Error::from).flatten();
        match read {
            Ok(0) => self.session.disconnected(lost(stage, &io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) => self.session.disconnected(lost(stage, &error)),
        }
    }

    /// A server that closes may have said why before it did: whether it lives, the next read will tell.
    ///
    /// # Errors
    /// The server did not take it in time. Half a command may have left, so nothing may follow it.
    async fn write_commands(&mut self, stage: Stage) -> io::Result<()> {
        let (stream, output) = (&mut self.stream, self.session.output());
        if output.is_empty() {
            return Ok(());
        }
        let written = timeout(self.timeouts.of(stage), async {
            stream.write_all(output).await?;
            stream.flush().await
        });
        let written = written.await.map_err(io::Error::from).flatten();
        output.clear();
        self.awaited = None;
        written.or_else(|error| if error.kind() == io::ErrorKind::TimedOut { Err(error) } else { Ok(()) })
    }

    /// Until when to wait. Each reply has its time, and a server that sends it octet by octet has no more.
    fn deadline(&mut self, stage: Stage) -> Instant {
        let awaited = (stage, self.session.replies());
        match self.awaited {
            Some((same, deadline)) if same == awaited => deadline,
            _ => {
                let deadline = Instant::now() + self.timeouts.of(stage);
                self.awaited = Some((awaited, deadline));
                deadline
            }
        }
    }

    /// Sends a piece of the message, or its end.
    async fn send_piece(&mut self, piece: Option<io::Result<Bytes>>) {
        match piece {
            None => self.session.finish(),
            Some(Ok(piece)) => {
                self.session.send(&piece);
                if self.session.output().len() >= WRITE_SIZE {
                    self.write_message().await;
                }
            }
            Some(Err(error)) => {
                let reply = Reply::new(451, 3, 0, format!("The message cannot be read: {error}"));
                self.session.disconnected(reply);
            }
        }
    }

    async fn write_message(&mut self) {
        let (stream, output) = (&mut self.stream, self.session.output());
        let written = timeout(self.timeouts.block, stream.write_all(output));
        let written = written.await.map_err(io::Error::from).flatten();
        output.clear();
        // Replies that come while the message is sent: to chunks, or to say that there is no point in sending more.
        read_now(&mut self.stream, self.session.input()).await;
        // What was not taken in time left in part: behind that nothing may follow, whatever the server says.
        if let Err(error) = written
            && (error.kind() == io::ErrorKind::TimedOut || self.session.input().is_empty())
        {
            self.session.disconnected(lost(Stage::Body, &error));
        }
    }

    async fn handshake(self, tls: Option<&Tls>) -> Result<Self, ConnectError> {
        let (Some(tls), Transport::Plain(stream)) = (tls, self.stream) else {
            return Err(ConnectError::Tls(io::Error::other("no TLS is configured")));
        };
        let handshake = timeout(self.timeouts.hello, tls.connector.connect(tls.server_name.clone(), stream));
        let stream = handshake.await.map_err(io::Error::from).flatten().map_err(ConnectError::Tls)?;
        let facts = TlsFacts::new(stream.get_ref().1, Some(&tls.server_name.to_str()));
        Ok(Self { stream: Transport::Tls(Box::new(stream)), tls: Some(facts), ..self })
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no TCP connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The TLS handshake failed.
    #[error("TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    /// The server refused the session, or does not offer what it needs.
    #[error(transparent)]
    Session(Failure),
}

impl ConnectError {
    /// The failure, as a report and a trace know it.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Connect(error) => {
                Failure::local(Stage::Connect, Reply::new(451, 4, 1, format!("Cannot connect: {error}")))
            }
            Self::Tls(error) => Failure::local(
                Stage::StartTls,
                Reply::new(451, 7, 5, format!("TLS handshake failed: {error}")),
            ),
            Self::Session(failure) => failure.clone(),
        }
    }
}

fn lost(stage: Stage, error: &io::Error) -> Reply {
    let text = match error.kind() {
        io::ErrorKind::TimedOut => format!("Timed out at {stage}"),
        io::ErrorKind::UnexpectedEof => format!("Connection closed by the server at {stage}"),
        _ => format!("Connection lost at {stage}: {error}"),
    };
    Reply::new(451, 4, 2, text)
}

const NOT_READY: Reply = Reply::fixed(451, 4, 2, "The connection is closed");
