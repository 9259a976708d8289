//! The server's driver: one connection, one [`Handler`].

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::smtp::server::{Config, Event, Session, Tally};
use ::smtp::{Reply, XClient};
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use super::{TlsFacts, minutes, read_now};
use crate::listen::Network;
use crate::tls::{Accepted, Acceptor};

mod handler;
mod listener;
#[cfg(test)]
mod tests;

pub use handler::{Answer, Context, Handler};
pub use listener::{BUSY_REPLY, Port};

/// Octets that one read of commands asks for: what a connection holds that waits.
const COMMAND_READ_SIZE: usize = 4 * 1024;
/// Octets that the first read of a message asks for: most messages are no larger, and a buffer that holds as much is
/// quickly had.
const FIRST_READ_SIZE: usize = 12 * 1024;
/// Octets that further reads of a message ask for. With the piece that the handler has, this is what a connection holds.
const MESSAGE_READ_SIZE: usize = 32 * 1024;
/// Octets that are read in passing from a client that was refused, so that the refusal reaches it.
const LINGER_OCTETS: usize = 256 * 1024;

/// How a listener's connections are served.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is offered, and the limits. `starttls` goes together with [`Security::StartTls`].
    pub session: Arc<Config>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// What comes before the first command.
    pub arrival: Arrival,
}

/// What comes before the first command: who may speak for another, and how long a client waits for its greeting.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    /// How long a client waits for the greeting. Mail programs wait; much of what sends spam talks at once.
    pub greeting_delay: Duration,
    /// Clients that are greeted at once.
    pub not_delayed: Arc<[Network]>,
    /// Proxies whose connections begin with a header of the PROXY protocol, and are closed without one.
    pub proxies: Arc<[Network]>,
    /// Clients whose XCLIENT is believed.
    pub xclient: Arc<[Network]>,
}

/// How long things may take (RFC 5321 §4.5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Waiting for a command (RFC 5321 §4.5.3.2.7).
    pub command: Duration,
    /// Waiting for the next octets of a message.
    pub data: Duration,
    /// Waiting for the client to take replies.
    pub write: Duration,
    /// The TLS handshake.
    pub handshake: Duration,
    /// The session as a whole, so that nobody holds a connection by sending an octet now and then.
    pub session: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            command: minutes(5),
            data: minutes(10),
            write: minutes(5),
            handshake: minutes(1),
            session: minutes(120),
        }
    }
}

