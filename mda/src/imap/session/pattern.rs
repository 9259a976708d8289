//! Patterns of LIST (RFC 9051 §6.3.9): `*` is anything, `%` anything within a level.

#[cfg(test)]
mod tests;

use crate::store::MailboxName;

/// Characters in a pattern; more can match no name that is not matched by fewer.
const LENGTH: usize = 2_000;

/// A pattern with its reference put before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<char>);

/// A pattern beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pattern is too long")]
pub(super) struct TooLong;

impl Pattern {
    pub(super) fn new(reference: &str, pattern: &str) -> Result<Self, TooLong> {
        let mut characters: Vec<char> = Vec::new();
        for character in reference.chars().chain(pattern.chars()) {
            // Two stars are one.
            if !(character == '*' && characters.last() == Some(&'*')) {
                characters.push(character);
            }
        }
        if characters.len() > LENGTH { Err(TooLong) } else { Ok(Self(characters)) }
    }

    /// Time is in proportion to the product of both lengths, whatever the wildcards. INBOX has no case (RFC 9051 §5.1).
    pub(super) fn matches(&self, name: &MailboxName) -> bool {
        let name: Vec<char> = name.as_str().chars().collect();
        let inbox = matches!(name.as_slice(), ['I', 'N', 'B', 'O', 'X'] | ['I', 'N', 'B', 'O', 'X', '/', ..]);
        // `reached[i]`: the pattern so far can match the first `i` characters of the name.
        let mut reached = vec![false; name.len() + 1];
        reached[0] = true;
        for wanted in &self.0 {
            if matches!(wanted, '*' | '%') {
                for end in 1..=name.len() {
                    let may_cross = *wanted == '*' || name[end - 1] != MailboxName::SEPARATOR;
                    reached[end] |= reached[end - 1] && may_cross;
                }
                continue;
            }
            for end in (1..=name.len()).rev() {
                let found = name[end - 1];
                let same = found == *wanted || (inbox && end <= 5 && found.eq_ignore_ascii_case(wanted));
                reached[end] = reached[end - 1] && same;
            }
            reached[0] = false;
        }
        reached[name.len()]
    }
}
