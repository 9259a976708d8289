//! The first words of a message, for lists of messages (RFC 8970).

mod html;

#[cfg(test)]
mod tests;

use crate::charset;
use crate::mime::{Body, Decoder, Part, Structure};
use crate::parameters;

/// Characters of a preview at most (RFC 8970 §3.1).
pub const MAX_CHARACTERS: usize = 200;

/// Octets of a part, still encoded, that are looked at.
const LOOKED_AT: usize = 16 * 1024;

/// The first words that a reader of the message sees: of its text, else of its HTML. Empty if it has neither.
///
/// White space is one blank, and quoted lines are left out as long as there is something else.
pub fn preview(message: &[u8], structure: &Structure) -> String {
    let Some(part) = readable(structure) else { return String::new() };
    let body = message.get(part.body.clone()).unwrap_or_default();
    let octets = Decoder::decode(&part.encoding, &body[..body.len().min(LOOKED_AT)]);
    let charset = parameters::find(&part.parameters, "charset").unwrap_or("utf-8");
    let text = charset::decode(charset, &octets);
    if part.subtype == "html" {
        return first_words(html::text(&text).split_whitespace());
    }
    let own = text.lines().filter(|line| !line.starts_with('>')).flat_map(str::split_whitespace);
    let own = first_words(own);
    if own.is_empty() { first_words(text.split_whitespace()) } else { own }
}

/// The first text that is shown, plain if there is one.
fn readable(structure: &Structure) -> Option<&Part> {
    let texts = || {
        structure.parts().iter().filter(|part| {
            let attached =
                part.disposition.as_ref().is_some_and(|disposition| disposition.kind == "attachment");
            matches!(part.content, Body::Leaf) && part.media_type == "text" && !attached
        })
    };
    texts().find(|part| part.subtype == "plain").or_else(|| texts().find(|part| part.subtype == "html"))
}

/// Words with one blank between them, as many characters as a preview may have.
fn first_words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut preview = String::new();
    let mut left = MAX_CHARACTERS;
    for word in words {
        if !preview.is_empty() {
            if left < 2 {
                break;
            }
            preview.push(' ');
            left -= 1;
        }
        for character in word.chars().filter(|character| !is_invisible(*character)) {
            if left == 0 {
                return preview;
            }
            preview.push(character);
            left -= 1;
        }
    }
    preview.truncate(preview.trim_end().len());
    preview
}

/// Controls, and what senders of newsletters fill their previews with.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}
