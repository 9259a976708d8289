//! What others may do with a mailbox (RFC 4314).

use std::collections::BTreeMap;
use std::fmt;

use super::{AccountId, MailboxId};

/// A set of rights.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights(u16);

/// One right (RFC 4314 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// `l`: the mailbox is listed.
    Lookup = 1,
    /// `r`: it can be selected, and its messages read.
    Read = 1 << 1,
    /// `s`: `\Seen` is kept.
    Seen = 1 << 2,
    /// `w`: other flags can be changed.
    Write = 1 << 3,
    /// `i`: messages can be put into it.
    Insert = 1 << 4,
    /// `p`: mail can be sent to it by its address.
    Post = 1 << 5,
    /// `k`: mailboxes can be made below it.
    Create = 1 << 6,
    /// `x`: it can be deleted and renamed.
    DeleteMailbox = 1 << 7,
    /// `t`: `\Deleted` can be changed.
    DeleteMessages = 1 << 8,
    /// `e`: messages can be expunged.
    Expunge = 1 << 9,
    /// `a`: rights can be given and taken.
    Administer = 1 << 10,
}

impl Right {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 11] = [
        Self::Lookup,
        Self::Read,
        Self::Seen,
        Self::Write,
        Self::Insert,
        Self::Post,
        Self::Create,
        Self::DeleteMailbox,
        Self::DeleteMessages,
        Self::Expunge,
        Self::Administer,
    ];

    /// Its letter.
    pub fn letter(self) -> char {
        match self {
            Self::Lookup => 'l',
            Self::Read => 'r',
            Self::Seen => 's',
            Self::Write => 'w',
            Self::Insert => 'i',
            Self::Post => 'p',
            Self::Create => 'k',
            Self::DeleteMailbox => 'x',
            Self::DeleteMessages => 't',
            Self::Expunge => 'e',
            Self::Administer => 'a',
        }
    }
}

impl Rights {
    /// What the owner of a mailbox has.
    pub fn all() -> Self {
        Right::ALL.into_iter().fold(Self::default(), Self::with)
    }

    /// The rights of these letters; `c` and `d` stand for those that RFC 4314 §2.1.1 made of them. The letter that is
    /// none's is the error.
    pub fn parse(letters: &str) -> Result<Self, char> {
        let mut rights = Self::default();
        for letter in letters.chars() {
            match letter {
                'c' => rights = rights.with(Right::Create).with(Right::DeleteMailbox),
                'd' => rights = rights.with(Right::DeleteMessages).with(Right::Expunge),
                _ => {
                    let right = Right::ALL.into_iter().find(|right| right.letter() == letter);
                    rights = rights.with(right.ok_or(letter)?);
                }
            }
        }
        Ok(rights)
    }

    /// Whether one is among them.
    pub fn has(self, right: Right) -> bool {
        self.0 & right as u16 != 0
    }

    /// There are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One more.
    #[must_use]
    pub fn with(self, right: Right) -> Self {
        Self(self.0 | right as u16)
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// Without these.
    #[must_use]
    pub fn without(self, fewer: Self) -> Self {
        Self(self.0 & !fewer.0)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Right::ALL
            .into_iter()
            .filter(|right| self.has(*right))
            .try_for_each(|right| write!(f, "{}", right.letter()))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

/// Who is given rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grantee {
    /// Everybody who has an account.
    Anyone,
    /// One account.
    Account(AccountId),
}

/// What somebody may do with a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Who.
    pub grantee: Grantee,
    /// It takes rights away that others grants give (RFC 4314 §2, `-` before the identifier).
    pub negative: bool,
    /// What.
    pub rights: Rights,
}

/// What `user` may do, by these grants, with a mailbox that is somebody else's.
pub fn rights_of(user: AccountId, grants: &[Grant]) -> Rights {
    let concern =
        |grant: &&Grant| matches!(grant.grantee, Grantee::Anyone) || grant.grantee == Grantee::Account(user);
    let sum = |negative: bool| {
        let chosen = grants.iter().filter(concern).filter(|grant| grant.negative == negative);
        chosen.fold(Rights::default(), |rights, grant| rights.and(grant.rights))
    };
    sum(false).without(sum(true))
}

/// A value that is noted at a mailbox or at the server as a whole (RFC 5464).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Its name in lower case: below `/private/` what one user sees, below `/shared/` what all do.
    pub entry: String,
    /// None takes it away.
    pub value: Option<bytes::Bytes>,
}

/// What annotations are about; None is the server.
pub type Annotated = Option<MailboxId>;

/// Entries that have changed since the first of those who watch them now began: who sees each (0 for everybody), its
/// name, and a number that grows with each change.
pub type Noted = BTreeMap<(AccountId, String), u64>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_rights_are_the_same() {
        assert_eq!(Rights::all().to_string(), "lrswipkxtea");
        assert_eq!(Rights::parse("lrswipkxtea"), Ok(Rights::all()));
        assert_eq!(Rights::parse("cd").unwrap().to_string(), "kxte");
        assert_eq!(Rights::parse("lq"), Err('q'));
    }

    #[test]
    fn rights_of_all_and_of_one_add_up_and_negative_ones_go() {
        let grant =
            |grantee, negative, rights| Grant { grantee, negative, rights: Rights::parse(rights).unwrap() };
        let (alice, bob) = (AccountId(1), AccountId(2));
        let grants = [
            grant(Grantee::Anyone, false, "lr"),
            grant(Grantee::Account(alice), false, "i"),
            grant(Grantee::Account(bob), true, "r"),
        ];
        assert_eq!(rights_of(alice, &grants).to_string(), "lri");
        assert_eq!(rights_of(bob, &grants).to_string(), "l");
    }
}
