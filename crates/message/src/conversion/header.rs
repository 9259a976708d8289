//! The header of a part that is converted.

use super::{ConversionError, Target, fields};
use crate::header;
use crate::mime::{Encoding, Transfer};

/// What becomes of the body behind a header.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// It stays, or the parts in it are converted: it must not be called more than it is.
    Relabel,
    /// It is encoded. `utf8`: it could be UTF-8.
    Encode { transfer: Transfer, utf8: bool },
}

/// The header of a part, with its blank line.
pub(super) struct Block<'a> {
    pub(super) octets: &'a [u8],
    /// What it says of the body.
    pub(super) encoding: &'a Encoding,
    pub(super) target: Target,
    /// It is that of the message itself.
    pub(super) is_root: bool,
}

impl Block<'_> {
    /// The header as it has to be; `None` if it can stay.
    pub(super) fn rewrite(&self, fate: Fate) -> Result<Option<Vec<u8>>, ConversionError> {
        let label = self.label(fate);
        let foreign = self.target == Target::SevenBit && !self.octets.is_ascii();
        if label.is_none() && !foreign {
            return Ok(None);
        }
        let mut text = Vec::with_capacity(self.octets.len() + 100);
        let mut fields = header::fields(self.octets);
        for field in fields.by_ref() {
            if label.is_some() && field.is("Content-Transfer-Encoding") {
                continue;
            }
            if foreign && !field.raw.is_ascii() {
                text.extend_from_slice(fields::in_ascii(&field)?.as_bytes());
            } else {
                text.extend_from_slice(field.raw);
            }
        }
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.extend_from_slice(b"\r\n");
        }
        self.add(fate, label, &mut text);
        let rest = &self.octets[fields.offset()..];
        text.extend_from_slice(if rest.is_empty() && label.is_some() { b"\r\n" } else { rest });
        Ok(Some(text))
    }

    /// The encoding that has to stand there, if another one does now.
    fn label(&self, fate: Fate) -> Option<&'static str> {
        match (fate, self.encoding, self.target) {
            (Fate::Encode { transfer, .. }, ..) => Some(transfer.name()),
            (Fate::Relabel, Encoding::EightBit | Encoding::Binary, Target::SevenBit) => Some("7bit"),
            (Fate::Relabel, Encoding::Binary, Target::EightBit) => Some("8bit"),
            (Fate::Relabel, ..) => None,
        }
    }

    /// Writes the fields that are new.
    fn add(&self, fate: Fate, label: Option<&'static str>, text: &mut Vec<u8>) {
        let missing = |name: &str| header::first(self.octets, name).is_none();
        if let Fate::Encode { utf8, .. } = fate {
            // Without MIME there is no encoding either; what was sent raw keeps its octets (RFC 1428).
            if self.is_root && missing("MIME-Version") {
                text.extend_from_slice(b"MIME-Version: 1.0\r\n");
            }
            if missing("Content-Type") {
                let charset = if utf8 { "utf-8" } else { "unknown-8bit" };
                text.extend_from_slice(format!("Content-Type: text/plain; charset={charset}\r\n").as_bytes());
            }
        }
        if let Some(label) = label {
            text.extend_from_slice(format!("Content-Transfer-Encoding: {label}\r\n").as_bytes());
        }
    }
}
