//! `\Seen` in the mailboxes of others is each user's own (RFC 4314 §4): the owner's is the message's flag, that of
//! everybody else is kept by itself, and shown as if it were that flag.

use std::sync::Arc;

use super::access::aside;
use super::{Failure, Selected, Session};
use crate::imap::wire::Ended;
use crate::store::{
    AccountId, FlagChange, Flags, Index, MailStore, Mailbox, MailboxId, MailboxStatus, ModSeq, Personal,
    StoreError, SystemFlag, UidSet,
};

impl<S: MailStore> Session<S> {
    /// The selected mailbox as it is now, and as this user sees it.
    pub(super) async fn latest_index(&mut self) -> Result<Option<Arc<Index>>, Ended> {
        let Some(Selected { view, news, personal, .. }) = &mut self.selected else { return Ok(None) };
        let shared = Arc::clone(&news.borrow_and_update());
        let (Some(personal), Some(user)) = (personal, self.account) else { return Ok(Some(shared)) };
        // What the user has seen does not change without the mailbox's highest modseq.
        if Arc::ptr_eq(&shared, personal.shared()) {
            return Ok(Some(Arc::clone(personal.index())));
        }
        match self.shared.store.seen(view.mailbox, user).await {
            Ok(seen) => {
                personal.follow(shared, seen);
                Ok(Some(Arc::clone(personal.index())))
            }
            Err(error) => {
                self.store_refused(&error);
                Err(Ended::Bye("what you have seen of the selected mailbox cannot be read"))
            }
        }
    }

    /// What a user sees of a mailbox that is somebody else's; None if it is the user's. It is made on a thread that may
    /// block: the mailbox may be large.
    pub(super) async fn personal(
        &self,
        user: AccountId,
        mailbox: &Mailbox,
        shared: &Arc<Index>,
    ) -> Result<Option<Personal>, Failure> {
        if mailbox.account == user {
            return Ok(None);
        }
        let (seen, shared) = (self.shared.store.seen(mailbox.id, user).await?, Arc::clone(shared));
        aside(&self.shared.store, move |_| Ok(Some(Personal::new(shared, seen)))).await
    }

    /// Counts and sequences of a mailbox as the user sees it; None if it is gone. What others than the owner have not
    /// seen is counted in memory, by what they have.
    pub(super) async fn status_of(
        &self,
        mailbox: &Mailbox,
        with_unseen: bool,
    ) -> Result<Option<MailboxStatus>, Failure> {
        let gone_or = |error| match error {
            StoreError::NoSuchMailbox => Ok(None),
            error => Err(Failure::Store(error)),
        };
        let status = match self.shared.store.status(mailbox.id) {
            Ok(status) => status,
            Err(error) => return gone_or(error),
        };
        let Some(user) = self.account.filter(|user| with_unseen && *user != mailbox.account) else {
            return Ok(Some(status));
        };
        let shared = match self.shared.store.index(mailbox.id).await {
            Ok(news) => Arc::clone(&news.borrow()),
            Err(error) => return gone_or(error),
        };
        let seen = self.shared.store.seen(mailbox.id, user).await?;
        let count = move |_: &S| Ok(MailboxStatus { unseen: seen.unseen_of(&shared), ..*shared.status() });
        aside(&self.shared.store, count).await.map(Some)
    }

    /// Changes flags of messages of the selected mailbox, `\Seen` where the user's is kept. Gives those that had changed
    /// since, and were left alone.
    pub(super) async fn change_flags(
        &self,
        uids: UidSet,
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<UidSet, Failure> {
        let (Some(Selected { view, .. }), Some(user)) = (&self.selected, self.account) else {
            return Ok(UidSet::none());
        };
        let store = &self.shared.store;
        Ok(store.store_flags_as(view.mailbox, user, uids, change, unchanged_since).await?)
    }

    /// Messages were put into a mailbox without `\Seen`, of which the user has seen these. They are there, whatever
    /// becomes of this: a client that is told NO puts them there again (RFC 9051 §6.3.12, §6.4.7).
    pub(super) async fn keep_seen(&self, mailbox: MailboxId, seen: UidSet) {
        let Some(user) = self.account.filter(|_| !seen.is_empty()) else { return };
        let change = FlagChange::Add(Flags::none().with(SystemFlag::Seen));
        if let Err(error) = self.shared.store.store_flags_as(mailbox, user, seen, change, None).await {
            tracing::warn!(peer = %self.peer, %error, "messages that are stored are not marked as seen");
        }
    }
}
