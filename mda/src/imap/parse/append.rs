//! APPEND and REPLACE (RFC 9051 §6.3.12; RFC 3502, RFC 3516, RFC 4469, RFC 6855, RFC 8508): all of it but the
//! messages, which are streamed. What stands between two literals is a [`Segment`].

use bytes::Bytes;
use jiff::Timestamp;

use super::BadCommand;
use super::cursor::{Cursor, Invalid};
use super::date::date_time;
use super::set::{MessageSet, SequenceSet, SetEnd};
use super::store::flag_list;

/// An APPEND or REPLACE up to its first literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendHead {
    /// Repeated in the tagged response.
    pub tag: String,
    /// REPLACE: the message that goes.
    pub replaces: Option<Replaced>,
    /// As sent.
    pub mailbox: Bytes,
    /// What follows the mailbox.
    pub segment: Segment,
}

/// The message that another takes the place of (RFC 8508 §3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// It is named by its UID.
    pub uid: bool,
    /// One message.
    pub message: MessageSet,
}

/// What is said between two literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// In order.
    pub pieces: Vec<Piece>,
    /// What comes then.
    pub then: Then,
}

/// A step of an APPEND.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A message begins.
    Message {
        /// As sent.
        flags: Vec<String>,
        /// Now, if not given.
        internal_date: Option<Timestamp>,
    },
    /// It goes on with what this URL names (RFC 4469 §3).
    Url(Bytes),
}

/// What follows a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// A literal, and behind it another segment.
    Literal(Use),
    /// Nothing: the command is complete.
    End,
}

/// What a literal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A whole message.
    Message,
    /// A whole message that may hold NUL (RFC 3516 §4.4).
    Binary,
    /// A whole message with UTF-8 in its header (RFC 6855 §4).
    Utf8,
    /// The message goes on with it (RFC 4469 §3).
    Text,
    /// A URL.
    Url,
}

/// Reads `tag SP "APPEND" SP mailbox …` or `tag SP ["UID" SP] "REPLACE" SP seq-number SP mailbox …`, which ends where
/// a literal is announced. None if it is anything else; an error if it is wrong whatever the literal holds.
pub(super) fn head(prefix: Bytes) -> Option<Result<AppendHead, BadCommand>> {
    let end = prefix.len();
    let mut cursor = Cursor::new(prefix);
    let tag = cursor.tag().ok()?;
    if !cursor.take(b' ') {
        return None;
    }
    let head = if cursor.keyword("APPEND") {
        append(tag.clone(), &mut cursor)
    } else {
        let uid = cursor.keyword("UID");
        if (uid && !cursor.take(b' ')) || !cursor.keyword("REPLACE") {
            return None;
        }
        replace(tag.clone(), uid, &mut cursor)
    };
    match head {
        Ok(head) => (head.segment.then != Then::End).then_some(Ok(head)),
        // Where the literal stands, it may be a name or a URL.
        Err(invalid) if invalid.at == end => None,
        Err(invalid) => Some(Err(BadCommand { tag: Some(tag), reason: invalid.into() })),
    }
}

/// The arguments of an APPEND without any literal: all it is made of is named by URLs.
pub(super) fn append_of_urls(cursor: &mut Cursor) -> Result<AppendHead, Invalid> {
    whole(append(String::new(), cursor)?, cursor)
}

/// As [`append_of_urls`], for REPLACE.
pub(super) fn replace_by_urls(uid: bool, cursor: &mut Cursor) -> Result<AppendHead, Invalid> {
    whole(replace(String::new(), uid, cursor)?, cursor)
}

fn whole(head: AppendHead, cursor: &Cursor) -> Result<AppendHead, Invalid> {
    match head.segment.then {
        Then::End => Ok(head),
        Then::Literal(_) => Err(cursor.invalid("the message as a literal")),
    }
}

