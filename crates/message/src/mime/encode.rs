//! Puts transfer encodings on (RFC 2045 §6.7 and §6.8), a part of a body at a time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

#[cfg(test)]
mod tests;

/// Octets in a line of quoted-printable at most, the `=` of a soft break not counted.
const QUOTED_LINE: usize = 75;
/// Octets that a line of base64 holds: 76 once encoded.
const BASE64_LINE: usize = 57;
const HEXADECIMAL: &[u8; 16] = b"0123456789ABCDEF";

/// An encoding by which any octets become lines of ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// CRLF stays a line end; everything else that is not plain text is escaped.
    QuotedPrintable,
    /// Each line ends in CRLF, the last one too.
    Base64,
}

impl Transfer {
    /// Its name in `Content-Transfer-Encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
        }
    }
}

/// Encodes a body that lies in memory, as much at a time as is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    transfer: Transfer,
    /// Octets encoded so far.
    at: usize,
    /// Octets in the line that is being written.
    column: usize,
}

impl Encoder {
    pub(crate) fn new(transfer: Transfer) -> Self {
        Self { transfer, at: 0, column: 0 }
    }

    /// Encodes the next octets of `body`, the same each time, onto the end of `output`: about as many as `count`. `false`:
    /// that was all.
    pub(crate) fn encode(&mut self, body: &[u8], count: usize, output: &mut Vec<u8>) -> bool {
        let end = self.at.saturating_add(count).min(body.len());
        match self.transfer {
            Transfer::QuotedPrintable => {
                while self.at < end {
                    self.quoted(body, output);
                }
            }
            Transfer::Base64 => {
                while self.at < end {
                    let line = &body[self.at..body.len().min(self.at + BASE64_LINE)];
                    let start = output.len();
                    output.resize(start + line.len().div_ceil(3) * 4, 0);
                    // The buffer is as large as the line becomes.
                    let _ = STANDARD.encode_slice(line, &mut output[start..]);
                    output.extend_from_slice(b"\r\n");
                    self.at += line.len();
                }
            }
        }
        self.at < body.len()
    }

    /// The next octet, or line end, in quoted-printable.
    fn quoted(&mut self, body: &[u8], output: &mut Vec<u8>) {
        let rest = &body[self.at..];
        if rest.starts_with(b"\r\n") {
            output.extend_from_slice(b"\r\n");
            self.at += 2;
            self.column = 0;
            return;
        }
        let byte = rest[0];
        // A blank at the end of a line may be lost on the way (rule 3).
        let last = rest.len() == 1 || rest[1..].starts_with(b"\r\n");
        let plain = match byte {
            b' ' | b'\t' => !last,
            b'=' => false,
            _ => byte.is_ascii_graphic(),
        };
        let width = if plain { 1 } else { 3 };
        if self.column + width > QUOTED_LINE {
            output.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
        self.column += width;
        self.at += 1;
        if plain {
            output.push(byte);
        } else {
            let digit = |value: u8| HEXADECIMAL[usize::from(value)];
            output.extend_from_slice(&[b'=', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// Encodes text in quoted-printable; its line ends stay, its lines get soft breaks before 76 octets (RFC 2045 §6.7).
pub fn encode_quoted_printable(text: &str) -> String {
    let mut encoded = Vec::with_capacity(text.len());
    Encoder::new(Transfer::QuotedPrintable).encode(text.as_bytes(), usize::MAX, &mut encoded);
    String::from_utf8_lossy(&encoded).into_owned()
}
