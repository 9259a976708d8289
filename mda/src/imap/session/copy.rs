//! COPY and MOVE (RFC 9051 §6.4.7, §6.4.8).

use bytes::Bytes;

use super::{Done, Failure, Outcome, Session};
use crate::imap::parse::MessageSet;
use crate::imap::response::uid_pairs;
use crate::store::{Copied, MailStore, StoreError};

impl<S: MailStore> Session<S> {
    pub(super) async fn copy(&mut self, uid: bool, set: &MessageSet, target: &Bytes) -> Done {
        let mailbox = self.view()?.mailbox;
        let uids = self.resolve(set, uid)?;
        let target = self.mailbox_name(target)?;
        if uids.is_empty() {
            return Ok(Outcome::ok("there was nothing to copy"));
        }
        let copied = self.shared.store.copy(mailbox, uids, target).await.map_err(try_create)?;
        let outcome = Outcome::ok("COPY completed");
        Ok(match copy_uid(&copied) {
            Some(code) => outcome.with_code(code),
            None => outcome,
        })
    }

    /// COPYUID comes untagged, before the EXPUNGE responses (RFC 9051 §6.4.8), which come with the news.
    pub(super) async fn move_messages(&mut self, uid: bool, set: &MessageSet, target: &Bytes) -> Done {
        let mailbox = self.writable_view()?.mailbox;
        let uids = self.resolve(set, uid)?;
        let target = self.mailbox_name(target)?;
        if uids.is_empty() {
            return Ok(Outcome::ok("there was nothing to move"));
        }
        let moved = self.shared.store.move_messages(mailbox, uids, target).await.map_err(try_create)?;
        if let Some(code) = copy_uid(&moved) {
            self.wire.responses.untagged(&Outcome::ok("moved").with_code(code));
        }
        self.expunged(Outcome::ok("MOVE completed")).await
    }
}

fn copy_uid(copied: &Copied) -> Option<String> {
    if copied.uids.is_empty() {
        return None;
    }
    let (from, to) = uid_pairs(&copied.uids);
    Some(format!("COPYUID {} {from} {to}", copied.uid_validity))
}

/// A target that does not exist could be made (RFC 9051 §6.4.7).
pub(super) fn try_create(error: StoreError) -> Failure {
    match error {
        StoreError::NoSuchMailbox => Failure::Refused(Outcome::no("TRYCREATE", "there is no such mailbox")),
        error => Failure::Store(error),
    }
}
