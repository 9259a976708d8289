//! Address lists in header fields (RFC 5322 §3.4, §4.4), as IMAP's ENVELOPE lists them (RFC 9051 §7.5.2).

use crate::address::Address;

/// One element of an address list. A group is its start, its mailboxes, its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A mailbox, in a group or not.
    Mailbox(Mailbox),
    /// `name:`, with the name of the group, unquoted.
    GroupStart(String),
    /// `;`
    GroupEnd,
}

/// `name <@route:local-part@domain>`; text that is not UTF-8 has replacement characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// Display name, or the comment that stands for one; unquoted, encoded-words still encoded.
    pub name: Option<String>,
    /// The obsolete source route, `@one,@two`, without its colon.
    pub route: Option<String>,
    /// The local part, unquoted.
    pub local_part: String,
    /// The domain or domain literal, without blanks and comments; empty if there is none.
    pub domain: String,
}

impl Mailbox {
    /// The address, if it is one by the envelope's rules.
    pub fn address(&self) -> Option<Address> {
        let local_part = crate::address::LocalPart::from_unquoted(&self.local_part).ok()?;
        Address::new(local_part, self.domain.parse().ok()?).ok()
    }
}