/// Whether and when a connection gets TLS.
#[derive(Clone)]
pub enum Security {
    /// Never.
    Plain,
    /// When the client asks for it (RFC 3207).
    StartTls(Acceptor),
    /// Before anything else (RFC 8314).
    Implicit(Acceptor),
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// The client said QUIT.
    #[error("the client quit")]
    Quit,
    /// The session was closed with this reply: by the handler, or for a breach of the protocol.
    #[error("closed with: {0}")]
    Refused(Reply),
    /// The client took too long.
    #[error("timed out")]
    TimedOut,
    /// The service is stopping.
    #[error("the service is stopping")]
    ShutDown,
    /// The TLS handshake failed.
    #[error("TLS handshake failed: {0}")]
    Handshake(#[source] io::Error),
    /// The connection was lost, or closed without QUIT.
    #[error("connection lost: {0}")]
    Lost(#[source] io::Error),
}

/// Serves a connection until it ends.
///
/// When `shutdown` is cancelled, a session without a message under way is closed with 421 4.3.2; a transaction that has
/// begun is carried to its end first.
pub async fn serve_connection<S, H>(
    mut stream: S,
    peer: SocketAddr,
    local: SocketAddr,
    security: &Security,
    options: &Options,
    handler: H,
    shutdown: &CancellationToken,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Handler,
{
    let end = Instant::now() + options.timeouts.session;
    let timer = std::pin::pin!(sleep_until(end));
    let shutdown = std::pin::pin!(shutdown.cancelled());
    let clock = Clock { timeouts: options.timeouts, end, is_over: false, idle_until: end, timer, shutdown };
    let context = Context::new(peer, local);
    let implicit = matches!(security, Security::Implicit(_));
    let mut session = Session::new(options.session.clone(), implicit);
    if lists(&options.arrival.xclient, peer) {
        session.trust_proxy();
    }
    let delay = if lists(&options.arrival.not_delayed, peer) {
        Duration::ZERO
    } else {
        options.arrival.greeting_delay
    };
    let told = Tally::default();
    let mut driver =
        Driver { session, handler, context, clock, delay, told, read_size: COMMAND_READ_SIZE, end: None };

    if !implicit && driver.run(&mut stream).await == Next::Close {
        return driver.close(&mut stream).await;
    }
    let (Security::StartTls(acceptor) | Security::Implicit(acceptor)) = security else {
        return End::Handshake(io::Error::other("STARTTLS is offered without a certificate"));
    };
    match driver.handshake(acceptor, stream).await {
        Ok(mut stream) => {
            while driver.run(&mut stream).await != Next::Close {}
            driver.close(&mut stream).await
        }
        Err(end) => end,
    }
}

/// One connection's session, handler and clock. The stream stands apart, for TLS changes its type.
struct Driver<'a, 't, H> {
    session: Session,
    handler: H,
    context: Context,
    clock: Clock<'a, 't>,
    /// How long the greeting is held back.
    delay: Duration,
    /// What the handler knows that the client has used up.
    told: Tally,
    /// Octets that the next read asks for, if it is for what the last one was for.
    read_size: usize,
    /// Why the connection ends, if not by the session's own doing.
    end: Option<End>,
}

/// What can end a wait. One timer and one place in the list of the token serve the whole connection.
struct Clock<'a, 't> {
    timeouts: Timeouts,
    /// When the session's time is up.
    end: Instant,
    is_over: bool,
    /// Until when this wait may last.
    idle_until: Instant,
    /// Goes off then or before.
    timer: Pin<&'a mut Sleep>,
    shutdown: Pin<&'a mut WaitForCancellationFuture<'t>>,
}

/// What a stream is needed for next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Handshake,
    Close,
}

impl<H: Handler> Driver<'_, '_, H> {
    /// Goes on until the connection ends, or changes to TLS.
    async fn run(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin + Send)) -> Next {
        loop {
            match self.session.poll() {
                Event::Read => {
                    if self.meter().await {
                        self.exchange(stream).await;
                    }
                }
                Event::StartTls => {
                    if let Err(error) = self.write(stream).await {
                        self.lost(error);
                    } else {
                        return Next::Handshake;
                    }
                }
                Event::Close => return Next::Close,
                Event::Connected => self.greet(stream).await,
                event => self.handle(event).await,
            }
        }
    }

    /// Has the handler look at a client while that waits for its greeting.
    async fn greet(&mut self, stream: &mut (impl AsyncRead + Unpin + Send)) {
        let input = self.session.input();
        let (greeted, waited) = tokio::join!(
            self.handler.connected(&self.context),
            hold_back(stream, input, self.delay, self.clock.shutdown.as_mut()),
        );
        match waited {
            Ok(Waited::Whole) => {
                // The session deals with those who did not wait for the greeting.
                read_now(stream, self.session.input()).await;
                self.context.early_talker = !self.session.input().is_empty();
                self.session.answer(greeted.err().unwrap_or(GREETED));
            }
            Ok(Waited::ShutDown) => {
                self.session.close(&STOPPING);
                self.end = Some(End::ShutDown);
            }
            Err(error) => self.lost(error),
        }
    }

    /// Takes a client for the one that its proxy speaks for, and looks at it anew.
    async fn speak_for(&mut self, client: &XClient) {
        self.update_context();
        self.context.take_over(client);
        let greeted = self.handler.connected(&self.context).await;
        self.session.answer(greeted.err().unwrap_or(GREETED));
    }

    /// Lets the handler know what the client has used up. Whether the session goes on.
    async fn meter(&mut self) -> bool {
        let tally = self.session.tally();
        let used =
            Tally { commands: tally.commands - self.told.commands, errors: tally.errors - self.told.errors };
        if used == Tally::default() {
            return true;
        }
        self.told = tally;
        match self.handler.used(&self.context, used).await {
            Ok(()) => true,
            Err(reply) => {
                self.session.close(&reply);
                false
            }
        }
    }

    /// Has the handler decide.
    async fn handle(&mut self, event: Event) {
        self.update_context();
        let (handler, context) = (&mut self.handler, &self.context);
        match event {
            Event::Authenticate(credentials) => {
                let outcome = handler.authenticate(context, credentials).await;
                self.session.answer(outcome.err().unwrap_or(AUTHENTICATED));
            }
            Event::Exchange(said) => match handler.exchange(context, said).await {
                Ok(Answer::Challenge(text)) => self.session.challenge(&text),
                Ok(Answer::Authenticated) => self.session.answer(AUTHENTICATED),
                Err(reply) => self.session.answer(reply),
            },
            Event::ExchangeCancelled => handler.exchange_cancelled(),
            Event::Mail(mail) => {
                let reply = handler.mail(context, mail).await;
                self.session.answer(reply);
            }
            Event::Rcpt(rcpt) => {
                let reply = handler.rcpt(context, rcpt).await;
                self.session.answer(reply);
            }
            Event::Body => {
                let outcome = handler.begin(context).await;
                self.session.answer(outcome.err().unwrap_or(BEGUN));
            }
            Event::Chunk(chunk) => {
                if let Err(reply) = handler.chunk(chunk).await {
                    self.session.refuse_message(reply);
                }
            }
            Event::Finish => {
                let reply = handler.finish(context).await;
                self.session.answer(reply);
            }
            Event::Abort(abort) => handler.abort(abort).await,
            Event::XClient(client) => self.speak_for(&client).await,
            Event::Read | Event::Connected | Event::StartTls | Event::Close => {}
        }
    }

    /// Writes what is due, then reads.
    async fn exchange(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin + Send)) {
        if let Err(error) = self.write(stream).await {
            self.lost(error);
            return;
        }
        let reading_message = self.session.is_reading_message();
        self.clock.restart(reading_message);
        let is_idle = self.session.is_idle();
        self.read_size = match self.read_size {
            _ if !reading_message => COMMAND_READ_SIZE,
            COMMAND_READ_SIZE => FIRST_READ_SIZE,
            _ => MESSAGE_READ_SIZE,
        };
        let input = self.session.input();
        input.reserve(self.read_size);
        let Clock { is_over, idle_until, timer, shutdown, .. } = &mut self.clock;
        tokio::select! {
            // The order matters for a client that has always more to say.
            biased;
            () = shutdown.as_mut(), if is_idle => {
                self.session.close(&STOPPING);
                self.end = Some(End::ShutDown);
            }
            read = stream.read_buf(input), if !*is_over => match read {
                Ok(0) => self.lost(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) => self.lost(error),
            },
            () = pass(timer.as_mut(), *idle_until) => {
                self.session.close(&TIMED_OUT);
                self.end = Some(End::TimedOut);
            }
        }
    }

