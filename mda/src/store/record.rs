//! What stands in the journal and in the rows, as protobuf messages.
//!
//! A journal record is one [`Change`]: what became of accounts, mailboxes and messages in one step, as *states*, not
//! as deltas. Each state says how new it is (a revision, or a modification sequence), so that applying changes gives
//! the same rows in whatever order reclaim has left them.
//!
//! Fields may be added; a field's meaning never changes. What an older program would misread gets a new
//! [`RECORD_KIND`].

use bytes::Bytes;

/// The kind of journal record that holds a [`Change`].
pub(super) const RECORD_KIND: u8 = 1;

/// One step of the store's history.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Change {
    /// Present when numbers were taken.
    #[prost(message, optional, tag = "1")]
    pub marks: Option<Marks>,
    #[prost(message, repeated, tag = "2")]
    pub accounts: Vec<AccountState>,
    #[prost(message, repeated, tag = "3")]
    pub removed_accounts: Vec<Removed>,
    #[prost(string, repeated, tag = "4")]
    pub domains: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    pub mailboxes: Vec<MailboxState>,
    #[prost(message, repeated, tag = "6")]
    pub removed_mailboxes: Vec<Removed>,
    #[prost(message, repeated, tag = "7")]
    pub subscriptions: Vec<SubscriptionState>,
    /// The number of the body that stands beside the record; 0 for none.
    #[prost(uint64, tag = "8")]
    pub body: u64,
    #[prost(message, repeated, tag = "9")]
    pub placed: Vec<Placed>,
    #[prost(message, repeated, tag = "10")]
    pub flagged: Vec<Flagged>,
    #[prost(message, repeated, tag = "11")]
    pub expunged: Vec<Expunged>,
    #[prost(message, repeated, tag = "12")]
    pub delivered: Vec<Delivered>,
    #[prost(message, repeated, tag = "13")]
    pub aliases: Vec<AliasState>,
    #[prost(message, repeated, tag = "14")]
    pub outlines: Vec<Outlined>,
    #[prost(message, repeated, tag = "17")]
    pub annotations: Vec<AnnotationState>,
    #[prost(message, repeated, tag = "18")]
    pub rights: Vec<RightsState>,
    #[prost(message, repeated, tag = "26")]
    pub seen: Vec<SeenState>,
    #[prost(message, repeated, tag = "15")]
    pub domain_states: Vec<DomainState>,
}

/// The greatest numbers taken so far.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Marks {
    #[prost(uint64, tag = "1")]
    pub account: u64,
    #[prost(uint64, tag = "2")]
    pub mailbox: u64,
    #[prost(uint64, tag = "3")]
    pub email: u64,
    #[prost(uint32, tag = "4")]
    pub uid_validity: u32,
}

/// An account.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AccountState {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Counts the states of this account.
    #[prost(uint64, tag = "2")]
    pub revision: u64,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, repeated, tag = "4")]
    pub addresses: Vec<String>,
    #[prost(string, tag = "5")]
    pub password_hash: String,
    /// Seconds since 1970.
    #[prost(int64, tag = "6")]
    pub created_at: i64,
    /// Made of the password.
    #[prost(message, optional, tag = "7")]
    pub scram: Option<ScramState>,
    #[prost(message, repeated, tag = "8")]
    pub app_passwords: Vec<AppPasswordState>,
    #[prost(message, optional, tag = "10")]
    pub quota: Option<QuotaState>,
}

/// What is kept of a password for SCRAM, for both of its hash functions.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ScramState {
    #[prost(bytes = "vec", tag = "1")]
    pub salt: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub iterations: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub sha1_stored: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub sha1_server: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub sha256_stored: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    pub sha256_server: Vec<u8>,
}

/// A password for one program.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AppPasswordState {
    /// Which of the account's.
    #[prost(string, tag = "1")]
    pub name: String,
    /// SHA-256 of it.
    #[prost(bytes = "vec", tag = "2")]
    pub digest: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    pub scram: Option<ScramState>,
    /// Bits: 1 IMAP, 2 POP3, 4 submission.
    #[prost(uint32, tag = "4")]
    pub protocols: u32,
    /// Seconds since 1970.
    #[prost(int64, tag = "5")]
    pub created_at: i64,
}

/// How much may be held. Absent: as the domain says; 0: as much as there is room for.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct QuotaState {
    #[prost(uint64, optional, tag = "1")]
    pub messages: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    pub octets: Option<u64>,
}

/// What was decided about a local domain.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DomainState {
    #[prost(string, tag = "1")]
    pub name: String,
    /// Counts the states of this domain.
    #[prost(uint64, tag = "2")]
    pub revision: u64,
    /// For each of its accounts that has none of its own.
    #[prost(message, optional, tag = "3")]
    pub quota: Option<QuotaState>,
}

