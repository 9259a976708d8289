//! Passwords in the one form that they are hashed in.

use std::borrow::Cow;

/// Prepares a password by `SASLprep` (RFC 4013): the many ways to write the same characters become one.
///
/// `SASLprep` and not PRECIS' `OpaqueString` (RFC 8265 §4.2), because SCRAM is defined with it (RFC 5802 §5.1, RFC 7677
/// §3) and its clients compute with what it gives. The two differ in compatibility characters only; whoever types the
/// same password into all programs gets the same from either. What `SASLprep` forbids is taken as it is: it is better
/// to let somebody in whose password holds an unassigned character than to lock them out.
pub fn prepare(password: &str) -> Cow<'_, str> {
    match stringprep::saslprep(password) {
        Ok(prepared) if !prepared.is_empty() => prepared,
        _ => Cow::Borrowed(password),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4013 §3.
    #[test]
    fn the_examples_of_the_standard() {
        assert_eq!(prepare("I\u{ad}X"), "IX");
        assert_eq!(prepare("user"), "user");
        assert_eq!(prepare("USER"), "USER");
        assert_eq!(prepare("\u{aa}"), "a");
        assert_eq!(prepare("\u{2168}"), "IX");
    }

    #[test]
    fn what_is_forbidden_or_would_be_nothing_stays_as_it_is() {
        assert_eq!(prepare("\u{7}"), "\u{7}");
        assert_eq!(prepare("\u{627}\u{31}"), "\u{627}\u{31}");
        assert_eq!(prepare("\u{ad}"), "\u{ad}");
        assert_eq!(prepare(""), "");
    }

    #[test]
    fn composed_and_decomposed_letters_are_the_same() {
        assert_eq!(prepare("pa\u{308}ss"), prepare("p\u{e4}ss"));
        assert_eq!(prepare("no\u{a0}break"), "no break");
    }
}
