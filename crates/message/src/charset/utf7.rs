//! UTF-7 (RFC 2152), which only old mail is written in.

use encoding_rs::UTF_16BE;

use crate::mime::{Decoder, Encoding};

/// Decodes UTF-7; octets beyond ASCII, which it never has, become replacement characters.
pub(super) fn decode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    let mut rest = octets;
    while let Some(plus) = memchr::memchr(b'+', rest) {
        text.push_str(&String::from_utf8_lossy(&rest[..plus]));
        rest = &rest[plus + 1..];
        let length = rest.iter().take_while(|byte| is_base64(**byte)).count();
        let (shifted, behind) = rest.split_at(length);
        let closed = behind.first() == Some(&b'-');
        if shifted.is_empty() {
            // `+-` is a plus sign.
            text.push('+');
        } else {
            let mut units = Decoder::decode(&Encoding::Base64, shifted);
            units.truncate(units.len() / 2 * 2);
            text.push_str(&UTF_16BE.decode_without_bom_handling(&units).0);
        }
        rest = &behind[usize::from(closed)..];
    }
    text.push_str(&String::from_utf8_lossy(rest));
    text
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2152, the examples.
    #[test]
    fn shifted_text_is_utf_16() {
        assert_eq!(decode(b"A+ImIDkQ."), "A\u{2262}\u{391}.");
        assert_eq!(decode(b"Hi Mom -+Jjo--!"), "Hi Mom -\u{263a}-!");
        assert_eq!(decode(b"+ZeVnLIqe-"), "\u{65e5}\u{672c}\u{8a9e}");
        assert_eq!(decode(b"1 +- 1 = 2"), "1 + 1 = 2");
    }

    #[test]
    fn broken_text_is_read_as_far_as_it_goes() {
        assert_eq!(decode(b"a+"), "a+");
        assert_eq!(decode(b"+A-b"), "b");
        assert_eq!(decode(b"+2AA-"), "\u{fffd}");
        assert_eq!(decode(b"\xff"), "\u{fffd}");
    }
}
