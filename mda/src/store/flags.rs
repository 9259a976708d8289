//! Flags of messages (RFC 9051 §2.3.2).

use std::sync::Arc;

use super::{Right, Rights};

/// The flags of one message: system flags and keywords.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    system: u8,
    /// None for none: two equal sets of flags are equal in memory too.
    keywords: Option<KeywordSet>,
}

/// Keywords of a message, sorted without regard to case, each once in the case it was first given in; never empty.
/// Messages of one mailbox that have the same share them.
pub(super) type KeywordSet = Arc<[Arc<str>]>;

/// A flag with a meaning of its own. `\Recent` is gone since IMAP4rev2 and never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SystemFlag {
    /// `\Seen`
    Seen = 1,
    /// `\Answered`
    Answered = 2,
    /// `\Flagged`
    Flagged = 4,
    /// `\Deleted`
    Deleted = 8,
    /// `\Draft`
    Draft = 16,
}

impl SystemFlag {
    /// All of them, in the order they are shown.
    pub const ALL: [Self; 5] = [Self::Answered, Self::Flagged, Self::Deleted, Self::Seen, Self::Draft];

    /// The flag's name on the wire, with the backslash.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "\\Seen",
            Self::Answered => "\\Answered",
            Self::Flagged => "\\Flagged",
            Self::Deleted => "\\Deleted",
            Self::Draft => "\\Draft",
        }
    }

    /// The flag of this name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flag| flag.as_str().eq_ignore_ascii_case(text))
    }
}

/// How a STORE changes the flags of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagChange {
    /// `+FLAGS`: these too.
    Add(Flags),
    /// `-FLAGS`: these no more.
    Remove(Flags),
    /// `FLAGS`: these and no others.
    Replace(Flags),
}

/// What somebody needs to change a flag; for keywords it is [`Right::Write`].
fn needed(flag: SystemFlag) -> Right {
    match flag {
        SystemFlag::Seen => Right::Seen,
        SystemFlag::Deleted => Right::DeleteMessages,
        SystemFlag::Answered | SystemFlag::Flagged | SystemFlag::Draft => Right::Write,
    }
}

impl Flags {
    /// The most keywords of one message.
    pub const MAX_KEYWORDS: usize = 64;
    /// The longest keyword, in octets.
    pub const MAX_KEYWORD_OCTETS: usize = 128;

    /// No flag at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// Sets a system flag.
    pub fn set(&mut self, flag: SystemFlag) {
        self.system |= flag as u8;
    }

    /// These flags and one more.
    pub fn with(mut self, flag: SystemFlag) -> Self {
        self.set(flag);
        self
    }

    /// The system flag is set.
    pub fn has(&self, flag: SystemFlag) -> bool {
        self.system & flag as u8 != 0
    }

    /// Sets a keyword. The caller has checked that it is an atom; the store checks only number and length.
    pub fn set_keyword(&mut self, keyword: &str) {
        if let Err(at) = self.position(keyword) {
            let mut keywords = self.keyword_slice().to_vec();
            keywords.insert(at, Arc::from(keyword));
            self.keywords = Some(keywords.into());
        }
    }

    /// Those of them that somebody with these rights may set (RFC 4314 §4).
    #[must_use]
    pub fn allowed_by(&self, rights: Rights) -> Self {
        let mut allowed = Self::none();
        for flag in SystemFlag::ALL.into_iter().filter(|flag| self.has(*flag) && rights.has(needed(*flag))) {
            allowed.set(flag);
        }
        if rights.has(Right::Write) {
            allowed.keywords.clone_from(&self.keywords);
        }
        allowed
    }

    /// The keyword is set, in whatever case.
    pub fn has_keyword(&self, keyword: &str) -> bool {
        self.position(keyword).is_ok()
    }

