//! Names of mailboxes.

use std::fmt;
use std::sync::Arc;

/// The name of a mailbox: UTF-8, levels parted by `/`.
///
/// INBOX is the same in any case (RFC 9051 §5.1), and so is it as the first level of a longer name; it is kept in
/// capitals. All other names differ by case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Arc<str>);

/// Why a text is no mailbox name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing, or nothing between two separators, or a separator at an end.
    #[error("a level of the name is empty")]
    EmptyLevel,
    /// A level is `.` or `..`: mail programs make folders on disk of the names.
    #[error("a level of the name is a dot or two")]
    Dots,
    /// More than [`MailboxName::MAX_OCTETS`].
    #[error("longer than {} octets", MailboxName::MAX_OCTETS)]
    TooLong,
    /// More than [`MailboxName::MAX_LEVELS`].
    #[error("deeper than {} levels", MailboxName::MAX_LEVELS)]
    TooDeep,
    /// A control character, or one of `%` and `*`, which LIST takes for wildcards.
    #[error("the character {0:?} is not allowed")]
    Character(char),
    /// A mailbox cannot become its own inferior.
    #[error("a mailbox cannot move below itself")]
    BelowItself,
}

impl MailboxName {
    /// The longest name.
    pub const MAX_OCTETS: usize = 1_000;
    /// The deepest name.
    pub const MAX_LEVELS: usize = 32;
    /// Parts the levels of a name.
    pub const SEPARATOR: char = '/';

    /// The mailbox that mail is delivered to.
    pub fn inbox() -> Self {
        Self(Arc::from("INBOX"))
    }

    /// Checks a name. A single separator at the end is dropped: it only says that inferiors will follow (RFC 9051
    /// §6.3.4).
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix(Self::SEPARATOR).unwrap_or(text);
        if text.len() > Self::MAX_OCTETS {
            return Err(NameError::TooLong);
        }
        if let Some(bad) =
            text.chars().find(|c| c.is_control() || matches!(c, '%' | '*' | '\u{2028}' | '\u{2029}'))
        {
            return Err(NameError::Character(bad));
        }
        if text.split(Self::SEPARATOR).any(str::is_empty) {
            return Err(NameError::EmptyLevel);
        }
        if text.split(Self::SEPARATOR).any(|level| matches!(level, "." | "..")) {
            return Err(NameError::Dots);
        }
        if text.split(Self::SEPARATOR).count() > Self::MAX_LEVELS {
            return Err(NameError::TooDeep);
        }
        let (first, rest) = text.split_at(text.find(Self::SEPARATOR).unwrap_or(text.len()));
        if first.eq_ignore_ascii_case("INBOX") {
            return Ok(Self(Arc::from(format!("INBOX{rest}"))));
        }
        Ok(Self(Arc::from(text)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This is INBOX itself.
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    /// The superior names, the topmost first: `a/b/c` gives `a` and `a/b`.
    pub fn superiors(&self) -> impl Iterator<Item = Self> + '_ {
        self.0.match_indices(Self::SEPARATOR).map(|(at, _)| Self(Arc::from(&self.0[..at])))
    }

    /// `other` is somewhere below this name.
    pub fn is_superior_of(&self, other: &Self) -> bool {
        other.0.strip_prefix(&*self.0).is_some_and(|rest| rest.starts_with(Self::SEPARATOR))
    }

    /// This name with the superior `from` replaced by `to`; `None` if `from` is neither this name nor above it.
    pub(super) fn moved(&self, from: &Self, to: &Self) -> Option<Result<Self, NameError>> {
        let rest = self.0.strip_prefix(&*from.0)?;
        (rest.is_empty() || rest.starts_with(Self::SEPARATOR)).then(|| Self::parse(&format!("{to}{rest}")))
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for MailboxName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for MailboxName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text).unwrap()
    }

    #[test]
    fn inbox_is_one_mailbox_in_any_case_and_other_names_are_not() {
        assert_eq!(name("inBox"), MailboxName::inbox());
        assert_eq!(name("inbox/Lists").as_str(), "INBOX/Lists");
        assert_eq!(name("inboxes").as_str(), "inboxes");
        assert_ne!(name("sent"), name("Sent"));
    }

    #[test]
    fn names_that_no_client_could_list_are_refused() {
        for (text, error) in [
            ("", NameError::EmptyLevel),
            ("/a", NameError::EmptyLevel),
            ("a//b", NameError::EmptyLevel),
            ("../../etc", NameError::Dots),
            ("a/./b", NameError::Dots),
            ("a*", NameError::Character('*')),
            ("a%b", NameError::Character('%')),
            ("a\r\nb", NameError::Character('\r')),
            (&"a".repeat(1_001), NameError::TooLong),
            (&["a"; 33].join("/"), NameError::TooDeep),
        ] {
            assert_eq!(MailboxName::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(name("Листы/été/").as_str(), "Листы/été");
    }

    #[test]
    fn superiors_come_from_the_top_and_moves_keep_the_rest() {
        let superiors: Vec<_> = name("a/b/c").superiors().map(|n| n.to_string()).collect();
        assert_eq!(superiors, ["a", "a/b"]);
        assert!(name("a").is_superior_of(&name("a/b")));
        assert!(!name("a").is_superior_of(&name("ab")));
        assert_eq!(name("a/b/c").moved(&name("a"), &name("x/y")), Some(Ok(name("x/y/b/c"))));
        assert_eq!(name("ab").moved(&name("a"), &name("x")), None);
    }
}
