//! The text of a message as a reader sees it, for searching.

use message::charset;
use message::header::{self, Field};
use message::mime::{Body, Decoder, Part, Structure};
use message::words;

/// What is sought: without regard to case.
#[derive(Debug)]
pub(super) struct Needle(String);

impl Needle {
    pub(super) fn new(words: &str) -> Self {
        Self(words.to_lowercase())
    }

    /// `text` is in lower case.
    pub(super) fn is_in(&self, text: &str) -> bool {
        text.contains(&self.0)
    }
}

/// A message's text, decoded and in lower case.
pub(super) struct DecodedText {
    header: String,
    body: String,
}

impl DecodedText {
    pub(super) fn new(message: &[u8]) -> Self {
        let structure = Structure::parse(message);
        let octets = |range: &std::ops::Range<usize>| message.get(range.clone()).unwrap_or_default();
        let header = decode_header(octets(&structure.root().header));
        let mut body = String::new();
        for part in structure.parts() {
            // Attached messages are text too, header and all.
            if let Some(message) = structure.message_in(part) {
                body.push_str(&decode_header(octets(&message.header)));
            }
            if matches!(part.content, Body::Leaf) && part.media_type == "text" {
                body.push_str(&decode_text(part, octets(&part.body)).to_lowercase());
                body.push('\n');
            }
        }
        Self { header, body }
    }

    pub(super) fn header(&self) -> &str {
        &self.header
    }

    pub(super) fn body(&self) -> &str {
        &self.body
    }
}

/// A field's value on one line, encoded-words decoded, in lower case.
pub(super) fn decode_field(field: &Field<'_>) -> String {
    words::decode(&field.unfolded()).to_lowercase()
}

fn decode_header(block: &[u8]) -> String {
    let mut text = String::new();
    for field in header::fields(block) {
        text.push_str(&String::from_utf8_lossy(field.name).to_lowercase());
        text.push_str(": ");
        text.push_str(&decode_field(&field));
        text.push('\n');
    }
    text
}

fn decode_text(part: &Part, octets: &[u8]) -> String {
    let charset = part.parameters.iter().find(|parameter| parameter.name == "charset");
    let charset = charset.map_or("utf-8", |parameter| &parameter.value);
    charset::decode(charset, &Decoder::decode(&part.encoding, octets))
}
