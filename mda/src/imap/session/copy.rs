//! COPY and MOVE (RFC 9051 §6.4.7, §6.4.8).

use bytes::Bytes;

use super::access::Place;
use super::{Done, Failure, Outcome, Session, bad};
use crate::imap::parse::MessageSet;
use crate::imap::response::uid_pairs;
use crate::store::{
    Copied, Destination, MailStore, MailboxId, Right, Rights, StoreError, SystemFlag, UidSet,
};

impl<S: MailStore> Session<S> {
    pub(super) async fn copy(&mut self, uid: bool, set: &MessageSet, target: &Bytes) -> Done {
        let mailbox = self.view()?.mailbox;
        let uids = self.resolve(set, uid)?;
        let target = self.destination(target)?;
        let tells_uids = self.tells_uids(target.rights);
        if uids.is_empty() {
            return Ok(Outcome::ok("there was nothing to copy"));
        }
        let copied = if self.is_all_ones_own(&target) {
            self.shared.store.copy(mailbox, uids, target.mailbox).await.map_err(try_create)?
        } else {
            self.transfer(mailbox, uids, target, false).await?
        };
        let outcome = Outcome::ok("COPY completed");
        Ok(match copy_uid(&copied).filter(|_| tells_uids) {
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
        let tells_uids = self.tells_uids(target.rights);
        if uids.is_empty() {
            return Ok(Outcome::ok("there was nothing to move"));
        }
        let moved = if self.is_all_ones_own(&target) {
            self.shared.store.move_messages(mailbox, uids, target.mailbox).await.map_err(try_create)?
        } else {
            self.transfer(mailbox, uids, target, true).await?
        };
        if let Some(code) = copy_uid(&moved).filter(|_| tells_uids) {
            self.wire.responses.untagged(&Outcome::ok("moved").with_code(code));
        }
        self.expunged(Outcome::ok("MOVE completed")).await
    }

    /// From or to a mailbox of others. What the user has seen stays seen by the user, and by nobody else.
    async fn transfer(
        &self,
        mailbox: MailboxId,
        uids: UidSet,
        target: Destination,
        moved: bool,
    ) -> Result<Copied, Failure> {
        let rights = target.rights;
        let target = Destination { rights: rights.without(Rights::default().with(Right::Seen)), ..target };
        let copied = self.shared.store.transfer(mailbox, uids, target, moved).await.map_err(try_create)?;
        if rights.has(Right::Seen) {
            let index = self.view()?.index();
            let seen = copied
                .uids
                .iter()
                .filter(|(from, _)| index.get(*from).is_some_and(|entry| entry.has(SystemFlag::Seen)));
            self.keep_seen(copied.mailbox, seen.map(|(_, to)| *to).collect()).await;
        }
        Ok(copied)
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

    /// Whether the client hears which UIDs messages got in a mailbox to which the user has these rights: not if it is one
    /// that the user may put messages into and not look into (RFC 4315 §3).
    pub(super) fn tells_uids(&self, rights: Rights) -> bool {
        rights.has(Right::Read) && self.offers("UIDPLUS")
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
