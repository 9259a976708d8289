//! Replies (RFC 5321 §4.2) with enhanced status codes (RFC 2034, RFC 3463): built, written, and read as they arrive.

use std::borrow::Cow;
use std::fmt;

use bytes::{Buf, BufMut, BytesMut};
use memchr::memchr;

#[cfg(test)]
mod tests;

/// Octets in a line of a reply at most, its CRLF included. RFC 5321 §4.5.3.1.5 says 512; some servers write more.
const MAX_LINE: usize = 2048;
/// Octets in all lines of a reply that is read at most: a peer cannot make us hold more.
const MAX_REPLY: usize = 64 * 1024;
/// Octets of text in a line that is written at most, so that code, enhanced code and CRLF fit into 512 beside it.
const MAX_TEXT: usize = 490;

/// What a server answers: a code, mostly an enhanced code, and text of one or more lines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reply {
    /// Three digits, 200 to 599.
    pub code: u16,
    /// The enhanced status code; greetings, EHLO replies and intermediate replies have none.
    pub enhanced: Option<EnhancedCode>,
    /// The lines, parted by `\n`, without codes. Whatever else must not stand in a reply is replaced when written.
    pub text: Cow<'static, str>,
}

impl Reply {
    /// A reply without an enhanced code.
    pub const fn plain(code: u16, text: &'static str) -> Self {
        Self { code, enhanced: None, text: Cow::Borrowed(text) }
    }

    /// A reply with the enhanced code `class.subject.detail`, the class being the first digit of `code`.
    pub const fn fixed(code: u16, subject: u16, detail: u16, text: &'static str) -> Self {
        Self { code, enhanced: Some(EnhancedCode::of(code, subject, detail)), text: Cow::Borrowed(text) }
    }

    /// Like [`Reply::fixed`], with text that is made at run time.
    pub fn new(code: u16, subject: u16, detail: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced: Some(EnhancedCode::of(code, subject, detail)), text: text.into() }
    }

    /// 2yz: done.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3yz: go on.
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4yz: not now.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5yz: never in this form.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Whether the server closes the connection behind this reply (RFC 5321 §3.8).
    pub fn closes(&self) -> bool {
        matches!(self.code, 221 | 421)
    }

    /// The lines of text.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }

    /// Writes the reply as it goes over the wire.
    pub fn encode(&self, output: &mut BytesMut) {
        let mut lines = self.lines().flat_map(wrap).peekable();
        while let Some(line) = lines.next() {
            self.encode_line(line, lines.peek().is_none(), output);
        }
    }

    fn encode_line(&self, line: &str, last: bool, output: &mut BytesMut) {
        output.reserve(line.len() + 20);
        put_number(self.code, output);
        output.put_u8(if last { b' ' } else { b'-' });
        if let Some(enhanced) = self.enhanced {
            enhanced.encode(output);
            output.put_u8(b' ');
        }
        let text = output.len();
        output.put_slice(line.as_bytes());
        for control in output[text..].iter_mut().filter(|byte| byte.is_ascii_control()) {
            *control = b' ';
        }
        output.put_slice(b"\r\n");
    }

    /// A reply as it was read, whose enhanced code still stands in its text.
    fn from_lines(code: u16, text: String) -> Self {
        match EnhancedCode::strip(code, &text) {
            Some((enhanced, text)) => Self { code, enhanced: Some(enhanced), text: text.into() },
            None => Self { code, enhanced: None, text: text.into() },
        }
    }
}

/// `550 5.1.1 No such user`, its lines parted by `\n`.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        if self.text.is_empty() { Ok(()) } else { write!(f, " {}", self.text) }
    }
}

/// Cuts a line into pieces that fit, at character boundaries. An empty line is one empty piece.
fn wrap(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        if text.len() <= MAX_TEXT {
            return Some(text);
        }
        let (piece, behind) = text.split_at(text.floor_char_boundary(MAX_TEXT));
        rest = Some(behind);
        Some(piece)
    })
}

/// Writes a decimal number without the machinery of `fmt`.
fn put_number(number: u16, output: &mut BytesMut) {
    let mut digits = [0; 5];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    output.put_slice(&digits[start..]);
}

