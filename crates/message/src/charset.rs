//! Text in the charsets of the world, as UTF-8.

mod utf7;

use encoding_rs::{Encoding, REPLACEMENT, WINDOWS_1252};

/// Decodes octets in the charset of this name; an unknown one is guessed at.
pub fn decode(charset: &str, octets: &[u8]) -> String {
    let name = charset.trim();
    if ["utf-7", "unicode-1-1-utf-7"].iter().any(|utf7| name.eq_ignore_ascii_case(utf7)) {
        return utf7::decode(octets);
    }
    match Encoding::for_label(name.as_bytes()) {
        // What browsers refuse for their own safety has no decoder.
        Some(encoding) if encoding != REPLACEMENT => {
            encoding.decode_without_bom_handling(octets).0.into_owned()
        }
        _ => guess(octets),
    }
}

/// Decodes octets of which nobody said what they are: UTF-8 if they can be, else Western European.
pub fn guess(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) => text.into(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(octets).0.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charsets_are_known_by_their_mail_names() {
        assert_eq!(decode("ISO-8859-1", b"caf\xe9"), "café");
        assert_eq!(decode("us-ascii", b"plain"), "plain");
        assert_eq!(decode("koi8-r", b"\xd0\xd2\xc9"), "при");
        assert_eq!(decode("iso-2022-jp", b"\x1b$B$\"\x1b(B"), "あ");
        assert_eq!(decode("UTF-7", b"Fr+APY-sche"), "Frösche");
        assert_eq!(decode(" UTF8 ", "é".as_bytes()), "é");
    }

    #[test]
    fn unknown_charsets_are_guessed_at() {
        assert_eq!(decode("x-nobody", "é".as_bytes()), "é");
        assert_eq!(decode("iso-2022-kr", b"caf\xe9"), "café");
        assert_eq!(decode("", b"\xff"), "ÿ");
        assert_eq!(decode("utf-8", b"a\xffb"), "a\u{fffd}b");
    }
}
