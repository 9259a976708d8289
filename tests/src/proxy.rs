//! A network between two services, which does to their connections what a scenario says.
//!
//! It passes octets on and knows nothing of them, so that TLS is between the services as ever.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use socket2::SockRef;

/// Connections at a time; more are refused.
const CONNECTIONS: usize = 256;
/// Octets that are passed on at once.
const PIECE: usize = 16 << 10;
/// How soon what is changed holds for connections on which nothing comes.
const LOOK: Duration = Duration::from_millis(50);

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Network {
    /// It passes octets on.
    Sound,
    /// It resets connections, those that are there and those that are made.
    Cut,
    /// Each piece comes so much later, and so many octets come in a second, each way of each connection.
    Slow {
        /// How much later.
        delay: Duration,
        /// Octets in a second.
        rate: u32,
    },
    /// What is sent this way waits until the network is changed, as if each packet had to be sent again.
    Hold(Way),
    /// What is sent this way is lost, and nobody is told.
    Swallow(Way),
    /// Each connection is reset once fewer than so many octets have come, in the middle of what is being sent.
    Reset {
        /// The bound.
        within: usize,
    },
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From whoever connected.
    There,
    /// To whoever connected.
    Back,
}

/// The network. Dropping it ends all connections over it.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    server: SocketAddr,
    network: Mutex<Network>,
    changed: Condvar,
    /// Those that are open.
    connections: AtomicUsize,
    made: AtomicUsize,
    is_over: AtomicBool,
}

impl Proxy {
    /// Leads to a server, wherever that will listen.
    ///
    /// # Panics
    /// If it cannot listen itself.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            server,
            network: Mutex::new(Network::Sound),
            changed: Condvar::new(),
            connections: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        });
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that it has led to the server so far.
    pub fn made(&self) -> usize {
        self.shared.made.load(Ordering::Relaxed)
    }

    /// Changes the network, for connections that are there and those to come.
    pub fn set(&self, network: Network) {
        *self.shared.network.lock() = network;
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.set(Network::Cut);
        // It waits for a connection; if it gets none it is gone already.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming().flatten() {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let shared = Arc::clone(self);
            if shared.connections.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
                shared.connections.fetch_sub(1, Ordering::Relaxed);
                reset(&client);
                continue;
            }
            thread::spawn(move || {
                // A connection that fails is what this is for.
                let _ = shared.connect(&client);
                shared.connections.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }

    /// One connection, from its beginning to its end.
    fn connect(&self, client: &TcpStream) -> io::Result<()> {
        let server = if *self.network.lock() == Network::Cut {
            Err(ErrorKind::ConnectionRefused.into())
        } else {
            TcpStream::connect(self.server)
        };
        let server = server.inspect_err(|_| reset(client))?;
        self.made.fetch_add(1, Ordering::Relaxed);
        for stream in [client, &server] {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(LOOK))?;
            stream.set_write_timeout(Some(LOOK))?;
        }
        let is_reset = AtomicBool::new(false);
        let connection = Connection { shared: self, is_reset: &is_reset };
        thread::scope(|scope| {
            scope.spawn(|| connection.pump(Way::Back, &server, client));
            connection.pump(Way::There, client, &server);
        });
        if is_reset.into_inner() {
            reset(client);
            reset(&server);
        }
        Ok(())
    }
}

/// Has the end of a stream reset it.
fn reset(stream: &TcpStream) {
    // It may be reset already.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

#[derive(Clone, Copy)]
struct Connection<'a> {
    shared: &'a Shared,
    /// Set by the way that sees it first: both end then.
    is_reset: &'a AtomicBool,
}

impl Connection<'_> {
    /// Passes on what comes one way, until that is over.
    fn pump(self, way: Way, from: &TcpStream, to: &TcpStream) {
        match self.pass(way, from, to) {
            // The other way may have more to say.
            Ok(()) => drop(to.shutdown(Shutdown::Write)),
            Err(_) => self.is_reset.store(true, Ordering::Relaxed),
        }
    }

    fn pass(self, way: Way, mut from: &TcpStream, to: &TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; PIECE];
        // What is left until a reset, once there is to be one.
        let mut left = None;
        loop {
            let network = self.network(way)?;
            let limit = match network {
                Network::Slow { delay, rate } => (rate as usize * delay.as_millis() as usize / 1_000).max(1),
                _ => PIECE,
            };
            let length = match from.read(&mut buffer[..limit.min(PIECE)]) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if is_timeout(&error) => continue,
                Err(error) => return Err(error),
            };
            let mut piece = &buffer[..length];
            // What came while nothing was to pass does not, either.
            match self.network(way)? {
                Network::Swallow(swallowed) if swallowed == way => continue,
                Network::Slow { delay, .. } => thread::sleep(delay),
                Network::Reset { within } => {
                    let rest = *left.get_or_insert_with(|| fastrand::usize(..within));
                    piece = &piece[..length.min(rest)];
                    left = Some(rest - piece.len());
                }
                _ => {}
            }
            self.write(to, piece)?;
            if left == Some(0) {
                return Err(ErrorKind::ConnectionReset.into());
            }
        }
    }

    /// What the network does this way, once it does not hold it. An error if it is cut.
    fn network(self, way: Way) -> io::Result<Network> {
        let mut network = self.shared.network.lock();
        loop {
            if self.is_reset.load(Ordering::Relaxed) || *network == Network::Cut {
                return Err(ErrorKind::ConnectionReset.into());
            }
            if *network != Network::Hold(way) {
                return Ok(*network);
            }
            self.shared.changed.wait_for(&mut network, LOOK);
        }
    }

    /// Writes all of it, to someone who may not read, or on a network that is cut meanwhile.
    fn write(self, mut to: &TcpStream, mut piece: &[u8]) -> io::Result<()> {
        while !piece.is_empty() {
            match to.write(piece) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => piece = &piece[written..],
                Err(error) if is_timeout(&error) => {
                    let is_cut = *self.shared.network.lock() == Network::Cut;
                    if is_cut || self.is_reset.load(Ordering::Relaxed) {
                        return Err(ErrorKind::ConnectionReset.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
