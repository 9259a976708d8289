//! Writing responses (RFC 9051 §7): every value is quoted here, and nowhere else, so that nothing a message says can
//! end a response or begin another.

mod batch;
mod envelope;
mod structure;

#[cfg(test)]
mod tests;

use bytes::{Buf as _, BufMut, Bytes, BytesMut};
use jiff::Timestamp;
use jiff::tz::Offset;
use memchr::memchr;

use super::name::Encoding;
use super::parse::is_atom;
use crate::store::{Flags, MailboxName, UidSet};

pub(super) use batch::Batch;

/// A string longer than this is a literal.
const QUOTED: usize = 1_000;
/// Octets of a message that are worth a place of their own in what is written.
const PIECE: usize = 2 * 1024;

/// Responses on their way to the client.
#[derive(Debug, Default)]
pub(super) struct Responses {
    /// What is complete.
    batch: Batch,
    /// What stands behind it.
    buffer: BytesMut,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Ok,
    No,
    Bad,
}

impl Condition {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
        }
    }
}

/// The end of a command: condition, response code without its brackets, text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) condition: Condition,
    pub(super) code: Option<String>,
    pub(super) text: String,
}

impl Outcome {
    pub(super) fn ok(text: impl Into<String>) -> Self {
        Self { condition: Condition::Ok, code: None, text: text.into() }
    }

    pub(super) fn no(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self { condition: Condition::No, code: Some(code.into()), text: text.into() }
    }

    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self { condition: Condition::Bad, code: None, text: text.into() }
    }

    pub(super) fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }
}

impl Responses {
    pub(super) fn len(&self) -> usize {
        self.batch.remaining() + self.buffer.len()
    }

    /// What was written so far; then it is empty.
    pub(super) fn take(&mut self) -> Batch {
        self.batch.push(self.buffer.split().freeze());
        std::mem::take(&mut self.batch)
    }

    /// Keeps no memory, if nothing is written.
    pub(super) fn release(&mut self) {
        if self.len() == 0 {
            *self = Self::default();
        }
    }

    /// Gives back the memory of what was written and taken: the session may wait long for more.
    pub(super) fn give_back(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// Protocol text of our own: never anything from a client or a message.
    pub(super) fn raw(&mut self, text: &str) -> &mut Self {
        self.buffer.put_slice(text.as_bytes());
        self
    }

    pub(super) fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        self.digits(number.into(), 1)
    }

