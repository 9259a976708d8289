//! The commands as types.

use bytes::Bytes;

use super::{
    Acl, AppendHead, FetchItem, FetchModifiers, GetMetadata, List, MessageSet, MultiSearch, Notify, Search,
    Select, SetMetadata, Sort, StatusItem, Store, Thread,
};

/// A command and its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Repeated in the tagged response.
    pub tag: String,
    /// What to do.
    pub command: Command,
}

/// A command with its arguments. Mailbox names are as sent: what they mean depends on whether the session has
/// enabled `IMAP4rev2` (see [`crate::imap::name`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// RFC 9051 §6.1.1.
    Capability,
    /// RFC 9051 §6.1.2.
    Noop,
    /// RFC 9051 §6.1.3.
    Logout,
    /// RFC 9051 §6.2.1.
    StartTls,
    /// RFC 9051 §6.2.2.
    Authenticate {
        /// In upper case.
        mechanism: String,
        /// SASL-IR: base64, or `=` for empty.
        initial: Option<Bytes>,
    },
    /// RFC 9051 §6.2.3.
    Login {
        /// As sent.
        username: Bytes,
        /// As sent.
        password: Bytes,
    },
    /// RFC 9051 §6.3.1, the names in upper case.
    Enable(Vec<String>),
    /// RFC 4978 §3.
    Compress {
        /// In upper case.
        mechanism: String,
    },
    /// RFC 8437 §3.
    Unauthenticate,
    /// RFC 2971 §3.1.
    Id(Vec<(Bytes, Option<Bytes>)>),
    /// RFC 9051 §6.3.2.
    Select(Select),
    /// RFC 9051 §6.3.3.
    Examine(Select),
    /// RFC 9051 §6.3.4, RFC 6154 §3.
    Create {
        /// The new mailbox.
        mailbox: Bytes,
        /// Attributes such as `\Sent`, from `USE`.
        special_use: Vec<String>,
    },
    /// RFC 9051 §6.3.5.
    Delete(Bytes),
    /// RFC 9051 §6.3.6.
    Rename {
        /// The old name.
        from: Bytes,
        /// The new name.
        to: Bytes,
    },
    /// RFC 9051 §6.3.7.
    Subscribe(Bytes),
    /// RFC 9051 §6.3.8.
    Unsubscribe(Bytes),
    /// RFC 9051 §6.3.9.
    List(List),
    /// RFC 3501 §6.3.9.
    Lsub {
        /// Put before the pattern.
        reference: Bytes,
        /// With `*` and `%`.
        pattern: Bytes,
    },
    /// RFC 9208 §4.1.1: the quota root.
    GetQuota(Bytes),
    /// RFC 9208 §4.1.2: the mailbox.
    GetQuotaRoot(Bytes),
    /// RFC 9208 §4.1.3: the quota root.
    SetQuota(Bytes),
    /// RFC 9051 §6.3.10.
    Namespace,
    /// RFC 9051 §6.3.11.
    Status {
        /// Whose status.
        mailbox: Bytes,
        /// What of it.
        items: Vec<StatusItem>,
    },
    /// RFC 4469 §3: an APPEND or REPLACE that sends nothing itself; others the framer takes apart.
    Append(AppendHead),
    /// RFC 7377 §2.
    MultiSearch(MultiSearch),
    /// RFC 5465 §3.1.
    Notify(Notify),
    /// RFC 4314 §3.
    Acl(Acl),
    /// RFC 5464 §4.2.
    GetMetadata(GetMetadata),
    /// RFC 5464 §4.3.
    SetMetadata(SetMetadata),
    /// RFC 9051 §6.3.13.
    Idle,
    /// RFC 3501 §6.4.1.
    Check,
    /// RFC 9051 §6.4.1.
    Close,
    /// RFC 9051 §6.4.2.
    Unselect,
    /// RFC 9051 §6.4.3; with a set of UIDs §6.4.9.
    Expunge {
        /// The UIDs, of `UID EXPUNGE`.
        set: Option<MessageSet>,
    },
    /// RFC 9051 §6.4.4.
    Search {
        /// The results are UIDs.
        uid: bool,
        /// What is sought.
        search: Search,
    },
    /// RFC 5267 §4.3.5: the tags of the searches whose results are followed no more.
    CancelUpdate(Vec<String>),
    /// RFC 9051 §6.4.5.
    Fetch {
        /// The set holds UIDs.
        uid: bool,
        /// Of which messages.
        set: MessageSet,
        /// What of them.
        items: Vec<FetchItem>,
        /// Which of them after all.
        modifiers: FetchModifiers,
    },
    /// RFC 5256 §3.
    Sort {
        /// The results are UIDs.
        uid: bool,
        /// What is sought, and its order.
        sort: Sort,
    },
    /// RFC 5256 §3.
    Thread {
        /// The results are UIDs.
        uid: bool,
        /// What is sought, and how it is put together.
        thread: Thread,
    },
    /// RFC 9051 §6.4.6.
    Store {
        /// The set holds UIDs.
        uid: bool,
        /// What is changed.
        store: Store,
    },
    /// RFC 9051 §6.4.7.
    Copy {
        /// The set holds UIDs.
        uid: bool,
        /// Which messages.
        set: MessageSet,
        /// Whereto.
        target: Bytes,
    },
    /// RFC 9051 §6.4.8.
    Move {
        /// The set holds UIDs.
        uid: bool,
        /// Which messages.
        set: MessageSet,
        /// Whereto.
        target: Bytes,
    },
}
