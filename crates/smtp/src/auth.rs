//! AUTH (RFC 4954) with PLAIN (RFC 4616) and LOGIN: the exchange on the server's side, the responses on the client's,
//! which knows SCRAM too ([`scram`]).

use std::fmt;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use crate::reply::Reply;

pub(crate) mod scram;
#[cfg(test)]
mod tests;

/// Octets in a line of an exchange at most, its CRLF included (RFC 4954 §4 wants 12,288).
pub const MAX_LINE: usize = 12_288;
/// Octets in a user name or a password at most: enough for any of them, too few to hurt whoever hashes them.
const MAX_FIELD: usize = 1024;

/// Padding is wanted, but some peers leave it out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a client proved to know, or claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Whom to act as, if another than the user (the authorization identity of RFC 4616).
    pub authorization: Option<String>,
    /// Who it is.
    pub username: String,
    /// The secret.
    pub password: Password,
}

/// A password: never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Hides a password.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The password itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A mechanism that the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN: never a standard, but all some programs can.
    Login,
}

impl Mechanism {
    /// Parses a mechanism's name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            _ if name.eq_ignore_ascii_case("PLAIN") => Some(Self::Plain),
            _ if name.eq_ignore_ascii_case("LOGIN") => Some(Self::Login),
            _ => None,
        }
    }
}

/// A set of mechanisms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mechanisms {
    /// SCRAM-SHA-256 (RFC 7677): spoken by the client alone.
    pub scram_sha_256: bool,
    /// PLAIN.
    pub plain: bool,
    /// LOGIN.
    pub login: bool,
}

impl Mechanisms {
    /// Every mechanism that the server speaks.
    pub const ALL: Self = Self { scram_sha_256: false, plain: true, login: true };
    /// None: no AUTH at all.
    pub const NONE: Self = Self { scram_sha_256: false, plain: false, login: false };

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// Whether `mechanism` is among them.
    pub fn contains(self, mechanism: Mechanism) -> bool {
        match mechanism {
            Mechanism::Plain => self.plain,
            Mechanism::Login => self.login,
        }
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            scram_sha_256: self.scram_sha_256 || other.scram_sha_256,
            plain: self.plain || other.plain,
            login: self.login || other.login,
        }
    }

    pub(crate) fn parse<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut mechanisms = Self::NONE;
        for name in names {
            match Mechanism::parse(name) {
                Some(Mechanism::Plain) => mechanisms.plain = true,
                Some(Mechanism::Login) => mechanisms.login = true,
                None => mechanisms.scram_sha_256 |= name.eq_ignore_ascii_case(scram::NAME),
            }
        }
        mechanisms
    }
}

/// As EHLO lists them: `PLAIN LOGIN`.
impl fmt::Display for Mechanisms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = [(self.scram_sha_256, scram::NAME), (self.plain, "PLAIN"), (self.login, "LOGIN")];
        let mut separator = "";
        for (_, name) in known.into_iter().filter(|(offered, _)| *offered) {
            write!(f, "{separator}{name}")?;
            separator = " ";
        }
        Ok(())
    }
}

/// The server's side of an exchange that is under way.
#[derive(Debug)]
pub(crate) struct Exchange(Waiting);

/// What the client has yet to send.
#[derive(Debug)]
enum Waiting {
    Plain,
    Username,
    Password { username: String },
}

/// What an exchange comes to with a response of the client.
#[derive(Debug)]
pub(crate) enum Step {
    /// The server says this, the client responds.
    Challenge(Exchange, Reply),
    /// The client has said it all.
    Done(Credentials),
}

impl Exchange {
    /// Begins an exchange, with the initial response if one came with the command.
    pub(crate) fn start(mechanism: Mechanism, initial_response: Option<&str>) -> Result<Step, AuthError> {
        let (exchange, challenge) = match mechanism {
            Mechanism::Plain => (Self(Waiting::Plain), Reply::plain(334, "")),
            Mechanism::Login => (Self(Waiting::Username), Reply::plain(334, "VXNlcm5hbWU6")),
        };
        match initial_response {
            None => Ok(Step::Challenge(exchange, challenge)),
            // RFC 4954 §4: how an empty initial response is written.
            Some("=") => exchange.decoded(""),
            Some(response) => exchange.respond(response.as_bytes()),
        }
    }

