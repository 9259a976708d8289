//! The store's errors in the words of gRPC and of SMTP.

use proto::mail::Reply;
use tonic::{Code, Status};

use crate::store::StoreError;

/// For an operator's or a service's call. What the store itself failed at is logged here, once.
pub(crate) fn status(error: &StoreError) -> Status {
    let code = match error {
        StoreError::NoSuchAccount
        | StoreError::NoSuchMailbox
        | StoreError::NoSuchAlias
        | StoreError::NoSuchDomain
        | StoreError::Expunged => Code::NotFound,
        StoreError::AlreadyExists => Code::AlreadyExists,
        StoreError::HasChildren | StoreError::InboxIsPermanent => Code::FailedPrecondition,
        StoreError::InvalidName(_) => Code::InvalidArgument,
        StoreError::OverLimit { .. } | StoreError::OverQuota { .. } | StoreError::Full => {
            Code::ResourceExhausted
        }
        StoreError::CorruptBody { .. } | StoreError::CorruptState { .. } => Code::DataLoss,
        _ => Code::Unavailable,
    };
    if matches!(code, Code::DataLoss | Code::Unavailable) {
        tracing::error!(%error, "the mail store failed");
    }
    Status::new(code, error.to_string())
}

/// For a recipient whose mail could not be stored. Nothing but a missing account is a reason to give a message up: all
/// else may be mended while the sender keeps it.
pub(crate) fn reply(error: &StoreError) -> Reply {
    match error {
        StoreError::NoSuchAccount => unknown_user(),
        StoreError::Full => smtp(452, "4.3.1", "insufficient system storage"),
        StoreError::OverQuota { .. } | StoreError::OverLimit { .. } => {
            smtp(452, "4.2.2", "the mailbox is full")
        }
        _ => smtp(451, "4.3.0", "the mail store failed, try again later"),
    }
}

pub(crate) fn unknown_user() -> Reply {
    smtp(550, "5.1.1", "no such user here")
}

pub(crate) fn smtp(code: u32, enhanced: &str, text: &str) -> Reply {
    Reply { code, enhanced: enhanced.to_owned(), text: text.to_owned() }
}
