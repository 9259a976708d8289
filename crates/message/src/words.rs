//! Encoded-words: text beyond ASCII in header fields (RFC 2047, RFC 2231 §5).

use std::borrow::Cow;
use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::{memchr, memmem};

use crate::charset;
use crate::header;
use crate::mime::{Decoder, Encoding};

#[cfg(test)]
mod tests;

/// Octets of an encoded-word that is read, at most: RFC 2047 §2 says 75, many programs write more.
const MAX_READ: usize = 1000;
/// Octets of text, encoded, in a word that is written: so the line fits behind the name of the field (RFC 2047 §2).
const MAX_WRITTEN: usize = 48;

/// Decodes an unstructured value, folded or not: the encoded-words in it, and plain octets by guess.
///
/// Blanks between encoded-words vanish, and characters that were cut between two words of one charset come together
/// (RFC 2047 §6.2). What only looks like an encoded-word stays as it is.
pub fn decode(value: &[u8]) -> String {
    let value = header::unfold(value);
    let mut rest: &[u8] = &value;
    let mut text = String::with_capacity(value.len());
    let mut cut: Option<(String, Vec<u8>)> = None;
    // Where plain text ends: before `rest`, or at a word that turned out to be none.
    let mut plain = 0;
    while let Some(start) = memmem::find(&rest[plain..], b"=?").map(|found| found + plain) {
        let Some(word) = EncodedWord::read(&rest[start..]) else {
            plain = start + 2;
            continue;
        };
        let between = &rest[..start];
        if cut.is_none() || !between.iter().all(u8::is_ascii_whitespace) {
            flush(&mut cut, &mut text);
            text.push_str(&charset::guess(between));
        }
        let charset = String::from_utf8_lossy(word.charset).to_ascii_lowercase();
        if cut.as_ref().is_some_and(|(last, _)| *last != charset) {
            flush(&mut cut, &mut text);
        }
        let octets = word.octets();
        cut.get_or_insert((charset, Vec::new())).1.extend(octets);
        rest = &rest[start + word.length..];
        plain = 0;
    }
    flush(&mut cut, &mut text);
    text.push_str(&charset::guess(rest));
    text
}

/// A value as text with its encoded-words still encoded, for clients that decode them. Octets that are not UTF-8 are
/// guessed at; within a word, whose charset they are in, they are escaped.
pub fn legible(value: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(value) {
        return text.into();
    }
    let mut text = String::with_capacity(value.len() + 16);
    let mut rest = value;
    let mut plain = 0;
    while let Some(start) = memmem::find(&rest[plain..], b"=?").map(|found| found + plain) {
        let Some(word) = EncodedWord::read(&rest[start..]) else {
            plain = start + 2;
            continue;
        };
        text.push_str(&charset::guess(&rest[..start]));
        for byte in &rest[start..start + word.length] {
            if byte.is_ascii() {
                text.push(char::from(*byte));
            } else {
                let _ = write!(text, "={byte:02X}");
            }
        }
        rest = &rest[start + word.length..];
        plain = 0;
    }
    text + &charset::guess(rest)
}

/// Encodes an unstructured value so that it is ASCII; it is folded between its words. Text that can stand as it is,
/// does.
pub fn encode(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !text.contains("=?") {
        return Cow::Borrowed(text);
    }
    // Base64 is shorter where most octets would be escaped.
    let escaped = text.bytes().filter(|byte| !is_plain_in_q(*byte)).count();
    let base64 = escaped * 3 > text.len();
    let limit = if base64 { MAX_WRITTEN / 4 * 3 } else { MAX_WRITTEN };
    let mut words: Vec<String> = Vec::new();
    let mut start = 0;
    let mut length = 0;
    for (at, c) in text.char_indices() {
        let width = if base64 { c.len_utf8() } else { q_width(c) };
        if length + width > limit {
            words.push(word(&text[start..at], base64));
            (start, length) = (at, 0);
        }
        length += width;
    }
    words.push(word(&text[start..], base64));
    Cow::Owned(words.join("\r\n "))
}

/// `=?charset?encoding?text?=`
struct EncodedWord<'a> {
    charset: &'a [u8],
    base64: bool,
    text: &'a [u8],
    /// Octets of the whole word.
    length: usize,
}

impl<'a> EncodedWord<'a> {
    /// The encoded-word at the start. Blanks in its text are taken, though none may be there.
    fn read(rest: &'a [u8]) -> Option<Self> {
        let rest = &rest[..rest.len().min(MAX_READ)];
        let content = rest.strip_prefix(b"=?")?;
        let charset = &content[..memchr(b'?', content)?];
        let (encoding, text) = content.get(charset.len() + 1..)?.split_first()?;
        let base64 = match encoding {
            b'b' | b'B' => true,
            b'q' | b'Q' => false,
            _ => return None,
        };
        let text = text.strip_prefix(b"?")?;
        let text = &text[..memmem::find(text, b"?=")?];
        // The language behind an asterisk says nothing about the octets (RFC 2231 §5).
        let name = charset.split(|byte| *byte == b'*').next()?;
        let valid = !name.is_empty() && charset.iter().all(u8::is_ascii_graphic);
        valid.then_some(Self { charset: name, base64, text, length: charset.len() + text.len() + 7 })
    }

    fn octets(&self) -> Vec<u8> {
        if self.base64 {
            return Decoder::decode(&Encoding::Base64, self.text);
        }
        let spaced: Vec<u8> = self.text.iter().map(|byte| if *byte == b'_' { b' ' } else { *byte }).collect();
        // Unlike in a body, blanks at the end count: something has to stand behind them.
        let mut octets = Decoder::decode(&Encoding::QuotedPrintable, &[&spaced[..], b"."].concat());
        octets.pop();
        octets
    }
}

fn flush(cut: &mut Option<(String, Vec<u8>)>, text: &mut String) {
    if let Some((charset, octets)) = cut.take() {
        text.push_str(&charset::decode(&charset, &octets));
    }
}

fn word(text: &str, base64: bool) -> String {
    if base64 {
        return format!("=?utf-8?b?{}?=", STANDARD.encode(text));
    }
    let mut word = String::from("=?utf-8?q?");
    for byte in text.bytes() {
        match byte {
            b' ' => word.push('_'),
            _ if is_plain_in_q(byte) => word.push(char::from(byte)),
            _ => {
                let _ = write!(word, "={byte:02X}");
            }
        }
    }
    word + "?="
}

fn q_width(c: char) -> usize {
    let mut octets = [0; 4];
    c.encode_utf8(&mut octets).bytes().map(|byte| if is_plain_in_q(byte) { 1 } else { 3 }).sum()
}

/// What may stand for itself even in a phrase (RFC 2047 §5 (3)); a space is written as one octet too.
fn is_plain_in_q(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" !*+-/".contains(&byte)
}
