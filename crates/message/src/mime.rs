//! The MIME structure of a message (RFC 2045, 2046): a flat tree of parts with offsets into the message.
//!
//! [`Structure::parse`] never fails, never recurses and reads each octet a bounded number of times; what it cannot make
//! sense of is text/plain.

mod content;
mod encode;
mod lines;
mod pack;
mod parser;
mod section;
mod structure;
mod transfer;

#[cfg(test)]
mod tests;

pub use crate::parameters::Parameter;
pub use encode::encode_quoted_printable;
pub(crate) use encode::{Encoder, Transfer};
pub use parser::{MAX_DEPTH, MAX_PARTS};
pub use section::Section;
pub use structure::{Body, Disposition, Encoding, Part, Structure};
pub use transfer::Decoder;
