//! What the store keeps, as its users see it.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use message::MessageId;

use super::{Flags, MailboxName, Rights, StagedBody, UidSet};

/// A message's number in its mailbox: from 1, ascending in the order of arrival, never used again (RFC 9051
/// §2.3.1.1).
pub type Uid = u32;

/// A mailbox's modification sequence: every change takes the next (RFC 7162). From 1; 0 is before every change.
pub type ModSeq = u64;

/// An account's number, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u64);

/// A mailbox's number, never used again; a rename keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxId(pub u64);

/// The number of a body: the same for all copies of a message, never used again (EMAILID, RFC 8474 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailId(pub u64);

impl fmt::Display for EmailId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "M{:x}", self.0)
    }
}

impl EmailId {
    /// Reads back what is displayed.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(u64::from_str_radix(text.strip_prefix('M')?, 16).ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for MailboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "F{:x}", self.0)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "A{:x}", self.0)
    }
}

/// What an account is made of.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The login name: the account's address in the form that addresses are compared in (the caller folds case).
    pub name: String,
    /// Its password.
    pub password: Password,
    /// The domain of the name; it becomes local with the account.
    pub domain: String,
}

/// What is kept of a password. Opaque here: someone else makes and checks it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Password {
    /// A PHC string, or what another system has made.
    pub hash: String,
    /// What SCRAM needs. None where the password itself has not been seen, but a hash of it only.
    pub scram: Option<Box<ScramKeys>>,
}

/// What is kept of a password for SCRAM (RFC 5802 §3).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ScramKeys {
    /// What the password was salted with.
    pub salt: Vec<u8>,
    /// Rounds of hashing.
    pub iterations: u32,
    /// For SCRAM-SHA-1.
    pub sha1: sasl::scram::Keys,
    /// For SCRAM-SHA-256.
    pub sha256: sasl::scram::Keys,
}

/// A password that was made for one program, beside the account's own.
#[derive(Clone, PartialEq, Eq)]
pub struct AppPassword {
    /// Which of the account's.
    pub name: String,
    /// SHA-256 of the password, which is random and long: nobody finds it by trying.
    pub digest: Vec<u8>,
    /// What SCRAM needs.
    pub scram: ScramKeys,
    /// Where it can be used.
    pub protocols: Protocols,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for AppPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppPassword").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A set of protocols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protocols {
    /// Reading mail by IMAP.
    pub imap: bool,
    /// Reading mail by POP3.
    pub pop3: bool,
    /// Sending mail.
    pub submission: bool,
}

/// An account.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// Its login name, an address.
    pub name: String,
    /// The addresses whose mail it gets and that it may send as, its name first.
    pub addresses: Vec<String>,
    /// As given to [`super::MailStore::create_account`] or [`super::MailStore::set_password`].
    pub password: Password,
    /// Passwords for single programs, in the order in which they were made.
    pub app_passwords: Vec<AppPassword>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for Account {
    // Not the password hash: what is logged is read by many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// An address that stands for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// In the form that addresses are compared in; `@domain` takes all mail of a domain that nobody else takes.
    pub address: String,
    /// Where its mail goes, in the form that addresses are compared in: at least one, each once.
    pub targets: Vec<String>,
    /// Who gets the reports, if it is a list (RFC 5321 §3.9.2).
    pub owner: Option<String>,
}

impl Alias {
    /// What stands before the domain in the address of a catch-all.
    pub const CATCH_ALL: &'static str = "@";

    /// The domain of the address.
    pub fn domain(&self) -> &str {
        self.address.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// What an account holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Messages in all its mailboxes.
    pub messages: u64,
    /// Their octets; a copy counts again.
    pub octets: u64,
}

/// How much an account may hold. As a setting, `None` means "as the domain says" and 0 "without limit"; as what holds,
/// `None` is without limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Messages in all its mailboxes.
    pub messages: Option<u64>,
    /// Their octets; a copy counts again.
    pub octets: Option<u64>,
}

/// Where an account stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuotaStatus {
    /// What was set for the account.
    pub own: Quota,
    /// What holds: its own, or its domain's.
    pub limits: Quota,
    /// What it holds.
    pub usage: Usage,
}

/// What a mailbox is for (RFC 6154).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpecialUse {
    /// `\Drafts`
    Drafts,
    /// `\Sent`
    Sent,
    /// `\Junk`
    Junk,
    /// `\Trash`
    Trash,
    /// `\Archive`
    Archive,
}

impl SpecialUse {
    /// All of them; each account is made with a mailbox for each.
    pub const ALL: [Self; 5] = [Self::Drafts, Self::Sent, Self::Junk, Self::Trash, Self::Archive];

    /// The attribute on the wire, with the backslash.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drafts => "\\Drafts",
            Self::Sent => "\\Sent",
            Self::Junk => "\\Junk",
            Self::Trash => "\\Trash",
            Self::Archive => "\\Archive",
        }
    }

    /// The attribute of this name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|special| special.as_str().eq_ignore_ascii_case(text))
    }
}

/// A mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Its number, which outlives renames.
    pub id: MailboxId,
    /// Whose it is.
    pub account: AccountId,
    /// Its name.
    pub name: MailboxName,
    /// Strictly greater than that of any mailbox made before it, in any account.
    pub uid_validity: u32,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// The name is subscribed.
    pub subscribed: bool,
    /// How long messages stay in it; zero is for ever, `None` as its special use says.
    pub retention: Option<Duration>,
}

