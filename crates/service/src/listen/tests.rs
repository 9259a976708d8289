//! Listening, with real sockets, and with a source of errors where the kernel gives none on demand.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

use super::{
    accept::{Accept, accept_all},
    limit::ListenerLabel,
    *,
};
use crate::drain::Shutdown;

const NAME: &str = "test";
const BUSY: &[u8] = b"421 4.3.2 too many connections\r\n";

fn options(max_connections: usize, max_per_network: Option<usize>) -> ListenerOptions {
    ListenerOptions { name: NAME, max_connections, max_per_network, busy_reply: BUSY }
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A listener whose connections stay open until the test lets them go.
struct Running {
    address: SocketAddr,
    shutdown: Shutdown,
    metrics: ListenMetrics,
    /// One for each connection: dropping it ends the connection.
    opened: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
}

impl Running {
    fn start(options: ListenerOptions) -> Self {
        let metrics = ListenMetrics::register(&mut Registry::default());
        let listener = Listener::bind(loopback(), options, metrics.clone()).unwrap();
        let (address, shutdown) = (listener.local_address(), Shutdown::new());
        let (opening, opened) = mpsc::unbounded_channel();
        let stop = shutdown.clone();
        tokio::spawn(async move {
            listener
                .serve(&stop, move |stream, _| {
                    let (hold, held) = oneshot::channel();
                    opening.send(hold).unwrap();
                    async move {
                        let _ = held.await;
                        drop(stream);
                    }
                })
                .await;
        });
        Self { address, shutdown, metrics, opened }
    }

    /// A connection that was accepted.
    async fn connect(&mut self) -> (TcpStream, oneshot::Sender<()>) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        (stream, self.opened.recv().await.unwrap())
    }

    fn counted(&self) -> (u64, u64, i64) {
        let label = ListenerLabel::new(NAME);
        (
            self.metrics.accepted.get_or_create(&label).get(),
            self.metrics.refused.get_or_create(&label).get(),
            self.metrics.open.get_or_create(&label).get(),
        )
    }
}

async fn read_all(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn at_the_limit_a_client_is_told_and_turned_away_and_later_let_in() {
    let mut running = Running::start(options(1, None));
    let (first, hold) = running.connect().await;
    let second = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(read_all(second).await, BUSY);
    assert_eq!(running.counted(), (1, 1, 1));

    drop(hold);
    assert_eq!(read_all(first).await, b"");
    // The permit is given back a moment after the socket closes.
    while running.counted().2 > 0 {
        tokio::task::yield_now().await;
    }
    let (_third, _hold) = running.connect().await;
    assert_eq!(running.counted(), (2, 1, 1));
}

#[tokio::test]
async fn one_network_has_a_limit_of_its_own() {
    let mut running = Running::start(options(100, Some(2)));
    let _open = [running.connect().await, running.connect().await];
    let third = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(read_all(third).await, BUSY);
}

#[tokio::test]
async fn a_shutdown_closes_the_socket_and_waits_for_connections() {
    let mut running = Running::start(options(10, None));
    let (stream, hold) = running.connect().await;
    let shutdown = running.shutdown.clone();
    let drained = tokio::spawn(async move { shutdown.graceful(std::time::Duration::from_mins(10)).await });
    // The end of the channel is the end of the accept loop.
    while running.opened.recv().await.is_some() {}
    assert!(TcpStream::connect(running.address).await.is_err());
    assert!(!drained.is_finished());
    drop(hold);
    assert_eq!(drained.await.unwrap(), crate::drain::Drained::Cleanly);
    assert_eq!(read_all(stream).await, b"");
}

/// Fails so often with this error, then hands out what the socket accepts.
struct Failing {
    error: rustix::io::Errno,
    left: AtomicUsize,
    calls: AtomicUsize,
    at: Mutex<Vec<tokio::time::Instant>>,
    socket: TcpListener,
}

impl Accept for Failing {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.at.lock().push(tokio::time::Instant::now());
        let failing =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if failing { Err(self.error.into()) } else { self.socket.accept().await }
    }
}

