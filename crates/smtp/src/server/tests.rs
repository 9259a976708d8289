use bytes::BytesMut;

use super::*;

mod auth;
mod limits;
mod message;
mod order;
mod proxies;
mod splits;

/// A session with a handler that writes down what it hears, and takes everything but `nobody@…`.
struct Served {
    session: Session,
    heard: Vec<String>,
    content: BytesMut,
    /// What was said and not yet looked at.
    said: String,
    closed: bool,
}

fn config() -> Config {
    Config {
        starttls: true,
        mechanisms: crate::Mechanisms::ALL,
        require_tls: true,
        max_message_size: 1000,
        max_recipients: 3,
        ..Config::new("mx.example.test".parse().unwrap())
    }
}

impl Served {
    /// Behind the greeting.
    fn new(config: Config, tls: bool) -> Self {
        let mut served = Self::connected(config, tls);
        served.feed(b"");
        assert_eq!(served.said(), "220 mx.example.test ESMTP\r\n");
        served.heard.clear();
        served
    }

    /// Behind EHLO.
    fn greeted(config: Config, tls: bool) -> Self {
        let mut served = Self::new(config, tls);
        assert!(served.say("EHLO client.test").starts_with("250-mx.example.test\r\n"));
        served
    }

    /// Behind MAIL and RCPT.
    fn with_recipient(config: Config) -> Self {
        let mut served = Self::greeted(config, false);
        served.say("MAIL FROM:<alice@example.test>");
        served.say("RCPT TO:<bob@example.test>");
        served.heard.clear();
        served
    }

    fn connected(config: Config, tls: bool) -> Self {
        let session = Session::new(Arc::new(config), tls);
        Self { session, heard: Vec::new(), content: BytesMut::new(), said: String::new(), closed: false }
    }

    /// Sends a line and returns what is said to it.
    fn say(&mut self, line: &str) -> String {
        self.feed(format!("{line}\r\n").as_bytes());
        self.said()
    }

    fn said(&mut self) -> String {
        std::mem::take(&mut self.said)
    }

    /// The codes of what is said to a line.
    fn code(&mut self, line: &str) -> u16 {
        let said = self.say(line);
        said[..3].parse().unwrap_or_else(|_| panic!("{line}: {said:?}"))
    }

    fn feed(&mut self, octets: &[u8]) {
        self.session.input().extend_from_slice(octets);
        loop {
            match self.session.poll() {
                Event::Read => break,
                Event::Close => {
                    self.closed = true;
                    break;
                }
                event => self.handle(event),
            }
        }
        let output = self.session.output().split();
        self.said.push_str(std::str::from_utf8(&output).unwrap());
    }

    fn handle(&mut self, event: Event) {
        let (heard, answer) = match event {
            Event::XClient(client) => {
                let reply = match client.address {
                    Some(address) if address.is_loopback() => Reply::fixed(554, 7, 1, "Not you"),
                    _ => Reply::plain(220, ""),
                };
                (format!("client {client:?}"), Some(reply))
            }
            Event::Connected => ("connected".into(), Some(Reply::plain(220, ""))),
            Event::Authenticate(credentials) => {
                let known = credentials.password.reveal() == "secret";
                let reply =
                    if known { Reply::fixed(235, 7, 0, "Yes") } else { Reply::fixed(535, 7, 8, "No") };
                (format!("authenticate {}", credentials.username), Some(reply))
            }
            Event::Exchange(Said::Begin { mechanism, initial }) => {
                self.heard.push(format!("exchange {mechanism} {initial:?}"));
                self.session.challenge(b"more");
                return;
            }
            Event::Exchange(Said::Response(response)) => {
                let reply = if response == b"right" {
                    Reply::fixed(235, 7, 0, "Yes")
                } else {
                    Reply::fixed(535, 7, 8, "No")
                };
                (format!("response {}", response.escape_ascii()), Some(reply))
            }
            Event::ExchangeCancelled => ("exchange cancelled".into(), None),
            Event::Mail(mail) => (format!("mail {}", mail.reverse_path), Some(Reply::fixed(250, 1, 0, "OK"))),
            Event::Rcpt(rcpt) => {
                let known = rcpt.address.local_part().as_str() != "nobody";
                let reply = if known {
                    Reply::fixed(250, 1, 5, "OK")
                } else {
                    Reply::fixed(550, 1, 1, "No such user")
                };
                (format!("rcpt {}", rcpt.address), Some(reply))
            }
            Event::Body => ("begin".into(), Some(Reply::plain(250, ""))),
            Event::Chunk(chunk) => {
                assert!(!chunk.is_empty());
                self.content.extend_from_slice(&chunk);
                return;
            }
            Event::Finish => {
                let content = self.content.split();
                (format!("finish {}", content.escape_ascii()), Some(Reply::fixed(250, 0, 0, "Taken")))
            }
            Event::Abort(abort) => {
                self.content.clear();
                (format!("abort {abort:?}"), None)
            }
            Event::StartTls => {
                assert!(self.session.input().is_empty());
                self.session.tls_established();
                ("tls".into(), None)
            }
            Event::Read | Event::Close => return,
        };
        self.heard.push(heard);
        if let Some(answer) = answer {
            self.session.answer(answer);
        }
    }
}
