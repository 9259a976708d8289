//! Writes the packed form.

use super::WORDS;

/// Octets that grow.
pub(super) struct Writer {
    octets: Vec<u8>,
}

impl Writer {
    pub(super) fn new(version: u8) -> Self {
        Self { octets: vec![version] }
    }

    pub(super) fn into_octets(self) -> Vec<u8> {
        self.octets
    }

    pub(super) fn octet(&mut self, octet: u8) {
        self.octets.push(octet);
    }

    /// LEB128.
    pub(super) fn number(&mut self, number: usize) {
        let mut rest = number;
        while rest >= 0x80 {
            self.octets.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.octets.push(rest as u8);
    }

    /// Twice its length and its octets, or twice the number of a word and one.
    pub(super) fn text(&mut self, text: &str) {
        match WORDS.iter().position(|word| *word == text) {
            Some(word) => self.number(word << 1 | 1),
            None => {
                self.number(text.len() << 1);
                self.octets.extend_from_slice(text.as_bytes());
            }
        }
    }

    pub(super) fn optional_text(&mut self, text: Option<&str>) {
        self.octet(u8::from(text.is_some()));
        if let Some(text) = text {
            self.text(text);
        }
    }

    pub(super) fn list<T>(&mut self, items: &[T], item: impl Fn(&mut Self, &T)) {
        self.number(items.len());
        for each in items {
            item(self, each);
        }
    }
}