#[tokio::test]
async fn without_descriptors_the_loop_backs_off_counts_and_recovers() {
    const FAILURES: usize = 8;
    let socket = bind(loopback()).unwrap();
    let address = socket.local_addr().unwrap();
    let source = Arc::new(Failing {
        error: rustix::io::Errno::MFILE,
        left: AtomicUsize::new(FAILURES),
        calls: AtomicUsize::new(0),
        at: Mutex::default(),
        socket,
    });
    let (metrics, shutdown) = (ListenMetrics::default(), Shutdown::new());
    let (accepted, mut connections) = mpsc::unbounded_channel();
    let serving = tokio::spawn({
        let (source, metrics, shutdown) = (source.clone(), metrics.clone(), shutdown.clone());
        async move {
            accept_all(&*source, &options(10, None), &metrics, &shutdown, move |stream, _| {
                accepted.send(stream).unwrap();
                std::future::ready(())
            })
            .await;
        }
    });

    let _client = loop {
        // A client that comes while a connection is turned away is that connection; a later one is let in.
        let client = TcpStream::connect(address).await.unwrap();
        tokio::select! {
            Some(_) = connections.recv() => break client,
            _ = client.readable() => {}
        }
    };
    // Each failed round calls twice: once for a connection, once to turn one away with the reserved descriptor.
    let errors = metrics.errors.get_or_create(&ListenerLabel::new(NAME)).get();
    assert_eq!(errors, FAILURES as u64 / 2);
    let at = source.at.lock().clone();
    let rounds = at[..FAILURES].iter().step_by(2).collect::<Vec<_>>();
    for (pair, least) in rounds.windows(2).zip([10, 20, 40]) {
        let pause = *pair[1] - *pair[0];
        assert!(
            pause >= std::time::Duration::from_millis(least),
            "the loop backs off: {pause:?} < {least} ms"
        );
    }
    shutdown.start();
    serving.await.unwrap();
}

#[tokio::test]
async fn with_the_reserved_descriptor_a_waiting_client_is_turned_away() {
    let socket = bind(loopback()).unwrap();
    let address = socket.local_addr().unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    let source = Failing {
        error: rustix::io::Errno::NFILE,
        left: AtomicUsize::new(1),
        calls: AtomicUsize::new(0),
        at: Mutex::default(),
        socket,
    };
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    let serving = tokio::spawn(async move {
        let handle = |_, _| std::future::ready(());
        accept_all(&source, &options(10, None), &ListenMetrics::default(), &stop, handle).await;
    });
    assert_eq!(read_all(client).await, BUSY);
    shutdown.start();
    serving.await.unwrap();
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let taken = bind(loopback()).unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(address).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {address}: Address already in use")), "{error}");
    assert!(error.ends_with("(another process listens there)"), "{error}");
}

#[test]
fn a_forbidden_port_comes_with_a_hint() {
    let error = ListenError {
        address: "127.0.0.1:25".parse().unwrap(),
        error: io::Error::from(io::ErrorKind::PermissionDenied),
    };
    let text = error.to_string();
    assert!(text.starts_with("cannot listen on 127.0.0.1:25: permission denied (ports below 1024"), "{text}");
}

#[tokio::test]
async fn an_ipv6_listener_leaves_the_ipv4_port_free() {
    let Ok(six) = bind("[::]:0".parse().unwrap()) else { return };
    let port = six.local_addr().unwrap().port();
    bind(SocketAddr::from(([0, 0, 0, 0], port))).unwrap();
}

#[test]
fn the_limit_of_descriptors_is_raised_to_the_hard_one() {
    let limit = raise_descriptor_limit().unwrap();
    let now = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    assert_eq!(now.current, limit);
    assert_eq!(now.current, now.maximum);
}
