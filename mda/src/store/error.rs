//! What can go wrong in the store.

use super::{EmailId, NameError};

/// Why the store did not do what it was asked.
///
/// Whoever asked can tell the lasting refusals (an unknown mailbox) from those that pass by themselves
/// ([`StoreError::is_temporary`]).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No account has this id or address.
    #[error("no such account")]
    NoSuchAccount,
    /// No mailbox has this name or id.
    #[error("no such mailbox")]
    NoSuchMailbox,
    /// The domain is not local.
    #[error("no such domain")]
    NoSuchDomain,
    /// No alias or list has this address.
    #[error("no such alias")]
    NoSuchAlias,
    /// The account or mailbox is there already.
    #[error("it exists already")]
    AlreadyExists,
    /// The mailbox has inferior names (RFC 9051 §6.3.5, response code HASCHILDREN).
    #[error("the mailbox has inferior mailboxes: delete them first")]
    HasChildren,
    /// INBOX cannot be deleted (RFC 9051 §6.3.5).
    #[error("INBOX cannot be deleted")]
    InboxIsPermanent,
    /// The name cannot be a mailbox's.
    #[error("bad mailbox name: {0}")]
    InvalidName(#[from] NameError),
    /// One of the store's limits would be passed.
    #[error("too many or too large: {what}, at most {limit}")]
    OverLimit {
        /// What there is too much of.
        what: &'static str,
        /// The most that is allowed.
        limit: u64,
    },
    /// The account would hold more than it may (RFC 5530 §3, OVERQUOTA).
    #[error("the account's quota of {limit} {what} is used up")]
    OverQuota {
        /// Messages, or octets.
        what: &'static str,
        /// The most that it may hold.
        limit: u64,
    },
    /// The free space is down to the configured minimum; all that is stored stays readable.
    #[error("not enough free space on the store's disk: free some, the store goes on by itself")]
    Full,
    /// More is waiting to be written than the store takes at once.
    #[error("the store is overloaded: try again")]
    Busy,
    /// The octets of one message on disk are not those that were written. Nothing else is affected.
    #[error("the body of message {email} is damaged: {reason}")]
    CorruptBody {
        /// Which message.
        email: EmailId,
        /// What the journal found.
        reason: String,
    },
    /// The message's body is gone: it was expunged.
    #[error("the message was expunged")]
    Expunged,
    /// A row of the state is damaged; `mda rebuild` makes all rows anew from the journal and loses no message.
    #[error("the store's state is damaged ({what}): stop the service and run `mda rebuild`")]
    CorruptState {
        /// Where the damage was met.
        what: String,
    },
    /// The folder was written by a newer version of the program, and was left untouched.
    #[error("the store was written by a newer version (format {found}, this program knows {known})")]
    NewerFormat {
        /// The format of the folder.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// The store is closing, or failed and takes nothing more.
    #[error("the store is closed: {0}")]
    Closed(String),
    /// The operating system refused.
    #[error("{what}: {reason}")]
    Io {
        /// What was being done.
        what: String,
        /// What the operating system said.
        reason: String,
    },
}

impl StoreError {
    /// The same request may succeed later without anybody changing it: SMTP answers 4yz, IMAP NO.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Full
                | Self::OverQuota { .. }
                | Self::Busy
                | Self::Closed(_)
                | Self::Io { .. }
                | Self::CorruptState { .. }
                | Self::NewerFormat { .. }
        )
    }
}

impl From<journal::Error> for StoreError {
    fn from(error: journal::Error) -> Self {
        match error {
            journal::Error::DiskFull { .. } => Self::Full,
            journal::Error::NewerFormat { found, known, .. } => Self::NewerFormat { found, known },
            journal::Error::TooLarge { part, limit, .. } => Self::OverLimit { what: part, limit },
            journal::Error::Overloaded { .. } => Self::Busy,
            stopped @ (journal::Error::Closed
            | journal::Error::SyncFailed(_)
            | journal::Error::Follower(_)) => Self::Closed(stopped.to_string()),
            ahead @ journal::Error::FollowerAhead { .. } => Self::Io {
                what: "the journal is older than the rows: put the newer one back, or run `mda rebuild` to go on with \
                       what it has"
                    .to_owned(),
                reason: ahead.to_string(),
            },
            other => Self::Io { what: "the journal failed".to_owned(), reason: other.to_string() },
        }
    }
}

/// What the store's functions give.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
