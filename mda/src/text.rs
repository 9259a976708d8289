//! The text of a message as a reader sees it: decoded, in lower case, for searching.

use memchr::memmem::{self, Finder};
use message::header::{self, Field};
use message::mime::{Body, Decoder, Encoding, Part, Structure};
use message::{charset, parameters, words};

/// Octets of a field that is searched without taking memory for it.
const SHORT: usize = 256;

/// What is sought: without regard to case.
#[derive(Debug)]
pub(crate) struct Needle(Finder<'static>);

impl Needle {
    pub(crate) fn new(words: &str) -> Self {
        Self(Finder::new(words.to_lowercase().as_bytes()).into_owned())
    }

    /// The words, in lower case.
    pub(crate) fn words(&self) -> &str {
        // It was made of text.
        std::str::from_utf8(self.0.needle()).unwrap_or_default()
    }

    /// Whether it is in a field's value as [`decode_field`] gives it.
    pub(crate) fn is_in_field(&self, field: &Field<'_>) -> bool {
        let unfolded = field.unfolded();
        let mut room = [0; SHORT];
        match room.get_mut(..unfolded.len()) {
            // Most fields are short and plain, and most of the time of a search goes here.
            Some(lowered) if is_plain(&unfolded) => {
                lowered.copy_from_slice(&unfolded);
                lowered.make_ascii_lowercase();
                self.0.find(lowered).is_some()
            }
            _ => self.is_in(&decode_field(field)),
        }
    }

    /// `text` is in lower case.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.0.find(text.as_bytes()).is_some()
    }
}

/// A message's text, decoded and in lower case.
pub(crate) struct DecodedText {
    header: String,
    body: String,
}

impl DecodedText {
    pub(crate) fn new(message: &[u8], structure: &Structure) -> Self {
        let octets = |range: &std::ops::Range<usize>| message.get(range.clone()).unwrap_or_default();
        let header = decode_header(octets(&structure.root().header));
        let mut body = String::new();
        for part in structure.parts() {
            // Attached messages are text too, header and all.
            if let Some(message) = structure.message_in(part) {
                body.push_str(&decode_header(octets(&message.header)));
            }
            if matches!(part.content, Body::Leaf) && part.media_type == "text" {
                decode_text(part, octets(&part.body), &mut body);
                body.push('\n');
            }
        }
        Self { header, body }
    }

    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    pub(crate) fn body(&self) -> &str {
        &self.body
    }
}

/// A field's value on one line, encoded-words decoded, in lower case.
pub(crate) fn decode_field(field: &Field<'_>) -> String {
    let unfolded = field.unfolded();
    if is_plain(&unfolded) {
        return lowered(unfolded.into_owned());
    }
    words::decode(&unfolded).to_lowercase()
}

/// It means what it says.
fn is_plain(unfolded: &[u8]) -> bool {
    unfolded.is_ascii() && memmem::find(unfolded, b"=?").is_none()
}

fn decode_header(block: &[u8]) -> String {
    let mut text = String::with_capacity(block.len());
    for field in header::fields(block) {
        text.push_str(&lowered(field.name.to_vec()));
        text.push_str(": ");
        text.push_str(&decode_field(&field));
        text.push('\n');
    }
    text
}

fn decode_text(part: &Part, octets: &[u8], text: &mut String) {
    let charset = parameters::find(&part.parameters, "charset").unwrap_or("utf-8");
    let plain = matches!(part.encoding, Encoding::SevenBit | Encoding::EightBit | Encoding::Binary);
    if plain && octets.is_ascii() && is_ascii_superset(charset) {
        let start = text.len();
        text.push_str(std::str::from_utf8(octets).unwrap_or_default());
        text[start..].make_ascii_lowercase();
        return;
    }
    text.push_str(&charset::decode(charset, &Decoder::decode(&part.encoding, octets)).to_lowercase());
}

/// Octets of ASCII mean in this charset what they mean in ASCII.
fn is_ascii_superset(charset: &str) -> bool {
    let charset = charset.trim();
    ["us-ascii", "utf-8", "iso-8859-", "windows-125"]
        .iter()
        .any(|known| charset.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known)))
}

fn lowered(octets: Vec<u8>) -> String {
    let mut text = String::from_utf8(octets)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    if text.is_ascii() {
        text.make_ascii_lowercase();
        return text;
    }
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_searched_as_it_is_decoded() {
        let long = "x".repeat(SHORT);
        let values =
            ["Quarterly REPORT", "folded\r\n  line", "=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße", &long, ""];
        for value in values {
            let block = format!("Subject: {value}\r\n");
            let field = header::fields(block.as_bytes()).next().unwrap();
            for sought in ["report", "QUARTER", "folded  line", "GRÜSSE", "grüße", "xX", "", "nowhere"] {
                let needle = Needle::new(sought);
                let expected = needle.is_in(&decode_field(&field));
                assert_eq!(needle.is_in_field(&field), expected, "{sought:?} in {value:?}");
            }
        }
    }
}
