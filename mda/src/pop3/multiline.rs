//! How a message travels as a multi-line response (RFC 1939 §3): dots stuffed, lines ended by CRLF, a dot at the end.

#[cfg(test)]
mod tests;

/// Encodes a message piece by piece.
///
/// Whatever was stored, a line on the wire ends in CRLF: an LF without its CR gets one, and so does a last line without
/// end.
#[derive(Debug)]
pub(crate) struct Encoder {
    at: At,
    /// The last octet was a CR.
    after_cr: bool,
    /// Body lines still to be sent (TOP); `None` for all.
    lines: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In the header: at the start of a line, or within one.
    Header {
        line_start: bool,
    },
    Body {
        line_start: bool,
    },
    /// All lines that were asked for are sent.
    Done,
}

impl Encoder {
    /// For a whole message, or for its header and the first `lines` lines of its body.
    pub(crate) fn new(lines: Option<u32>) -> Self {
        Self { at: At::Header { line_start: true }, after_cr: false, lines }
    }

    /// Nothing more of the message will be sent: it need not be read on.
    pub(crate) fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// Encodes the next piece of the message.
    pub(crate) fn encode(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len() + piece.len() / 32);
        while !self.is_done() && !piece.is_empty() {
            let (line, ended) = match piece.iter().position(|&octet| octet == b'\n') {
                Some(end) => (&piece[..end], true),
                None => (piece, false),
            };
            piece = piece.get(line.len() + 1..).unwrap_or_default();
            self.text(line, out);
            if ended {
                self.line_end(out);
            }
        }
    }

    /// Ends the response.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.line_start() {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
        self.at = At::Done;
    }

    /// Octets of a line, all but its LF.
    fn text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let (Some(&first), Some(&last)) = (text.first(), text.last()) else { return };
        if first == b'.' && self.line_start() {
            out.push(b'.');
        }
        out.extend_from_slice(text);
        let second_cr = std::mem::replace(&mut self.after_cr, last == b'\r');
        match &mut self.at {
            // One CR may be all of an empty line: whether it is shows when its LF comes.
            At::Header { line_start } => *line_start = *line_start && text == b"\r" && !second_cr,
            At::Body { line_start } => *line_start = false,
            At::Done => {}
        }
    }

    fn line_end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.after_cr { b"\n" } else { b"\r\n" });
        self.after_cr = false;
        self.at = match self.at {
            At::Header { line_start: false } => At::Header { line_start: true },
            At::Header { line_start: true } => self.body_line(),
            At::Body { .. } => {
                self.lines = self.lines.map(|lines| lines - 1);
                self.body_line()
            }
            At::Done => At::Done,
        };
    }

    fn body_line(&self) -> At {
        if self.lines == Some(0) { At::Done } else { At::Body { line_start: true } }
    }

    fn line_start(&self) -> bool {
        match self.at {
            At::Header { line_start } => line_start && !self.after_cr,
            At::Body { line_start } => line_start,
            At::Done => true,
        }
    }
}
