//! What goes over the wire: commands and replies, and the message.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::smtp::Reply;
use ::smtp::client::{Event, Session, Stage};
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_util::io::poll_read_buf;

use super::{Connection, WRITE_SIZE, lost};

/// Octets that one read asks for: replies are short.
const READ_SIZE: usize = 4 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    /// Goes on until there is more to do than to write and to read.
    pub(super) async fn next(&mut self) -> Event {
        loop {
            match self.session.poll() {
                Event::Wait(stage) => self.exchange(stage).await,
                event => return event,
            }
        }
    }

    /// Writes what is due and reads what comes.
    async fn exchange(&mut self, stage: Stage) {
        if !self.session.output().is_empty() {
            match self.write(stage).await {
                Ok(Written::Heard) => return,
                // Half a command may have left, so nothing may follow it.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return self.session.disconnected(lost(stage, &error));
                }
                // A server that closes may have said why before it did: the read will tell.
                Ok(Written::All) | Err(_) => {}
            }
        }
        let limit = self.clock.reply(stage, self.session.replies(), Instant::now());
        let input = self.session.input();
        input.reserve(READ_SIZE);
        match timeout_at(limit, self.stream.read_buf(input)).await.map_err(io::Error::from).flatten() {
            Ok(0) => self.session.disconnected(lost(stage, &io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) => self.session.disconnected(lost(stage, &error)),
        }
    }

    /// Writes what is due. Replies to commands come when those have left; one to the message may come at any time.
    async fn write(&mut self, stage: Stage) -> io::Result<Written> {
        if matches!(stage, Stage::Body | Stage::End) {
            return self.write_message().await;
        }
        let limit = self.clock.reply(stage, self.session.replies(), Instant::now());
        let writing = poll_fn(|task| poll_write(&mut self.stream, &mut self.session, false, task));
        timeout_at(limit, writing).await.map_err(io::Error::from).flatten()
    }

    /// Sends a piece of the message, or its end.
    pub(super) async fn send_piece(&mut self, piece: Option<io::Result<Bytes>>) {
        match piece {
            None => self.session.finish(),
            Some(Ok(piece)) => {
                self.session.send(&piece);
                if self.session.output().len() >= WRITE_SIZE {
                    self.send_block().await;
                }
            }
            Some(Err(error)) => {
                let reply = Reply::new(451, 3, 0, format!("The message cannot be read: {error}"));
                self.session.disconnected(reply);
            }
        }
    }

    /// Writes what has gathered of the message, and takes the replies that have come meanwhile: to chunks, or to say that
    /// there is no point in sending more.
    async fn send_block(&mut self) {
        let written = self.write_message().await;
        let heard = self.hear().await;
        // What was not taken in time left in part: behind that nothing may follow, whatever the server says.
        if let Err(error) = written.map(drop).and(heard)
            && (error.kind() == io::ErrorKind::TimedOut || self.session.input().is_empty())
        {
            self.session.disconnected(lost(Stage::Body, &error));
        }
    }

    /// Writes what is due of the message; what is left over when the server says something stays, for the session to
    /// decide about.
    async fn write_message(&mut self) -> io::Result<Written> {
        let due = self.session.output().len();
        let limit = self.clock.block(due, Instant::now());
        let writing = poll_fn(|task| poll_write(&mut self.stream, &mut self.session, true, task));
        let written = timeout_at(limit, writing).await.map_err(io::Error::from).flatten();
        self.clock.has_left(due - self.session.output().len());
        written
    }

    /// Reads what has arrived already, up to its end: behind a last word there may be nothing more to come.
    ///
    /// # Errors
    /// The connection has ended.
    pub(super) async fn hear(&mut self) -> io::Result<()> {
        let (stream, input) = (&mut self.stream, self.session.input());
        poll_fn(|task| {
            loop {
                input.reserve(READ_SIZE);
                match poll_read_buf(Pin::new(&mut *stream), task, input) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                    Poll::Ready(Ok(_)) if input.len() < READ_SIZE => {}
                    Poll::Ready(Ok(_)) | Poll::Pending => return Poll::Ready(Ok(())),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                }
            }
        })
        .await
    }
}

/// Why writing ended.
enum Written {
    /// All of it has left.
    All,
    /// The server has said something; there may be more to write.
    Heard,
}

/// Writes the session's output. While it does not leave, and if `listen`, takes what the server says: a server that
/// waits for us to read, or has refused what we still send, is not waited for in turn.
fn poll_write<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    session: &mut Session,
    listen: bool,
    task: &mut Context<'_>,
) -> Poll<io::Result<Written>> {
    loop {
        let output = session.output();
        let written = if output.is_empty() {
            Pin::new(&mut *stream).poll_flush(task).map_ok(|()| None)
        } else {
            Pin::new(&mut *stream).poll_write(task, output).map_ok(Some)
        };
        match written {
            Poll::Ready(Ok(None)) => return Poll::Ready(Ok(Written::All)),
            Poll::Ready(Ok(Some(0))) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(Some(length))) => output.advance(length),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending if listen => {
                let input = session.input();
                input.reserve(READ_SIZE);
                return Poll::Ready(match ready!(poll_read_buf(Pin::new(stream), task, input)) {
                    Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) => Ok(Written::Heard),
                    Err(error) => Err(error),
                });
            }
            Poll::Pending => return Poll::Pending,
        }
    }
}
