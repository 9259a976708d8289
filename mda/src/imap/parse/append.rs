//! APPEND (RFC 9051 §6.3.12): all of it but the message, which is streamed.

use bytes::Bytes;
use jiff::Timestamp;

use super::cursor::{Cursor, Invalid};
use super::date::date_time;
use super::store::flag_list;

/// An APPEND up to its literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendHead {
    /// Repeated in the tagged response.
    pub tag: String,
    /// As sent.
    pub mailbox: Bytes,
    /// As sent.
    pub flags: Vec<String>,
    /// Now, if not given.
    pub internal_date: Option<Timestamp>,
}

/// Reads `tag SP "APPEND" SP mailbox [SP flag-list] [SP date-time] SP`, which ends where the message's literal is
/// announced. None if it is anything else.
pub(super) fn head(prefix: Bytes) -> Option<AppendHead> {
    let mut cursor = Cursor::new(prefix);
    let tag = cursor.tag().ok()?;
    if !cursor.take(b' ') || !cursor.keyword("APPEND") {
        return None;
    }
    let (mailbox, flags, internal_date) = arguments(&mut cursor).ok()?;
    cursor.end().ok()?;
    Some(AppendHead { tag, mailbox, flags, internal_date })
}

/// What is wrong with an APPEND that [`head`] did not take.
pub(super) fn refusal(cursor: &mut Cursor) -> Invalid {
    match arguments(cursor) {
        Ok(_) => cursor.invalid("the message as a literal"),
        Err(invalid) => invalid,
    }
}

type Arguments = (Bytes, Vec<String>, Option<Timestamp>);

fn arguments(cursor: &mut Cursor) -> Result<Arguments, Invalid> {
    cursor.space()?;
    let mailbox = cursor.astring()?;
    cursor.space()?;
    let mut flags = Vec::new();
    if cursor.peek() == Some(b'(') {
        flags = flag_list(cursor)?;
        cursor.space()?;
    }
    let mut internal_date = None;
    if cursor.peek() == Some(b'"') {
        internal_date = Some(date_time(cursor)?);
        cursor.space()?;
    }
    Ok((mailbox, flags, internal_date))
}
