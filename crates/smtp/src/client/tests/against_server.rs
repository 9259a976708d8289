//! Both sides against each other, in memory.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::server;

/// A server that takes everything but `nobody@…`, and keeps what it took.
struct Server {
    session: server::Session,
    recipients: Vec<String>,
    content: Vec<u8>,
    taken: Vec<(Vec<String>, Vec<u8>)>,
}

impl Server {
    fn new() -> Self {
        let mut config = server::Config::new("mx.example.test".parse().unwrap());
        config.starttls = true;
        config.mechanisms = crate::Mechanisms::ALL;
        Self {
            session: server::Session::new(Arc::new(config), false),
            recipients: Vec::new(),
            content: Vec::new(),
            taken: Vec::new(),
        }
    }

    fn run(&mut self) {
        loop {
            let answer = match self.session.poll() {
                server::Event::Read | server::Event::Close => return,
                server::Event::StartTls => {
                    self.session.tls_established();
                    return;
                }
                server::Event::Rcpt(rcpt) if rcpt.address.local_part().as_str() == "nobody" => {
                    Reply::fixed(550, 1, 1, "No such user")
                }
                server::Event::Rcpt(rcpt) => {
                    self.recipients.push(rcpt.address.to_string());
                    Reply::fixed(250, 1, 5, "OK")
                }
                server::Event::Chunk(chunk) => {
                    self.content.extend_from_slice(&chunk);
                    continue;
                }
                server::Event::Finish => {
                    self.taken
                        .push((std::mem::take(&mut self.recipients), std::mem::take(&mut self.content)));
                    Reply::fixed(250, 0, 0, "Taken")
                }
                server::Event::Abort(_) => {
                    self.recipients.clear();
                    self.content.clear();
                    continue;
                }
                _ => Reply::fixed(250, 0, 0, "OK"),
            };
            self.session.answer(answer);
        }
    }
}

/// Carries octets between the two until the client has something to say.
fn next(client: &mut Session, server: &mut Server) -> Event {
    // More turns than any test here takes: neither side waits for the other for ever.
    for _ in 0..1000 {
        let event = client.poll();
        server.session.input().extend_from_slice(&client.output().split());
        server.run();
        client.input().extend_from_slice(&server.session.output().split());
        if !matches!(event, Event::Wait(_)) {
            return event;
        }
    }
    panic!("the two wait for each other: {client:?} {:?}", server.session);
}

fn connect(options: Options) -> (Session, Server) {
    let (mut client, mut server) = (Session::new(options, false), Server::new());
    assert_eq!(next(&mut client, &mut server), Event::StartTls);
    client.tls_established();
    assert_eq!(next(&mut client, &mut server), Event::Ready);
    (client, server)
}

fn send(client: &mut Session, server: &mut Server, recipients: &[&str], pieces: &[&[u8]]) -> Vec<Outcome> {
    client.begin(&envelope(recipients), None).unwrap();
    let mut pieces = pieces.iter();
    loop {
        match next(client, server) {
            Event::Send => match pieces.next() {
                Some(piece) => client.send(piece),
                None => client.finish(),
            },
            Event::Sent(outcomes) => return outcomes,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn several_messages_go_over_one_session() {
    for chunking in [false, true] {
        let password = Password::new("secret");
        let credentials = Some(Credentials { authorization: None, username: "alice".into(), password });
        let (mut client, mut server) = connect(Options { credentials, chunking, ..options() });
        assert!(server.session.is_authenticated());
        for content in ["one\r\n", "", ".\r\n..two\r\n"] {
            let recipients = ["b@example.test", "nobody@example.test", "c@example.test"];
            let outcomes = send(&mut client, &mut server, &recipients, &[content.as_bytes()]);
            assert!(matches!(
                outcomes[..],
                [Outcome::Delivered(_), Outcome::Permanent(_), Outcome::Delivered(_)]
            ));
            let (recipients, taken) = server.taken.pop().unwrap();
            assert_eq!(recipients, ["b@example.test", "c@example.test"]);
            assert_eq!(taken, content.as_bytes());
            // A transaction that comes to nothing in between.
            let outcomes = send(&mut client, &mut server, &["nobody@example.test"], &[b"x"]);
            assert!(matches!(outcomes[..], [Outcome::Permanent(_)]));
            assert!(
                server.taken.iter().all(|(recipients, content)| recipients.is_empty() && content.is_empty())
            );
            server.taken.clear();
        }
        client.quit();
        assert_eq!(next(&mut client, &mut server), Event::Closed);
        assert!(server.session.is_quit());
    }
}

proptest! {
    #[test]
    fn content_arrives_as_it_was_sent(lines in prop::collection::vec("[.a-z\u{e4}]{0,6}", 0..20), piece in 1..9_usize, chunking: bool) {
        let content: String = lines.iter().flat_map(|line| [line, "\r\n"]).collect();
        let (mut client, mut server) = connect(Options { chunking, ..options() });
        let pieces: Vec<&[u8]> = content.as_bytes().chunks(piece).collect();
        let outcomes = send(&mut client, &mut server, &["b@example.test"], &pieces);
        prop_assert!(outcomes[0].is_delivered());
        prop_assert_eq!(&server.taken[0].1, content.as_bytes());
    }

    #[test]
    fn no_server_makes_a_client_panic(replies in prop::collection::vec("([2-5][0-9]{2}[ -].{0,5}|.{0,3})\r?\n", 0..30)) {
        let mut client = Session::new(options(), false);
        for reply in &replies {
            client.input().extend_from_slice(reply.as_bytes());
            match client.poll() {
                Event::StartTls => client.tls_established(),
                Event::Ready => client.begin(&envelope(&["b@example.test"]), None).unwrap_or_default(),
                Event::Send => { client.send(b"x\r\n"); client.finish(); }
                _ => {}
            }
        }
        client.disconnected(Reply::fixed(451, 4, 2, "Connection lost"));
        client.poll();
    }
}
