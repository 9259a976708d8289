//! What every line of a message must keep to (RFC 5322 §2.1.1, RFC 5321 §4.5.3.1.6).

use memchr::memchr2_iter;

#[cfg(test)]
mod tests;

/// Octets in a line at most, its line end not counted.
pub const MAX_LINE: usize = 998;

/// Checks a message, or its header and then its body, in chunks cut anywhere.
#[derive(Clone, Debug, Default)]
pub struct LineChecker {
    /// Line ends seen.
    lines: u64,
    /// Octets of the line so far, a CR at its end included.
    column: usize,
    /// The last octet was a CR.
    carriage_return: bool,
}

impl LineChecker {
    /// Takes the next chunk.
    ///
    /// # Errors
    /// The first line that breaks a rule; whoever goes on after an error gets no sensible answers.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), LineError> {
        let mut start = 0;
        for at in memchr2_iter(b'\n', 0, chunk) {
            self.extend(&chunk[start..at])?;
            if chunk[at] == 0 {
                return Err(LineError::Nul { line: self.lines + 1 });
            }
            self.lines += 1;
            self.column = 0;
            self.carriage_return = false;
            start = at + 1;
        }
        self.extend(&chunk[start..])
    }

    /// Takes octets without a line end.
    fn extend(&mut self, text: &[u8]) -> Result<(), LineError> {
        if let Some(last) = text.last() {
            self.column += text.len();
            self.carriage_return = *last == b'\r';
        }
        if self.column - usize::from(self.carriage_return) > MAX_LINE {
            return Err(LineError::TooLong { line: self.lines + 1 });
        }
        Ok(())
    }
}

/// A line that breaks a rule. Lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is over [`MAX_LINE`] octets.
    #[error("line {line} is longer than 998 octets")]
    TooLong {
        /// Its number.
        line: u64,
    },
    /// It holds a NUL, which no message may (RFC 5322 §2.2 and §4.1).
    #[error("line {line} holds a NUL octet")]
    Nul {
        /// Its number.
        line: u64,
    },
}
