//! xtext (RFC 3461 §4): text in printable ASCII, everything else as `+` and two hexadecimal digits.

/// Decodes xtext into the octets it stands for. `None` if it is malformed.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        octets.push(match byte {
            b'+' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
            b'=' => return None,
            b'!'..=b'~' => byte,
            _ => return None,
        });
    }
    Some(octets)
}

/// Encodes octets as xtext.
pub fn encode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    for &byte in octets {
        if matches!(byte, b'!'..=b'~') && byte != b'+' && byte != b'=' {
            text.push(char::from(byte));
        } else {
            text.push('+');
            text.push(char::from(HEX_DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(HEX_DIGITS[usize::from(byte & 15)]));
        }
    }
    text
}

const HEX_DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// Lower case is not xtext, but some write it.
fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_rfc_decodes() {
        assert_eq!(decode("Bob+20Smith+2B+3D").as_deref(), Some(&b"Bob Smith+="[..]));
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in ["+", "+4", "+GG", "a=b", "a b", "\u{e9}", "\u{7f}"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_decodes_to_itself(octets: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&octets)), Some(octets));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            decode(&text);
        }
    }
}
