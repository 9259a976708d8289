//! AUTH, the client's side (RFC 4954): which mechanism is taken, and what is said to the server's challenges.

use super::opening::{MAX_COMMAND, Opening};
use super::{Failure, Session, Stage, State};
use crate::auth::scram::{Scram, ScramError};
use crate::auth::{Credentials, Mechanisms};
use crate::reply::Reply;

/// An exchange that is under way.
#[derive(Debug)]
pub(super) enum Exchange {
    /// These responses are still to come, the next one last.
    Responses(Vec<String>),
    Scram(Box<Scram>),
}

impl Session {
    /// Says who the client is, if it has something to say; then the session is ready.
    pub(super) fn authenticate(&mut self) {
        let Some(credentials) = self.options.credentials.take() else {
            self.state = State::Ready;
            return;
        };
        if !self.tls && !self.options.auth_in_clear {
            return self.give_up(Stage::Auth, NOT_WITHOUT_TLS);
        }
        match begin(credentials, self.extensions.auth) {
            Ok((command, exchange)) => self.command(&command, Opening::Auth(exchange)),
            Err(reply) => self.give_up(Stage::Auth, reply),
        }
    }

    pub(super) fn auth_reply(&mut self, reply: Reply, mut exchange: Exchange) {
        if reply.is_positive() {
            if matches!(&exchange, Exchange::Scram(scram) if !scram.is_verified()) {
                return self.give_up(Stage::Auth, untrusted(ScramError::Impostor));
            }
            self.state = State::Ready;
        } else if reply.code != 334 {
            self.state = State::Failed(Failure::from_peer(Stage::Auth, reply));
        } else {
            let response = match &mut exchange {
                Exchange::Responses(responses) => responses.pop().ok_or(ASKS_TOO_MUCH),
                Exchange::Scram(scram) => scram.respond(&reply.text).map_err(untrusted),
            };
            match response {
                Ok(response) => self.command(&response, Opening::Auth(exchange)),
                Err(reply) => self.give_up(Stage::Auth, reply),
            }
        }
    }
}

/// The command with which the best mechanism begins: one that does not give the password away, if there is one.
fn begin(credentials: Credentials, offered: Mechanisms) -> Result<(String, Exchange), Reply> {
    if offered.scram_sha_256 && Scram::can_prove(&credentials) {
        let scram = Scram::start(credentials).map_err(untrusted)?;
        let initial = scram.initial_response();
        let exchange = Exchange::Scram(Box::new(scram));
        Ok((format!("AUTH SCRAM-SHA-256 {initial}"), exchange))
    } else if offered.plain {
        let response = credentials.plain_response();
        let command = format!("AUTH PLAIN {response}");
        if command.len() + 2 <= MAX_COMMAND {
            Ok((command, Exchange::Responses(Vec::new())))
        } else {
            Ok(("AUTH PLAIN".into(), Exchange::Responses(vec![response])))
        }
    } else if offered.login {
        let [username, password] = credentials.login_responses();
        Ok(("AUTH LOGIN".into(), Exchange::Responses(vec![password, username])))
    } else {
        Err(NO_MECHANISM)
    }
}

/// Another host may be the right one, or this one later: never for good.
fn untrusted(error: ScramError) -> Reply {
    Reply::new(450, 7, 0, error.to_string())
}

const NOT_WITHOUT_TLS: Reply = Reply::fixed(450, 7, 11, "No password is sent without TLS");
const NO_MECHANISM: Reply = Reply::fixed(450, 7, 4, "The server offers no mechanism known here");
const ASKS_TOO_MUCH: Reply = Reply::fixed(450, 7, 0, "The server asks for more than the mechanism has");
