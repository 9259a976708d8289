//! The message behind DATA (RFC 5321 §4.5.2): dot-stuffing undone and done, over any boundaries of reads and writes.
//!
//! Only CR LF `.` CR LF ends a message. Everything that servers have taken for it beside that — bare CR, bare LF, and
//! their mixtures — lets mail be smuggled past whoever reads it differently, so a message that holds one is refused.
//! It is still read to its true end, or the two sides would be out of step.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use memchr::memchr2;

#[cfg(test)]
mod tests;

/// Undoes dot-stuffing and finds the end of the message.
#[derive(Debug)]
pub struct Decoder {
    position: Position,
    bare_line_end: bool,
}

/// Where in a line the next octet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Behind CRLF, or at the start: a dot here is stuffing or the end.
    LineStart,
    /// Behind a dot at the start of a line. The dot has been dropped.
    Dot,
    /// Behind a dot at the start of a line and a CR. Neither has been passed on.
    DotCr,
    /// Inside a line.
    Text,
    /// Behind a CR inside a line.
    Cr,
    /// Behind the end of the message.
    End,
}

impl Default for Decoder {
    fn default() -> Self {
        // What follows the reply to DATA is the start of a line: `.CRLF` alone is an empty message.
        Self { position: Position::LineStart, bare_line_end: false }
    }
}

impl Decoder {
    /// Takes from `input` what belongs to the message and returns what of it is content. Octets behind the end stay.
    ///
    /// Once a bare CR or LF was seen, nothing more is returned: the message cannot be taken any more.
    pub fn decode(&mut self, input: &mut BytesMut) -> Bytes {
        // Content is moved to the front of `input` where dots were dropped before it, so that a read is one chunk.
        let (mut read, mut written) = (0, 0);
        while read < input.len() && self.position != Position::End {
            if matches!(self.position, Position::LineStart | Position::Text) && input[read] != b'.' {
                let (end, position) = self.text(&input[read..]);
                if written != read {
                    input.copy_within(read..read + end, written);
                }
                self.position = position;
                read += end;
                written += end;
            } else {
                let byte = input[read];
                read += 1;
                if self.octet(byte) {
                    input[written] = byte;
                    written += 1;
                }
            }
        }
        let mut consumed = input.split_to(read);
        consumed.truncate(if self.bare_line_end { 0 } else { written });
        consumed.freeze()
    }

    /// Whether the end of the message was seen.
    pub fn is_finished(&self) -> bool {
        self.position == Position::End
    }

    /// Whether a CR or LF stood alone: the message must be refused.
    pub fn has_bare_line_end(&self) -> bool {
        self.bare_line_end
    }

    /// Passes over content up to the next dot at the start of a line, or to the end of `input`. Returns how far that is
    /// and where it leads.
    fn text(&mut self, input: &[u8]) -> (usize, Position) {
        let mut end = 0;
        while let Some(offset) = memchr2(b'\r', b'\n', &input[end..]) {
            let is_cr = input[end + offset] == b'\r';
            end += offset + 1;
            match input.get(end) {
                None if is_cr => return (end, Position::Cr),
                Some(b'\n') if is_cr => end += 1,
                _ => {
                    self.bare_line_end = true;
                    continue;
                }
            }
            if input.get(end).is_none_or(|&next| next == b'.') {
                return (end, Position::LineStart);
            }
        }
        (input.len(), Position::Text)
    }

    /// Takes a single octet. Whether it is content.
    fn octet(&mut self, byte: u8) -> bool {
        let owes_lf = matches!(self.position, Position::Cr | Position::DotCr);
        self.bare_line_end |= owes_lf != (byte == b'\n');
        let (position, content) = match (self.position, byte) {
            (Position::LineStart, b'.') => (Position::Dot, false),
            (Position::Dot, b'\r') => (Position::DotCr, false),
            (Position::DotCr, b'\n') => (Position::End, false),
            (Position::Cr, b'\n') => (Position::LineStart, true),
            (_, b'\r') => (Position::Cr, true),
            (_, _) => (Position::Text, true),
        };
        self.position = position;
        content
    }
}

/// Stuffs dots and ends the message.
#[derive(Debug)]
pub struct Encoder {
    /// The last octets of the message so far.
    position: Position,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { position: Position::LineStart }
    }
}

impl Encoder {
    /// Writes content. Line ends are expected to be CRLF; a CR or LF that stands alone is made one, so that none leaves
    /// this machine.
    pub fn encode(&mut self, mut content: &[u8], output: &mut BytesMut) {
        // Dots and bare line ends are rare: mostly this is the size.
        output.reserve(content.len() + 16);
        while let Some(&first) = content.first() {
            if self.position == Position::Cr {
                output.put_u8(b'\n');
                self.position = Position::LineStart;
                if first == b'\n' {
                    content.advance(1);
                }
                continue;
            }
            if self.position == Position::LineStart && first == b'.' {
                output.put_u8(b'.');
            }
            content = self.line(content, output);
        }
    }

    /// Writes up to the first line end, and returns the rest.
    fn line<'a>(&mut self, content: &'a [u8], output: &mut BytesMut) -> &'a [u8] {
        let Some(end) = memchr2(b'\r', b'\n', content) else {
            output.put_slice(content);
            self.position = Position::Text;
            return &[];
        };
        output.put_slice(&content[..end]);
        output.put_u8(b'\r');
        if content[end] == b'\n' {
            output.put_u8(b'\n');
            self.position = Position::LineStart;
        } else {
            self.position = Position::Cr;
        }
        &content[end + 1..]
    }

    /// Ends the message, with a CRLF first if its last line has none.
    pub fn finish(self, output: &mut BytesMut) {
        output.put_slice(match self.position {
            Position::LineStart => b".\r\n",
            Position::Cr => b"\n.\r\n",
            _ => b"\r\n.\r\n",
        });
    }
}