    /// Writes the replies that are due, in one go.
    async fn write(&mut self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let output = self.session.output();
        if output.is_empty() {
            return Ok(());
        }
        let written = timeout(self.clock.timeouts.write, async {
            stream.write_all(output).await?;
            stream.flush().await
        });
        written.await.map_err(io::Error::from).flatten()?;
        output.clear();
        Ok(())
    }

    /// Nothing is under way yet, so a service that stops does not wait for it; nor can it say so, before there is TLS.
    async fn handshake<S>(&mut self, acceptor: &Acceptor, stream: S) -> Result<TlsStream<S>, End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = tokio::select! {
            biased;
            () = self.clock.shutdown.as_mut() => return Err(End::ShutDown),
            handshake = timeout(self.clock.timeouts.handshake, acceptor.accept(stream)) => handshake,
        };
        let accepted = handshake.map_err(io::Error::from).flatten().map_err(End::Handshake)?;
        let Accepted { stream, bindings } = accepted;
        let (_, connection) = stream.get_ref();
        let facts = TlsFacts::new(connection, connection.server_name());
        self.context.tls = Some(TlsFacts { bindings, ..facts });
        if !self.session.is_tls() {
            self.session.tls_established();
        }
        match self.handler.mechanisms(&self.context).await {
            Ok(Some(mechanisms)) => self.session.offer(mechanisms),
            Ok(None) => {}
            Err(reply) => self.session.close(&reply),
        }
        Ok(stream)
    }

    fn lost(&mut self, error: io::Error) {
        self.session.disconnected();
        self.end =
            Some(if error.kind() == io::ErrorKind::TimedOut { End::TimedOut } else { End::Lost(error) });
    }

    fn update_context(&mut self) {
        self.context.authenticated = self.session.is_authenticated();
        self.context.pipelined = self.session.is_pipelined();
        if self.context.hello.as_ref() != self.session.hello() {
            self.context.hello = self.session.hello().cloned();
        }
    }

    /// Sends what is left to say and closes the connection.
    async fn close(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> End {
        let end = self.end.take().unwrap_or_else(|| match self.session.last_word() {
            Some(reply) if !self.session.is_quit() => End::Refused(reply.clone()),
            _ => End::Quit,
        });
        self.update_context();
        self.handler.ended(&self.context, &end);
        if matches!(end, End::Lost(_)) {
            return end;
        }
        if let End::Refused(said) = &end {
            tracing::info!(client = %self.context.peer.ip(), %said, "session closed");
        }
        let closing = async {
            self.write(stream).await?;
            if !matches!(end, End::Quit) {
                stream.shutdown().await?;
                linger(stream).await
            } else if self.session.is_tls() {
                stream.shutdown().await
            } else {
                // To close it, which comes next, says as much.
                Ok(())
            }
        };
        // Nobody is left to tell if this fails.
        let _ = timeout(LINGER, closing).await;
        end
    }
}

