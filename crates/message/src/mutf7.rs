//! Modified UTF-7, in which mailbox names are written (RFC 3501 §5.1.3).

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};

const MODIFIED_BASE64: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

/// Reads a name; `None` if it is no modified UTF-7. Characters beyond ASCII are left as they are.
pub fn decode(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, shifted)) = rest.split_once('&') {
        decoded.push_str(plain);
        let (run, after) = shifted.split_once('-')?;
        if run.is_empty() {
            decoded.push('&');
        } else {
            decode_run(run, &mut decoded)?;
        }
        rest = after;
    }
    decoded.push_str(rest);
    Some(decoded)
}

/// A run of base64 of UTF-16 in network order. What could have stood there plainly is refused: so that a name has
/// one form only, and no `/` or wildcard hides in it.
fn decode_run(run: &str, decoded: &mut String) -> Option<()> {
    let octets = MODIFIED_BASE64.decode(run).ok()?;
    let (pairs, odd) = octets.as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    for unit in char::decode_utf16(pairs.iter().copied().map(u16::from_be_bytes)) {
        decoded.push(unit.ok().filter(|character| !stands_plain(*character))?);
    }
    Some(())
}

/// Writes a name.
pub fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(character) = rest.chars().next() {
        if stands_plain(character) {
            encoded.push(character);
            if character == '&' {
                encoded.push('-');
            }
            rest = &rest[1..];
            continue;
        }
        let end = rest.find(stands_plain).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let octets: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
        encoded.push('&');
        MODIFIED_BASE64.encode_string(octets, &mut encoded);
        encoded.push('-');
        rest = after;
    }
    encoded
}

/// Printable US-ASCII represents itself, `&` as `&-`.
fn stands_plain(character: char) -> bool {
    matches!(character, ' '..='~')
}
