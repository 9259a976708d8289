//! Addresses beyond ASCII, written in ASCII (`utf-8-addr-xtext`, RFC 6533 §3).

use std::fmt::Write as _;

/// Encodes: all but graphic ASCII, and `\`, `+` and `=`, becomes `\x{HEX}`.
pub fn encode(address: &str) -> String {
    let mut encoded = String::with_capacity(address.len());
    for c in address.chars() {
        if c.is_ascii_graphic() && !matches!(c, '\\' | '+' | '=') {
            encoded.push(c);
        } else {
            // Writing to a `String` cannot fail. Two digits at least.
            let _ = write!(encoded, "\\x{{{:02X}}}", u32::from(c));
        }
    }
    encoded
}

/// Decodes what [`encode`] gives, and `utf-8-addr-unitext`, in which characters beyond ASCII may stand for themselves.
/// `None` if it is neither.
pub fn decode(encoded: &str) -> Option<String> {
    let mut address = String::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(c) = rest.chars().next() {
        if c == '\\' {
            let (digits, behind) = rest.strip_prefix("\\x{")?.split_once('}')?;
            let valid = (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
            address.push(char::from_u32(u32::from_str_radix(digits, 16).ok().filter(|_| valid)?)?);
            rest = behind;
        } else if matches!(c, '+' | '=' | ' ') {
            return None;
        } else {
            address.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_ascii_and_decodes_to_itself() {
        for (address, encoded) in [
            ("bob@example.test", "bob@example.test"),
            ("jörg@例子.test", "j\\x{F6}rg@\\x{4F8B}\\x{5B50}.test"),
            ("a+b\\c=d e\t@x.test", "a\\x{2B}b\\x{5C}c\\x{3D}d\\x{20}e\\x{09}@x.test"),
        ] {
            assert_eq!(encode(address), encoded);
            assert_eq!(decode(encoded).as_deref(), Some(address));
        }
        assert_eq!(decode("jörg@x.test").as_deref(), Some("jörg@x.test"));
    }

    #[test]
    fn what_is_not_encoded_so_is_refused() {
        for wrong in [
            "a+b",
            "a=b",
            "a b",
            "\\",
            "\\x",
            "\\x{",
            "\\x{}",
            "\\x{g}",
            "\\x{110000}",
            "\\x{D800}",
            "\\x{+41}",
        ] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
