//! Whether anybody waits for a message, as its header tells.

use memchr::memchr;

/// What a message is by its own account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// From somebody to somebody, as far as is known.
    #[default]
    Personal,
    /// A program wrote it, or replied with it (`Auto-Submitted`, RFC 3834 §5).
    Automatic,
    /// It went to many: to a list (`List-Id` of RFC 2919, `List-Unsubscribe` of RFC 2369), or as `Precedence` says.
    Bulk,
}

impl Kind {
    /// The priority (RFC 6710) of a message whose sender asked for none.
    pub fn priority(self) -> i8 {
        match self {
            Self::Personal => 0,
            Self::Automatic => -2,
            Self::Bulk => -4,
        }
    }
}

/// Octets of a line that are looked at.
const LINE: usize = 64;

/// Finds out of what kind a message is while it comes, in pieces of any size.
#[derive(Clone, Debug, Default)]
pub struct KindReader {
    /// The start of the line that is coming.
    line: Vec<u8>,
    /// The header block has come to its end.
    is_over: bool,
    kind: Kind,
}

impl KindReader {
    /// Takes the next piece.
    pub fn push(&mut self, mut piece: &[u8]) {
        while !self.is_over && !piece.is_empty() {
            let end = memchr(b'\n', piece);
            let part = &piece[..end.unwrap_or(piece.len())];
            let room = LINE - self.line.len();
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            let Some(end) = end else { return };
            piece = &piece[end + 1..];
            self.end_of_line();
        }
    }

    /// What is known of it so far.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    fn end_of_line(&mut self) {
        let line = self.line.trim_ascii_end();
        self.is_over = line.is_empty();
        self.kind = self.kind.max(kind_of(line));
        self.line.clear();
    }
}

/// What one line of a header says.
fn kind_of(line: &[u8]) -> Kind {
    let Some(colon) = memchr(b':', line) else { return Kind::Personal };
    let (name, value) = (line[..colon].trim_ascii_end(), &line[colon + 1..]);
    // A comment or parameters may stand behind the word.
    let value = value.split(|octet| matches!(octet, b';' | b'(')).next().unwrap_or_default().trim_ascii();
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    let says = |word: &str| value.eq_ignore_ascii_case(word.as_bytes());
    if is("List-Id") || is("List-Unsubscribe") {
        return Kind::Bulk;
    }
    if is("Precedence") && (says("bulk") || says("list") || says("junk")) {
        return Kind::Bulk;
    }
    if is("Auto-Submitted") && !says("no") { Kind::Automatic } else { Kind::Personal }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(message: &str) -> Kind {
        let mut whole = KindReader::default();
        whole.push(message.as_bytes());
        for size in [1, 3, 7] {
            let mut reader = KindReader::default();
            message.as_bytes().chunks(size).for_each(|piece| reader.push(piece));
            assert_eq!(reader.kind(), whole.kind(), "in pieces of {size}");
        }
        whole.kind()
    }

    #[test]
    fn the_header_tells_of_what_kind_a_message_is() {
        for (field, expected) in [
            ("X: y", Kind::Personal),
            ("Auto-Submitted: no", Kind::Personal),
            ("auto-submitted: No (by hand)", Kind::Personal),
            ("Auto-Submitted: auto-replied; owner-email=\"a@b.test\"", Kind::Automatic),
            ("AUTO-SUBMITTED : auto-generated", Kind::Automatic),
            ("Precedence: first-class", Kind::Personal),
            ("Precedence: Bulk", Kind::Bulk),
            ("Precedence: junk", Kind::Bulk),
            ("List-Id: <all.example.test>", Kind::Bulk),
            (
                "List-Unsubscribe: <https://example.test/a-very-long-address-that-nobody-reads-to-its-end>",
                Kind::Bulk,
            ),
            ("Subject: Precedence: bulk", Kind::Personal),
        ] {
            assert_eq!(kind(&format!("From: a@b.test\r\n{field}\r\n\r\nbody\r\n")), expected, "{field}");
        }
        let both = "Auto-Submitted: auto-generated\nPrecedence: list\n\n";
        assert_eq!(kind(both), Kind::Bulk);
    }

    #[test]
    fn what_stands_behind_the_header_tells_nothing() {
        assert_eq!(kind("From: a@b.test\r\n\r\nPrecedence: bulk\r\n"), Kind::Personal);
        assert_eq!(kind("\r\nPrecedence: bulk\r\n"), Kind::Personal);
        assert_eq!(kind(""), Kind::Personal);
    }

    #[test]
    fn nobody_waits_less_than_for_bulk() {
        assert!(Kind::Bulk.priority() < Kind::Automatic.priority() && Kind::Automatic.priority() < 0);
        assert_eq!(Kind::Personal.priority(), 0);
    }
}