    /// Takes a line of the client.
    pub(crate) fn respond(self, line: &[u8]) -> Result<Step, AuthError> {
        if line == b"*" {
            return Err(AuthError::Cancelled);
        }
        let response = LENIENT.decode(line).map_err(|_| AuthError::Malformed)?;
        self.decoded(std::str::from_utf8(&response).map_err(|_| AuthError::Malformed)?)
    }

    fn decoded(self, response: &str) -> Result<Step, AuthError> {
        match self.0 {
            Waiting::Plain => plain(response).map(Step::Done),
            Waiting::Username => {
                let username = field(response)?.to_owned();
                // "Password:"
                Ok(Step::Challenge(Self(Waiting::Password { username }), Reply::plain(334, "UGFzc3dvcmQ6")))
            }
            Waiting::Password { username } => {
                let password = Password::new(field(response)?);
                Ok(Step::Done(Credentials { authorization: None, username, password }))
            }
        }
    }
}

/// `[authzid] NUL authcid NUL passwd` (RFC 4616 §2).
fn plain(message: &str) -> Result<Credentials, AuthError> {
    let mut parts = message.split('\0');
    let (Some(authorization), Some(username), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(AuthError::Malformed);
    };
    if authorization.len() > MAX_FIELD {
        return Err(AuthError::Malformed);
    }
    Ok(Credentials {
        authorization: (!authorization.is_empty()).then(|| authorization.to_owned()),
        username: field(username)?.to_owned(),
        password: Password::new(field(password)?),
    })
}

fn field(text: &str) -> Result<&str, AuthError> {
    let valid = (1..=MAX_FIELD).contains(&text.len()) && !text.contains('\0');
    if valid { Ok(text) } else { Err(AuthError::Malformed) }
}

/// What a client says in an exchange of a mechanism that is not known here, and that the handler speaks.
#[derive(Clone, PartialEq, Eq)]
pub enum Said {
    /// AUTH, perhaps with a response.
    Begin {
        /// The mechanism's name, in upper case.
        mechanism: String,
        /// The response that came with the command.
        initial: Option<Vec<u8>>,
    },
    /// A response to a challenge.
    Response(Vec<u8>),
}

impl fmt::Debug for Said {
    // Not the responses, which are secrets more often than not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin { mechanism, .. } => write!(f, "Begin({mechanism})"),
            Self::Response(_) => f.write_str("Response"),
        }
    }
}

impl Said {
    /// The command, with the initial response if one came with it.
    pub(crate) fn begin(mechanism: &str, initial: Option<&str>) -> Result<Self, AuthError> {
        let initial = match initial {
            None => None,
            // RFC 4954 §4: how an empty initial response is written.
            Some("=") => Some(Vec::new()),
            Some(response) => Some(decode(response.as_bytes())?),
        };
        Ok(Self::Begin { mechanism: mechanism.to_ascii_uppercase(), initial })
    }

    /// A line of the client.
    pub(crate) fn response(line: &[u8]) -> Result<Self, AuthError> {
        if line == b"*" { Err(AuthError::Cancelled) } else { decode(line).map(Self::Response) }
    }
}

/// A challenge of such an exchange.
pub(crate) fn challenge(text: &[u8]) -> Reply {
    Reply { code: 334, enhanced: None, text: STANDARD.encode(text).into() }
}

fn decode(response: &[u8]) -> Result<Vec<u8>, AuthError> {
    LENIENT.decode(response).map_err(|_| AuthError::Malformed)
}

/// Why an exchange came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthError {
    /// The client sent `*`.
    Cancelled,
    /// Not base64, or not what the mechanism has at this point.
    Malformed,
    /// A line longer than [`MAX_LINE`].
    TooLong,
}

impl AuthError {
    /// RFC 4954 §4 and §6.
    pub(crate) fn reply(self) -> Reply {
        match self {
            Self::Cancelled => Reply::fixed(501, 7, 0, "Authentication cancelled"),
            Self::Malformed => Reply::fixed(501, 5, 2, "Malformed authentication response"),
            Self::TooLong => Reply::fixed(500, 5, 6, "Authentication line too long"),
        }
    }
}

impl Credentials {
    /// The whole of what PLAIN has to say.
    pub(crate) fn plain_response(&self) -> String {
        let authorization = self.authorization.as_deref().unwrap_or_default();
        STANDARD.encode(format!("{authorization}\0{}\0{}", self.username, self.password.reveal()))
    }

    /// The two responses of LOGIN.
    pub(crate) fn login_responses(&self) -> [String; 2] {
        [STANDARD.encode(&self.username), STANDARD.encode(self.password.reveal())]
    }
}
