//! Line ends of mail that was read from a file.

/// Makes CRLF of the LF of messages whose first line ends with LF alone; all others stay as they are.
#[derive(Debug, Default)]
pub(crate) struct LineEnds {
    lone: Option<bool>,
    after_cr: bool,
}

impl LineEnds {
    /// Adds the next octets of a message to `piece`.
    pub(crate) fn push(&mut self, octets: &[u8], piece: &mut Vec<u8>) {
        let mut rest = octets;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let after_cr = if at == 0 { self.after_cr } else { rest[at - 1] == b'\r' };
            let lone = *self.lone.get_or_insert(!after_cr);
            piece.extend_from_slice(&rest[..at]);
            piece.extend_from_slice(if lone && !after_cr { b"\r\n" } else { b"\n" });
            rest = &rest[at + 1..];
            self.after_cr = false;
        }
        piece.extend_from_slice(rest);
        if let Some(last) = rest.last() {
            self.after_cr = *last == b'\r';
        }
    }
}