/// An enhanced status code (RFC 3463): `class.subject.detail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnhancedCode {
    /// 2, 4 or 5.
    pub class: u8,
    /// 0 to 999.
    pub subject: u16,
    /// 0 to 999.
    pub detail: u16,
}

impl EnhancedCode {
    /// The enhanced code for a reply with `code`, whose first digit is the class.
    const fn of(code: u16, subject: u16, detail: u16) -> Self {
        Self { class: (code / 100) as u8, subject, detail }
    }

    /// Parses `5.1.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|digits| {
            let valid = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            if valid { digits.parse::<u16>().ok() } else { None }
        });
        let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let class = u8::try_from(class).ok().filter(|class| matches!(class, 2 | 4 | 5))?;
        numbers.next().is_none().then_some(Self { class, subject, detail })
    }

    fn encode(self, output: &mut BytesMut) {
        put_number(u16::from(self.class), output);
        output.put_u8(b'.');
        put_number(self.subject, output);
        output.put_u8(b'.');
        put_number(self.detail, output);
    }

    /// Takes the enhanced code off the front of every line that has it, if the first one does and it fits `code`.
    fn strip(code: u16, text: &str) -> Option<(Self, String)> {
        let (first, _) = Self::split(text.lines().next()?)?;
        if u16::from(first.class) != code / 100 {
            return None;
        }
        let lines: Vec<&str> = text
            .split('\n')
            .map(|line| match Self::split(line) {
                Some((enhanced, rest)) if enhanced == first => rest,
                _ => line,
            })
            .collect();
        Some((first, lines.join("\n")))
    }

    fn split(line: &str) -> Option<(Self, &str)> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        Some((Self::parse(word)?, rest))
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// Reads replies out of bytes as they arrive.
#[derive(Debug, Default)]
pub struct Parser {
    /// The code of the lines so far.
    code: Option<u16>,
    /// The text of the lines so far.
    text: String,
}

impl Parser {
    /// Takes the next whole reply off the front of `input`; `None` if it has not all arrived.
    ///
    /// # Errors
    /// Behind an error the two sides are out of step, and the connection is of no further use.
    pub fn parse(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        while let Some(end) = memchr(b'\n', input) {
            if end >= MAX_LINE {
                return Err(ReplyError::TooLong);
            }
            let last = self.line(input[..end].trim_ascii_end())?;
            input.advance(end + 1);
            if let Some(code) = last {
                self.code = None;
                return Ok(Some(Reply::from_lines(code, std::mem::take(&mut self.text))));
            }
        }
        if input.len() >= MAX_LINE { Err(ReplyError::TooLong) } else { Ok(None) }
    }

    /// Forgets a reply that arrived in part.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Reads a line, without its end. The code, if it was the last line of its reply.
    fn line(&mut self, line: &[u8]) -> Result<Option<u16>, ReplyError> {
        let malformed = || ReplyError::Malformed(String::from_utf8_lossy(line).chars().take(80).collect());
        let digits =
            line.get(..3).filter(|code| code.iter().all(u8::is_ascii_digit)).ok_or_else(malformed)?;
        let code = digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
        if !(200..600).contains(&code) || self.code.is_some_and(|first| first != code) {
            return Err(malformed());
        }
        // RFC 5321 §4.2.1: a server may leave out the text and the space before it.
        let last = match line.get(3) {
            None | Some(b' ') => true,
            Some(b'-') => false,
            Some(_) => return Err(malformed()),
        };
        if self.text.len() + line.len() > MAX_REPLY {
            return Err(ReplyError::TooLong);
        }
        if self.code.replace(code).is_some() {
            self.text.push('\n');
        }
        let text = String::from_utf8_lossy(line.get(4..).unwrap_or_default());
        self.text.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
        Ok(last.then_some(code))
    }
}

/// Why what a server sent is not a reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A line that does not begin with a code, or with another one than the lines before it. Holds its beginning.
    #[error("malformed reply: {0:?}")]
    Malformed(String),
    /// A line or a reply longer than anything sensible.
    #[error("reply too long")]
    TooLong,
}