    /// A number with at least so many digits.
    fn digits(&mut self, mut number: u64, at_least: usize) -> &mut Self {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        while number > 0 || digits.len() - start < at_least {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.octets(&digits[start..])
    }

    pub(super) fn crlf(&mut self) -> &mut Self {
        self.raw("\r\n")
    }

    /// `tag SP resp-cond-state CRLF`
    pub(super) fn tagged(&mut self, tag: &str, outcome: &Outcome) {
        self.raw(tag).raw(" ");
        self.condition(outcome);
    }

    /// `"*" SP resp-cond-state CRLF`
    pub(super) fn untagged(&mut self, outcome: &Outcome) {
        self.raw("* ");
        self.condition(outcome);
    }

    pub(super) fn bye(&mut self, text: &str) {
        self.raw("* BYE ").text(text).crlf();
    }

    pub(super) fn continuation(&mut self, text: &str) {
        self.raw("+ ").raw(text).crlf();
    }

    fn condition(&mut self, outcome: &Outcome) {
        self.raw(outcome.condition.as_str()).raw(" ");
        if let Some(code) = &outcome.code {
            self.raw("[").raw(code).raw("] ");
        }
        self.text(&outcome.text).crlf();
    }

    /// Human-readable text: printable ASCII, whatever is in it.
    fn text(&mut self, text: &str) -> &mut Self {
        for octet in text.bytes() {
            self.buffer.put_u8(if matches!(octet, b' '..=b'~') { octet } else { b'?' });
        }
        self
    }

    /// `string`: quoted if it is short and plain ASCII, else a literal. NUL, which neither can hold, is left out.
    pub(super) fn string(&mut self, value: &[u8]) -> &mut Self {
        if value.len() <= QUOTED && value.iter().all(|octet| matches!(octet, b' '..=b'~')) {
            return self.quoted(value);
        }
        if value.contains(&0) {
            let value: Vec<u8> = value.iter().copied().filter(|octet| *octet != 0).collect();
            return self.literal(&value);
        }
        self.literal(value)
    }

    /// `astring`: bare if it is an atom.
    pub(super) fn astring(&mut self, value: &[u8]) -> &mut Self {
        if !value.is_empty() && value.iter().all(|octet| is_atom(*octet)) {
            return self.octets(value);
        }
        self.string(value)
    }

    /// `nstring`
    pub(super) fn nstring(&mut self, value: Option<&[u8]>) -> &mut Self {
        match value {
            Some(value) => self.string(value),
            None => self.raw("NIL"),
        }
    }

    fn quoted(&mut self, value: &[u8]) -> &mut Self {
        self.buffer.put_u8(b'"');
        for &octet in value {
            if matches!(octet, b'"' | b'\\') {
                self.buffer.put_u8(b'\\');
            }
            self.buffer.put_u8(octet);
        }
        self.buffer.put_u8(b'"');
        self
    }

    /// A literal with its octets as they are.
    pub(super) fn literal(&mut self, octets: &[u8]) -> &mut Self {
        self.literal_head(octets.len() as u64).octets(octets)
    }

    /// Announces a literal; exactly that many octets must follow.
    pub(super) fn literal_head(&mut self, size: u64) -> &mut Self {
        self.raw("{").number(size).raw("}").crlf()
    }

    pub(super) fn octets(&mut self, octets: &[u8]) -> &mut Self {
        self.buffer.put_slice(octets);
        self
    }

    /// Octets of a message in a literal, which must not hold NUL (RFC 9051 §4.3): 0x80 stands for it, as in other
    /// servers, so that sizes and offsets stay what they are.
    pub(super) fn text_octets(&mut self, octets: &[u8]) -> &mut Self {
        let start = self.buffer.len();
        self.octets(octets);
        for octet in &mut self.buffer[start..] {
            if *octet == 0 {
                *octet = 0x80;
            }
        }
        self
    }

    /// The same, without a copy if there are many.
    pub(super) fn text_piece(&mut self, piece: Bytes) -> &mut Self {
        if piece.len() < PIECE || memchr(0, &piece).is_some() {
            return self.text_octets(&piece);
        }
        self.batch.push(self.buffer.split().freeze());
        self.batch.push(piece);
        self
    }

    /// A mailbox name in the session's encoding.
    pub(super) fn mailbox(&mut self, name: &MailboxName, encoding: Encoding) -> &mut Self {
        self.mailbox_text(name.as_str(), encoding)
    }

    pub(super) fn mailbox_text(&mut self, name: &str, encoding: Encoding) -> &mut Self {
        let encoded = encoding.encode(name);
        // RFC 9051 §5.1: in IMAP4rev2 quoted strings hold UTF-8, and names hold no control characters.
        if encoding == Encoding::Utf8 {
            self.quoted(encoded.as_bytes())
        } else {
            self.string(encoded.as_bytes())
        }
    }

    /// `flag-list`
    pub(super) fn flags(&mut self, flags: &Flags) -> &mut Self {
        let system = flags.system().map(|flag| -> &str { flag.as_str() });
        self.raw("(").joined(system.chain(flags.keywords())).raw(")")
    }

    /// Words of our own, or checked to be atoms, parted by spaces.
    pub(super) fn joined<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) -> &mut Self {
        for (index, word) in words.into_iter().enumerate() {
            if index > 0 {
                self.raw(" ");
            }
            self.raw(word);
        }
        self
    }

    /// `date-time`, in UTC.
    pub(super) fn date_time(&mut self, time: Timestamp) -> &mut Self {
        let time = Offset::UTC.to_datetime(time);
        let two = |number: i8| u64::from(number.unsigned_abs());
        self.raw("\"").digits(two(time.day()), 2).raw("-").raw(month(time.month())).raw("-");
        self.digits(u64::from(time.year().unsigned_abs()), 4).raw(" ");
        self.digits(two(time.hour()), 2).raw(":").digits(two(time.minute()), 2).raw(":");
        self.digits(two(time.second()), 2).raw(" +0000\"")
    }
}

/// `date-month`
fn month(number: i8) -> &'static str {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    usize::try_from(number - 1).ok().and_then(|place| MONTHS.get(place)).copied().unwrap_or("Jan")
}

/// `uid-set`, such as `2,4:7`.
pub(super) fn uid_set(uids: &UidSet) -> String {
    let mut text = String::new();
    for range in uids.ranges() {
        push_range(&mut text, *range.start(), *range.end());
    }
    text
}

/// The two sets of COPYUID (RFC 9051 §7.1), whose members correspond in order.
pub(super) fn uid_pairs(pairs: &[(u32, u32)]) -> (String, String) {
    (uid_set(&pairs.iter().map(|pair| pair.0).collect()), uid_set(&pairs.iter().map(|pair| pair.1).collect()))
}

fn push_range(text: &mut String, first: u32, last: u32) {
    if !text.is_empty() {
        text.push(',');
    }
    text.push_str(&first.to_string());
    if last > first {
        text.push(':');
        text.push_str(&last.to_string());
    }
}