/// What an address stands for. One that stands for nothing any more is kept so, for older states of it may stand in the
/// log.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AliasState {
    /// In the form that addresses are compared in; `@domain` for a catch-all.
    #[prost(string, tag = "1")]
    pub address: String,
    /// Counts the states of this address.
    #[prost(uint64, tag = "2")]
    pub revision: u64,
    /// None if it was removed.
    #[prost(string, repeated, tag = "3")]
    pub targets: Vec<String>,
    /// Empty if it is no list.
    #[prost(string, tag = "4")]
    pub owner: String,
}

/// An account or a mailbox that is gone for good. All that names it is void, wherever it stands in the log.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Removed {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Set when reclaim first carries this forward: no later segment holds anything that names it.
    #[prost(uint64, tag = "2")]
    pub last_segment: u64,
    /// No earlier segment holds anything that names it; 0 where that is not known.
    #[prost(uint64, tag = "3")]
    pub first_segment: u64,
}

/// A mailbox.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct MailboxState {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    #[prost(uint64, tag = "2")]
    pub account: u64,
    /// Counts the states of this mailbox.
    #[prost(uint64, tag = "3")]
    pub revision: u64,
    #[prost(string, tag = "4")]
    pub name: String,
    #[prost(uint32, tag = "5")]
    pub uid_validity: u32,
    /// The attribute with its backslash; empty for none.
    #[prost(string, tag = "6")]
    pub special_use: String,
    /// Seconds that messages stay; 0 for ever. Absent: as the special use says.
    #[prost(uint64, optional, tag = "7")]
    pub retention: Option<u64>,
}

/// Whether a name is subscribed.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SubscriptionState {
    #[prost(uint64, tag = "1")]
    pub account: u64,
    #[prost(string, tag = "2")]
    pub name: String,
    /// Counts the states of this name.
    #[prost(uint64, tag = "3")]
    pub revision: u64,
    #[prost(bool, tag = "4")]
    pub subscribed: bool,
}

/// A value that is noted at a mailbox or at the server. One that was taken away is kept so, for older states of it may
/// stand in the log.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AnnotationState {
    /// 0 for the server.
    #[prost(uint64, tag = "1")]
    pub mailbox: u64,
    /// Who sees it; 0 for everybody.
    #[prost(uint64, tag = "2")]
    pub account: u64,
    #[prost(string, tag = "3")]
    pub entry: String,
    /// Counts the states of this entry.
    #[prost(uint64, tag = "4")]
    pub revision: u64,
    /// Absent if it was taken away.
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub value: Option<Bytes>,
    /// Of the change, for the mailbox's changes are counted with it (RFC 7162 §3.2); 0 at the server, and in records of
    /// programs that counted none.
    #[prost(uint64, tag = "6")]
    pub modseq: u64,
}

/// What somebody may do with a mailbox of another's.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RightsState {
    #[prost(uint64, tag = "1")]
    pub mailbox: u64,
    /// 0 for everybody.
    #[prost(uint64, tag = "2")]
    pub account: u64,
    /// These rights are taken away.
    #[prost(bool, tag = "3")]
    pub negative: bool,
    /// Counts the states of this grant.
    #[prost(uint64, tag = "4")]
    pub revision: u64,
    /// Letters of RFC 4314; empty for none.
    #[prost(string, tag = "5")]
    pub rights: String,
}

/// What somebody other than its owner has seen of a mailbox, of one block of UIDs; the one of a higher modseq holds.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SeenState {
    #[prost(uint64, tag = "1")]
    pub mailbox: u64,
    #[prost(uint64, tag = "2")]
    pub account: u64,
    #[prost(uint32, tag = "3")]
    pub block: u32,
    /// Of the last change.
    #[prost(uint64, tag = "4")]
    pub modseq: u64,
    /// Ascending.
    #[prost(message, repeated, tag = "5")]
    pub runs: Vec<SeenRun>,
}

/// Messages in a row of which a user last said the same, at the same time.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct SeenRun {
    #[prost(uint32, tag = "1")]
    pub first: u32,
    #[prost(uint32, tag = "2")]
    pub last: u32,
    #[prost(bool, tag = "3")]
    pub seen: bool,
    #[prost(uint64, tag = "4")]
    pub modseq: u64,
}

/// A message in a mailbox. Its row has neither modseq nor flags: those are in its leaf ([`super::leaf`]), and a change of
/// them leaves the row as it is.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Placed {
    #[prost(uint64, tag = "1")]
    pub mailbox: u64,
    #[prost(uint32, tag = "2")]
    pub uid: u32,
    #[prost(uint64, tag = "3")]
    pub modseq: u64,
    #[prost(uint64, tag = "4")]
    pub email: u64,
    /// 16 octets.
    #[prost(bytes = "vec", tag = "5")]
    pub message_id: Vec<u8>,
    #[prost(uint32, tag = "6")]
    pub flags: u32,
    #[prost(string, repeated, tag = "7")]
    pub keywords: Vec<String>,
    /// Seconds since 1970.
    #[prost(int64, tag = "8")]
    pub internal_date: i64,
    #[prost(uint64, tag = "9")]
    pub size: u64,
    // 10 was in rows only.
    /// When the message came into this mailbox, in seconds since 1970; 0 where that was not recorded.
    #[prost(int64, tag = "11")]
    pub saved_at: i64,
    /// Of an expunged message that is kept: the mailbox that it lay in; 0 for none.
    #[prost(uint64, tag = "13")]
    pub kept_of: u64,
    /// The name that this mailbox had then.
    #[prost(string, tag = "14")]
    pub kept_of_name: String,
}

