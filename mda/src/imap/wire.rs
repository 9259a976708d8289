//! The connection under a session: octets in through the framer, responses out in as few writes as can be.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use service::tls::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::deflate::{Compression, Deflaters};
use super::parse::{Event, FrameLimits, Framer};
use super::response::Responses;
use crate::auth::Tls;
use crate::store::StoreError;

/// Octets of responses that may wait in memory before they are written.
const HIGH_WATER: usize = 128 * 1024;
/// Said where a login is nothing any more: the password was changed, say.
const OVER: &str = "what let you in is valid no more: log in again";
/// Room for the beginning of a command, which thousands of idle connections have each for themselves while they wait.
const IDLE_READ: usize = 512;
/// Room for the rest of it.
const COMMAND_READ: usize = 4 * 1024;
/// Room for a message.
const MESSAGE_READ: usize = 64 * 1024;

/// What a session talks over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// Why a connection is at its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The client closed it.
    #[error("the client closed the connection")]
    Closed,
    /// The client said nothing for too long.
    #[error("the client was silent for too long")]
    Silent,
    /// The client did not take what was sent to it.
    #[error("the client stopped reading")]
    Stuck,
    /// This service is ending.
    #[error("the service is shutting down")]
    Shutdown,
    /// We ended it, for this reason, which the client is told.
    #[error("{0}")]
    Bye(&'static str),
    /// Half of a response is out, and the rest cannot follow.
    #[error("a response broke off: {0}")]
    BrokenOff(String),
    /// Half of a response is out, and the store does not give the rest.
    #[error("a message cannot be read to its end: {0}")]
    Unread(StoreError),
    /// The network failed, or TLS.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How long the other side may take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    /// Until then, whatever it says.
    Until(Instant),
    /// Each time we wait for it.
    Each(Duration),
}

pub(super) struct Wire {
    stream: Box<dyn Stream>,
    framer: Framer,
    /// COMPRESS is in force.
    compression: Option<Box<Compression>>,
    /// What is to be written, see [`Wire::flush`].
    pub(super) responses: Responses,
    patience: Patience,
    write_timeout: Duration,
    shutdown: CancellationToken,
    /// What let the client in is nothing any more.
    over: CancellationToken,
}

impl Wire {
    pub(super) fn new(
        stream: Box<dyn Stream>,
        limits: FrameLimits,
        patience: Patience,
        write_timeout: Duration,
        shutdown: CancellationToken,
    ) -> Self {
        let responses = Responses::default();
        let framer = Framer::new(limits);
        let over = CancellationToken::new();
        Self { stream, framer, compression: None, responses, patience, write_timeout, shutdown, over }
    }

    /// Other limits and patience, once the client has logged in; until its being so is over.
    pub(super) fn trust(&mut self, limits: FrameLimits, patience: Patience, over: CancellationToken) {
        self.framer.set_limits(limits);
        self.patience = patience;
        self.over = over;
    }

    /// The next thing from the client. Before waiting for it, all responses are written: so a batch of pipelined
    /// commands is answered by one write.
    pub(super) async fn event(&mut self) -> Result<Event, Ended> {
        loop {
            if let Some(event) = self.framer.next_event() {
                return Ok(event);
            }
            self.flush().await?;
            self.fill(COMMAND_READ).await?;
        }
    }

    /// The next thing from the client, if it is there already.
    pub(super) fn buffered_event(&mut self) -> Option<Event> {
        self.framer.next_event()
    }

    /// The next line, for what answers a continuation request.
    pub(super) async fn line(&mut self) -> Result<Bytes, Ended> {
        loop {
            if let Some(line) = self.buffered_line()? {
                return Ok(line);
            }
            self.flush().await?;
            self.fill(COMMAND_READ).await?;
        }
    }

    /// The next line if it is there already.
    pub(super) fn buffered_line(&mut self) -> Result<Option<Bytes>, Ended> {
        self.framer.line().transpose().map_err(|_| Ended::Bye("the line is too long"))
    }

    /// The next piece of a message that was accepted.
    pub(super) async fn message_event(&mut self) -> Result<Event, Ended> {
        loop {
            if let Some(event) = self.framer.next_event() {
                return Ok(event);
            }
            self.flush().await?;
            self.fill(MESSAGE_READ).await?;
        }
    }

    pub(super) fn accept_message(&mut self) {
        self.framer.accept_message();
    }

    pub(super) fn refuse_message(&mut self) {
        self.framer.refuse_message();
    }

    /// Waits for octets from the client. May be dropped while waiting, and loses nothing then.
    pub(super) async fn wait(&mut self) -> Result<(), Ended> {
        self.fill(COMMAND_READ).await
    }

