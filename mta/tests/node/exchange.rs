//! An MX host that follows a script.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

/// How the host behaves. The first `misbehaves` connections do what the flags say, later ones are faultless.
#[derive(Clone, Copy, Default)]
pub struct Script {
    pub misbehaves: usize,
    /// STARTTLS is offered, and what follows is no TLS.
    pub broken_tls: bool,
    /// The connection is cut instead of the reply to the message.
    pub cut_after_message: bool,
    /// The second MAIL on a connection is answered with 421, and the connection closed.
    pub one_message: bool,
    /// The reply to each message waits until the test says [`Exchange::answer`].
    pub slow: bool,
}

pub struct Exchange {
    pub address: SocketAddr,
    received: mpsc::UnboundedReceiver<Received>,
    connections: Arc<AtomicUsize>,
    load: Arc<Load>,
}

/// Messages of a slow host.
struct Load {
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
        let listener = TcpListener::bind((ip, port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let load = Load { answers: Semaphore::new(0), unanswered: 0.into(), most: 0.into() };
        let load = Arc::new(load);
        let shared = Arc::clone(&load);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let count = counted.fetch_add(1, Ordering::SeqCst);
                let script = if count < script.misbehaves { script } else { Script::default() };
                // A client that goes away ends only its own conversation.
                tokio::spawn(converse(stream, script, sender.clone(), Arc::clone(&shared)));
            }
        });
        Self { address, received, connections, load }
    }

    pub async fn received(&mut self) -> Received {
        self.received.recv().await.unwrap()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Lets a slow host reply to so many messages.
    pub fn answer(&self, messages: usize) {
        self.load.answers.add_permits(messages);
    }

    /// The most messages that a slow host had to reply to at a time.
    pub fn most_unanswered(&self) -> usize {
        self.load.most.load(Ordering::SeqCst)
    }
}

async fn converse(
    stream: TcpStream,
    script: Script,
    sender: mpsc::UnboundedSender<Received>,
    load: Arc<Load>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mx.test ESMTP\r\n").await?;
    let mut message = Received::default();
    let mut mails = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        let path = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let reply = match line.split([' ', ':']).next().unwrap_or_default().to_uppercase().as_str() {
            "EHLO" if script.broken_tls => "250-mx.test\r\n250-STARTTLS\r\n250 8BITMIME".to_owned(),
            "EHLO" => "250-mx.test\r\n250-PIPELINING\r\n250 8BITMIME".to_owned(),
            "STARTTLS" => "220 go ahead\r\nthis is no TLS record".to_owned(),
            "MAIL" => {
                mails += 1;
                if script.one_message && mails > 1 {
                    return stream.write_all(b"421 4.3.2 one message a connection\r\n").await;
                }
                message = Received { from: path(), ..Received::default() };
                "250 2.1.0 ok".to_owned()
            }
            "RCPT" => match path() {
                path if path.starts_with("unknown") => "550 5.1.1 no such user".to_owned(),
                path if path.starts_with("later@") => "450 4.2.1 not now".to_owned(),
                path => {
                    message.to.push(path);
                    "250 2.1.5 ok".to_owned()
                }
            },
            "DATA" if message.to.is_empty() => "554 5.5.1 no valid recipients".to_owned(),
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                message.body = read_message(&mut stream).await?;
                let unanswered = load.unanswered.fetch_add(1, Ordering::SeqCst) + 1;
                load.most.fetch_max(unanswered, Ordering::SeqCst);
                let _ = sender.send(message.clone());
                if script.slow {
                    load.answers.acquire().await.unwrap().forget();
                }
                load.unanswered.fetch_sub(1, Ordering::SeqCst);
                if script.cut_after_message {
                    return Ok(());
                }
                "250 2.0.0 taken".to_owned()
            }
            "QUIT" => return stream.write_all(b"221 2.0.0 bye\r\n").await,
            _ => "250 2.0.0 ok".to_owned(),
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
}

async fn read_message(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut body = String::new();
    loop {
        let start = body.len();
        stream.read_line(&mut body).await?;
        match &body[start..] {
            ".\r\n" | "" => {
                body.truncate(start);
                return Ok(body);
            }
            _ => {}
        }
    }
}
