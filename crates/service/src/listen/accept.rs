//! The accept loop.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use prometheus_client::metrics::gauge::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

use super::{
    ListenError, ListenMetrics, bind,
    descriptors::{Reserve, exhausted},
    limit::{Limits, ListenerLabel, Permit},
};
use crate::drain::Shutdown;

/// The pauses after failures to accept grow from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// What a listener allows.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    /// The listener's name in logs and metrics, such as `submission`.
    pub name: &'static str,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once from one /24 (IPv4) or /64 (IPv6).
    pub max_per_network: Option<usize>,
    /// What a connection beyond a limit is sent before it is closed, such as `421 4.3.2 …\r\n`; may be empty.
    pub busy_reply: &'static [u8],
}

/// A bound listener with its limits.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    options: ListenerOptions,
    metrics: ListenMetrics,
}

impl Listener {
    /// Binds `address`; port 0 lets the kernel choose.
    pub fn bind(
        address: SocketAddr,
        options: ListenerOptions,
        metrics: ListenMetrics,
    ) -> Result<Self, ListenError> {
        let socket = bind(address)?;
        let address = socket.local_addr().map_err(|error| ListenError { address, error })?;
        Ok(Self { socket, address, options, metrics })
    }

    /// Where it listens, with the port that the kernel chose.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until the shutdown starts, and runs `handle` for each connection as a task of the shutdown, so that
    /// draining waits for it. The socket closes when this returns.
    pub async fn serve<F>(self, shutdown: &Shutdown, handle: impl Fn(TcpStream, SocketAddr) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { socket, options, metrics, .. } = self;
        accept_all(&socket, &options, &metrics, shutdown, handle).await;
    }
}

/// Where connections come from: a socket, or a test's source of errors.
pub(crate) trait Accept {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Accept for TcpListener {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        Self::accept(self).await
    }
}

pub(super) async fn accept_all<F>(
    source: &impl Accept,
    options: &ListenerOptions,
    metrics: &ListenMetrics,
    shutdown: &Shutdown,
    handle: impl Fn(TcpStream, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let label = ListenerLabel::new(options.name);
    let limits = Limits::new(options.max_connections, options.max_per_network);
    let mut acceptor = Acceptor::new(options.name, options.busy_reply, metrics.clone());
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.started() => return,
            accepted = acceptor.next(source) => accepted,
        };
        let Some((stream, peer)) = accepted else { continue };
        let Some(permit) = limits.admit(peer.ip()) else {
            metrics.refused.get_or_create(&label).inc();
            debug!(listener = options.name, %peer, "connection refused at the limit");
            refuse(&stream, options.busy_reply);
            continue;
        };
        metrics.accepted.get_or_create(&label).inc();
        let open = metrics.open.get_or_create_owned(&label);
        open.inc();
        let guard = OpenConnection { _permit: permit, open };
        // Sessions are large, and a task is moved some times before it runs.
        let connection = Box::pin(handle(stream, peer));
        shutdown.spawn(async move {
            let _guard = guard;
            connection.await;
        });
    }
}

/// Accepts one connection at a time, and pauses after errors: an error that stays, as with no descriptors left, would
/// otherwise make the loop spin.
#[derive(Debug)]
pub(crate) struct Acceptor {
    name: &'static str,
    busy_reply: &'static [u8],
    metrics: ListenMetrics,
    reserve: Reserve,
    pause: Duration,
}

impl Acceptor {
    pub(crate) fn new(name: &'static str, busy_reply: &'static [u8], metrics: ListenMetrics) -> Self {
        let mut reserve = Reserve::default();
        reserve.refill();
        Self { name, busy_reply, metrics, reserve, pause: FIRST_PAUSE }
    }

    /// The next connection; `None` after an error that was dealt with. Dropping the future loses no connection.
    pub(crate) async fn next(&mut self, source: &impl Accept) -> Option<(TcpStream, SocketAddr)> {
        match source.accept().await {
            Ok(accepted) => {
                self.pause = FIRST_PAUSE;
                self.reserve.refill();
                Some(accepted)
            }
            // The client went away while it waited: its affair alone.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => None,
            Err(error) => {
                self.back_off(source, &error).await;
                None
            }
        }
    }

    async fn back_off(&mut self, source: &impl Accept, error: &io::Error) {
        self.metrics.errors.get_or_create(&ListenerLabel::new(self.name)).inc();
        // Once per spell: the count tells the rest.
        if self.pause == FIRST_PAUSE {
            warn!(listener = self.name, %error, "cannot accept connections");
        }
        if exhausted(error) {
            self.shed_one(source).await;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LAST_PAUSE);
    }

    /// With the reserved descriptor, takes one waiting connection and turns it away.
    async fn shed_one(&mut self, source: &impl Accept) {
        if self.reserve.release() {
            // There may be none waiting by now, so this must not wait either.
            let waiting = tokio::time::timeout(FIRST_PAUSE, source.accept()).await;
            if let Ok(Ok((stream, _))) = waiting {
                refuse(&stream, self.busy_reply);
            }
        }
        self.reserve.refill();
    }
}

/// Sends the busy reply, as far as it goes without waiting; the socket closes when the caller drops it.
fn refuse(stream: &TcpStream, busy_reply: &[u8]) {
    // A fresh socket's send buffer is empty, so a short reply always fits; a client that is gone does not matter.
    let _ = stream.try_write(busy_reply);
}

/// What ends with a connection's task, however it ends.
struct OpenConnection {
    _permit: Permit,
    open: Gauge,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.open.dec();
    }
}
