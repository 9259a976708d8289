use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use rustls_pki_types::ServerName;
use smtp::server::Abort;
use smtp::{Credentials, Mail, Mechanisms, Rcpt};
use tokio::io::{DuplexStream, duplex};
use tokio::net::TcpListener;

use super::*;
use crate::smtp::testing::{Recorder, tls};

mod arrival;

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 25);

fn options() -> Options {
    let mut session = Config::new("mx.example.test".parse().unwrap());
    session.starttls = true;
    session.mechanisms = Mechanisms::ALL;
    Options { session: Arc::new(session), timeouts: Timeouts::default(), arrival: Arrival::default() }
}

/// A client on the other end of a served connection.
struct Client<S> {
    stream: S,
    received: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    fn new(stream: S) -> Self {
        Self { stream, received: Vec::new() }
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Receives one reply.
    async fn reply(&mut self) -> String {
        loop {
            if let Some(reply) = self.take_reply() {
                return reply;
            }
            let read = self.stream.read_buf(&mut self.received).await.unwrap();
            assert!(read > 0, "closed behind {:?}", self.received.escape_ascii().to_string());
        }
    }

    fn take_reply(&mut self) -> Option<String> {
        let text = std::str::from_utf8(&self.received).unwrap();
        let mut end = 0;
        for line in text.split_inclusive("\r\n") {
            end += line.len();
            if line.ends_with("\r\n") && line.as_bytes()[3] != b'-' {
                let reply = text[..end].trim_end().to_owned();
                self.received.drain(..end);
                return Some(reply);
            }
        }
        None
    }

    async fn says(&mut self, line: &str) -> String {
        self.send(&format!("{line}\r\n")).await;
        self.reply().await
    }

    /// Whatever comes until the server closes.
    async fn rest(&mut self) -> String {
        self.stream.read_to_end(&mut self.received).await.unwrap();
        String::from_utf8(std::mem::take(&mut self.received)).unwrap()
    }
}

/// Serves one connection with what the test made, while the client does its part.
async fn serving<T, C>(
    security: Security,
    options: Options,
    handler: impl Handler,
    shutdown: CancellationToken,
    client: impl FnOnce(DuplexStream) -> C,
) -> (End, T)
where
    C: Future<Output = T>,
{
    let (near, far) = duplex(16 * 1024);
    let server = serve_connection(near, ADDRESS, ADDRESS, &security, &options, handler, &shutdown);
    tokio::join!(server, client(far))
}

#[tokio::test]
async fn a_message_is_taken() {
    let handler = Recorder::default();
    let (end, ()) =
        serving(Security::Plain, options(), handler.clone(), CancellationToken::new(), async |stream| {
            let mut client = Client::new(stream);
            assert_eq!(client.reply().await, "220 mx.example.test ESMTP");
            client.says("EHLO client.test").await;
            assert_eq!(client.says("MAIL FROM:<a@example.test>").await, "250 2.1.0 OK");
            assert_eq!(client.says("RCPT TO:<b@example.test>").await, "250 2.1.5 OK");
            assert!(client.says("DATA").await.starts_with("354 "));
            assert_eq!(client.says("Subject: x\r\n\r\n..\r\n.").await, "250 2.0.0 Taken");
            assert_eq!(client.says("QUIT").await, "221 2.0.0 Bye");
            assert_eq!(client.rest().await, "");
        })
        .await;
    assert!(matches!(end, End::Quit), "{end}");
    assert_eq!(handler.heard(), ["mail a@example.test", "rcpt b@example.test", "begin", "finish"]);
    handler.record(|record| {
        assert_eq!(record.content, b"Subject: x\r\n\r\n.\r\n");
        let context = record.context.as_ref().unwrap();
        assert_eq!(context.protocol(false), "ESMTP");
        assert_eq!(context.hello.as_ref().unwrap().name, "client.test");
        assert!(!context.pipelined);
    });
}

#[tokio::test]
async fn tls_by_starttls_and_auth_behind_it() {
    let (acceptor, connector) = tls();
    let handler = Recorder::default();
    let security = Security::StartTls(acceptor);
    let (end, ()) = serving(security, options(), handler.clone(), CancellationToken::new(), async |stream| {
        let mut client = Client::new(stream);
        client.reply().await;
        assert!(client.says("EHLO client.test").await.contains("STARTTLS"));
        assert_eq!(client.says("STARTTLS").await, "220 2.0.0 Go ahead");
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = Client::new(connector.connect(name, client.stream).await.unwrap());
        assert!(client.says("MAIL FROM:<a@example.test>").await.starts_with("503 "));
        assert!(client.says("EHLO client.test").await.contains("AUTH PLAIN LOGIN"));
        assert_eq!(client.says("AUTH PLAIN AGFsaWNlAHNlY3JldA==").await, "235 2.7.0 Authenticated");
        client.says("MAIL FROM:<a@example.test>").await;
        client.says("QUIT").await;
    })
    .await;
    assert!(matches!(end, End::Quit), "{end}");
    assert_eq!(handler.heard(), ["authenticate alice", "mail a@example.test", "abort Closed"]);
    handler.record(|record| {
        let context = record.context.as_ref().unwrap();
        let tls = context.tls.as_ref().unwrap();
        assert_eq!((tls.version.as_str(), tls.server_name.as_deref()), ("TLSv1.3", Some("localhost")));
        assert!(tls.cipher.starts_with("TLS13_"), "{}", tls.cipher);
        assert_eq!(context.protocol(false), "ESMTPSA");
        assert_eq!(context.protocol(true), "UTF8SMTPSA");
    });
}

/// CVE-2011-0411 over a real connection: what came in clear never reaches the session under TLS.
#[tokio::test]
async fn a_command_injected_behind_starttls_ends_the_session() {
    let (acceptor, _) = tls();
    let handler = Recorder::default();
    let security = Security::StartTls(acceptor);
    let (end, ()) = serving(security, options(), handler.clone(), CancellationToken::new(), async |stream| {
        let mut client = Client::new(stream);
        client.reply().await;
        client.says("EHLO client.test").await;
        client.send("STARTTLS\r\nMAIL FROM:<evil@example.test>\r\n").await;
        assert!(client.rest().await.starts_with("554 5.5.0 "));
    })
    .await;
    assert!(matches!(end, End::Refused(_)), "{end}");
    assert!(handler.heard().is_empty());
}

#[tokio::test]
async fn tls_from_the_start() {
    let (acceptor, connector) = tls();
    let security = Security::Implicit(acceptor);
    let (end, ()) =
        serving(security, options(), Recorder::default(), CancellationToken::new(), async |stream| {
            let name = ServerName::try_from("localhost").unwrap();
            let mut client = Client::new(connector.connect(name, stream).await.unwrap());
            assert_eq!(client.reply().await, "220 mx.example.test ESMTP");
            let offered = client.says("EHLO client.test").await;
            assert!(offered.contains("AUTH") && !offered.contains("STARTTLS"));
            client.says("QUIT").await;
        })
        .await;
    assert!(matches!(end, End::Quit), "{end}");
}

#[tokio::test]
async fn a_handshake_that_fails_ends_the_connection() {
    let (acceptor, _) = tls();
    let security = Security::Implicit(acceptor);
    let (end, ()) =
        serving(security, options(), Recorder::default(), CancellationToken::new(), async |stream| {
            let mut client = Client::new(stream);
            client.send("EHLO client.test\r\n").await;
            client.stream.shutdown().await.unwrap();
        })
        .await;
    assert!(matches!(end, End::Handshake(_)), "{end}");
}

#[tokio::test]
async fn whoever_talks_before_the_greeting_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = Client::new(tokio::net::TcpStream::connect(address).await.unwrap());
    client.send("EHLO client.test\r\n").await;
    let (stream, peer) = listener.accept().await.unwrap();
    // The octets have arrived before the session begins.
    stream.readable().await.unwrap();
    let (options, shutdown) = (options(), CancellationToken::new());
    let server =
        serve_connection(stream, peer, address, &Security::Plain, &options, Recorder::default(), &shutdown);
    let (end, said) = tokio::join!(server, client.rest());
    assert!(said.starts_with("554 5.5.0 "), "{said}");
    assert!(matches!(end, End::Refused(_)), "{end}");
}

