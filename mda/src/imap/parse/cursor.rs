//! A place in a command, and the tokens of RFC 9051 §9 read from there.

use bytes::{Bytes, BytesMut};

/// Input that is not what the grammar asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at octet {at}")]
pub struct Invalid {
    /// What the grammar asks for.
    pub expected: &'static str,
    /// Counted from the command's first octet, 0-based.
    pub at: usize,
}

pub(super) struct Cursor {
    input: Bytes,
    at: usize,
}

impl Cursor {
    pub(super) fn new(input: Bytes) -> Self {
        Self { input, at: 0 }
    }

    pub(super) fn invalid(&self, expected: &'static str) -> Invalid {
        Invalid { expected, at: self.at }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    /// Steps over the octet if it is next.
    pub(super) fn take(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, octet: u8) -> Result<(), Invalid> {
        if self.take(octet) { Ok(()) } else { Err(self.invalid(name_of(octet))) }
    }

    pub(super) fn space(&mut self) -> Result<(), Invalid> {
        self.expect(b' ')
    }

    pub(super) fn end(&self) -> Result<(), Invalid> {
        if self.at == self.input.len() { Ok(()) } else { Err(self.invalid("the end of the command")) }
    }

    /// What is left, all of it.
    pub(super) fn rest(&mut self) -> Bytes {
        let rest = self.input.slice(self.at..);
        self.at = self.input.len();
        rest
    }

    /// This text is next, in any case.
    pub(super) fn is_at(&self, text: &str) -> bool {
        let next = self.input.get(self.at..self.at + text.len());
        next.is_some_and(|next| next.eq_ignore_ascii_case(text.as_bytes()))
    }

    /// Steps over the word if it is next, in any case, and ends there.
    pub(super) fn keyword(&mut self, word: &str) -> bool {
        let end = self.at + word.len();
        let found =
            self.input.get(self.at..end).is_some_and(|next| next.eq_ignore_ascii_case(word.as_bytes()))
                && !self.input.get(end).is_some_and(|&octet| is_atom(octet));
        if found {
            self.at = end;
        }
        found
    }

    /// `tag = 1*<any ASTRING-CHAR except "+">`
    pub(super) fn tag(&mut self) -> Result<String, Invalid> {
        self.text_while(|octet| is_astring(octet) && octet != b'+', "a tag")
    }

    /// `atom = 1*ATOM-CHAR`
    pub(super) fn atom(&mut self) -> Result<Bytes, Invalid> {
        self.bytes_while(is_atom, "an atom")
    }

    pub(super) fn atom_string(&mut self) -> Result<String, Invalid> {
        self.text_while(is_atom, "an atom")
    }

    /// `astring = 1*ASTRING-CHAR / string`
    pub(super) fn astring(&mut self) -> Result<Bytes, Invalid> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => self.bytes_while(is_astring, "a string"),
        }
    }

    /// `list-mailbox = 1*list-char / string`
    pub(super) fn list_mailbox(&mut self) -> Result<Bytes, Invalid> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => self
                .bytes_while(|octet| is_astring(octet) || matches!(octet, b'%' | b'*'), "a mailbox pattern"),
        }
    }

    /// `string = quoted / literal`
    pub(super) fn string(&mut self) -> Result<Bytes, Invalid> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            _ => Err(self.invalid("a string")),
        }
    }

    /// `nstring = string / nil`
    pub(super) fn nstring(&mut self) -> Result<Option<Bytes>, Invalid> {
        if self.keyword("NIL") { Ok(None) } else { self.string().map(Some) }
    }

    /// `nstring / literal8`: any octets (RFC 5464 §5).
    pub(super) fn nstring8(&mut self) -> Result<Option<Bytes>, Invalid> {
        if self.take(b'~') { self.literal_octets().map(Some) } else { self.nstring() }
    }

    /// A 32-bit number.
    pub(super) fn number(&mut self) -> Result<u32, Invalid> {
        let start = self.at;
        let number = self.number64()?;
        u32::try_from(number).map_err(|_| Invalid { expected: "a 32-bit number", at: start })
    }

    pub(super) fn nz_number(&mut self) -> Result<u32, Invalid> {
        let start = self.at;
        match self.number()? {
            0 => Err(Invalid { expected: "a number above 0", at: start }),
            number => Ok(number),
        }
    }

    /// `number64`: 63 bits.
    pub(super) fn number64(&mut self) -> Result<u64, Invalid> {
        let start = self.at;
        let digits = self.text_while(|octet| octet.is_ascii_digit(), "a number")?;
        digits
            .parse::<i64>()
            .map(i64::unsigned_abs)
            .map_err(|_| Invalid { expected: "a 63-bit number", at: start })
    }

    /// Exactly `count` digits.
    pub(super) fn digits(&mut self, count: usize) -> Result<u16, Invalid> {
        let mut value = 0;
        for _ in 0..count {
            match self.peek() {
                Some(digit @ b'0'..=b'9') => value = value * 10 + u16::from(digit - b'0'),
                _ => return Err(self.invalid("a digit")),
            }
            self.at += 1;
        }
        Ok(value)
    }

    /// Exactly `count` letters.
    pub(super) fn letters(&mut self, count: usize) -> Result<Bytes, Invalid> {
        let invalid = self.invalid("letters");
        let letters = self.bytes_while(|octet| octet.is_ascii_alphabetic(), "letters")?;
        if letters.len() == count { Ok(letters) } else { Err(invalid) }
    }

    /// The name of a fetch item or section: as far as the bracket, or nothing.
    pub(super) fn fetch_name(&mut self) -> Bytes {
        self.bytes_while(|octet| octet.is_ascii_alphanumeric() || octet == b'.', "a name").unwrap_or_default()
    }

    fn quoted(&mut self) -> Result<Bytes, Invalid> {
        self.expect(b'"')?;
        let start = self.at;
        // Copied only from the first escape on.
        let mut unescaped: Option<BytesMut> = None;
        loop {
            let octet = self.peek().ok_or_else(|| self.invalid("a closing quote"))?;
            match octet {
                b'"' => break,
                b'\\' => {
                    let plain = unescaped.get_or_insert_with(|| {
                        BytesMut::from(self.input.get(start..self.at).unwrap_or_default())
                    });
                    self.at += 1;
                    match self.input.get(self.at) {
                        Some(&escaped @ (b'"' | b'\\')) => plain.extend_from_slice(&[escaped]),
                        _ => return Err(self.invalid("a quote or a backslash")),
                    }
                }
                0 | b'\r' | b'\n' => return Err(self.invalid("a text character")),
                _ => {
                    if let Some(plain) = &mut unescaped {
                        plain.extend_from_slice(&[octet]);
                    }
                }
            }
            self.at += 1;
        }
        let text = unescaped.map_or_else(|| self.input.slice(start..self.at), BytesMut::freeze);
        self.at += 1;
        Ok(text)
    }

    /// `literal = "{" number64 ["+"] "}" CRLF *CHAR8`; the framer has checked that it is all there.
    fn literal(&mut self) -> Result<Bytes, Invalid> {
        let invalid = self.invalid("a literal without NUL");
        let text = self.literal_octets()?;
        if text.contains(&0) { Err(invalid) } else { Ok(text) }
    }

    fn literal_octets(&mut self) -> Result<Bytes, Invalid> {
        self.expect(b'{')?;
        let size = self.number64()?;
        self.take(b'+');
        self.expect(b'}')?;
        self.take(b'\r');
        self.expect(b'\n')?;
        let end = usize::try_from(size).ok().and_then(|size| self.at.checked_add(size));
        match end {
            Some(end) if end <= self.input.len() => {
                let octets = self.input.slice(self.at..end);
                self.at = end;
                Ok(octets)
            }
            _ => Err(self.invalid("a complete literal")),
        }
    }

    fn bytes_while(&mut self, accept: impl Fn(u8) -> bool, expected: &'static str) -> Result<Bytes, Invalid> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&octet| !accept(octet)).unwrap_or(rest.len());
        if length == 0 {
            return Err(self.invalid(expected));
        }
        let found = self.input.slice(self.at..self.at + length);
        self.at += length;
        Ok(found)
    }

    /// Only for classes within ASCII.
    fn text_while(&mut self, accept: impl Fn(u8) -> bool, expected: &'static str) -> Result<String, Invalid> {
        let found = self.bytes_while(|octet| octet.is_ascii() && accept(octet), expected)?;
        Ok(found.iter().copied().map(char::from).collect())
    }
}

/// `ATOM-CHAR`: any printable ASCII save the atom-specials.
pub(crate) fn is_atom(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// `ASTRING-CHAR = ATOM-CHAR / resp-specials`
fn is_astring(octet: u8) -> bool {
    is_atom(octet) || octet == b']'
}

fn name_of(octet: u8) -> &'static str {
    match octet {
        b' ' => "a space",
        b'(' => "an opening parenthesis",
        b')' => "a closing parenthesis",
        b'[' => "an opening bracket",
        b']' => "a closing bracket",
        b'{' => "a literal",
        b'"' => "a quote",
        b'\n' => "a line end",
        b':' => "a colon",
        b'-' => "a hyphen",
        b'.' => "a dot",
        b'>' => "a closing angle bracket",
        _ => "another character",
    }
}
