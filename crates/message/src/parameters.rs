//! Fields of the form `value; name=value; …` (RFC 2045 §5.1), with the continuations and charsets of RFC 2231.

use memchr::memrchr;

use crate::charset;

#[cfg(test)]
mod tests;

/// Parameters, or pieces of them, in a field at most; the rest is left out.
pub const MAX_PARAMETERS: usize = 64;
/// Octets of a field that are looked at; the rest is left out.
pub const MAX_FIELD: usize = 64 * 1024;

/// A parameter of `Content-Type` or `Content-Disposition`, put together and decoded (RFC 2231).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// In lower case, without the asterisks of RFC 2231.
    pub name: String,
    /// Unquoted; text that is not UTF-8, and does not say what it is, is guessed at.
    pub value: String,
    /// The value was percent-encoded with a charset (`name*=`): IMAP then adds an asterisk to the name.
    pub extended: bool,
}

/// Reads a field: the value before the first semicolon without its comments, and the parameters.
///
/// Tolerant: blanks in unquoted values, quotes that nothing closes and empty parameters are taken as they were meant.
/// Where a parameter is there both plainly and encoded, the encoded one counts; of doubles the first.
pub fn parse(field: &[u8]) -> (String, Vec<Parameter>) {
    let mut lexer = Lexer::new(&field[..field.len().min(MAX_FIELD)]);
    let value = lexer.unquoted(b";");
    let mut pieces = Vec::new();
    while !lexer.rest.is_empty() && pieces.len() < MAX_PARAMETERS {
        lexer.skip(b';');
        let name = lexer.unquoted(b";=");
        if lexer.skip(b'=') {
            pieces.extend(Piece::new(&name, lexer.value()));
        }
    }
    (text(&value), put_together(&pieces))
}

/// The parameter of this name, given in lower case.
pub fn find<'a>(parameters: &'a [Parameter], name: &str) -> Option<&'a str> {
    parameters.iter().find(|parameter| parameter.name == name).map(|parameter| parameter.value.as_str())
}

/// `name*0*=value`
struct Piece {
    name: String,
    /// The number of a continuation.
    index: Option<usize>,
    /// The value is percent-encoded, or may be.
    extended: bool,
    value: Vec<u8>,
}

impl Piece {
    fn new(name: &[u8], value: Vec<u8>) -> Option<Self> {
        let name = text(name).to_ascii_lowercase();
        let (name, extended) = name.strip_suffix('*').map_or((name.as_str(), false), |name| (name, true));
        let (name, index) = match name.rsplit_once('*') {
            Some((name, index)) => (name, Some(index.parse().ok()?)),
            None => (name, None),
        };
        (!name.is_empty()).then(|| Self { name: name.into(), index, extended, value })
    }
}

/// Joins continuations and decodes (RFC 2231 §3, §4), in the order in which names first come.
fn put_together(pieces: &[Piece]) -> Vec<Parameter> {
    let mut parameters: Vec<Parameter> = Vec::new();
    for piece in pieces {
        if parameters.iter().any(|parameter| parameter.name == piece.name) {
            continue;
        }
        let same = || pieces.iter().filter(|other| other.name == piece.name);
        let encoded = same().find(|other| other.index.is_none() && other.extended);
        let plain = same().find(|other| other.index.is_none());
        let joined = match encoded.or(plain) {
            Some(whole) => vec![whole],
            None => (0..).map_while(|index| same().find(|other| other.index == Some(index))).collect(),
        };
        if let Some(first) = joined.first() {
            let (name, extended) = (piece.name.clone(), first.extended);
            parameters.push(Parameter { name, value: decode(&joined), extended });
        }
    }
    parameters
}

/// `charset'language'percent-encoded`, of which the first piece alone has the charset.
fn decode(pieces: &[&Piece]) -> String {
    let mut charset = None;
    let mut octets = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let mut value = piece.value.as_slice();
        if index == 0 && piece.extended {
            let mut parts = value.splitn(3, |byte| *byte == b'\'');
            if let (Some(name), Some(_), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
                charset = Some(text(name));
                value = rest;
            }
        }
        if piece.extended {
            percent_decode(value, &mut octets);
        } else {
            octets.extend_from_slice(value);
        }
    }
    match charset {
        Some(charset) => charset::decode(&charset, &octets),
        None => text(&octets),
    }
}

/// A percent sign without two hexadecimal digits stands for itself.
fn percent_decode(value: &[u8], octets: &mut Vec<u8>) {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        match (byte, digit(value.get(at + 1)), digit(value.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                octets.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                octets.push(*byte);
                at += 1;
            }
        }
    }
}

struct Lexer<'a> {
    rest: &'a [u8],
    /// Octets behind the last closing parenthesis: what opens there is text, for nothing closes it.
    behind_comments: usize,
}

impl<'a> Lexer<'a> {
    fn new(field: &'a [u8]) -> Self {
        Self {
            rest: field,
            behind_comments: memrchr(b')', field).map_or(field.len(), |at| field.len() - at - 1),
        }
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    /// The value of a parameter, up to the next semicolon.
    fn value(&mut self) -> Vec<u8> {
        self.rest = self.rest.trim_ascii_start();
        if !self.skip(b'"') {
            return self.unquoted(b";");
        }
        let value = self.quoted();
        // What stands between the quote and the semicolon means nothing.
        self.unquoted(b";");
        value
    }

    /// Text up to one of the stops, without comments, line ends and the blanks around it.
    fn unquoted(&mut self, stops: &[u8]) -> Vec<u8> {
        let mut value = Vec::new();
        let mut depth = 0_usize;
        let mut bytes = self.rest.iter();
        loop {
            let before = bytes.as_slice();
            match bytes.next() {
                Some(b'\\') if depth > 0 => drop(bytes.next()),
                Some(b'(') if before.len() > self.behind_comments => depth += 1,
                Some(b')') if depth > 0 => depth -= 1,
                Some(b'\r' | b'\n') => {}
                Some(byte) if depth == 0 && !stops.contains(byte) => value.push(*byte),
                Some(_) if depth > 0 => {}
                _ => {
                    self.rest = before;
                    return value.trim_ascii().to_vec();
                }
            }
        }
    }

    /// The rest of a quoted string and its closing quote, which may be missing.
    fn quoted(&mut self) -> Vec<u8> {
        let mut value = Vec::new();
        let mut bytes = self.rest.iter();
        loop {
            match bytes.next() {
                Some(b'"') | None => break,
                Some(b'\\') => value.extend(bytes.next()),
                Some(b'\r' | b'\n') => {}
                Some(byte) => value.push(*byte),
            }
        }
        self.rest = bytes.as_slice();
        value
    }
}

fn text(octets: &[u8]) -> String {
    charset::guess(octets)
}