#[tokio::test]
async fn replies_to_a_group_of_commands_are_written_at_once() {
    let handler = Recorder::default();
    serving(Security::Plain, options(), handler.clone(), CancellationToken::new(), async |stream| {
        let mut client = Client::new(stream);
        client.reply().await;
        client.says("EHLO client.test").await;
        client.send("MAIL FROM:<>\r\nRCPT TO:<nobody@a.test>\r\nRCPT TO:<b@a.test>\r\nDATA\r\n").await;
        let mut buffer = [0; 1000];
        let length = client.stream.read(&mut buffer).await.unwrap();
        let said = std::str::from_utf8(&buffer[..length]).unwrap();
        let codes: Vec<&str> = said.lines().map(|line| &line[..3]).collect();
        assert_eq!(codes, ["250", "550", "250", "354"]);
    })
    .await;
    assert!(handler.record(|record| record.context.as_ref().unwrap().pipelined));
    assert_eq!(handler.heard().last().unwrap(), "abort Closed");
}

#[tokio::test]
async fn sixty_mib_stream_through_in_small_pieces() {
    const LINES: usize = 60 * 1024;
    let handler = Recorder::default();
    let mut session = Config::new("mx.example.test".parse().unwrap());
    session.max_message_size = 64 * 1024 * 1024;
    let options =
        Options { session: Arc::new(session), timeouts: Timeouts::default(), arrival: Arrival::default() };
    serving(Security::Plain, options, handler.clone(), CancellationToken::new(), async |stream| {
        let mut client = Client::new(stream);
        client.reply().await;
        client.says("EHLO client.test").await;
        client.says("MAIL FROM:<>").await;
        client.says("RCPT TO:<b@a.test>").await;
        client.says("DATA").await;
        let line = format!(".{}\r\n", "x".repeat(1022));
        for _ in 0..LINES {
            client.send(&line).await;
        }
        assert_eq!(client.says(".").await, "250 2.0.0 Taken");
        client.says("QUIT").await;
    })
    .await;
    handler.record(|record| {
        assert_eq!(record.octets, LINES * 1024);
        assert!(record.longest <= 2 * MESSAGE_READ_SIZE, "{}", record.longest);
    });
}

