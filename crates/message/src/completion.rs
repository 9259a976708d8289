//! What a submission server does to the header of a message (RFC 6409 §8): it refuses what no one could mend, adds
//! what is missing, takes out what is not for the recipients, and leaves every other octet as it is.

use std::fmt::Write;

use memchr::memchr_iter;

use crate::address::Address;
use crate::address_list::{self, Entry};
use crate::date::DateTime;
use crate::header::{self, Field, MAX_FIELDS, MAX_HEADER};
use crate::id::MessageId;
use crate::lines::{LineChecker, LineError};

#[cfg(test)]
mod tests;

/// Fields of which there is one at most (RFC 5322 §3.6). `Bcc` is not among them, for it goes anyway.
const SINGLE: [&str; 10] =
    ["Date", "From", "Sender", "Reply-To", "To", "Cc", "Message-ID", "In-Reply-To", "References", "Subject"];

/// Fields that are between the sender and us: who got a blind copy (RFC 5322 §3.6.3), and what only the delivering
/// host may say (RFC 5321 §4.4).
const REMOVED: [&str; 3] = ["Bcc", "Resent-Bcc", "Return-Path"];

/// What is added to messages that lack it.
#[derive(Clone, Copy, Debug)]
pub struct Completion<'a> {
    /// Makes the `Message-ID`, with `domain`.
    pub id: MessageId,
    /// This host's name.
    pub domain: &'a str,
    /// Makes the `Date`.
    pub at: DateTime,
    /// Who sends the message: makes the `From` of a message that has none, and the `Sender` of one that is from several
    /// people (RFC 5322 §3.6.2) or from nobody who can be told. Without it, such messages are refused.
    pub sender: Option<&'a Address>,
}

/// A header that can go out.
#[derive(Clone, Debug)]
pub struct Completed {
    /// The header block with its blank line.
    pub header: Vec<u8>,
    /// Goes on with the message's body, so that lines are counted as the client counts them.
    pub lines: LineChecker,
}

impl Completion<'_> {
    /// Checks and completes a header block, as it came, with the blank line if there is one.
    ///
    /// # Errors
    /// The first thing wrong with it.
    pub fn complete(&self, block: &[u8]) -> Result<Completed, HeaderError> {
        if block.len() > MAX_HEADER {
            return Err(HeaderError::TooLarge);
        }
        let mut lines = LineChecker::default();
        lines.push(block)?;
        let known = KnownFields::collect(block)?;
        let additions = self.additions(block, &known)?;

        let mut header = Vec::with_capacity(block.len() + additions.len() + 2);
        let mut fields = header::fields(block);
        for field in fields.by_ref() {
            if !REMOVED.iter().any(|name| field.is(name)) {
                header.extend_from_slice(field.raw);
            }
        }
        if !additions.is_empty() && !header.is_empty() && !header.ends_with(b"\n") {
            header.extend_from_slice(b"\r\n");
        }
        header.extend_from_slice(additions.as_bytes());
        header.extend_from_slice(&block[fields.offset()..]);
        Ok(Completed { header, lines })
    }

    /// The fields that are missing, as text.
    fn additions(&self, block: &[u8], known: &KnownFields<'_>) -> Result<String, HeaderError> {
        // Writing to a string does not fail.
        let mut additions = String::new();
        let authors = match known.get("From").map(|from| mailboxes(block, from, "From")) {
            Some(Ok(authors)) => authors,
            // Whoever it says it is from, it says who sent it: as for several authors, a Sender is due.
            Some(Err(_)) if self.sender.is_some() => usize::MAX,
            Some(Err(error)) => return Err(error),
            None => {
                let sender = self.sender.ok_or(HeaderError::NoFrom)?;
                let _ = write!(additions, "From: <{sender}>\r\n");
                1
            }
        };
        match known.get("Sender") {
            Some(sender) if mailboxes(block, sender, "Sender")? != 1 => {
                return Err(malformed(block, sender, "Sender"));
            }
            None if authors > 1 => {
                let sender = self.sender.ok_or(HeaderError::NoSender)?;
                let _ = write!(additions, "Sender: <{sender}>\r\n");
            }
            _ => {}
        }
        if known.get("Date").is_none() {
            let _ = write!(additions, "Date: {}\r\n", self.at);
        }
        if known.get("Message-ID").is_none() {
            let _ = write!(additions, "Message-ID: <{}@{}>\r\n", self.id, self.domain);
        }
        Ok(additions)
    }
}

/// The fields of [`SINGLE`], in its order.
#[derive(Default)]
struct KnownFields<'a>([Option<Field<'a>>; SINGLE.len()]);

impl<'a> KnownFields<'a> {
    fn collect(block: &'a [u8]) -> Result<Self, HeaderError> {
        let mut known = Self::default();
        for (count, field) in header::fields(block).enumerate() {
            if count == MAX_FIELDS {
                return Err(HeaderError::TooManyFields);
            }
            if let Some(line) = field.malformed_line() {
                return Err(HeaderError::NoField { line: line_number(block, &field) + line as u64 });
            }
            if let Some(index) = SINGLE.iter().position(|name| field.is(name))
                && known.0[index].replace(field).is_some()
            {
                return Err(HeaderError::Repeated { name: SINGLE[index], line: line_number(block, &field) });
            }
        }
        Ok(known)
    }

    fn get(&self, name: &str) -> Option<&Field<'a>> {
        self.0[SINGLE.iter().position(|single| *single == name)?].as_ref()
    }
}

/// How many mailboxes the field holds; all of them must be addresses that could stand in an envelope.
fn mailboxes(block: &[u8], field: &Field<'_>, name: &'static str) -> Result<usize, HeaderError> {
    let entries = address_list::parse(field.value);
    let valid = |entry: &Entry| matches!(entry, Entry::Mailbox(mailbox) if mailbox.address().is_some());
    if entries.is_empty() || !entries.iter().all(valid) {
        return Err(malformed(block, field, name));
    }
    Ok(entries.len())
}

fn malformed(block: &[u8], field: &Field<'_>, name: &'static str) -> HeaderError {
    HeaderError::Malformed { name, line: line_number(block, field) }
}

/// The line on which the field begins, counted from 1.
fn line_number(block: &[u8], field: &Field<'_>) -> u64 {
    memchr_iter(b'\n', &block[..field.offset]).count() as u64 + 1
}

/// Why a header cannot go out; the words are fit for an SMTP reply. Lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It is over [`MAX_HEADER`] octets.
    #[error("the header is larger than 256 KiB")]
    TooLarge,
    /// It has over [`MAX_FIELDS`] fields.
    #[error("the header has more than 4000 fields")]
    TooManyFields,
    /// A line is too long or holds a NUL.
    #[error(transparent)]
    Line(#[from] LineError),
    /// A line is neither a field nor part of one.
    #[error("line {line} of the header is no field")]
    NoField {
        /// Its number.
        line: u64,
    },
    /// There is no `From`.
    #[error("there is no From field")]
    NoFrom,
    /// A field of which there may be one is there again.
    #[error("there is a second {name} field on line {line}")]
    Repeated {
        /// The field's name.
        name: &'static str,
        /// Where the second one begins.
        line: u64,
    },
    /// `From` is no list of mailboxes, or `Sender` not one mailbox.
    #[error("the {name} field on line {line} holds no valid address")]
    Malformed {
        /// The field's name.
        name: &'static str,
        /// Where it begins.
        line: u64,
    },
    /// The message is from several people, and nobody is its sender.
    #[error("a message with several From addresses needs a Sender field")]
    NoSender,
}
