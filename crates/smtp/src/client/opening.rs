//! From the greeting to the first transaction: EHLO, STARTTLS, AUTH.

use super::{Failure, Session, Stage, StartTls, State};
use crate::auth::Credentials;
use crate::extensions::Extensions;
use crate::reply::Reply;

/// What the client has said and waits for the reply to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Nothing yet.
    Greeting,
    Ehlo,
    /// The server does not know EHLO.
    Helo,
    StartTls,
    /// AUTH or a response; these responses are still to come, the next one last.
    Auth(Vec<String>),
}

/// Octets in a command line that every server takes, its CRLF included (RFC 5321 §4.5.3.1.4).
const MAX_COMMAND: usize = 512;

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
            Opening::Auth(responses) => {
                let responses = std::mem::take(responses);
                self.auth_reply(reply, responses);
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

    fn authenticate(&mut self) {
        let Some(credentials) = self.options.credentials.take() else {
            self.state = State::Ready;
            return;
        };
        if !self.tls {
            self.give_up(Stage::Auth, Reply::fixed(450, 7, 11, "No password is sent without TLS"));
        } else if self.extensions.auth.plain {
            self.auth_plain(&credentials);
        } else if self.extensions.auth.login {
            let [username, password] = credentials.login_responses();
            self.command("AUTH LOGIN", Opening::Auth(vec![password, username]));
        } else {
            self.give_up(Stage::Auth, Reply::fixed(550, 7, 4, "The server offers no mechanism known here"));
        }
    }

    fn auth_plain(&mut self, credentials: &Credentials) {
        let response = credentials.plain_response();
        let command = format!("AUTH PLAIN {response}");
        if command.len() + 2 <= MAX_COMMAND {
            self.command(&command, Opening::Auth(Vec::new()));
        } else {
            self.command("AUTH PLAIN", Opening::Auth(vec![response]));
        }
    }

    fn auth_reply(&mut self, reply: Reply, mut responses: Vec<String>) {
        if reply.is_positive() {
            self.state = State::Ready;
        } else if reply.code != 334 {
            self.refused(reply);
        } else if let Some(response) = responses.pop() {
            self.command(&response, Opening::Auth(responses));
        } else {
            self.give_up(
                Stage::Auth,
                Reply::fixed(450, 7, 0, "The server asks for more than the mechanism has"),
            );
        }
    }

    fn command(&mut self, line: &str, opening: Opening) {
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
        self.state = State::Opening(opening);
    }

    fn refused(&mut self, reply: Reply) {
        let stage = self.stage();
        self.state = State::Failed(Failure::from_peer(stage, reply));
    }

    fn give_up(&mut self, stage: Stage, reply: Reply) {
        self.state = State::Failed(Failure::local(stage, reply));
    }
}