/// Takes one piece of a message and then waits.
struct Slow(Recorder, Arc<tokio::sync::Notify>);

impl Handler for Slow {
    async fn authenticate(&mut self, context: &Context, credentials: Credentials) -> Result<(), Reply> {
        self.0.authenticate(context, credentials).await
    }

    async fn mail(&mut self, context: &Context, mail: Mail) -> Reply {
        self.0.mail(context, mail).await
    }

    async fn rcpt(&mut self, context: &Context, rcpt: Rcpt) -> Reply {
        self.0.rcpt(context, rcpt).await
    }

    async fn begin(&mut self, context: &Context) -> Result<(), Reply> {
        self.0.begin(context).await
    }

    async fn chunk(&mut self, chunk: Bytes) -> Result<(), Reply> {
        self.1.notified().await;
        self.0.chunk(chunk).await
    }

    async fn finish(&mut self, context: &Context) -> Reply {
        self.0.finish(context).await
    }

    async fn abort(&mut self, abort: Abort) {
        self.0.abort(abort).await;
    }
}

#[tokio::test]
async fn while_the_handler_is_busy_nothing_is_read() {
    let (recorder, go_on) = (Recorder::default(), Arc::new(tokio::sync::Notify::new()));
    let handler = Slow(recorder.clone(), go_on.clone());
    serving(Security::Plain, options(), handler, CancellationToken::new(), async |stream| {
        let mut client = Client::new(stream);
        client.reply().await;
        client.says("EHLO client.test").await;
        client.says("MAIL FROM:<>").await;
        client.says("RCPT TO:<b@a.test>").await;
        client.says("DATA").await;
        // The pipe and one read are all that fits.
        let mut sent = 0;
        while let Ok(written) = timeout(Duration::from_millis(50), client.stream.write(&[b'x'; 4096])).await {
            sent += written.unwrap();
        }
        assert!(sent <= 16 * 1024 + 2 * MESSAGE_READ_SIZE, "{sent}");
        // From here on the handler is as fast as it can be.
        let hurry = async {
            loop {
                go_on.notify_one();
                tokio::task::yield_now().await;
            }
        };
        let end = async {
            assert_eq!(client.says("\r\n.").await, "250 2.0.0 Taken");
            client.says("QUIT").await;
        };
        tokio::select! { () = hurry => {}, () = end => {} }
        recorder.record(|record| assert_eq!(record.octets, sent + 2));
    })
    .await;
}