/// Reads what follows a literal.
pub fn segment_behind(literal: Use, rest: Bytes) -> Result<Segment, Invalid> {
    let mut cursor = Cursor::new(rest);
    let mut pieces = Vec::new();
    let then = match literal {
        Use::Message | Use::Binary => next_message(&mut cursor, &mut pieces)?,
        Use::Utf8 => {
            cursor.expect(b')')?;
            next_message(&mut cursor, &mut pieces)?
        }
        Use::Text | Use::Url => next_part(&mut cursor, &mut pieces)?,
    };
    Ok(Segment { pieces, then })
}

fn append(tag: String, cursor: &mut Cursor) -> Result<AppendHead, Invalid> {
    cursor.space()?;
    let mailbox = cursor.astring()?;
    let segment = messages(cursor)?;
    Ok(AppendHead { tag, replaces: None, mailbox, segment })
}

fn replace(tag: String, uid: bool, cursor: &mut Cursor) -> Result<AppendHead, Invalid> {
    cursor.space()?;
    let number = if cursor.take(b'*') { SetEnd::Last } else { SetEnd::Number(cursor.nz_number()?) };
    let message = MessageSet::Numbers(SequenceSet(vec![(number, number)]));
    cursor.space()?;
    let mailbox = cursor.astring()?;
    let segment = messages(cursor)?;
    Ok(AppendHead { tag, replaces: Some(Replaced { uid, message }), mailbox, segment })
}

fn messages(cursor: &mut Cursor) -> Result<Segment, Invalid> {
    let mut pieces = Vec::new();
    cursor.space()?;
    let then = message(cursor, &mut pieces)?;
    Ok(Segment { pieces, then })
}

/// `append-message = [flag-list SP] [date-time SP] append-data` (RFC 3502 §4, RFC 4466 §3).
fn message(cursor: &mut Cursor, pieces: &mut Vec<Piece>) -> Result<Then, Invalid> {
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
    pieces.push(Piece::Message { flags, internal_date });
    if cursor.keyword("CATENATE") {
        cursor.space()?;
        cursor.expect(b'(')?;
        return part(cursor, pieces);
    }
    if cursor.keyword("UTF8") {
        cursor.space()?;
        cursor.expect(b'(')?;
        cursor.expect(b'~')?;
        return literal(cursor, Use::Utf8);
    }
    let usage = if cursor.take(b'~') { Use::Binary } else { Use::Message };
    literal(cursor, usage)
}

/// `cat-part = "TEXT" SP literal / "URL" SP astring` (RFC 4469 §5).
fn part(cursor: &mut Cursor, pieces: &mut Vec<Piece>) -> Result<Then, Invalid> {
    loop {
        if cursor.keyword("TEXT") {
            cursor.space()?;
            return literal(cursor, Use::Text);
        }
        if !cursor.keyword("URL") {
            return Err(cursor.invalid("TEXT or URL"));
        }
        cursor.space()?;
        if cursor.peek().is_none() {
            return literal(cursor, Use::Url);
        }
        pieces.push(Piece::Url(cursor.astring()?));
        if cursor.take(b')') {
            return next_message(cursor, pieces);
        }
        cursor.space()?;
    }
}

fn next_part(cursor: &mut Cursor, pieces: &mut Vec<Piece>) -> Result<Then, Invalid> {
    if cursor.take(b')') {
        return next_message(cursor, pieces);
    }
    cursor.space()?;
    part(cursor, pieces)
}

/// Behind a message: another one (RFC 3502), or the end.
fn next_message(cursor: &mut Cursor, pieces: &mut Vec<Piece>) -> Result<Then, Invalid> {
    if cursor.end().is_ok() {
        return Ok(Then::End);
    }
    cursor.space()?;
    message(cursor, pieces)
}

/// The announcement itself was cut off by the framer.
fn literal(cursor: &Cursor, usage: Use) -> Result<Then, Invalid> {
    match cursor.end() {
        Ok(()) => Ok(Then::Literal(usage)),
        Err(_) => Err(cursor.invalid("the message as a literal")),
    }
}
