//! SASL (RFC 4422), the server's side: each mechanism as a state machine without I/O.
//!
//! An [`Exchange`] takes what the client says and gives a [`Step`]: a challenge to send, keys that it needs to go on, or
//! a [`Claim`] that whoever keeps the accounts has to check. It knows neither accounts nor protocols: base64, lines and
//! how a failure reads belong to IMAP, POP3 and SMTP.

#![forbid(unsafe_code)]

mod bearer;
mod exchange;
mod mechanism;
mod plain;
mod prepare;
pub mod scram;

pub use exchange::{Binding, Claim, Context, Exchange, Offer, Step};
pub use mechanism::Mechanism;
pub use prepare::prepare;

/// Octets of a client's response at most, after base64: access tokens are the largest, and one of them takes a few
/// thousand.
pub const MAX_RESPONSE: usize = 9 * 1024;

/// Octets of a user name or a password at most.
pub const MAX_FIELD: usize = 1024;

/// Why an exchange came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not what the mechanism has at this point.
    #[error("the response is not what the mechanism has at this point")]
    Malformed,
    /// Longer than [`MAX_RESPONSE`].
    #[error("the response is too long")]
    TooLong,
    /// The client asks to act as someone else, which nobody may.
    #[error("acting as another user is not allowed")]
    Proxy,
    /// The client's end of the TLS connection is not ours, or it believes that we cannot bind to it: someone may stand
    /// in between (RFC 5802 §6).
    #[error("the channel binding does not fit this connection")]
    Binding,
    /// The client did not prove that it knows the password.
    #[error("the proof is wrong")]
    Proof,
    /// The client has taken note that it is refused.
    #[error("refused")]
    Refused,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}
