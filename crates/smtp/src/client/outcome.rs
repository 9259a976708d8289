//! What became of a message at a server, recipient by recipient.

use std::fmt;

use crate::reply::Reply;

/// What became of a message for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server has taken responsibility.
    Delivered(Reply),
    /// Not now: try again.
    Transient(Failure),
    /// Never: report it.
    Permanent(Failure),
    /// The connection was lost behind the end of the message: the server may have it. Try again with the same message
    /// id, so that a second copy can be known as one.
    Unknown(Failure),
}

impl Outcome {
    /// The reply behind it: the server's, or one made here.
    pub fn reply(&self) -> &Reply {
        match self {
            Self::Delivered(reply) => reply,
            Self::Transient(failure) | Self::Permanent(failure) | Self::Unknown(failure) => &failure.reply,
        }
    }

    /// Whether the server has taken responsibility.
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Delivered(_))
    }
}

/// Permanent if the reply says so, and transient otherwise.
impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        if failure.reply.is_permanent() { Self::Permanent(failure) } else { Self::Transient(failure) }
    }
}

/// Why a recipient does not have the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{stage}: {reply}")]
pub struct Failure {
    /// How far the session had come.
    pub stage: Stage,
    /// What the server said, or what stands for it in a report if the failure was found here.
    pub reply: Reply,
    /// Whether the server said it.
    pub from_peer: bool,
}

impl Failure {
    /// A failure that the server spoke of.
    pub fn from_peer(stage: Stage, reply: Reply) -> Self {
        Self { stage, reply, from_peer: true }
    }

    /// A failure that the server did not speak of.
    pub fn local(stage: Stage, reply: Reply) -> Self {
        Self { stage, reply, from_peer: false }
    }
}

/// How far a session has come; what the client waits for. Each has its own timeout (RFC 5321 §4.5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The TCP connection.
    Connect,
    /// The greeting.
    Greeting,
    /// The reply to EHLO or HELO.
    Hello,
    /// The reply to STARTTLS, and the handshake.
    StartTls,
    /// A reply of the AUTH exchange.
    Auth,
    /// The reply to MAIL.
    Mail,
    /// The reply to RCPT.
    Rcpt,
    /// The reply to DATA: leave to send the message.
    Data,
    /// The message is on its way.
    Body,
    /// The reply to the whole message.
    End,
    /// The reply to RSET.
    Reset,
    /// The reply to QUIT.
    Quit,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Greeting => "greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Body => "message",
            Self::End => "end of message",
            Self::Reset => "RSET",
            Self::Quit => "QUIT",
        })
    }
}
