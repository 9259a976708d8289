use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use smtp::server::Config;
use smtp::{BodyType, Credentials, Mail, Password, Rcpt};
use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::HumanDuration;
use crate::smtp::server::{self, End, Security, serve_connection};
use crate::smtp::testing::{Recorder, tls};
use crate::tls::Acceptor;

fn options() -> Options {
    let session = ::smtp::client::Options::new("client.test".parse().unwrap());
    Options { session, tls: None, timeouts: Timeouts::default() }
}

fn with_tls(connector: TlsConnector, name: &'static str, start_tls: StartTls) -> Options {
    let mut options = options();
    options.session.start_tls = start_tls;
    options.tls = Some(Tls { connector, server_name: ServerName::try_from(name).unwrap(), implicit: false });
    options
}

fn envelope(recipients: &[&str]) -> Envelope {
    let mail = Mail { reverse_path: "alice@example.test".parse().unwrap(), ..Mail::default() };
    let recipients = recipients.iter().map(|address| Rcpt::new(address.parse().unwrap())).collect();
    Envelope { mail, recipients }
}

fn body(pieces: &[&'static str]) -> impl Stream<Item = io::Result<Bytes>> + Unpin + Send + use<> {
    stream::iter(pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect::<Vec<_>>())
}

/// A server of ours on the other end of a pipe.
fn served(handler: Recorder, acceptor: Option<Acceptor>) -> (DuplexStream, tokio::task::JoinHandle<End>) {
    let (near, far) = duplex(16 * 1024);
    let server = tokio::spawn(async move {
        let mut session = Config::new("mx.example.test".parse().unwrap());
        session.starttls = acceptor.is_some();
        session.mechanisms = smtp::Mechanisms::ALL;
        session.max_message_size = 100 * 1024 * 1024;
        let options = server::Options {
            session: Arc::new(session),
            timeouts: server::Timeouts::default(),
            arrival: server::Arrival::default(),
        };
        let security = acceptor.map_or(Security::Plain, Security::StartTls);
        let address = "127.0.0.1:25".parse().unwrap();
        serve_connection(far, address, address, &security, &options, handler, &CancellationToken::new()).await
    });
    (near, server)
}

/// A server that says these lines, each behind what it waits for, and then closes.
fn scripted(lines: &'static [(&'static str, &'static str)]) -> DuplexStream {
    let (near, mut far) = duplex(16 * 1024);
    tokio::spawn(async move {
        let mut received = String::new();
        for (waits_for, says) in lines {
            while !received.contains(waits_for) {
                let mut buffer = [0; 1024];
                let length = far.read(&mut buffer).await.unwrap();
                received.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            }
            received.clear();
            far.write_all(says.as_bytes()).await.unwrap();
        }
    });
    near
}

const UP_TO_DATA: &[(&str, &str)] = &[
    ("", "220 mx\r\n"),
    ("EHLO", "250-mx\r\n250 PIPELINING\r\n"),
    ("DATA", "250 OK\r\n250 OK\r\n354 go\r\n"),
];

#[tokio::test]
async fn messages_go_over_one_connection() {
    let handler = Recorder::default();
    let (stream, server) = served(handler.clone(), None);
    let mut connection = Connection::over(stream, &options()).await.unwrap();
    assert_eq!(connection.greeting().unwrap().text, "mx.example.test ESMTP");
    assert!(connection.extensions().pipelining && connection.tls().is_none());
    for _ in 0..2 {
        let outcomes = connection
            .send(&envelope(&["b@example.test", "nobody@example.test"]), body(&["a\r\n", ".b"]))
            .await;
        assert!(matches!(&outcomes[..], [Outcome::Delivered(_), Outcome::Permanent(_)]));
        assert!(connection.is_ready());
        connection.reset().await.unwrap();
    }
    connection.quit().await;
    assert!(matches!(server.await.unwrap(), End::Quit));
    handler.record(|record| assert_eq!(record.content, b"a\r\n.b\r\na\r\n.b\r\n"));
}

#[tokio::test]
async fn tls_and_auth() {
    let (acceptor, connector) = tls();
    let handler = Recorder::default();
    let (stream, _server) = served(handler.clone(), Some(acceptor));
    let mut options = with_tls(connector, "localhost", StartTls::Required);
    let password = Password::new("secret");
    options.session.credentials =
        Some(Credentials { authorization: None, username: "alice".into(), password });
    let mut connection = Connection::over(stream, &options).await.unwrap();
    assert_eq!(connection.tls().unwrap().version, "TLSv1.3");
    let outcomes = connection.send(&envelope(&["b@example.test"]), body(&["x"])).await;
    assert!(outcomes[0].is_delivered());
    assert_eq!(handler.heard()[0], "authenticate alice");
    connection.quit().await;
}

#[tokio::test]
async fn a_wrong_password_is_the_servers_word() {
    let (acceptor, connector) = tls();
    let (stream, _server) = served(Recorder::default(), Some(acceptor));
    let mut options = with_tls(connector, "localhost", StartTls::Required);
    let password = Password::new("guess");
    options.session.credentials =
        Some(Credentials { authorization: None, username: "alice".into(), password });
    let Err(ConnectError::Session(failure)) = Connection::over(stream, &options).await else { panic!() };
    assert_eq!((failure.stage, failure.reply.code, failure.from_peer), (Stage::Auth, 535, true));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_an_error_of_its_own() {
    let (acceptor, connector) = tls();
    let (stream, _server) = served(Recorder::default(), Some(acceptor));
    let options = with_tls(connector, "other.test", StartTls::Opportunistic);
    let Err(error @ ConnectError::Tls(_)) = Connection::over(stream, &options).await else { panic!() };
    let failure = error.failure();
    assert!(failure.stage == Stage::StartTls && failure.reply.is_transient() && !failure.from_peer);
}

#[tokio::test]
async fn tls_from_the_start() {
    let (acceptor, connector) = tls();
    let (near, far) = duplex(16 * 1024);
    tokio::spawn(async move {
        let session = Arc::new(Config::new("mx.example.test".parse().unwrap()));
        let options = server::Options {
            session,
            timeouts: server::Timeouts::default(),
            arrival: server::Arrival::default(),
        };
        let address = "127.0.0.1:465".parse().unwrap();
        let (security, token) = (Security::Implicit(acceptor), CancellationToken::new());
        serve_connection(far, address, address, &security, &options, Recorder::default(), &token).await
    });
    let mut options = with_tls(connector, "localhost", StartTls::Required);
    options.tls.as_mut().unwrap().implicit = true;
    let connection = Connection::over(near, &options).await.unwrap();
    assert!(connection.tls().is_some());
}

#[tokio::test]
async fn sixty_mib_stream_through_either_way() {
    const PIECES: usize = 960;
    for chunking in [false, true] {
        let handler = Recorder::default();
        let (stream, _server) = served(handler.clone(), None);
        let mut options = options();
        options.session.chunking = chunking;
        let mut connection = Connection::over(stream, &options).await.unwrap();
        let piece = Bytes::from(format!(".{}\r\n", "x".repeat(1021)).repeat(64));
        let pieces = stream::iter((0..PIECES).map(|_| Ok(piece.clone())));
        let outcomes = connection.send(&envelope(&["b@example.test"]), pieces).await;
        assert!(outcomes[0].is_delivered(), "{outcomes:?}");
        handler.record(|record| {
            assert_eq!(record.octets, PIECES * 64 * 1024);
            assert!(record.longest <= 64 * 1024, "{}", record.longest);
        });
    }
}

#[tokio::test]
async fn a_connection_cut_behind_the_dot_leaves_it_unknown() {
    let script = const { &[UP_TO_DATA[0], UP_TO_DATA[1], UP_TO_DATA[2], ("\r\n.\r\n", "")] };
    let mut connection = Connection::over(scripted(script), &options()).await.unwrap();
    let outcomes = connection.send(&envelope(&["b@example.test"]), body(&["x\r\n"])).await;
    let [Outcome::Unknown(failure)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!((failure.stage, failure.from_peer), (Stage::End, false));
    assert!(!connection.is_ready());
    // What comes next fails at once.
    let outcomes = connection.send(&envelope(&["b@example.test"]), body(&["x\r\n"])).await;
    assert!(matches!(&outcomes[..], [Outcome::Transient(_)]));
    connection.quit().await;
}

#[tokio::test]
async fn a_connection_cut_before_the_dot_is_a_transient_failure() {
    let mut connection = Connection::over(scripted(UP_TO_DATA), &options()).await.unwrap();
    // The server has closed by then, and all of this does not fit into the pipe.
    let pieces = stream::iter((0..100).map(|_| Ok(Bytes::from("x".repeat(10_000)))));
    let outcomes = connection.send(&envelope(&["b@example.test"]), pieces).await;
    assert!(
        matches!(&outcomes[..], [Outcome::Transient(failure)] if failure.stage == Stage::Body),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn a_server_that_stops_a_message_in_its_middle_is_quoted() {
    let script = const { &[UP_TO_DATA[0], UP_TO_DATA[1], UP_TO_DATA[2], ("xxx", "552 5.3.4 too large\r\n")] };
    let mut connection = Connection::over(scripted(script), &options()).await.unwrap();
    let pieces = stream::iter((0..100).map(|_| Ok(Bytes::from("x".repeat(10_000)))));
    let outcomes = connection.send(&envelope(&["b@example.test"]), pieces).await;
    let [Outcome::Permanent(failure)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!((failure.reply.code, failure.from_peer), (552, true));
}

/// A server on a pipe that holds little. It says these lines, each behind what it waits for, and from then on it reads
/// nothing until the test takes it back.
fn choking(
    lines: &'static [(&'static str, &'static str)],
) -> (DuplexStream, tokio::task::JoinHandle<DuplexStream>) {
    let (near, mut far) = duplex(128);
    let server = tokio::spawn(async move {
        let mut received = String::new();
        for (waits_for, says) in lines {
            while !received.contains(waits_for) {
                received.push(char::from(far.read_u8().await.unwrap()));
            }
            received.clear();
            far.write_all(says.as_bytes()).await.unwrap();
        }
        far
    });
    (near, server)
}

#[tokio::test]
async fn behind_half_a_command_that_the_server_did_not_take_nothing_follows() {
    let (stream, server) =
        choking(&[("", "220 mx\r\n"), ("EHLO client.test\r\n", "250-mx\r\n250 PIPELINING\r\n")]);
    let mut options = options();
    options.timeouts.mail = HumanDuration::from_millis(20);
    let mut connection = Connection::over(stream, &options).await.unwrap();
    let mut far = server.await.unwrap();
    // Replies to what has not even left: to go on with them is to write DATA behind half a RCPT.
    far.write_all(b"250 OK\r\n250 OK\r\n250 OK\r\n250 OK\r\n354 go\r\n").await.unwrap();
    let recipients = [&*format!("{}@example.test", "b".repeat(60)), "c@example.test", "d@example.test"];
    let outcomes = connection.send(&envelope(&recipients), body(&["x\r\n"])).await;
    for outcome in &outcomes {
        let Outcome::Transient(failure) = outcome else { panic!("{outcomes:?}") };
        assert!(!failure.from_peer && failure.reply.text.starts_with("Timed out"), "{failure}");
    }
    assert_eq!(outcomes.len(), 3);
    assert!(!connection.is_ready());
    connection.quit().await;
    let mut left = String::new();
    far.read_to_string(&mut left).await.unwrap();
    assert!(left.starts_with("MAIL FROM:") && left.len() == 128 && !left.contains("DATA"), "{left:?}");
}

#[tokio::test]
async fn a_message_that_the_server_does_not_take_in_time_is_not_gone_on_with() {
    // The reply to the chunk is there when the time is up.
    let (stream, server) = choking(&[
        ("", "220 mx\r\n"),
        ("EHLO client.test\r\n", "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n"),
        ("RCPT TO:<b@example.test>\r\n", "250 OK\r\n250 OK\r\n"),
        ("BDAT 100000\r\n", "250 OK\r\n"),
    ]);
    let mut options = options();
    options.session.chunking = true;
    options.timeouts.block = HumanDuration::from_millis(20);
    let mut connection = Connection::over(stream, &options).await.unwrap();
    let pieces = stream::iter([Ok(Bytes::from("x".repeat(100_000)))]);
    let outcomes = connection.send(&envelope(&["b@example.test"]), pieces).await;
    let [Outcome::Transient(failure)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(!failure.from_peer && failure.reply.text.starts_with("Timed out"), "{failure}");
    assert!(!connection.is_ready());
    drop(connection);
    let mut left = String::new();
    server.await.unwrap().read_to_string(&mut left).await.unwrap();
    assert!(left.bytes().all(|octet| octet == b'x'), "{left:?}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_ended() {
    let handler = Recorder::default();
    let (stream, server) = served(handler.clone(), None);
    let mut connection = Connection::over(stream, &options()).await.unwrap();
    let broken = stream::iter([Ok(Bytes::from_static(b"half\r\n")), Err(io::Error::other("disk"))]);
    let outcomes = connection.send(&envelope(&["b@example.test"]), broken).await;
    assert!(matches!(&outcomes[..], [Outcome::Transient(failure)] if !failure.from_peer));
    assert!(!connection.is_ready());
    drop(connection);
    assert!(matches!(server.await.unwrap(), End::Lost(_)));
    assert_eq!(handler.heard().last().unwrap(), "abort Closed");
}

#[tokio::test]
async fn a_message_given_up_in_its_middle_is_never_mixed_with_the_next() {
    let handler = Recorder::default();
    let (stream, _server) = served(handler.clone(), None);
    let mut connection = Connection::over(stream, &options()).await.unwrap();
    let first = envelope(&["b@example.test"]);
    {
        let mut given_up = std::pin::pin!(connection.send(&first, stream::pending()));
        while !handler.heard().contains(&"begin".to_owned()) {
            tokio::select! { biased; _ = given_up.as_mut() => panic!(), () = tokio::task::yield_now() => {} }
        }
    }
    let outcomes = connection.send(&envelope(&["c@example.test"]), body(&["second\r\n"])).await;
    assert!(matches!(&outcomes[..], [Outcome::Transient(_)]));
    assert!(handler.record(|record| record.content.is_empty()));
}

#[tokio::test]
async fn a_message_that_needs_more_than_is_offered_is_not_sent() {
    let mut connection = Connection::over(scripted(UP_TO_DATA), &options()).await.unwrap();
    let mut needy = envelope(&["b@example.test", "c@example.test"]);
    needy.mail.body = BodyType::EightBitMime;
    let outcomes = connection.send(&needy, body(&["x"])).await;
    assert_eq!(outcomes.len(), 2);
    assert!(
        matches!(&outcomes[0], Outcome::Permanent(failure) if failure.reply.enhanced.unwrap().to_string() == "5.6.3")
    );
    assert!(connection.is_ready());
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let (stream, _silent) = duplex(1024);
    let mut options = options();
    options.timeouts.greeting = HumanDuration::from_millis(20);
    let Err(ConnectError::Session(failure)) = Connection::over(stream, &options).await else { panic!() };
    assert_eq!((failure.stage, &*failure.reply.text), (Stage::Greeting, "Timed out at greeting"));
}

#[tokio::test]
async fn a_server_that_dribbles_is_given_up_too() {
    let (stream, mut far) = duplex(1024);
    let dribble = async move {
        while far.write_all(b"220-and so on\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let mut options = options();
    options.timeouts.greeting = HumanDuration::from_millis(50);
    let (connection, ()) = tokio::join!(Connection::over(stream, &options), dribble);
    let Err(ConnectError::Session(failure)) = connection else { panic!() };
    assert_eq!(&*failure.reply.text, "Timed out at greeting");
}

#[tokio::test]
async fn a_port_without_a_server_is_a_failure_to_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let Err(error @ ConnectError::Connect(_)) = Connection::connect(address, &options()).await else {
        panic!()
    };
    assert_eq!(error.failure().stage, Stage::Connect);
}

#[tokio::test]
async fn a_message_at_hand_goes_in_one_breath() {
    let script = const {
        &[
            ("", "220 mx\r\n"),
            ("EHLO", "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n"),
            // Nothing is said before all of it is there.
            ("BDAT 3 LAST\r\nx\r\n", "250 OK\r\n250 OK\r\n250 taken\r\n"),
        ]
    };
    let mut options = options();
    options.session.chunking = true;
    let mut connection = Connection::over(scripted(script), &options).await.unwrap();
    let outcomes = connection.send_whole(&envelope(&["b@example.test"]), "x\r\n".into()).await;
    assert!(outcomes[0].is_delivered(), "{outcomes:?}");
}

#[tokio::test]
async fn a_message_at_hand_goes_to_any_server() {
    let handler = Recorder::default();
    let (stream, _server) = served(handler.clone(), None);
    let mut connection = Connection::over(stream, &options()).await.unwrap();
    for _ in 0..2 {
        let outcomes = connection.send_whole(&envelope(&["b@example.test"]), ".x\r\n".into()).await;
        assert!(outcomes[0].is_delivered(), "{outcomes:?}");
    }
    handler.record(|record| assert_eq!(record.content, b".x\r\n.x\r\n"));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_waited_gets_no_message() {
    let mut connection = Connection::over(scripted(&UP_TO_DATA[..2]), &options()).await.unwrap();
    // What the server wrote is read, and it has gone: nothing is written to it.
    let outcomes = connection.send_whole(&envelope(&["b@example.test"]), "x".into()).await;
    let [Outcome::Transient(failure)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!((failure.stage, failure.from_peer), (Stage::Mail, false));
    assert!(!connection.is_ready());
}

#[tokio::test]
async fn a_server_that_said_goodbye_while_it_was_not_asked_gets_no_message() {
    for goodbye in ["421 4.4.2 idle for too long\r\n", "250 what\r\n421 4.4.2 idle for too long\r\n"] {
        let (stream, server) = choking(
            const {
                &[
                    ("", "220 mx\r\n"),
                    ("EHLO client.test\r\n", "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n"),
                ]
            },
        );
        let mut options = options();
        options.session.chunking = true;
        let mut connection = Connection::over(stream, &options).await.unwrap();
        let mut far = server.await.unwrap();
        far.write_all(goodbye.as_bytes()).await.unwrap();
        let outcomes = connection.send_whole(&envelope(&["b@example.test"]), "x".into()).await;
        let [Outcome::Transient(failure)] = &outcomes[..] else { panic!("{outcomes:?}") };
        assert_eq!((failure.stage, failure.from_peer, failure.reply.code), (Stage::Mail, true, 421));
        assert!(!connection.is_ready());
        drop(connection);
        let mut left = String::new();
        far.read_to_string(&mut left).await.unwrap();
        assert_eq!(left, "");
    }
}

#[tokio::test]
async fn what_was_said_before_a_connection_closed_is_no_reason_to_go_on() {
    let (stream, server) = choking(&UP_TO_DATA[..2]);
    let mut connection = Connection::over(stream, &options()).await.unwrap();
    let mut far = server.await.unwrap();
    far.write_all(b"250 what\r\n").await.unwrap();
    drop(far);
    let outcomes = connection.send_whole(&envelope(&["b@example.test"]), "x".into()).await;
    let [Outcome::Transient(failure)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!((failure.stage, failure.from_peer), (Stage::Mail, false));
}

#[tokio::test]
async fn a_reply_behind_the_timeout_is_no_reply() {
    let (stream, server) = choking(UP_TO_DATA);
    let mut options = options();
    options.timeouts.end = HumanDuration::from_millis(20);
    let mut connection = Connection::over(stream, &options).await.unwrap();
    let outcomes = connection.send(&envelope(&["b@example.test"]), body(&["x\r\n"])).await;
    let [Outcome::Unknown(failure)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(failure.reply.text, "Timed out at end of message");
    let mut far = server.await.unwrap();
    far.write_all(b"250 2.0.0 taken\r\n").await.unwrap();
    // It would be taken for the next message's.
    assert!(!connection.is_ready());
    let outcomes = connection.send(&envelope(&["c@example.test"]), body(&["y\r\n"])).await;
    assert!(matches!(&outcomes[..], [Outcome::Transient(_)]));
    drop(connection);
    let mut left = String::new();
    far.read_to_string(&mut left).await.unwrap();
    assert!(left.ends_with("x\r\n.\r\n"), "{left:?}");
}

#[tokio::test]
async fn a_server_that_takes_a_message_drop_by_drop_is_given_up() {
    let (stream, server) = choking(UP_TO_DATA);
    let mut options = options();
    // A block has plenty of time, the message has next to none.
    options.timeouts.message = HumanDuration::from_millis(300);
    let mut connection = Connection::over(stream, &options).await.unwrap();
    let drip = async {
        let mut far = server.await.unwrap();
        while far.read_u8().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let pieces = stream::iter((0..1000).map(|_| Ok(Bytes::from("x".repeat(10_000)))));
    let sending = async {
        let outcomes = connection.send(&envelope(&["b@example.test"]), pieces).await;
        drop(connection);
        outcomes
    };
    let (outcomes, ()) = tokio::join!(sending, drip);
    let [Outcome::Transient(failure)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(failure.reply.text, "Timed out at message");
}

#[tokio::test]
async fn a_server_that_refuses_and_reads_no_more_is_heard_at_once() {
    let (stream, server) = choking(&[
        ("", "220 mx\r\n"),
        ("EHLO client.test\r\n", "250-mx\r\n250 PIPELINING\r\n"),
        ("DATA\r\n", "250 OK\r\n250 OK\r\n354 go\r\n"),
        ("xxx", "552 5.3.4 too large\r\n"),
    ]);
    let mut connection = Connection::over(stream, &options()).await.unwrap();
    let pieces = stream::iter((0..100).map(|_| Ok(Bytes::from("x".repeat(10_000)))));
    let outcomes = connection.send(&envelope(&["b@example.test"]), pieces).await;
    let [Outcome::Permanent(failure)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(failure.reply.code, 552);
    drop(server);
}

#[tokio::test]
async fn what_was_said_before_tls_is_not_heard_under_it() {
    let (acceptor, connector) = tls();
    let (stream, mut far) = duplex(16 * 1024);
    let server = async move {
        far.write_all(b"220 mx\r\n").await.unwrap();
        let mut buffer = [0; 1024];
        let _ = far.read(&mut buffer).await.unwrap();
        far.write_all(b"250-mx\r\n250 STARTTLS\r\n").await.unwrap();
        let _ = far.read(&mut buffer).await.unwrap();
        // In one segment with the reply to STARTTLS: an answer to the EHLO that comes under TLS.
        far.write_all(b"220 go\r\n250-mx\r\n250 AUTH PLAIN\r\n").await.unwrap();
        let mut stream = acceptor.accept(far).await.unwrap().stream;
        let _ = stream.read(&mut buffer).await.unwrap();
        stream.write_all(b"250 mx\r\n").await.unwrap();
        stream
    };
    let options = with_tls(connector, "localhost", StartTls::Required);
    let (connection, _far) = tokio::join!(Connection::over(stream, &options), server);
    assert!(connection.unwrap().extensions().auth.is_empty());
}
