//! Mailbox names on the wire: modified UTF-7 (RFC 3501 §5.1.3) until the client enables `IMAP4rev2`, UTF-8 from then
//! on (RFC 9051 §5.1).

#[cfg(test)]
mod tests;

use message::mutf7;

/// How names are written in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// IMAP4rev1's.
    ModifiedUtf7,
    /// IMAP4rev2's.
    Utf8,
}

/// A name that is not in the session's encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mailbox name is not valid {}", match .0 { Encoding::ModifiedUtf7 => "modified UTF-7", Encoding::Utf8 => "UTF-8" })]
pub struct BadEncoding(Encoding);

impl Encoding {
    /// Reads a name or a pattern.
    pub fn decode(self, name: &[u8]) -> Result<String, BadEncoding> {
        let text = std::str::from_utf8(name).map_err(|_| BadEncoding(self))?;
        match self {
            Self::Utf8 => Ok(text.to_owned()),
            // Octets beyond ASCII are no modified UTF-7, but clients send UTF-8 and mean what it says.
            Self::ModifiedUtf7 => mutf7::decode(text).ok_or(BadEncoding(self)),
        }
    }

    /// Writes a name.
    pub fn encode(self, name: &str) -> String {
        match self {
            Self::Utf8 => name.to_owned(),
            Self::ModifiedUtf7 => mutf7::encode(name),
        }
    }
}
