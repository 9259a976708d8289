//! A short message made from the command line: `--subject` and `--body`.
//!
//! Only what the MSA cannot know stands here; it adds Date and Message-ID (RFC 6409 §8).

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use message::Address;

/// An encoded-word is at most 75 characters (RFC 2047 §2); `=?UTF-8?B?` and `?=` take 12, and 45 octets make 60.
const OCTETS_PER_WORD: usize = 45;

/// The message with CRLF line ends.
pub(super) fn message(from: &Address, to: &[Address], subject: &str, body: &str) -> Vec<u8> {
    let mut text = String::new();
    field(&mut text, "From", &from.to_string());
    let to: Vec<String> = to.iter().map(ToString::to_string).collect();
    // Each on its own line, so that no line of the header grows with the number of recipients.
    field(&mut text, "To", &to.join(",\r\n "));
    field(&mut text, "Subject", &unstructured(subject));
    field(&mut text, "MIME-Version", "1.0");
    field(&mut text, "Content-Type", "text/plain; charset=utf-8");
    field(&mut text, "Content-Transfer-Encoding", if body.is_ascii() { "7bit" } else { "8bit" });
    text.push_str("\r\n");
    for line in body.lines() {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.into_bytes()
}

fn field(text: &mut String, name: &str, value: &str) {
    let _ = write!(text, "{name}: {value}\r\n");
}

/// The text of an unstructured field (RFC 5322 §2.2.1), in encoded-words if it needs them (RFC 2047 §5).
///
/// Long text is encoded too: encoded-words fold at any place. So is whatever could end the field.
fn unstructured(text: &str) -> String {
    let plain = text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    if plain && text.len() < 70 && !text.contains("=?") {
        return text.to_owned();
    }
    let words: Vec<String> =
        pieces(text).iter().map(|piece| format!("=?UTF-8?B?{}?=", STANDARD.encode(piece))).collect();
    words.join("\r\n ")
}

/// The text cut between characters into pieces that fit an encoded-word each.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.floor_char_boundary(OCTETS_PER_WORD);
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn composed(to: &[&str], subject: &str, body: &str) -> String {
        let to: Vec<_> = to.iter().map(|to| address(to)).collect();
        String::from_utf8(message(&address("alice@example.test"), &to, subject, body)).unwrap()
    }

    #[test]
    fn a_short_message() {
        assert_eq!(
            composed(&["bob@example.test", "carol@example.test"], "Hello", "Hi Bob,\nsee you.\n"),
            "From: alice@example.test\r\nTo: bob@example.test,\r\n carol@example.test\r\nSubject: Hello\r\n\
             MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\
             \r\nHi Bob,\r\nsee you.\r\n"
        );
    }

    #[test]
    fn a_subject_cannot_add_fields() {
        let text = composed(&["bob@example.test"], "x\r\nBcc: eve@example.test", "");
        assert!(!text.contains("\r\nBcc:"), "{text}");
        assert!(text.contains("Subject: =?UTF-8?B?"), "{text}");
    }

    #[test]
    fn a_long_subject_is_folded_between_characters() {
        let subject = "ü".repeat(100);
        let encoded = unstructured(&subject);
        let mut decoded = String::new();
        for word in encoded.split("\r\n ") {
            assert!(word.len() <= 75, "{word}");
            let base64 = word.strip_prefix("=?UTF-8?B?").unwrap().strip_suffix("?=").unwrap();
            decoded.push_str(std::str::from_utf8(&STANDARD.decode(base64).unwrap()).unwrap());
        }
        assert_eq!(decoded, subject);
    }

    #[test]
    fn what_looks_encoded_is_encoded() {
        assert_eq!(unstructured("=?x"), "=?UTF-8?B?PT94?=");
    }

    #[test]
    fn a_body_beyond_ascii_says_so() {
        let text = composed(&["bob@example.test"], "", "grüße");
        assert!(text.contains("Content-Transfer-Encoding: 8bit\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\ngrüße\r\n"), "{text}");
    }
}