impl Clock<'_, '_> {
    /// Starts to wait for the client anew. To set a timer costs more than to look, when it goes off, whether it is time:
    /// so it is only set to go off earlier.
    fn restart(&mut self, reading_message: bool) {
        let patience = if reading_message { self.timeouts.data } else { self.timeouts.command };
        let now = Instant::now();
        self.is_over = now >= self.end;
        self.idle_until = self.end.min(now + patience);
        if self.idle_until < self.timer.deadline() {
            self.timer.as_mut().reset(self.idle_until);
        }
    }
}

/// Waits until `then` with a timer that may go off before.
async fn pass(mut timer: Pin<&mut Sleep>, then: Instant) {
    loop {
        timer.as_mut().await;
        if Instant::now() >= then {
            return;
        }
        timer.as_mut().reset(then);
    }
}

/// How a wait for the greeting came to its end.
enum Waited {
    /// The time is over, or the client did not wait for it.
    Whole,
    ShutDown,
}

/// Waits with the greeting, until the client talks. Commands that come meanwhile are in `input`.
async fn hold_back(
    stream: &mut (impl AsyncRead + Unpin),
    input: &mut BytesMut,
    delay: Duration,
    shutdown: Pin<&mut WaitForCancellationFuture<'_>>,
) -> io::Result<Waited> {
    if delay.is_zero() {
        return Ok(Waited::Whole);
    }
    input.reserve(COMMAND_READ_SIZE);
    tokio::select! {
        biased;
        () = shutdown => Ok(Waited::ShutDown),
        read = timeout(delay, stream.read_buf(input)) => match read {
            Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) | Err(_) => Ok(Waited::Whole),
        },
    }
}

fn lists(networks: &[Network], peer: SocketAddr) -> bool {
    networks.iter().any(|network| network.contains(peer.ip()))
}

/// Reads on for a moment: closing a socket with unread input resets it, and takes the last reply with it.
async fn linger(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let mut total = 0;
    while total < LINGER_OCTETS {
        match stream.read(&mut buffer).await? {
            0 => break,
            length => total += length,
        }
    }
    Ok(())
}

/// The time in which a connection is closed, whatever the client does.
const LINGER: Duration = Duration::from_secs(2);

const GREETED: Reply = Reply::plain(220, "");
const AUTHENTICATED: Reply = Reply::fixed(235, 7, 0, "Authenticated");
const BEGUN: Reply = Reply::plain(250, "");
const STOPPING: Reply = Reply::fixed(421, 3, 2, "Service stopping: come again");
const TIMED_OUT: Reply = Reply::fixed(421, 4, 2, "Timed out");
