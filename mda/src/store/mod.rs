//! The mail store: accounts, mailboxes and messages.
//!
//! [`MailStore`] is what the rest of the service sees. What a function reports as done is on stable storage; what a
//! reader sees is only what was committed.

mod any_row;
mod backup;
mod check;
mod config;
mod credentials;
mod damage;
mod error;
mod failure;
mod flags;
mod folder_lock;
mod follower;
mod gate;
mod index;
mod keys;
mod leaf;
mod local;
mod name;
mod news;
mod placed;
mod recent;
mod record;
mod rights;
mod rows;
mod seen;
mod staged;
mod state;
mod table;
mod types;
mod uid_set;

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use message::MessageId;
use tokio::sync::watch;

use crate::outline::Outline;

pub(crate) use any_row::read_any_row;
pub use backup::{BackupReport, Restored, restore};
pub use check::{CheckListener, CheckOptions, CheckProgress, CheckReport};
pub use config::StoreConfig;
pub use error::{Result, StoreError};
pub use flags::{FlagChange, Flags, SystemFlag};
pub(crate) use index::FlagsKey;
#[cfg(test)]
pub(crate) use index::tests::MadeIndex;
pub use index::{Difference, Entry, Index, Personal};
pub use local::{LocalStore, Opened};
pub use name::{MailboxName, NameError};
pub use rights::{Annotated, Annotation, Grant, Grantee, Noted, Right, Rights, rights_of};
pub use seen::{SeenMark, SeenMarks};
pub use staged::StagedBody;
pub use types::*;
pub use uid_set::UidSet;

