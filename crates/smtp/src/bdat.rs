//! The message behind BDAT (RFC 3030 §2): chunks of a size that is known beforehand.
//!
//! Content comes as it is, so a bare LF is no trick here but what programs write whose files end lines so: it becomes
//! CRLF. A bare CR has no such excuse and cannot be sent on: the message is refused. Where the client has declared
//! BINARYMIME (RFC 3030 §3), CR and LF are octets like any other.

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr2;

#[cfg(test)]
mod tests;

/// Reads the chunks of one message.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Octets of the chunk that have yet to arrive.
    remaining: u64,
    /// The last octet of the message so far is a CR.
    after_cr: bool,
    bare_cr: bool,
    /// Content is passed on as it is.
    binary: bool,
}

impl Decoder {
    /// For a message that was declared as BINARYMIME.
    pub fn binary() -> Self {
        Self { binary: true, ..Self::default() }
    }

    /// Begins a chunk of `size` octets.
    pub fn begin_chunk(&mut self, size: u64) {
        self.remaining = size;
    }

    /// Takes from `input` what belongs to the chunk and returns it, with CRLF for every line end unless it is binary.
    pub fn decode(&mut self, input: &mut BytesMut) -> Bytes {
        let length =
            usize::try_from(self.remaining).map_or(input.len(), |remaining| remaining.min(input.len()));
        self.remaining -= length as u64;
        let content = input.split_to(length).freeze();
        if self.binary { content } else { self.normalise(content) }
    }

    /// Whether the whole chunk was seen.
    pub fn is_chunk_finished(&self) -> bool {
        self.remaining == 0
    }

    /// Whether a CR stands alone, the last octet included if that is one: asked when the message has ended.
    pub fn has_bare_cr(&self) -> bool {
        self.bare_cr || self.after_cr
    }

    /// Without a bare LF, which is most mail, `content` is passed on as it is.
    fn normalise(&mut self, content: Bytes) -> Bytes {
        let (Some(first), Some(last)) = (content.first(), content.last()) else { return content };
        let mut position = 0;
        if self.after_cr {
            position = usize::from(*first == b'\n');
            self.bare_cr |= position == 0;
        }
        self.after_cr = *last == b'\r';
        let mut output = BytesMut::new();
        // Up to here, `content` was written to `output`.
        let mut written = 0;
        while let Some(offset) = memchr2(b'\r', b'\n', &content[position..]) {
            let at = position + offset;
            position = at + 1;
            if content[at] == b'\n' {
                output.reserve(content.len() - written + 16);
                output.put_slice(&content[written..at]);
                output.put_slice(b"\r\n");
                written = position;
            } else if let Some(&next) = content.get(position) {
                self.bare_cr |= next != b'\n';
                position += usize::from(next == b'\n');
            }
        }
        if written == 0 {
            return content;
        }
        output.put_slice(&content[written..]);
        output.freeze()
    }
}