/// An expunged message that can be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its number among those that the account expunged.
    pub number: Uid,
    /// The mailbox that it lay in, by the name that it has now or had at last.
    pub mailbox: MailboxName,
    /// The body.
    pub email: EmailId,
    /// When it was expunged.
    pub expunged_at: Timestamp,
    /// When it arrived.
    pub internal_date: Timestamp,
    /// Octets of the body.
    pub size: u64,
}

/// Which expunged messages; all that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptFilter {
    /// Those of these numbers.
    pub numbers: Option<UidSet>,
    /// Those that lay in the mailbox of this name.
    pub mailbox: Option<MailboxName>,
    /// Those that were expunged then or later.
    pub since: Option<Timestamp>,
}

/// What a sweep ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// The mailbox behind which the next sweep goes on; `None` if there is none behind those that were looked at.
    pub next: Option<MailboxId>,
    /// More is over in those than could go.
    pub has_more: bool,
    /// Messages that their mailboxes no longer keep.
    pub retired: u64,
    /// Expunged messages that can no longer be brought back.
    pub ended: u64,
}

/// The state of a mailbox at one moment, of what is committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MailboxStatus {
    /// As in [`Mailbox`].
    pub uid_validity: u32,
    /// Greater than every UID that was ever given.
    pub uid_next: Uid,
    /// The greatest of all changes, at least 1: a mailbox without changes is at 1 (RFC 7162 §3.1.2.1).
    pub highest_modseq: ModSeq,
    /// How many messages.
    pub messages: u32,
    /// How many without `\Seen`.
    pub unseen: u32,
    /// How many with `\Deleted`.
    pub deleted: u32,
    /// Octets of all messages.
    pub octets: u64,
    /// Octets of those with `\Deleted`.
    pub deleted_octets: u64,
}

/// A message in a mailbox, all but its octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number in the mailbox.
    pub uid: Uid,
    /// The body, the same for all copies.
    pub email: EmailId,
    /// Its flags.
    pub flags: Flags,
    /// When it arrived, to the second (RFC 9051 §2.3.3).
    pub internal_date: Timestamp,
    /// Octets of the body.
    pub size: u64,
    /// Its last change.
    pub modseq: ModSeq,
    /// When it came into this mailbox, to the second (RFC 8514); None for messages from before that was recorded.
    pub saved_at: Option<Timestamp>,
}

/// Where a message lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Whose mailbox.
    pub account: AccountId,
    /// Which mailbox.
    pub mailbox: MailboxId,
    /// The mailbox's name when the message was placed.
    pub mailbox_name: MailboxName,
    /// The mailbox's UIDVALIDITY.
    pub uid_validity: u32,
    /// The message's number there.
    pub uid: Uid,
}

/// The octets of a message on their way into the store: CRLF line ends, nothing stuffed.
#[derive(Debug)]
pub enum BodySource {
    /// In memory: for messages of modest size.
    Bytes(Bytes),
    /// Written beforehand, see [`super::MailStore::stage`].
    Staged(StagedBody),
}

/// A message for one or more recipients.
#[derive(Debug)]
pub struct Delivery {
    /// The pipeline's id; with each recipient's address the key that makes a repeated delivery harmless.
    pub message_id: MessageId,
    /// When it arrived.
    pub internal_date: Timestamp,
    /// Its octets, stored once for all recipients.
    pub body: BodySource,
    /// For whom.
    pub recipients: Vec<DeliveryRecipient>,
}

/// One recipient of a delivery.
#[derive(Debug, Clone)]
pub struct DeliveryRecipient {
    /// The envelope's recipient, in the form that addresses are compared in.
    pub address: String,
    /// The account it resolved to.
    pub account: AccountId,
    /// Where the message goes; INBOX always exists.
    pub mailbox: MailboxName,
    /// Flags it gets at once.
    pub flags: Flags,
}

/// What became of a delivery to one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Where the message lies on stable storage.
    pub placement: Placement,
    /// It was delivered before: this is the first placement, and nothing was added.
    pub duplicate: bool,
}

/// A message that a client puts into a mailbox.
#[derive(Debug)]
pub struct Append {
    /// Into which mailbox.
    pub mailbox: MailboxName,
    /// A new id; appending twice is two messages.
    pub message_id: MessageId,
    /// Its flags.
    pub flags: Flags,
    /// The client's date, or now.
    pub internal_date: Timestamp,
    /// Its octets.
    pub body: BodySource,
}

/// What a COPY or MOVE did.
#[derive(Debug, Clone)]
pub struct Copied {
    /// Into which mailbox.
    pub mailbox: MailboxId,
    /// The target's UIDVALIDITY.
    pub uid_validity: u32,
    /// Each message's old and new UID, ascending by both; messages that were gone are missing.
    pub uids: Vec<(Uid, Uid)>,
}

/// Where messages go that may be another account's.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Whose mailbox.
    pub account: AccountId,
    /// Its name there.
    pub mailbox: MailboxName,
    /// Flags that these do not allow are left behind.
    pub rights: Rights,
}

/// A place that a message was delivered to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The envelope's recipient.
    pub recipient: String,
    /// The first placement.
    pub placement: Placement,
    /// It is there no more: expunged, or moved away.
    pub gone: bool,
}

/// Which UIDs of a mailbox.
pub type UidRange = RangeInclusive<Uid>;