    async fn fill(&mut self, room: usize) -> Result<(), Ended> {
        self.responses.release();
        let deadline = match self.patience {
            Patience::Until(deadline) => deadline,
            Patience::Each(silence) => Instant::now() + silence,
        };
        self.responses.give_back();
        let room = if self.framer.give_back() && room == COMMAND_READ { IDLE_READ } else { room };
        loop {
            if let Some(compression) = &mut self.compression
                && compression.inflate(self.framer.buffer(), room)? > 0
            {
                return Ok(());
            }
            let buffer = match &mut self.compression {
                Some(compression) => &mut compression.received,
                None => self.framer.buffer(),
            };
            buffer.reserve(room);
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Err(Ended::Shutdown),
                () = self.over.cancelled() => return Err(Ended::Bye(OVER)),
                read = timeout_at(deadline, self.stream.read_buf(buffer)) => match read {
                    Err(_) => return Err(Ended::Silent),
                    Ok(Ok(0)) => return Err(Ended::Closed),
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => return Err(error.into()),
                },
            }
            if self.compression.is_none() {
                return Ok(());
            }
        }
    }

    /// Writes all responses.
    pub(super) async fn flush(&mut self) -> Result<(), Ended> {
        if self.responses.len() == 0 {
            return Ok(());
        }
        let mut batch = self.responses.take();
        if let Some(compression) = &self.compression {
            batch = compression.deflate(&batch.into_bytes())?.into();
        }
        let write = async {
            self.stream.write_all_buf(&mut batch).await?;
            self.stream.flush().await
        };
        match timeout(self.write_timeout, write).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(Ended::Stuck),
        }
    }

    /// Writes responses if they have become many: call it between any two responses of a long answer, so that a slow
    /// client slows us, and memory stays bounded.
    pub(super) async fn relieve(&mut self) -> Result<(), Ended> {
        if self.responses.len() < HIGH_WATER {
            return Ok(());
        }
        self.flush_unless_over().await
    }

    /// The same within a response, which a client must not take for whole if it ends here.
    pub(super) async fn relieve_within(&mut self) -> Result<(), Ended> {
        if self.responses.len() < HIGH_WATER {
            return Ok(());
        }
        self.check_over().map_err(|_| broken_off())?;
        self.flush_unless_over().await
    }

    /// Writes all responses, while the client may be told them. Found to be over before that, it can still be told why;
    /// with half of them written it cannot, however much there is still to be told.
    pub(super) async fn flush_unless_over(&mut self) -> Result<(), Ended> {
        self.check_over()?;
        let over = self.over.clone();
        tokio::select! {
            biased;
            () = over.cancelled() => Err(broken_off()),
            flushed = self.flush() => flushed,
        }
    }

    /// What let the client in may be nothing any more: call it now and then while a command takes long.
    pub(super) fn check_over(&self) -> Result<(), Ended> {
        if self.over.is_cancelled() { Err(Ended::Bye(OVER)) } else { Ok(()) }
    }

    /// Octets came behind the last command: in clear behind STARTTLS someone may have put them there.
    pub(super) fn has_more_input(&self) -> bool {
        !self.framer.is_empty()
            || self.compression.as_ref().is_some_and(|compression| !compression.received.is_empty())
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.compression.is_some()
    }

    /// Compresses from the next octet on, in both directions.
    pub(super) fn compress(&mut self, deflaters: &Arc<Deflaters>) {
        self.compression = Some(Box::new(Compression::new(Arc::clone(deflaters))));
    }

    /// Ends the compression with the octets that were written last.
    pub(super) fn stop_compressing(&mut self) {
        self.compression = None;
    }

    /// Goes on over TLS. The framer is as new: what was said before counts no more.
    pub(super) async fn upgrade(&mut self, tls: &Acceptor, limits: FrameLimits) -> Result<Tls, Ended> {
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let deadline = match self.patience {
            Patience::Until(deadline) => deadline,
            Patience::Each(silence) => Instant::now() + silence,
        };
        let accepted =
            Box::pin(timeout_at(deadline, tls.accept(plain))).await.map_err(|_| Ended::Silent)??;
        let tls = Tls::from(&accepted);
        self.stream = Box::new(accepted.stream);
        self.framer = Framer::new(limits);
        Ok(tls)
    }

    /// The last words, and the end of the stream; nobody waits long for it.
    pub(super) async fn close(&mut self, words: Option<&str>) {
        const GOODBYE: Duration = Duration::from_secs(5);
        if let Some(words) = words {
            self.responses.bye(words);
        }
        let _ = timeout(GOODBYE, async {
            self.flush().await.ok();
            self.stream.shutdown().await.ok();
        })
        .await;
    }
}

fn broken_off() -> Ended {
    Ended::BrokenOff("what let the client in is valid no more".into())
}
