//! The MIME structure of a message (RFC 2045, 2046): a flat tree of parts with offsets into the message.
//!
//! `Structure::parse(message: &[u8]) -> Structure` never fails and never recurses; what it cannot make sense of is
//! text/plain.

mod section;
mod structure;

pub use section::Section;
pub use structure::{Body, Disposition, Encoding, Parameter, Part, Structure};
