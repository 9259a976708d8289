//! Where an event stands in the log, as readers keep it.

use std::fmt;

use journal::{Entry, Position};

/// Octets of the event's message id that an offset holds, so that one of another log is told from one of this.
const TAIL: usize = 4;

/// The place of an event. Its text is opaque to readers; byte by byte it is in the order of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offset {
    pub(super) position: Position,
    tail: [u8; TAIL],
}

impl Offset {
    /// The offset of a record.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let (id, _) = super::record::head(entry)?;
        Some(Self { position: entry.position, tail: *id.last_chunk()? })
    }

    /// Reads what [`fmt::Display`] wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() != 2 * (Position::ENCODED_LEN + TAIL) {
            return None;
        }
        let mut octets = [0; Position::ENCODED_LEN + TAIL];
        for (octet, digits) in octets.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
            *octet = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self { position: Position::from_bytes(*octets.first_chunk()?), tail: *octets.last_chunk()? })
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.position.to_bytes().iter().chain(&self.tail).try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}