    /// The keywords, sorted without regard to case.
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        self.keyword_slice().iter().map(|keyword| &**keyword)
    }

    /// The system flags that are set.
    pub fn system(&self) -> impl Iterator<Item = SystemFlag> + '_ {
        SystemFlag::ALL.into_iter().filter(|flag| self.has(*flag))
    }

    /// No flag is set.
    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_none()
    }

    /// What these flags become by a change.
    pub fn changed(&self, change: &FlagChange) -> Self {
        let mut flags = self.clone();
        match change {
            FlagChange::Add(added) => {
                flags.system |= added.system;
                added.keywords().for_each(|keyword| flags.set_keyword(keyword));
            }
            FlagChange::Remove(removed) => {
                flags.system &= !removed.system;
                if removed.keywords.is_some() && flags.keywords.is_some() {
                    let left = flags.keyword_slice().iter().filter(|keyword| !removed.has_keyword(keyword));
                    let left: Vec<_> = left.cloned().collect();
                    flags.keywords = (!left.is_empty()).then(|| left.into());
                }
            }
            FlagChange::Replace(flags) => return flags.clone(),
        }
        flags
    }

    /// The set of system flags as it is stored.
    pub(super) fn bits(&self) -> u8 {
        self.system
    }

    /// Reads back what [`Flags::bits`] and [`Flags::keywords`] gave.
    pub(super) fn from_parts(bits: u32, keywords: &[String]) -> Self {
        let mut flags = Self::shared(bits, None);
        for keyword in keywords {
            flags.set_keyword(keyword);
        }
        flags
    }

    /// As [`Flags::from_parts`], with keywords that others have too.
    pub(super) fn shared(bits: u32, keywords: Option<KeywordSet>) -> Self {
        let all = SystemFlag::ALL.into_iter().fold(0, |bits, flag| bits | flag as u8);
        Self { system: bits as u8 & all, keywords }
    }

    fn keyword_slice(&self) -> &[Arc<str>] {
        self.keywords.as_deref().unwrap_or_default()
    }

    fn position(&self, keyword: &str) -> Result<usize, usize> {
        // Without making strings: a search asks every message.
        let known = |known: &Arc<str>| lower(known).cmp(lower(keyword));
        self.keyword_slice().binary_search_by(known)
    }
}

fn lower(keyword: &str) -> impl Iterator<Item = u8> + '_ {
    keyword.bytes().map(|octet| octet.to_ascii_lowercase())
}

impl FlagChange {
    /// The flags that the change names.
    pub fn flags(&self) -> &Flags {
        match self {
            Self::Add(flags) | Self::Remove(flags) | Self::Replace(flags) => flags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(system: &[SystemFlag], keywords: &[&str]) -> Flags {
        let mut flags = Flags::none();
        for flag in system {
            flags.set(*flag);
        }
        for keyword in keywords {
            flags.set_keyword(keyword);
        }
        flags
    }

    #[test]
    fn keywords_are_one_whatever_their_case() {
        let mut set = flags(&[], &["$Junk", "b", "A"]);
        set.set_keyword("$junk");
        assert_eq!(set.keywords().collect::<Vec<_>>(), ["$Junk", "A", "b"]);
        assert!(set.has_keyword("$JUNK"));
    }

    #[test]
    fn a_change_adds_removes_or_replaces() {
        let before = flags(&[SystemFlag::Seen], &["a", "b"]);
        let named = flags(&[SystemFlag::Seen, SystemFlag::Draft], &["B", "c"]);
        let after = |change| before.changed(&change);
        assert_eq!(
            after(FlagChange::Add(named.clone())),
            flags(&[SystemFlag::Seen, SystemFlag::Draft], &["a", "b", "c"])
        );
        assert_eq!(after(FlagChange::Remove(named.clone())), flags(&[], &["a"]));
        assert_eq!(after(FlagChange::Replace(named.clone())), named);
    }

    #[test]
    fn bits_read_back_and_unknown_ones_are_dropped() {
        let set = flags(&SystemFlag::ALL, &[]);
        assert_eq!(Flags::from_parts(u32::from(set.bits()), &[]), set);
        assert_eq!(Flags::from_parts(0xff, &[]), set);
    }
}
