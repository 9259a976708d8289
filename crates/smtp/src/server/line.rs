//! Lines of commands, which end in CRLF and nothing else (RFC 5321 §2.3.8).

use memchr::memchr;

use crate::auth;

/// Octets in a command line at most, its CRLF included. RFC 5321 §4.5.3.1.4 says 512, and every extension adds some.
const MAX_COMMAND: usize = 2048;
/// Octets of a line that are read to find its end. Whoever sends more is not in step with us, and never was.
pub(super) const MAX_SKIPPED: usize = 64 * 1024;

/// The next line of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Its octets without CRLF.
    Whole(usize),
    /// Its octets with their end, which are too many.
    TooLong(usize),
    /// Its end has not arrived, and it is too long already.
    Endless,
    /// Its end has not arrived.
    Incomplete,
    /// An HTTP request, or the middle of one.
    Http,
    /// It ends in a bare LF.
    BareLf,
}

impl Line {
    pub(super) fn find(input: &[u8]) -> Self {
        let is_auth = input.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
        Self::within(if is_auth { auth::MAX_LINE } else { MAX_COMMAND }, input)
    }

    /// The line of an AUTH exchange.
    pub(super) fn find_response(input: &[u8]) -> Self {
        Self::within(auth::MAX_LINE, input)
    }

    fn within(limit: usize, input: &[u8]) -> Self {
        match memchr(b'\n', input) {
            Some(end) if end >= limit => Self::TooLong(end + 1),
            Some(end) if end > 0 && input[end - 1] == b'\r' => Self::Whole(end - 1),
            Some(_) => Self::BareLf,
            None if input.len() >= limit => Self::Endless,
            None => Self::Incomplete,
        }
    }
}
