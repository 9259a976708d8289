//! Passwords for programs, between the contract and the store.

use jiff::Timestamp;
use proto::mda::{AppPassword, Protocol};
use tonic::Status;

use super::timestamp;
use crate::store::{self, Protocols};

/// Characters of a name at most.
const MAX_NAME: usize = 100;

/// What is asked for: a name, and where the password can be used.
pub(super) fn parse(name: &str, protocols: &[i32]) -> Result<(String, Protocols), Status> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Status::invalid_argument(format!("a name has 1 to {MAX_NAME} characters")));
    }
    let mut wanted = Protocols::default();
    for protocol in protocols {
        match Protocol::try_from(*protocol) {
            Ok(Protocol::Imap) => wanted.imap = true,
            Ok(Protocol::Pop3) => wanted.pop3 = true,
            Ok(Protocol::Smtp) => wanted.submission = true,
            Ok(Protocol::Unspecified) | Err(_) => {
                return Err(Status::invalid_argument("an unknown protocol"));
            }
        }
    }
    if protocols.is_empty() {
        wanted = Protocols { imap: true, pop3: true, submission: true };
    }
    Ok((name.to_owned(), wanted))
}

pub(super) fn describe(password: &store::AppPassword, last_used: Option<Timestamp>) -> AppPassword {
    let Protocols { imap, pop3, submission } = password.protocols;
    let protocols = [(imap, Protocol::Imap), (pop3, Protocol::Pop3), (submission, Protocol::Smtp)];
    AppPassword {
        name: password.name.clone(),
        protocols: protocols
            .into_iter()
            .filter(|(set, _)| *set)
            .map(|(_, protocol)| protocol.into())
            .collect(),
        created_at: Some(timestamp(password.created_at)),
        last_used_at: last_used.map(timestamp),
    }
}
