//! Cuts what a client sends into lines, however it was cut into reads.

use std::ops::Range;

/// Octets of a line at most, without its end: room for a response of AUTH that is an access token (as RFC 4954 §4 has it),
/// and its command. RFC 2449 §4 grants 255 for other commands, whose parsers limit their arguments.
pub(crate) const MAX_LINE: usize = 12_288 + 64;

/// The octets received and not yet used.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    /// Octets of `buffer` that were given out.
    used: usize,
    /// Octets of `buffer` that were searched for a line's end.
    searched: usize,
    /// In the middle of a line that is too long: its rest is dropped.
    skipping: bool,
}

/// A line that a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Without its end.
    Whole(&'a [u8]),
    /// Longer than [`MAX_LINE`]; its octets were dropped.
    TooLong,
}

impl Lines {
    /// Adds what was read.
    pub(crate) fn push(&mut self, received: &[u8]) {
        self.buffer.drain(..self.used);
        self.searched -= self.used;
        self.used = 0;
        self.buffer.extend_from_slice(received);
    }

    /// The next line, if all of it is here. Ends in CRLF (RFC 1939 §3); a bare LF is taken too, as all servers do.
    pub(crate) fn next(&mut self) -> Option<Line<'_>> {
        let Some(range) = self.find() else {
            self.drop_excess();
            return None;
        };
        let too_long = std::mem::take(&mut self.skipping) || range.len() > MAX_LINE;
        Some(if too_long { Line::TooLong } else { Line::Whole(&self.buffer[range]) })
    }

    /// Whether anything was received that [`Lines::next`] has not given out.
    pub(crate) fn has_more(&self) -> bool {
        self.skipping || self.used < self.buffer.len()
    }

    /// Finds the next line, moves behind it, and tells where it stands without its end.
    fn find(&mut self) -> Option<Range<usize>> {
        let Some(found) = self.buffer[self.searched..].iter().position(|&octet| octet == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let start = self.used;
        let mut end = self.searched + found;
        self.used = end + 1;
        self.searched = self.used;
        if end > start && self.buffer[end - 1] == b'\r' {
            end -= 1;
        }
        Some(start..end)
    }

    /// Keeps memory bounded while an endless line comes in.
    fn drop_excess(&mut self) {
        // One more for the CR that may be the line's end.
        if self.buffer.len() - self.used > MAX_LINE + 1 {
            self.skipping = true;
            self.buffer.clear();
            self.used = 0;
            self.searched = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(chunks: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for chunk in chunks {
            lines.push(chunk);
            while let Some(line) = lines.next() {
                found.push(match line {
                    Line::Whole(line) => Some(line.to_vec()),
                    Line::TooLong => None,
                });
            }
        }
        found
    }

    #[test]
    fn lines_are_the_same_wherever_reads_are_cut() {
        let input = b"STAT\r\n\r\nNOOP\nRETR 1\r\n";
        let whole = collect(&[input]);
        assert_eq!(
            whole,
            [Some(b"STAT".to_vec()), Some(vec![]), Some(b"NOOP".to_vec()), Some(b"RETR 1".to_vec())]
        );
        for cut in 0..input.len() {
            assert_eq!(collect(&[&input[..cut], &input[cut..]]), whole, "cut at {cut}");
        }
        let octets: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(collect(&octets), whole);
    }

    #[test]
    fn a_line_that_is_too_long_is_dropped_and_the_next_one_is_read() {
        let long = vec![b'a'; MAX_LINE + 1];
        assert_eq!(collect(&[&long, b"\r\nNOOP\r\n"]), [None, Some(b"NOOP".to_vec())]);
        let fits = vec![b'a'; MAX_LINE];
        assert_eq!(collect(&[&fits, b"\r", b"\n"]), [Some(fits.clone())]);
    }

    #[test]
    fn an_endless_line_takes_no_memory() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            lines.push(&[b'a'; 4096]);
            assert_eq!(lines.next(), None);
            assert!(lines.buffer.capacity() <= 4 * MAX_LINE);
        }
        assert!(lines.has_more());
        lines.push(b"\r\n");
        assert_eq!(lines.next(), Some(Line::TooLong));
        assert!(!lines.has_more());
    }
}
