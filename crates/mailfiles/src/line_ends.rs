//! Line ends of mail that was read from a file.

/// Makes CRLF of every CR or LF that stands alone (RFC 5322 §2.3), as APPEND does.
#[derive(Debug, Default)]
pub(crate) struct LineEnds {
    /// The last octet was a CR, which is not given on yet.
    carriage_return: bool,
}

impl LineEnds {
    /// Adds the next octets of a message to `piece`.
    pub(crate) fn push(&mut self, octets: &[u8], piece: &mut Vec<u8>) {
        let mut rest = octets;
        while let Some(first) = rest.first() {
            if std::mem::take(&mut self.carriage_return) {
                piece.extend_from_slice(b"\r\n");
                rest = if *first == b'\n' { &rest[1..] } else { rest };
                continue;
            }
            let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            piece.extend_from_slice(&rest[..end]);
            match rest.get(end) {
                Some(b'\r') => self.carriage_return = true,
                Some(_) => piece.extend_from_slice(b"\r\n"),
                None => break,
            }
            rest = &rest[end + 1..];
        }
    }

    /// Adds what was held back: the message is over.
    pub(crate) fn end(&mut self, piece: &mut Vec<u8>) {
        if std::mem::take(&mut self.carriage_return) {
            piece.extend_from_slice(b"\r\n");
        }
    }
}
