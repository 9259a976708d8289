//! Makes a message fit for a server that takes less than it holds: 8-bit or binary content becomes quoted-printable or
//! base64, part by part, and the MIME structure stays as it is (RFC 6152 §3, RFC 3030 §3, RFC 2045 §6).
//!
//! A [`Plan`] says what becomes of each stretch of a message; [`Pieces`] carries it out a bounded piece at a time. What
//! a signature covers is never touched.

use std::ops::Range;

use memchr::{memchr, memchr2, memmem};

use crate::lines::MAX_LINE;
use crate::mime::{MAX_PARTS, Structure, Transfer};

mod fields;
mod header;
mod pieces;
mod planner;
#[cfg(test)]
mod tests;

pub use pieces::Pieces;

/// What a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Lines of ASCII: it does not offer 8BITMIME.
    SevenBit,
    /// Lines of any octets but NUL: it offers 8BITMIME, but not BINARYMIME.
    EightBit,
}

impl Target {
    /// Whether a server would not take octets like these.
    fn objects(self, octets: &[u8]) -> bool {
        self == Self::SevenBit && !octets.is_ascii()
            || memchr(0, octets).is_some()
            || has_bare_line_end(octets)
            || has_long_line(octets)
    }
}

/// Whether lines end in anything but CRLF.
fn has_bare_line_end(octets: &[u8]) -> bool {
    let mut rest = octets;
    while let Some(end) = memchr2(b'\r', b'\n', rest) {
        if !rest[end..].starts_with(b"\r\n") {
            return true;
        }
        rest = &rest[end + 2..];
    }
    false
}

fn has_long_line(octets: &[u8]) -> bool {
    let mut start = 0;
    let mut is_long = |end: usize| std::mem::replace(&mut start, end + 2) + MAX_LINE < end;
    memmem::find_iter(octets, b"\r\n").any(&mut is_long) || is_long(octets.len())
}

/// Whether a message holds header fields beyond ASCII, its own or those of a part, and so needs SMTPUTF8 (RFC 6531 §3.2)
/// if that is how its sender meant them.
pub fn needs_smtputf8(message: &[u8]) -> bool {
    if message.is_ascii() {
        return false;
    }
    let structure = Structure::parse(message);
    // The last part may hold others.
    structure.parts().len() == MAX_PARTS
        || structure.parts().iter().any(|part| !message[part.header.clone()].is_ascii())
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    segments: Vec<Segment>,
    /// Nothing changes.
    identity: bool,
}

/// What becomes of a stretch of the message; the stretches of all segments follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// It stays.
    Copy(Range<usize>),
    /// It is between the parts, where no one looks: octets that must not be sent become question marks.
    Mask(Range<usize>),
    /// This stands in its place.
    Text(Vec<u8>),
    /// It is encoded.
    Encode(Range<usize>, Transfer),
    /// This is encoded in its place: it was encoded already, and badly.
    Recode(Vec<u8>, Transfer),
}

impl Plan {
    /// Plans the conversion of a message of which header fields beyond ASCII are not meant as such (not SMTPUTF8).
    ///
    /// # Errors
    /// The message cannot be converted without harm.
    pub fn new(message: &[u8], target: Target) -> Result<Self, ConversionError> {
        if !target.objects(message) {
            return Ok(Self { segments: vec![Segment::Copy(0..message.len())], identity: true });
        }
        planner::plan(message, target).map(|segments| Self { segments, identity: false })
    }

    /// Whether the message can go as it is.
    pub fn is_identity(&self) -> bool {
        self.identity
    }

    /// Converts `message`, for which the plan was made.
    pub fn pieces<M: AsRef<[u8]>>(self, message: M) -> Pieces<M> {
        Pieces::new(self.segments, message)
    }
}

/// Why a message cannot be converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// The content is signed as it is (RFC 1847 §2.1): changing the encoding would break the signature.
    #[error("its signature covers content that would have to be encoded")]
    Signed,
    /// The parts cannot be told apart, or are of a kind that must not be encoded (RFC 2045 §6.4).
    #[error("its MIME structure does not allow to encode its content")]
    Structure,
    /// An address in the header has a local part beyond ASCII, for which there is no other form (RFC 6531 §3.3).
    #[error("an address in its {0} field is not ASCII")]
    Address(String),
}
