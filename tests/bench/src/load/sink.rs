//! The other end of the world: an SMTP server that takes all mail at once, keeps nothing and counts.

use std::cell::Cell;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet, spawn_local};

use super::wire::Wire;

/// Connections that wait to be taken.
const BACKLOG: i32 = 4_096;

/// What it does with mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It takes all.
    Takes,
    /// It asks to come again later, for every recipient.
    PutsOff,
}

/// A sink. Dropping it closes all its sessions.
pub(crate) struct Sink {
    counted: Rc<Counted>,
    task: AbortHandle,
}

#[derive(Default)]
struct Counted {
    /// Messages taken, or recipients put off.
    messages: Cell<u64>,
    grown: Notify,
}

impl Sink {
    /// Begins to serve, within a `LocalSet`, those who come to where `listener` is bound.
    pub(crate) fn open(listener: &TcpListener, manner: Manner) -> io::Result<Self> {
        let listener = listener.try_clone()?;
        listener.set_nonblocking(true)?;
        // As many as come at once are held until they are taken.
        rustix::net::listen(&listener, BACKLOG)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let counted = Rc::new(Counted::default());
        let ours = Rc::clone(&counted);
        let task = spawn_local(async move {
            let mut sessions = JoinSet::new();
            loop {
                tokio::select! {
                    Ok((tcp, _)) = listener.accept() => {
                        let counted = Rc::clone(&ours);
                        // However a session ends, what counts is what it took.
                        sessions.spawn_local(async move { serve(tcp, manner, &counted).await });
                    }
                    Some(_) = sessions.join_next() => {}
                }
            }
        });
        Ok(Self { counted, task: task.abort_handle() })
    }

    /// Messages so far.
    pub(crate) fn messages(&self) -> u64 {
        self.counted.messages.get()
    }

    /// Waits until there were so many messages.
    pub(crate) async fn reached(&self, messages: u64) {
        while self.messages() < messages {
            self.counted.grown.notified().await;
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One session. Replies to commands that came together go out together (RFC 2920 §3.2).
async fn serve(tcp: TcpStream, manner: Manner, counted: &Counted) -> io::Result<()> {
    let mut wire = Wire::new(tcp)?;
    let mut replies = b"220 sink.test ESMTP\r\n".to_vec();
    let mut recipients = false;
    loop {
        if !wire.has_line() {
            wire.send(&replies).await?;
            replies.clear();
        }
        let line = wire.line().await?;
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let reply: &[u8] = match &verb[..] {
            b"EHLO" => b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n",
            b"RCPT" if manner == Manner::PutsOff => {
                counted.add();
                b"450 4.2.1 not now\r\n"
            }
            b"RCPT" => {
                recipients = true;
                b"250 2.1.5 ok\r\n"
            }
            b"DATA" if recipients => {
                replies.extend(b"354 go on\r\n");
                wire.send(&replies).await?;
                replies.clear();
                wire.skip_message().await?;
                counted.add();
                recipients = false;
                b"250 2.0.0 taken\r\n"
            }
            b"DATA" => b"554 5.5.1 nobody to send it to\r\n",
            b"HELO" | b"MAIL" | b"RSET" | b"NOOP" => b"250 2.0.0 ok\r\n",
            b"QUIT" => {
                replies.extend(b"221 2.0.0 bye\r\n");
                return wire.send(&replies).await;
            }
            _ => b"502 5.5.2 unknown\r\n",
        };
        replies.extend(reply);
    }
}

impl Counted {
    fn add(&self) {
        self.messages.set(self.messages.get() + 1);
        self.grown.notify_waiters();
    }
}
