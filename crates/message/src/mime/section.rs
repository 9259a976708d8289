//! Which octets a section of IMAP's `BODY[…]` means (RFC 9051 §6.4.5.1).

use std::ops::Range;

use super::structure::{Body, Part, Structure};

/// What of a part is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// `BODY[]`, `BODY[1.2]`: the message, or the body of the part.
    Whole,
    /// `HEADER`: the header of the message, or of the message in the part, with its blank line.
    Header,
    /// `TEXT`: the body of the message, or of the message in the part.
    Text,
    /// `1.2.MIME`: the header of the part.
    Mime,
}

impl Structure {
    /// The octets of a section. `path` holds the part numbers, counted from 1; empty for the message itself.
    ///
    /// `None` if there is no such part, or the part has no such section.
    pub fn section(&self, path: &[u32], section: Section) -> Option<Range<usize>> {
        if path.is_empty() {
            let root = self.root();
            return match section {
                Section::Whole => Some(root.header.start..root.body.end),
                Section::Header => Some(root.header.clone()),
                Section::Text => Some(root.body.clone()),
                Section::Mime => None,
            };
        }
        let part = self.part(path)?;
        match section {
            Section::Whole => Some(part.body.clone()),
            Section::Header => self.message_in(part).map(|message| message.header.clone()),
            Section::Text => self.message_in(part).map(|message| message.body.clone()),
            Section::Mime => Some(part.header.clone()),
        }
    }

    /// The part of this number; the message itself if `path` is empty.
    ///
    /// A message that is no multipart has one part, itself: `1` (RFC 9051 §6.4.5.1). The numbers of a message in a part
    /// go on behind the part's own.
    pub fn part(&self, path: &[u32]) -> Option<&Part> {
        let mut part = self.root();
        // Whether `part` is a message, whose own number is 1 if it is no multipart.
        let mut is_message = true;
        for number in path {
            if !is_message && let Some(message) = self.message_in(part) {
                part = message;
                is_message = true;
            }
            if matches!(part.content, Body::Multipart { .. }) {
                part = self.children(part).nth(usize::try_from(*number).ok()?.checked_sub(1)?)?;
            } else if !is_message || *number != 1 {
                return None;
            }
            is_message = false;
        }
        Some(part)
    }
}
