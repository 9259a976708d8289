//! The trace field `Received` (RFC 5321 §4.4).

use std::fmt::{self, Write};
use std::net::IpAddr;

use jiff::Timestamp;
use memchr::memchr;

use crate::address::{Address, Domain, MAX_DOMAIN};
use crate::date::DateTime;
use crate::header;
use crate::id::MessageId;

#[cfg(test)]
mod tests;

/// So many `Received` fields are a loop (RFC 5321 §6.3).
pub const MAX_HOPS: usize = 100;

/// Octets of a line before which it is folded (RFC 5322 §2.1.1).
const FOLD_AT: usize = 78;

/// The hops a message has taken: its `Received` fields.
pub fn hops(block: &[u8]) -> usize {
    header::fields(block).filter(|field| field.is("Received")).count()
}

/// Counts the hops of a message that comes in pieces, cut anywhere, up to the end of its header.
#[derive(Clone, Debug, Default)]
pub struct HopCounter {
    at: At,
    hops: usize,
}

/// Where in a header block the next octet stands.
#[derive(Clone, Copy, Debug, Default)]
enum At {
    /// At the start of a line.
    #[default]
    LineStart,
    /// Behind a CR at the start of a line.
    Cr,
    /// Behind so many octets of the name `Received`.
    Name(usize),
    /// Behind the name and blanks.
    Blank,
    /// Anywhere else in a line.
    Line,
    /// Behind the block.
    End,
}

impl HopCounter {
    const NAME: &[u8] = b"received";

    /// Takes the next piece.
    pub fn push(&mut self, mut piece: &[u8]) {
        while let &[octet, ref rest @ ..] = piece {
            piece = rest;
            self.at = match (self.at, octet) {
                (At::End, _) => return,
                (At::LineStart | At::Cr, b'\n') => At::End,
                (At::LineStart, b'\r') => At::Cr,
                (_, b'\n') => At::LineStart,
                (At::LineStart, octet) if octet.eq_ignore_ascii_case(&Self::NAME[0]) => At::Name(1),
                (At::Name(length), octet)
                    if Self::NAME.get(length).is_some_and(|next| octet.eq_ignore_ascii_case(next)) =>
                {
                    At::Name(length + 1)
                }
                (At::Name(length), b' ' | b'\t') if length == Self::NAME.len() => At::Blank,
                (At::Blank, b' ' | b'\t') => At::Blank,
                (At::Blank, b':') => self.hop(),
                (At::Name(length), b':') if length == Self::NAME.len() => self.hop(),
                _ => {
                    // Nothing more of this line matters.
                    piece = &piece[memchr(b'\n', piece).unwrap_or(piece.len())..];
                    At::Line
                }
            };
        }
    }

    fn hop(&mut self) -> At {
        self.hops += 1;
        At::Line
    }

    /// How many there were.
    pub fn hops(&self) -> usize {
        self.hops
    }
}

/// What one host notes about how it got a message. Prints as the whole field, folded, with its line end.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// What the client called itself in HELO or EHLO; may hold anything.
    pub helo: &'a str,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// This host's name.
    pub by: &'a str,
    /// How the message came.
    pub protocol: Protocol,
    /// TLS version and cipher suite.
    pub tls: Option<&'a str>,
    /// The message's id.
    pub id: MessageId,
    /// The recipient, if there is but one: else each would learn of the others (RFC 5321 §7.6).
    pub only_recipient: Option<&'a Address>,
    /// When the message came.
    pub at: Timestamp,
}

impl fmt::Display for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Folding { out: f, column: 0 };
        line.word("Received:")?;
        line.word(&format!("from {}", self.client_domain()))?;
        if let Some(ip) = self.client {
            line.word(&format!("({})", Domain::from(ip)))?;
        }
        line.word(&format!("by {}", self.by))?;
        line.word(&format!("with {}", self.protocol))?;
        if let Some(tls) = self.tls {
            line.word(&format!("({})", comment_text(tls)))?;
        }
        match self.only_recipient {
            Some(recipient) => {
                line.word(&format!("id {}", self.id))?;
                line.word(&format!("for <{recipient}>;"))?;
            }
            None => line.word(&format!("id {};", self.id))?,
        }
        line.word(&DateTime::from(self.at).to_string())?;
        f.write_str("\r\n")
    }
}

impl Received<'_> {
    /// What the client called itself, made fit for the field: whatever is no domain loses its special characters.
    fn client_domain(&self) -> String {
        if let Ok(domain) = Domain::parse(self.helo) {
            let ascii = domain.as_str().is_ascii();
            return if ascii { domain.as_str().into() } else { domain.ascii().into() };
        }
        let harmless = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '?' };
        let name: String = self.helo.chars().take(MAX_DOMAIN).map(harmless).collect();
        if name.is_empty() { "unknown".into() } else { name }
    }
}

/// How a message came, by its registered name (RFC 3848, RFC 6531 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// After HELO.
    Smtp,
    /// After EHLO.
    Esmtp {
        /// MAIL FROM had SMTPUTF8.
        utf8: bool,
        /// The session was encrypted.
        tls: bool,
        /// The client had authenticated itself.
        authenticated: bool,
    },
    /// From another service or a program, by gRPC.
    Grpc,
    /// Made by this host.
    Local,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Smtp => f.write_str("SMTP"),
            Self::Grpc => f.write_str("gRPC"),
            Self::Local => f.write_str("local"),
            Self::Esmtp { utf8, tls, authenticated } => {
                f.write_str(if utf8 { "UTF8SMTP" } else { "ESMTP" })?;
                f.write_str(if tls { "S" } else { "" })?;
                f.write_str(if authenticated { "A" } else { "" })
            }
        }
    }
}

/// Text that cannot end the comment it stands in.
fn comment_text(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') && !"()\\".contains(c) { c } else { '?' }).collect()
}

/// Writes words on lines of [`FOLD_AT`] octets; a longer word has a line of its own.
struct Folding<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    column: usize,
}

impl Folding<'_, '_> {
    fn word(&mut self, word: &str) -> fmt::Result {
        if self.column > 0 {
            if self.column + 1 + word.len() > FOLD_AT {
                self.out.write_str("\r\n")?;
                self.column = 0;
            }
            self.out.write_char(' ')?;
            self.column += 1;
        }
        self.column += word.len();
        self.out.write_str(word)
    }
}
