//! COPY and MOVE (RFC 9051 §6.4.7, §6.4.8).

use bytes::Bytes;

use super::access::Place;
use super::{Done, Failure, Outcome, Session, bad};
use crate::imap::parse::MessageSet;
use crate::imap::response::uid_pairs;
use crate::store::{Copied, Destination, MailStore, Right, StoreError};

impl<S: MailStore> Session<S> {
    pub(super) async fn copy(&mut self, uid: bool, set: &MessageSet, target: &Bytes) -> Done {
        let mailbox = self.view()?.mailbox;
        let uids = self.resolve(set, uid)?;
        let target = self.destination(target)?;
        if uids.is_empty() {
            return Ok(Outcome::ok("there was nothing to copy"));
        }
        let store = &self.shared.store;
        let copied = if self.is_all_ones_own(&target) {
            store.copy(mailbox, uids, target.mailbox).await
        } else {
            store.transfer(mailbox, uids, target, false).await
        };
        let copied = copied.map_err(try_create)?;
        let outcome = Outcome::ok("COPY completed");
        Ok(match copy_uid(&copied).filter(|_| self.offers("UIDPLUS")) {
            Some(code) => outcome.with_code(code),
            None => outcome,
        })
    }

    /// COPYUID comes untagged, before the EXPUNGE responses (RFC 9051 §6.4.8), which come with the news.
    pub(super) async fn move_messages(&mut self, uid: bool, set: &MessageSet, target: &Bytes) -> Done {
        let mailbox = self.writable_view()?.mailbox;
        self.check_selected(Right::DeleteMessages)?;
        self.check_selected(Right::Expunge)?;
        let uids = self.resolve(set, uid)?;
        let target = self.destination(target)?;
        if uids.is_empty() {
            return Ok(Outcome::ok("there was nothing to move"));
        }
        let store = &self.shared.store;
        let moved = if self.is_all_ones_own(&target) {
            store.move_messages(mailbox, uids, target.mailbox).await
        } else {
            store.transfer(mailbox, uids, target, true).await
        };
        let moved = moved.map_err(try_create)?;
        if let Some(code) = copy_uid(&moved).filter(|_| self.offers("UIDPLUS")) {
            self.wire.responses.untagged(&Outcome::ok("moved").with_code(code));
        }
        self.expunged(Outcome::ok("MOVE completed")).await
    }

    /// Where messages are to go, if the user may put them there.
    pub(super) fn destination(&self, name: &[u8]) -> Result<Destination, Failure> {
        let user = self.account.ok_or_else(|| bad("log in first"))?;
        let name = self.mailbox_name(name)?;
        let created = |failure| match failure {
            Failure::Store(error) => try_create(error),
            failure => failure,
        };
        let mailbox = self.existing(user, &name, Right::Insert).map_err(created)?;
        let rights = self.rights_to(user, mailbox.account, mailbox.id)?;
        let Place { owner, name } = self.place(user, &name)?;
        Ok(Destination { account: owner, mailbox: name, rights })
    }

    /// Neither the selected mailbox nor the target is somebody else's.
    fn is_all_ones_own(&self, target: &Destination) -> bool {
        let source = self.selected.as_ref().map(|selected| selected.owner);
        self.account == Some(target.account) && self.account == source
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