#[tokio::test]
async fn an_idle_session_is_closed_when_the_service_stops() {
    let shutdown = CancellationToken::new();
    let (end, ()) =
        serving(Security::Plain, options(), Recorder::default(), shutdown.clone(), async |stream| {
            let mut client = Client::new(stream);
            client.reply().await;
            client.says("EHLO client.test").await;
            shutdown.cancel();
            assert!(client.rest().await.starts_with("421 4.3.2 "));
        })
        .await;
    assert!(matches!(end, End::ShutDown), "{end}");
}

#[tokio::test]
async fn a_handshake_is_not_waited_for_when_the_service_stops() {
    let (acceptor, _) = tls();
    for security in [Security::Implicit(acceptor.clone()), Security::StartTls(acceptor)] {
        let mut options = options();
        // Only the end of the service can end this.
        options.timeouts.handshake = minutes(120);
        let shutdown = CancellationToken::new();
        let is_implicit = matches!(security, Security::Implicit(_));
        let serving = serving(security, options, Recorder::default(), shutdown.clone(), async |stream| {
            let mut client = Client::new(stream);
            if !is_implicit {
                client.reply().await;
                client.says("EHLO client.test").await;
                assert_eq!(client.says("STARTTLS").await, "220 2.0.0 Go ahead");
            }
            // A handshake that has begun, and goes no further.
            client.stream.write_all(&[22, 3, 1]).await.unwrap();
            tokio::task::yield_now().await;
            shutdown.cancel();
            assert_eq!(client.rest().await, "");
        });
        let (end, ()) = timeout(minutes(1), serving).await.unwrap();
        assert!(matches!(end, End::ShutDown), "{end}");
    }
}

#[tokio::test]
async fn a_message_under_way_is_finished_when_the_service_stops() {
    let shutdown = CancellationToken::new();
    let handler = Recorder::default();
    let (end, ()) = serving(Security::Plain, options(), handler.clone(), shutdown.clone(), async |stream| {
        let mut client = Client::new(stream);
        client.reply().await;
        client.says("EHLO client.test").await;
        client.says("MAIL FROM:<>").await;
        shutdown.cancel();
        client.says("RCPT TO:<b@a.test>").await;
        client.says("DATA").await;
        assert_eq!(client.says("x\r\n.").await, "250 2.0.0 Taken");
        assert!(client.rest().await.starts_with("421 4.3.2 "));
    })
    .await;
    assert!(matches!(end, End::ShutDown), "{end}");
    assert_eq!(handler.heard().last().unwrap(), "finish");
}

#[tokio::test]
async fn whoever_is_silent_is_disconnected() {
    let mut options = options();
    options.timeouts.command = Duration::from_millis(20);
    let (end, ()) =
        serving(Security::Plain, options, Recorder::default(), CancellationToken::new(), async |stream| {
            let said = Client::new(stream).rest().await;
            assert!(said.contains("421 4.4.2 "), "{said}");
        })
        .await;
    assert!(matches!(end, End::TimedOut), "{end}");
}

#[tokio::test]
async fn nobody_holds_a_session_for_ever() {
    let mut options = options();
    options.timeouts.session = Duration::from_millis(100);
    let (end, ()) =
        serving(Security::Plain, options, Recorder::default(), CancellationToken::new(), async |stream| {
            let mut client = Client::new(stream);
            client.reply().await;
            // An octet now and then keeps every other timer from running out.
            while client.stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    assert!(matches!(end, End::TimedOut), "{end}");
}

#[tokio::test]
async fn a_connection_lost_in_the_message_aborts_it() {
    let handler = Recorder::default();
    let (end, ()) =
        serving(Security::Plain, options(), handler.clone(), CancellationToken::new(), async |stream| {
            let mut client = Client::new(stream);
            client.reply().await;
            client.says("EHLO client.test").await;
            client.says("MAIL FROM:<>").await;
            client.says("RCPT TO:<b@a.test>").await;
            client.says("DATA").await;
            client.send("half\r\n.\r").await;
        })
        .await;
    assert!(matches!(end, End::Lost(_)), "{end}");
    assert_eq!(handler.heard().last().unwrap(), "abort Closed");
}