/// The flags that some messages of a mailbox have since a change.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Flagged {
    #[prost(uint64, tag = "1")]
    pub mailbox: u64,
    #[prost(uint64, tag = "2")]
    pub modseq: u64,
    #[prost(message, repeated, tag = "3")]
    pub uids: Vec<Uids>,
    #[prost(uint32, tag = "4")]
    pub flags: u32,
    #[prost(string, repeated, tag = "5")]
    pub keywords: Vec<String>,
}

/// Messages of a mailbox that are gone for good.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Expunged {
    #[prost(uint64, tag = "1")]
    pub mailbox: u64,
    #[prost(uint64, tag = "2")]
    pub modseq: u64,
    #[prost(message, repeated, tag = "3")]
    pub uids: Vec<Uids>,
}

impl Change {
    /// Whether applying it is little work: it names few messages, and removes nothing that may have had many.
    pub(super) fn is_quick(&self) -> bool {
        const FEW: u64 = 200;
        let ranges = self.flagged.iter().flat_map(|flagged| &flagged.uids);
        let ranges = ranges.chain(self.expunged.iter().flat_map(|expunged| &expunged.uids));
        let named: u64 = ranges.map(|uids| u64::from(uids.last.saturating_sub(uids.first)) + 1).sum();
        let seen = self.seen.iter().map(|seen| seen.runs.len()).sum::<usize>();
        let listed = self.placed.len() + self.delivered.len() + self.outlines.len() + seen;
        named + listed as u64 <= FEW && self.removed_accounts.is_empty() && self.removed_mailboxes.is_empty()
    }
}

/// A range of UIDs, both ends in it.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Uids {
    #[prost(uint32, tag = "1")]
    pub first: u32,
    #[prost(uint32, tag = "2")]
    pub last: u32,
}

/// That a message was delivered to a recipient: the idempotency key and the first placement.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Delivered {
    /// 16 octets.
    #[prost(bytes = "vec", tag = "1")]
    pub message_id: Vec<u8>,
    #[prost(string, tag = "2")]
    pub recipient: String,
    #[prost(uint64, tag = "3")]
    pub account: u64,
    #[prost(uint64, tag = "4")]
    pub mailbox: u64,
    #[prost(string, tag = "5")]
    pub mailbox_name: String,
    #[prost(uint32, tag = "6")]
    pub uid_validity: u32,
    #[prost(uint32, tag = "7")]
    pub uid: u32,
}

/// What is to be known of a body without reading it: of the body beside the record, or of an earlier one.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Outlined {
    /// The number of the body.
    #[prost(uint64, tag = "1")]
    pub email: u64,
    /// In [`crate::outline::Outline::encode`]'s form.
    #[prost(bytes = "bytes", tag = "2")]
    pub outline: Bytes,
}

/// A mailbox's counts: rows only, never logged.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Counters {
    #[prost(uint32, tag = "1")]
    pub uid_next: u32,
    #[prost(uint64, tag = "2")]
    pub highest_modseq: u64,
    #[prost(uint32, tag = "3")]
    pub messages: u32,
    #[prost(uint32, tag = "4")]
    pub unseen: u32,
    #[prost(uint32, tag = "5")]
    pub deleted: u32,
    #[prost(uint64, tag = "6")]
    pub octets: u64,
    /// Octets of those with `\Deleted`.
    #[prost(uint64, tag = "7")]
    pub deleted_octets: u64,
}

/// A body: rows only.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BodyRow {
    /// Rows that show it.
    #[prost(uint64, tag = "1")]
    pub references: u64,
    /// Its record was seen; a copy's may come before, when reclaim has changed their order.
    #[prost(bool, tag = "2")]
    pub stored: bool,
    /// Where it lies, in [`journal::BodyRef::to_bytes`]' form.
    #[prost(bytes = "vec", tag = "3")]
    pub place: Vec<u8>,
    /// Octets of the outline beside it.
    #[prost(uint64, tag = "4")]
    pub outlined: u64,
}

/// A number, for rows that hold nothing else.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Number {
    #[prost(uint64, tag = "1")]
    pub value: u64,
}

/// Nothing, for index rows.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Nothing {}

impl Marks {
    /// The greater of each.
    pub(super) fn raise(&mut self, other: &Self) {
        self.account = self.account.max(other.account);
        self.mailbox = self.mailbox.max(other.mailbox);
        self.email = self.email.max(other.email);
        self.uid_validity = self.uid_validity.max(other.uid_validity);
    }
}

impl Counters {
    /// Of a mailbox to which nothing has happened yet.
    pub(super) fn fresh() -> Self {
        Self { uid_next: 1, highest_modseq: 1, ..Self::default() }
    }
}

impl Uids {
    pub(super) fn one(uid: u32) -> Self {
        Self { first: uid, last: uid }
    }
}
