//! An exchange, whatever the mechanism.

use crate::bearer::{self, Bearer};
use crate::scram::server::{Begun, Challenged, Proved};
use crate::scram::{Keys, Verifier};
use crate::{Error, MAX_RESPONSE, Mechanism, plain};

#[cfg(test)]
mod tests;

/// What an exchange has to know of the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// What the channel can be bound by.
    pub bindings: Binding,
    /// Whether the client was offered a mechanism that binds the channel.
    pub offer: Offer,
}

/// What tells this TLS connection from one that someone in between has made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// `tls-exporter` (RFC 9266): keying material of the connection.
    pub tls_exporter: Option<Vec<u8>>,
    /// `tls-server-end-point` (RFC 5929 §4): the hash of our certificate.
    pub tls_server_end_point: Option<Vec<u8>>,
}

impl Binding {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tls_exporter.is_none() && self.tls_server_end_point.is_none()
    }
}

/// Whether the client was offered a mechanism that binds the channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offer {
    /// It was not.
    #[default]
    WithoutBinding,
    /// It was: a client that could bind it and does not was deceived (RFC 5802 §6).
    WithBinding,
}

/// What the client claims or has proved. For whoever keeps the accounts to judge.
#[derive(Clone, PartialEq, Eq)]
pub enum Claim {
    /// It knows this user's password, which is still to be checked.
    Password {
        /// The login name.
        username: String,
        /// As it was sent.
        password: String,
    },
    /// It was given this access token, which is still to be checked.
    Token {
        /// Whom the token should be of, if the client says.
        username: Option<String>,
        /// As it was sent.
        token: String,
    },
    /// TLS has shown who it is.
    Certificate {
        /// Whom the certificate should be of, if the client says.
        username: Option<String>,
    },
    /// It has proved to know the password: nothing is left to be checked.
    Proved {
        /// The login name.
        username: String,
        /// Those of the [`Verifier`]'s candidates that it was proved with.
        keys: Keys,
    },
}

impl std::fmt::Debug for Claim {
    // Neither passwords nor tokens: what is logged is read by many.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { username, .. } => write!(f, "Password({username})"),
            Self::Token { username, .. } => write!(f, "Token({username:?})"),
            Self::Certificate { username } => write!(f, "Certificate({username:?})"),
            Self::Proved { username, .. } => write!(f, "Proved({username})"),
        }
    }
}

/// How an exchange goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this; what the client says to it goes to [`Exchange::respond`].
    Challenge(Vec<u8>),
    /// Find what is known of this user, for [`Exchange::found`].
    Find(String),
    /// The client has said it all. Where the claim does not hold, [`Exchange::refuse`] may have something to say.
    Done(Claim),
}

/// The server's side of an exchange.
pub struct Exchange {
    mechanism: Mechanism,
    context: Context,
    state: State,
}

enum State {
    /// The client's first message is to come.
    Start,
    /// LOGIN: the password is to come.
    Password { username: String },
    /// SCRAM: what is known of the user is to come.
    Begun(Box<Begun>),
    /// SCRAM: the client's proof is to come.
    Challenged(Box<Challenged>),
    /// SCRAM: the client has yet to take note of our proof.
    Proved(Proved),
    /// The client has yet to take note that it is refused.
    Refused,
    /// Nothing is to come.
    Over,
}

impl Exchange {
    /// Begins an exchange: what is to be done first. `initial` is the response that came with the command, which the
    /// client may leave out.
    pub fn start(
        mechanism: Mechanism,
        context: Context,
        initial: Option<&[u8]>,
    ) -> Result<(Self, Step), Error> {
        let mut exchange = Self { mechanism, context, state: State::Start };
        let step = match initial {
            Some(response) => exchange.respond(response)?,
            None if mechanism.server_speaks_first() => Step::Challenge(b"Username:".to_vec()),
            None => Step::Challenge(Vec::new()),
        };
        Ok((exchange, step))
    }

    /// The mechanism.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Takes what the client has said.
    pub fn respond(&mut self, response: &[u8]) -> Result<Step, Error> {
        if response.len() > MAX_RESPONSE {
            return Err(Error::TooLong);
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start => self.first(response),
            State::Password { username } => {
                let password = plain::field(text(response)?)?;
                Ok(Step::Done(Claim::Password { username, password }))
            }
            State::Challenged(challenged) => {
                let proved = challenged.verify(response)?;
                let server_final = proved.server_final.clone().into_bytes();
                self.state = State::Proved(proved);
                Ok(Step::Challenge(server_final))
            }
            State::Proved(Proved { username, keys, .. }) if response.is_empty() => {
                Ok(Step::Done(Claim::Proved { username, keys }))
            }
            State::Refused => Err(Error::Refused),
            State::Proved(_) | State::Begun(_) | State::Over => Err(Error::Malformed),
        }
    }

    fn first(&mut self, response: &[u8]) -> Result<Step, Error> {
        match self.mechanism {
            Mechanism::Plain => {
                let (username, password) = plain::parse(response)?;
                Ok(Step::Done(Claim::Password { username, password }))
            }
            Mechanism::Login => {
                let username = plain::field(text(response)?)?;
                self.state = State::Password { username };
                Ok(Step::Challenge(b"Password:".to_vec()))
            }
            Mechanism::OAuthBearer => Bearer::parse(response).map(token),
            Mechanism::XOAuth2 => Bearer::parse_xoauth2(response).map(token),
            Mechanism::External => {
                let username = text(response)?;
                let username = if username.is_empty() { None } else { Some(plain::field(username)?) };
                Ok(Step::Done(Claim::Certificate { username }))
            }
            mechanism => {
                let (hash, binds) = mechanism.scram().ok_or(Error::Malformed)?;
                let begun = Begun::new(hash, binds, &self.context, response)?;
                let username = begun.username.clone();
                self.state = State::Begun(Box::new(begun));
                Ok(Step::Find(username))
            }
        }
    }

    /// Answers [`Step::Find`]. For a user who does not exist: a salt that looks like any other, and no candidates.
    pub fn found(&mut self, verifier: Verifier) -> Result<Step, Error> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Begun(begun) => {
                let (challenge, challenged) = begun.challenge(verifier);
                self.state = State::Challenged(Box::new(challenged));
                Ok(Step::Challenge(challenge.into_bytes()))
            }
            _ => Err(Error::Malformed),
        }
    }

    /// The claim does not hold. If the mechanism has words for that, they are to be sent, and the client responds to
    /// them before the exchange fails.
    pub fn refuse(&mut self) -> Option<Vec<u8>> {
        let words = match self.mechanism {
            Mechanism::OAuthBearer => bearer::REFUSED,
            Mechanism::XOAuth2 => bearer::REFUSED_XOAUTH2,
            _ => return None,
        };
        self.state = State::Refused;
        Some(words.to_vec())
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

fn token(bearer: Bearer) -> Step {
    let Bearer { username, token } = bearer;
    Step::Done(Claim::Token { username, token })
}

fn text(response: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(response).map_err(|_| Error::Malformed)
}