/// Keeps accounts, mailboxes and messages.
///
/// Clones are handles to one store. Functions that are not `async` read a few rows, mostly from memory, and may be
/// called from async code; all that may take long runs on threads of its own. A change that was asked for is carried
/// out to its end even when the future is dropped.
///
/// Changes to one mailbox happen in the order of their modification sequences; a reader that knows of a change (by its
/// future, by [`MailStore::index`] or by [`MailStore::watch`]) also sees it.
pub trait MailStore: Clone + Send + Sync + 'static {
    // --- Accounts and domains ---

    /// Makes an account with INBOX and a mailbox for each [`SpecialUse`], all subscribed. Its domain becomes local.
    ///
    /// [`StoreError::AlreadyExists`] if an account has this name among its addresses, or it is an alias.
    fn create_account(&self, account: NewAccount) -> impl Future<Output = Result<Account>> + Send;

    /// Replaces the password; with `instead_of` only as long as that is its hash. Says whether it did.
    fn set_password(
        &self,
        account: AccountId,
        password: Password,
        instead_of: Option<String>,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Adds a password for one program. [`StoreError::AlreadyExists`] if the account has one of this name;
    /// [`StoreError::OverLimit`] if it has very many.
    fn add_app_password(
        &self,
        account: AccountId,
        password: AppPassword,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Removes the program's password of this name. Says whether there was one.
    fn remove_app_password(
        &self,
        account: AccountId,
        name: String,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Removes the account, its mailboxes and its mail.
    fn remove_account(&self, account: AccountId) -> impl Future<Output = Result<()>> + Send;

    /// The account of this number.
    fn account(&self, account: AccountId) -> Result<Account>;

    /// The account that gets the mail of an address (in the form that addresses are compared in).
    fn account_by_address(&self, address: &str) -> Result<Option<Account>>;

    /// Up to `limit` accounts by name, those after `after` or from the start.
    fn accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<Account>>;

    /// How much an account holds.
    fn usage(&self, account: AccountId) -> Result<Usage>;

    /// Where an account stands with its quota.
    fn quota(&self, account: AccountId) -> Result<QuotaStatus>;

    /// Whether the account's quota leaves no room for a delivery, however small.
    fn is_full(&self, account: AccountId) -> Result<bool>;

    /// Sets how much an account may hold. What it holds beyond that stays.
    fn set_quota(&self, account: AccountId, quota: Quota) -> impl Future<Output = Result<Account>> + Send;

    /// Sets how much each account of a domain may hold that has no quota of its own. [`StoreError::NoSuchDomain`].
    fn set_domain_quota(&self, domain: String, quota: Quota) -> impl Future<Output = Result<()>> + Send;

    /// What was set for a domain (lower case).
    fn domain_quota(&self, domain: &str) -> Result<Quota>;

    /// Makes a domain local (lower case). Idempotent.
    fn add_domain(&self, domain: String) -> impl Future<Output = Result<()>> + Send;

    /// The domain (lower case) is local.
    fn is_local_domain(&self, domain: &str) -> Result<bool>;

    /// All local domains, by name.
    fn domains(&self) -> Result<Vec<String>>;

    // --- Aliases ---

    /// Makes an alias, or replaces the one of this address. Its domain becomes local.
    ///
    /// [`StoreError::AlreadyExists`] if the address is an account's.
    fn put_alias(&self, alias: Alias) -> impl Future<Output = Result<()>> + Send;

    /// Removes an alias. [`StoreError::NoSuchAlias`].
    fn remove_alias(&self, address: String) -> impl Future<Output = Result<()>> + Send;

    /// The alias of this address (in the form that addresses are compared in).
    fn alias(&self, address: &str) -> Result<Option<Alias>>;

    /// Up to `limit` aliases by address, those after `after` or from the start.
    fn aliases(&self, after: Option<&str>, limit: usize) -> Result<Vec<Alias>>;

    /// Up to `limit` addresses of aliases that have `target` among their targets.
    fn aliases_to(&self, target: &str, limit: usize) -> Result<Vec<String>>;

    // --- Mailboxes ---

    /// Makes a mailbox, and its superiors where they are missing. [`StoreError::AlreadyExists`] if it exists.
    fn create_mailbox(
        &self,
        account: AccountId,
        name: MailboxName,
        special_use: Option<SpecialUse>,
    ) -> impl Future<Output = Result<Mailbox>> + Send;

    /// Deletes a mailbox with its messages. Not INBOX, nor one that has inferiors. Its subscription stays.
    fn delete_mailbox(
        &self,
        account: AccountId,
        name: MailboxName,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Renames a mailbox and its inferiors; they keep ids, UIDs and UIDVALIDITY, subscriptions stay with the old names
    /// (RFC 9051 §6.3.6). Superiors of the new name are made where missing.
    ///
    /// Renaming INBOX moves its messages to the new name and leaves an empty INBOX; its inferiors stay. The
    /// *messages* keep mailbox id, UIDs and UIDVALIDITY; the empty INBOX is a new mailbox.
    fn rename_mailbox(
        &self,
        account: AccountId,
        from: MailboxName,
        to: MailboxName,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Subscribes to a name, or ends that. The mailbox need not exist. Idempotent.
    fn set_subscribed(
        &self,
        account: AccountId,
        name: MailboxName,
        subscribed: bool,
    ) -> impl Future<Output = Result<()>> + Send;

    /// All mailboxes of an account, by name.
    fn mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>>;

    /// The mailbox of this name.
    fn mailbox(&self, account: AccountId, name: &MailboxName) -> Result<Option<Mailbox>>;

    /// The mailbox of this number, under whatever name it has now.
    fn mailbox_by_id(&self, mailbox: MailboxId) -> Result<Option<Mailbox>>;

    /// All subscribed names, by name, whether or not such mailboxes exist.
    fn subscriptions(&self, account: AccountId) -> Result<Vec<MailboxName>>;

    /// Counts and sequences of a mailbox: one row, whatever the mailbox's size.
    fn status(&self, mailbox: MailboxId) -> Result<MailboxStatus>;

    // --- Annotations and rights ---

    /// What is noted at a mailbox or at the server, and seen by `user`.
    fn annotations(&self, user: AccountId, annotated: Annotated) -> Result<Vec<Annotation>>;

    /// Notes all of it, or nothing. [`StoreError::OverLimit`] if a value is too large, or there are too many.
    fn annotate(
        &self,
        user: AccountId,
        annotated: Annotated,
        annotations: Vec<Annotation>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// What others than its owner may do with a mailbox.
    fn grants(&self, mailbox: MailboxId) -> Result<Vec<Grant>>;

    /// Gives somebody these rights and no others; none ends it.
    fn grant(&self, mailbox: MailboxId, grant: Grant) -> impl Future<Output = Result<()>> + Send;

    /// The mailboxes of others with which `user` may do something, and what.
    fn shared_with(&self, user: AccountId) -> Result<Vec<(Mailbox, Rights)>>;

    // --- Messages: in ---

    /// Begins a body that is written in chunks, so that memory stays bounded whatever its size. Dropped without being
    /// delivered or appended, it leaves nothing behind.
    fn stage(&self) -> impl Future<Output = Result<StagedBody>> + Send;

    /// Stores a message for its recipients, the body once. One result for each recipient, in order; an error of the
    /// whole means that nothing was stored.
    fn deliver(&self, delivery: Delivery) -> impl Future<Output = Result<Vec<Result<Receipt>>>> + Send;

    /// Puts a client's message into a mailbox.
    fn append(&self, account: AccountId, append: Append) -> impl Future<Output = Result<Placement>> + Send;

    /// Puts several messages into `mailbox`, in order, all of them or none (RFC 3502); what they say of mailboxes
    /// themselves is passed over.
    fn append_together(
        &self,
        account: AccountId,
        mailbox: MailboxName,
        appends: Vec<Append>,
    ) -> impl Future<Output = Result<Vec<Placement>>> + Send;

    /// Puts a message into a mailbox and expunges another one, in one step (RFC 8508). [`StoreError::Expunged`] if
    /// that one is there no more.
    fn replace(
        &self,
        account: AccountId,
        append: Append,
        mailbox: MailboxId,
        uid: Uid,
    ) -> impl Future<Output = Result<Placement>> + Send;

    // --- Messages: look ---

    /// One message.
    fn row(&self, mailbox: MailboxId, uid: Uid) -> Result<Option<Row>>;

    /// A mailbox's messages in memory, and each next state of them after it is visible in all other ways too. The
    /// sender is dropped when the mailbox is deleted, or was INBOX and is renamed. [`StoreError::NoSuchMailbox`].
    ///
    /// Loaded when nobody has it, which takes time in proportion to the mailbox; shared by all who ask.
    fn index(&self, mailbox: MailboxId) -> impl Future<Output = Result<watch::Receiver<Arc<Index>>>> + Send;

    /// The UIDs that were expunged since; the work is in proportion to the changes, not to the mailbox.
    fn vanished_since(
        &self,
        mailbox: MailboxId,
        modseq: ModSeq,
    ) -> impl Future<Output = Result<UidSet>> + Send;

    /// Octets of a body, `range` cut to its size. Read large bodies piece by piece.
    fn read(&self, email: EmailId, range: Range<u64>) -> impl Future<Output = Result<Bytes>> + Send;

    /// The greatest number that a body has, or had.
    fn newest_email(&self) -> EmailId;

    /// Reads whole bodies and gives each to `visit` with its place in `emails`, on a thread that may block. For many small
    /// messages: a mebibyte of them is in memory at a time.
    fn read_each(
        &self,
        emails: Vec<EmailId>,
        visit: impl FnMut(usize, Result<Bytes>) + Send + 'static,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The beginnings of some bodies, up to `length` octets of each, in the order asked for. For few or small ones: all of
    /// them are in memory together.
    fn read_beginnings(
        &self,
        emails: Vec<EmailId>,
        length: u64,
    ) -> impl Future<Output = Vec<Result<Bytes>>> + Send;

    /// What is to be known of messages without reading them, in the order asked for; bodies are not read, save that of
    /// a message so new and large that its outline is not made yet.
    fn outlines(&self, emails: Vec<EmailId>) -> impl Future<Output = Vec<Result<Outline>>> + Send;

    /// Where a message was delivered to, over all accounts, by recipient.
    fn locate(&self, message_id: MessageId) -> Result<Vec<Located>>;

    // --- Messages: change ---

    /// Changes flags of the messages of `uids` that are there; with `unchanged_since` only of those whose modseq is not
    /// greater (RFC 7162 §3.1.3). Gives those that had changed since, and were left alone (MODIFIED). A message whose
    /// flags stay the same keeps its modseq.
    fn store_flags(
        &self,
        mailbox: MailboxId,
        uids: UidSet,
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> impl Future<Output = Result<UidSet>> + Send;

    /// What somebody other than its owner has seen of a mailbox. Never older than an index that was got before.
    fn seen(&self, mailbox: MailboxId, user: AccountId) -> impl Future<Output = Result<SeenMarks>> + Send;

    /// Changes flags as [`MailStore::store_flags`] does, for a user who need not be the mailbox's owner: then `\Seen` is
    /// what this user has seen, and the message's own stays. What the user made of it counts as a change of the
    /// message, for `unchanged_since` too. The mailbox's highest modseq grows, so that the user's other sessions hear
    /// of it.
    fn store_flags_as(
        &self,
        mailbox: MailboxId,
        user: AccountId,
        uids: UidSet,
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> impl Future<Output = Result<UidSet>> + Send;

    /// Copies messages, with flags and dates, all of them or none; no body is written again. The target may be the
    /// source.
    fn copy(
        &self,
        mailbox: MailboxId,
        uids: UidSet,
        to: MailboxName,
    ) -> impl Future<Output = Result<Copied>> + Send;

    /// Moves messages in one step: no reader sees a message twice, or not at all (RFC 6851).
    fn move_messages(
        &self,
        mailbox: MailboxId,
        uids: UidSet,
        to: MailboxName,
    ) -> impl Future<Output = Result<Copied>> + Send;

    /// Copies or moves messages, all of them or none, to a mailbox that may be another account's.
    fn transfer(
        &self,
        mailbox: MailboxId,
        uids: UidSet,
        to: Destination,
        moved: bool,
    ) -> impl Future<Output = Result<Copied>> + Send;

    /// Removes the messages of `uids`, or with `only_deleted` those of them that have `\Deleted` at that moment; gives
    /// the UIDs that went.
    fn expunge(
        &self,
        mailbox: MailboxId,
        uids: UidSet,
        only_deleted: bool,
    ) -> impl Future<Output = Result<UidSet>> + Send;

    /// Expunged messages that can be brought back, the longest expunged first; at most 10,000.
    fn kept(&self, account: AccountId, filter: KeptFilter) -> impl Future<Output = Result<Vec<Kept>>> + Send;

    /// Brings expunged messages back, at most 10,000, with new UIDs: to `into`, or where they lay. Mailboxes that are
    /// missing are made. Gives how many.
    fn undelete(
        &self,
        account: AccountId,
        filter: KeptFilter,
        into: Option<MailboxName>,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Says how long messages stay in a mailbox; zero is for ever, `None` as its special use says.
    fn set_retention(
        &self,
        mailbox: MailboxId,
        keep: Option<std::time::Duration>,
    ) -> impl Future<Output = Result<()>> + Send;

    // --- News ---

    /// The mailbox's highest modseq, renewed after each change is visible. The sender is dropped when the mailbox is
    /// deleted. [`StoreError::NoSuchMailbox`].
    fn watch(&self, mailbox: MailboxId) -> Result<watch::Receiver<ModSeq>>;

    /// Counts changes of an account's list of mailboxes and subscriptions. The sender is dropped when the account is
    /// removed. [`StoreError::NoSuchAccount`].
    fn watch_account(&self, account: AccountId) -> Result<watch::Receiver<u64>>;

    /// Which annotations of a mailbox, or of `user` at the server, have changed. The sender is dropped when that is
    /// gone. [`StoreError::NoSuchMailbox`], [`StoreError::NoSuchAccount`].
    fn watch_annotations(&self, user: AccountId, annotated: Annotated)
    -> Result<watch::Receiver<Arc<Noted>>>;
}

#[cfg(test)]
pub(crate) mod tests;
