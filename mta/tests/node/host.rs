//! A host of another mail system with TLS, REQUIRETLS and login: the server of our own, on a loopback address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use message::Domain;
use prometheus_client::registry::Registry;
use service::drain::Shutdown;
use service::listen::{ListenMetrics, Listener, ListenerOptions};
use service::smtp::server::{Arrival, Context, Handler, Options, Port, Security, Timeouts};
use smtp::server::{Abort, Config};
use smtp::{Credentials, Mail, Mechanisms, Rcpt, Reply};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// The one user that may log in, and the password.
pub const USER: (&str, &str) = ("relay", "open sesame");

/// What the host offers beside the usual.
#[derive(Clone)]
pub struct Offers {
    pub tls: Option<TlsAcceptor>,
    /// TLS comes before anything else.
    pub implicit: bool,
    pub requiretls: bool,
    pub login: bool,
}

impl Offers {
    pub fn starttls(acceptor: TlsAcceptor) -> Self {
        Self { tls: Some(acceptor), implicit: false, requiretls: false, login: false }
    }

    pub fn nothing() -> Self {
        Self { tls: None, implicit: false, requiretls: false, login: false }
    }
}

pub struct Host {
    pub address: SocketAddr,
    taken: mpsc::UnboundedReceiver<Taken>,
    connections: Arc<AtomicUsize>,
    shutdown: Shutdown,
}

/// A message that the host took, with what it knows of the session.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    pub client: Option<IpAddr>,
    pub hello: String,
    pub is_encrypted: bool,
    pub user: String,
    pub mail: Mail,
    pub to: Vec<String>,
    pub body: Vec<u8>,
}

impl Host {
    /// On an address of its own, and on the port of the other hosts of the test; 0 for the first.
    pub fn start(ip: Ipv4Addr, port: u16, offers: Offers) -> Self {
        let metrics = ListenMetrics::register(&mut Registry::default());
        let limits =
            ListenerOptions { name: "mx", max_connections: 100, max_per_network: None, busy_reply: b"" };
        let listener = Listener::bind((ip, port).into(), limits, metrics).unwrap();
        let address = listener.local_address();
        let security = match offers.tls {
            None => Security::Plain,
            Some(acceptor) if offers.implicit => Security::Implicit(acceptor.into()),
            Some(acceptor) => Security::StartTls(acceptor.into()),
        };
        let session = Config {
            starttls: matches!(security, Security::StartTls(_)),
            require_tls: offers.requiretls,
            mechanisms: if offers.login { Mechanisms::ALL } else { Mechanisms::NONE },
            mail_needs_auth: offers.login,
            ..Config::new(Domain::parse("mx.remote.test").unwrap())
        };
        let options = Options {
            session: Arc::new(session),
            timeouts: Timeouts::default(),
            arrival: Arrival::default(),
        };
        let (sender, taken) = mpsc::unbounded_channel();
        let (connections, shutdown) = (Arc::new(AtomicUsize::new(0)), Shutdown::new());
        let port = Port { listener, security, options };
        let (counted, ending) = (Arc::clone(&connections), shutdown.clone());
        tokio::spawn(async move {
            let visit = || Visit {
                connections: Arc::clone(&counted),
                sender: sender.clone(),
                taken: Taken::default(),
            };
            port.serve(&ending, visit).await;
        });
        Self { address, taken, connections, shutdown }
    }

    pub async fn taken(&mut self) -> Taken {
        self.taken.recv().await.unwrap()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shutdown.start();
    }
}

struct Visit {
    connections: Arc<AtomicUsize>,
    sender: mpsc::UnboundedSender<Taken>,
    taken: Taken,
}

impl Handler for Visit {
    async fn connected(&mut self, _: &Context) -> Result<(), Reply> {
        self.connections.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn authenticate(&mut self, _: &Context, credentials: Credentials) -> Result<(), Reply> {
        if (credentials.username.as_str(), credentials.password.reveal()) != USER {
            return Err(Reply::new(535, 7, 8, "who are you?"));
        }
        self.taken.user = credentials.username;
        Ok(())
    }

    async fn mail(&mut self, context: &Context, mail: Mail) -> Reply {
        self.taken = Taken {
            client: Some(context.peer.ip()),
            hello: context.hello.as_ref().map(|hello| hello.name.clone()).unwrap_or_default(),
            is_encrypted: context.tls.is_some(),
            user: self.taken.user.clone(),
            mail,
            ..Taken::default()
        };
        Reply::new(250, 1, 0, "ok")
    }

    async fn rcpt(&mut self, _: &Context, rcpt: Rcpt) -> Reply {
        self.taken.to.push(rcpt.address.to_string());
        Reply::new(250, 1, 5, "ok")
    }

    async fn begin(&mut self, _: &Context) -> Result<(), Reply> {
        Ok(())
    }

    async fn chunk(&mut self, chunk: Bytes) -> Result<(), Reply> {
        self.taken.body.extend_from_slice(&chunk);
        Ok(())
    }

    async fn finish(&mut self, _: &Context) -> Reply {
        let _ = self.sender.send(self.taken.clone());
        Reply::new(250, 0, 0, "taken")
    }

    async fn abort(&mut self, _: Abort) {}
}
