//! The types of a parsed message.

use std::ops::Range;

use crate::envelope::Envelope;
use crate::parameters::Parameter;

/// The parts of a message in the order in which they begin; the first is the message itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    pub(super) parts: Vec<Part>,
}

impl Structure {
    /// The message itself.
    pub fn root(&self) -> &Part {
        &self.parts[0]
    }

    /// All parts, the message itself first, each before the parts in it.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The parts of a multipart, in order; none for other parts, for which see [`Body::Message`].
    pub fn children<'a>(&'a self, part: &'a Part) -> impl Iterator<Item = &'a Part> {
        let first = match part.content {
            Body::Multipart { first } => Some(first),
            _ => None,
        };
        std::iter::successors(first, |index| self.parts[*index].next).map(|index| &self.parts[index])
    }

    /// The message in a message/rfc822 or message/global part.
    pub fn message_in(&self, part: &Part) -> Option<&Part> {
        match part.content {
            Body::Message { message, .. } => Some(&self.parts[message]),
            _ => None,
        }
    }
}

/// One part of a message, or a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Octets of its header in the outermost message, with the blank line that ends it.
    pub header: Range<usize>,
    /// Octets of its body in the outermost message, as they stand there, encoded.
    pub body: Range<usize>,
    /// Line ends in the body, plus one if text follows the last.
    pub lines: usize,
    /// The type, in lower case: `text`, `multipart`, `message`, `image` …
    pub media_type: String,
    /// The subtype, in lower case: `plain`, `mixed`, `rfc822` …
    pub subtype: String,
    /// Parameters of `Content-Type`; a text without a charset has none.
    pub parameters: Vec<Parameter>,
    /// `Content-ID`, with its angle brackets.
    pub id: Option<String>,
    /// `Content-Description`, unfolded, encoded-words still encoded.
    pub description: Option<String>,
    /// `Content-Transfer-Encoding`, 7bit if there is none.
    pub encoding: Encoding,
    /// `Content-MD5`.
    pub md5: Option<String>,
    /// `Content-Disposition` (RFC 2183).
    pub disposition: Option<Disposition>,
    /// Tags of `Content-Language` (RFC 3282).
    pub languages: Vec<String>,
    /// `Content-Location`, without blanks (RFC 2557).
    pub location: Option<String>,
    /// What the body is made of.
    pub content: Body,
    /// The next part of the same multipart.
    pub(super) next: Option<usize>,
}

/// What the body of a part is made of. Numbers are places in [`Structure::parts`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Octets, perhaps encoded.
    Leaf,
    /// Parts between boundaries, at least one.
    Multipart {
        /// The first part; [`Structure::children`] goes on from there.
        first: usize,
    },
    /// A message of its own (message/rfc822, message/global).
    Message {
        /// The message as a part.
        message: usize,
        /// What it says about itself.
        envelope: Box<Envelope>,
    },
}

/// `Content-Disposition` (RFC 2183).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// In lower case: `inline`, `attachment` …
    pub kind: String,
    /// `filename` and others.
    pub parameters: Vec<Parameter>,
}

/// `Content-Transfer-Encoding` (RFC 2045 §6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Lines of ASCII.
    #[default]
    SevenBit,
    /// Lines of octets.
    EightBit,
    /// Octets.
    Binary,
    /// RFC 2045 §6.7.
    QuotedPrintable,
    /// RFC 2045 §6.8.
    Base64,
    /// One that nobody knows, in lower case: read as octets.
    Other(String),
}

impl Encoding {
    /// The encoding of this name.
    pub fn from_name(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "7bit" => Self::SevenBit,
            "8bit" => Self::EightBit,
            "binary" => Self::Binary,
            "quoted-printable" => Self::QuotedPrintable,
            "base64" => Self::Base64,
            other => Self::Other(other.into()),
        }
    }

    /// Its name, in lower case.
    pub fn name(&self) -> &str {
        match self {
            Self::SevenBit => "7bit",
            Self::EightBit => "8bit",
            Self::Binary => "binary",
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
            Self::Other(name) => name,
        }
    }
}
