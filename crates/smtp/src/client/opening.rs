//! From the greeting to the first transaction: EHLO, STARTTLS, and then AUTH.

use super::auth::Exchange;
use super::{Failure, Session, Stage, StartTls, State};
use crate::extensions::Extensions;
use crate::reply::Reply;

/// What the client has said and waits for the reply to.
#[derive(Debug)]
pub(super) enum Opening {
    /// Nothing yet.
    Greeting,
    Ehlo,
    /// The server does not know EHLO.
    Helo,
    StartTls,
    /// AUTH or a response.
    Auth(Exchange),
}

/// Octets in a command line that every server takes, its CRLF included (RFC 5321 §4.5.3.1.4).
pub(super) const MAX_COMMAND: usize = 512;

impl Opening {
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Greeting => Stage::Greeting,
            Self::Ehlo | Self::Helo => Stage::Hello,
            Self::StartTls => Stage::StartTls,
            Self::Auth(_) => Stage::Auth,
        }
    }
}

impl Session {
    pub(super) fn opening_reply(&mut self, reply: Reply) {
        let State::Opening(opening) = &mut self.state else { return };
        if let Opening::Auth(exchange) = opening {
            let exchange = std::mem::replace(exchange, Exchange::Responses(Vec::new()));
            return self.auth_reply(reply, exchange);
        }
        match opening {
            Opening::Greeting if reply.is_positive() => {
                self.greeting = Some(reply);
                self.say_hello();
            }
            Opening::Ehlo if reply.is_positive() => {
                self.extensions = Extensions::parse(reply.lines());
                self.secure();
            }
            // RFC 5321 §3.2: a server that does not know EHLO may still know HELO.
            Opening::Ehlo if matches!(reply.code, 500..=504 | 550) => {
                self.command(&format!("HELO {}", self.options.hello.ascii()), Opening::Helo);
            }
            Opening::Helo if reply.is_positive() => self.secure(),
            Opening::StartTls if reply.code == 220 => {
                // What came behind the reply came in clear, and may be anyone's.
                self.input.clear();
                self.state = State::Handshake;
            }
            Opening::StartTls if self.options.start_tls == StartTls::Opportunistic && !reply.closes() => {
                self.start_tls_refusal = Some(reply);
                self.authenticate();
            }
            _ => self.refused(reply),
        }
    }

    /// The handshake that [`super::Event::StartTls`] asked for is done. What the server offered before it does not
    /// count any more (RFC 3207 §4.2).
    pub fn tls_established(&mut self) {
        self.input.clear();
        self.parser.reset();
        self.tls = true;
        self.extensions = Extensions::default();
        self.say_hello();
    }

    fn say_hello(&mut self) {
        self.command(&format!("EHLO {}", self.options.hello.ascii()), Opening::Ehlo);
    }

    fn secure(&mut self) {
        if self.tls || self.options.start_tls == StartTls::Never {
            self.authenticate();
        } else if self.extensions.starttls {
            self.command("STARTTLS", Opening::StartTls);
        } else if self.options.start_tls == StartTls::Required {
            self.give_up(Stage::StartTls, Reply::fixed(450, 7, 10, "The server does not offer STARTTLS"));
        } else {
            self.authenticate();
        }
    }

    pub(super) fn command(&mut self, line: &str, opening: Opening) {
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
        self.state = State::Opening(opening);
    }

    fn refused(&mut self, reply: Reply) {
        let stage = self.stage();
        self.state = State::Failed(Failure::from_peer(stage, reply));
    }

    pub(super) fn give_up(&mut self, stage: Stage, reply: Reply) {
        self.state = State::Failed(Failure::local(stage, reply));
    }
}
