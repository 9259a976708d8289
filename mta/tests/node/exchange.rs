//! An MX host that follows a script.

mod conversation;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use conversation::Conversation;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, mpsc};

/// Octets that the kernel keeps for a host that reads slowly.
const LITTLE: u32 = 4 << 10;

/// How the host behaves. The first `misbehaves` connections do what the flags and the fault say, later ones are
/// faultless.
#[derive(Clone, Copy, Default)]
pub struct Script {
    pub misbehaves: usize,
    pub offers: Offers,
    /// What goes wrong, once on each connection.
    pub fault: Option<Fault>,
    /// Messages that go well before that.
    pub spares: usize,
    /// The second MAIL on a connection is answered with 421, and the connection closed.
    pub one_message: bool,
    /// The reply to each message waits until the test says [`Exchange::answer`].
    pub slow: bool,
}

/// What the host offers, beside 8BITMIME where nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offers {
    Nothing,
    #[default]
    Pipelining,
    /// PIPELINING and CHUNKING.
    Chunking,
    /// PIPELINING, and not even 8BITMIME.
    Ascii,
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub at: Step,
    pub how: How,
}

/// A step of a conversation; that of a reply takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Greeting,
    Hello,
    /// STARTTLS is offered for this.
    StartTls,
    /// Behind the reply to STARTTLS, which is offered for this.
    Handshake,
    Mail,
    /// The reply to a RCPT of the transaction, the first being 0.
    Rcpt(usize),
    Data,
    /// In the middle of a message by DATA: behind its first line.
    Body,
    /// The reply to the first chunk of a message.
    Chunk,
    /// The reply to the whole message.
    End,
}

/// How it goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// These octets come, and the conversation goes on.
    Says(&'static str),
    /// These octets come, and nothing more: the host closes its side.
    Ends(&'static str),
    /// The connection is reset.
    Resets,
    /// The right reply comes once the client has gone.
    Late,
    /// The right reply comes, octet by octet, each long behind the one before.
    Drips,
    /// Lines of a reply without an end.
    Endless,
    /// So many octets of the message are read now and then, for ever.
    Sips(usize),
}

pub struct Exchange {
    pub address: SocketAddr,
    received: mpsc::UnboundedReceiver<Received>,
    connections: Arc<AtomicUsize>,
    host: Arc<Host>,
}

/// What all conversations of a host share.
struct Host {
    received: mpsc::UnboundedSender<Received>,
    /// The steps of each connection.
    heard: Mutex<Vec<Vec<&'static str>>>,
    answers: Semaphore,
    unanswered: AtomicUsize,
    most: AtomicUsize,
}

/// A message that was sent to the host, whatever it said to that.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    pub body: String,
}

impl Exchange {
    /// On an address of its own, and on the port of the other hosts of the test; 0 for the first.
    pub async fn start(ip: Ipv4Addr, port: u16, script: Script) -> Self {
        let listener = match script.fault {
            Some(Fault { how: How::Sips(_), .. }) => listen_with_little_room((ip, port).into()),
            _ => TcpListener::bind((ip, port)).await.unwrap(),
        };
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let host = Arc::new(Host {
            received: sender,
            heard: Mutex::default(),
            answers: Semaphore::new(0),
            unanswered: 0.into(),
            most: 0.into(),
        });
        let shared = Arc::clone(&host);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let count = counted.fetch_add(1, Ordering::SeqCst);
                let faultless = Script { offers: script.offers, ..Script::default() };
                let script = if count < script.misbehaves { script } else { faultless };
                shared.heard.lock().push(Vec::new());
                // A client that goes away ends only its own conversation.
                tokio::spawn(Conversation::new(stream, count, script, Arc::clone(&shared)).hold());
            }
        });
        Self { address, received, connections, host }
    }

    pub async fn received(&mut self) -> Received {
        self.received.recv().await.unwrap()
    }

    /// The messages that came since they were asked for.
    pub fn received_so_far(&mut self) -> Vec<Received> {
        std::iter::from_fn(|| self.received.try_recv().ok()).collect()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// For each connection what the host consented to: the commands by their names, less DATA and BDAT, which depend on
    /// what it offers, and QUIT; and a dot for each message that was complete, whatever it said to that.
    pub fn heard(&self) -> Vec<String> {
        self.host.heard.lock().iter().map(|steps| steps.join(" ")).collect()
    }

    /// Lets a slow host reply to so many messages.
    pub fn answer(&self, messages: usize) {
        self.host.answers.add_permits(messages);
    }

    /// The most messages that a slow host had to reply to at a time.
    pub fn most_unanswered(&self) -> usize {
        self.host.most.load(Ordering::SeqCst)
    }
}

fn listen_with_little_room(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_recv_buffer_size(LITTLE).unwrap();
    socket.bind(address).unwrap();
    socket.listen(1024).unwrap()
}

impl Host {
    /// Keeps a message, and waits until it may be answered.
    async fn take(&self, message: Received, slow: bool) {
        let unanswered = self.unanswered.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(unanswered, Ordering::SeqCst);
        // Most tests count connections and not messages.
        let _ = self.received.send(message);
        if slow {
            self.answers.acquire().await.unwrap().forget();
        }
        self.unanswered.fetch_sub(1, Ordering::SeqCst);
    }
}
