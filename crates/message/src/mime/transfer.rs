//! Takes transfer encodings off, in chunks cut anywhere (RFC 2045 §6).

use memchr::memchr3;

use super::structure::Encoding;

#[cfg(test)]
mod tests;

/// Octets of a line's end that are held back at most, until it is known whether they count.
const MAX_HELD_BACK: usize = 1024;

/// Decodes a body. Never fails: what breaks the rules is skipped in base64, and taken as it is in quoted-printable.
#[derive(Clone, Debug)]
pub struct Decoder(State);

#[derive(Clone, Debug)]
enum State {
    Identity,
    Base64 {
        /// The bits of the characters of an unfinished group.
        bits: u32,
        /// So many characters, 0 to 3.
        characters: u32,
    },
    QuotedPrintable {
        /// An escape, or blanks, of which the end was not there yet.
        held_back: Vec<u8>,
    },
}

impl Decoder {
    /// A decoder for a body in this encoding; unknown encodings are taken for none.
    pub fn new(encoding: &Encoding) -> Self {
        Self(match encoding {
            Encoding::Base64 => State::Base64 { bits: 0, characters: 0 },
            Encoding::QuotedPrintable => State::QuotedPrintable { held_back: Vec::new() },
            Encoding::SevenBit | Encoding::EightBit | Encoding::Binary | Encoding::Other(_) => {
                State::Identity
            }
        })
    }

    /// Decodes the next chunk onto the end of `output`.
    pub fn push(&mut self, chunk: &[u8], output: &mut Vec<u8>) {
        match &mut self.0 {
            State::Identity => output.extend_from_slice(chunk),
            State::Base64 { bits, characters } => {
                output.reserve(chunk.len() / 4 * 3 + 3);
                for byte in chunk {
                    base64_character(*byte, bits, characters, output);
                }
            }
            State::QuotedPrintable { held_back } => {
                held_back.extend_from_slice(chunk);
                let mut done = quoted_printable(held_back, false, output);
                if held_back.len() - done > MAX_HELD_BACK {
                    output.extend_from_slice(&held_back[done..]);
                    done = held_back.len();
                }
                held_back.drain(..done);
            }
        }
    }

    /// Decodes what was held back.
    pub fn finish(self, output: &mut Vec<u8>) {
        match self.0 {
            State::Identity => {}
            State::Base64 { bits, characters } => base64_rest(bits, characters, output),
            State::QuotedPrintable { held_back } => {
                quoted_printable(&held_back, true, output);
            }
        }
    }

    /// Decodes a whole body.
    pub fn decode(encoding: &Encoding, body: &[u8]) -> Vec<u8> {
        let mut decoder = Self::new(encoding);
        let mut output = Vec::new();
        decoder.push(body, &mut output);
        decoder.finish(&mut output);
        output
    }
}

fn base64_character(byte: u8, bits: &mut u32, characters: &mut u32, output: &mut Vec<u8>) {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        // Padding ends a group; more may follow, where encoded pieces were put together.
        b'=' => {
            base64_rest(*bits, *characters, output);
            (*bits, *characters) = (0, 0);
            return;
        }
        _ => return,
    };
    *bits = *bits << 6 | u32::from(value);
    *characters += 1;
    if *characters == 4 {
        output.extend_from_slice(&bits.to_be_bytes()[1..]);
        (*bits, *characters) = (0, 0);
    }
}

/// The octets of a group of less than four characters.
fn base64_rest(bits: u32, characters: u32, output: &mut Vec<u8>) {
    let octets = (bits << (6 * (4 - characters))).to_be_bytes();
    match characters {
        2 => output.push(octets[1]),
        3 => output.extend_from_slice(&octets[1..3]),
        _ => {}
    }
}

/// Decodes as much as can be told; all if it is `last`. Gives the octets that were read.
fn quoted_printable(text: &[u8], last: bool, output: &mut Vec<u8>) -> usize {
    let mut at = 0;
    while let Some(length) = memchr3(b'=', b' ', b'\t', &text[at..]) {
        output.extend_from_slice(&text[at..at + length]);
        at += length;
        let Some(read) = quoted_printable_escape(&text[at..], last, output) else { return at };
        at += read;
    }
    output.extend_from_slice(&text[at..]);
    text.len()
}

/// Decodes an escape or a run of blanks. `None`: what comes behind it decides.
fn quoted_printable_escape(text: &[u8], last: bool, output: &mut Vec<u8>) -> Option<usize> {
    let escape = usize::from(text[0] == b'=');
    let blanks = text[escape..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let behind = escape + blanks;
    let line_end = match &text[behind..] {
        [] | [b'\r'] if !last => return None,
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] => 1,
        _ => 0,
    };
    if line_end > 0 || behind == text.len() {
        // Blanks at the end of a line were put there on the way (RFC 2045 §6.7 rule 3), a soft break is none (rule 5).
        return Some(if escape > 0 { behind + line_end } else { behind });
    }
    if escape == 0 || blanks > 0 {
        output.extend_from_slice(&text[..behind]);
        return Some(behind);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match text {
        [_, _] if !last => None,
        [_, high, low, ..] if digit(*high).is_some() && digit(*low).is_some() => {
            output.push((digit(*high)? * 16 + digit(*low)?) as u8);
            Some(3)
        }
        _ => {
            output.push(b'=');
            Some(1)
        }
    }
}
