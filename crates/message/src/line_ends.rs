//! Line ends of mail that comes from files, or from programs that have it in files.

#[cfg(test)]
mod tests;

/// Makes CRLF of every CR or LF that stands alone (RFC 5322 §2.3), of a message in chunks cut anywhere.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LineEnds {
    /// The last octet was a CR, which is not given on yet.
    carriage_return: bool,
}

impl LineEnds {
    /// Whether the next octets stay as they are and none is held back: they need not be pushed.
    pub fn leaves(&self, octets: &[u8]) -> bool {
        let mut before = 0;
        let is_right = octets.iter().all(|&octet| {
            // Every CR is before an LF, every LF behind a CR.
            (std::mem::replace(&mut before, octet) == b'\r') == (octet == b'\n')
        });
        is_right && before != b'\r' && !self.carriage_return
    }

    /// Adds the next octets of a message to `piece`.
    pub fn push(&mut self, octets: &[u8], piece: &mut Vec<u8>) {
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
    pub fn end(&mut self, piece: &mut Vec<u8>) {
        if std::mem::take(&mut self.carriage_return) {
            piece.extend_from_slice(b"\r\n");
        }
    }
}
