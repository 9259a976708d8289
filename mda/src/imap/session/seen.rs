//! `\Seen` in the mailboxes of others is each user's own (RFC 4314 §4): the owner's is the message's flag, that of
//! everybody else is kept by itself, and shown as if it were that flag.

use std::sync::Arc;

use super::{Failure, Selected, Session};
use crate::imap::wire::Ended;
use crate::store::{
    AccountId, FlagChange, Flags, Index, MailStore, Mailbox, MailboxId, MailboxStatus, ModSeq, Personal,
    StoreError, SystemFlag, Uid, UidSet,
};

impl<S: MailStore> Session<S> {
    /// The selected mailbox as it is now, and as this user sees it.
    pub(super) fn latest_index(&mut self) -> Result<Option<Arc<Index>>, Ended> {
        let Some(Selected { view, news, personal, .. }) = &mut self.selected else { return Ok(None) };
        let shared = Arc::clone(&news.borrow_and_update());
        let (Some(personal), Some(user)) = (personal, self.account) else { return Ok(Some(shared)) };
        match self.shared.store.seen(view.mailbox, user) {
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

    /// What a user sees of a mailbox that is somebody else's; None if it is the user's.
    pub(super) fn personal(
        &self,
        user: AccountId,
        mailbox: &Mailbox,
        shared: &Arc<Index>,
    ) -> Result<Option<Personal>, Failure> {
        if mailbox.account == user {
            return Ok(None);
        }
        Ok(Some(Personal::new(Arc::clone(shared), self.shared.store.seen(mailbox.id, user)?)))
    }

    /// Counts and sequences of a mailbox as the user sees it; None if it is gone. Messages that others than the owner
    /// have not seen are counted in memory.
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
        let personal = Personal::new(shared, self.shared.store.seen(mailbox.id, user)?);
        Ok(Some(*personal.index().status()))
    }

    /// Changes flags of messages of the selected mailbox, `\Seen` where the user's is kept. Gives those that had changed
    /// since, and were left alone.
    pub(super) async fn change_flags(
        &self,
        uids: UidSet,
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<UidSet, Failure> {
        let Some(Selected { view, personal, .. }) = &self.selected else { return Ok(UidSet::none()) };
        let store = &self.shared.store;
        let (Some(personal), Some(user)) = (personal, self.account) else {
            return Ok(store.store_flags(view.mailbox, uids, change, unchanged_since).await?);
        };
        let mut modified = match unchanged_since {
            Some(modseq) => changed_since(personal.index(), modseq, &uids),
            None => UidSet::none(),
        };
        let mut left = uids.without(&modified);
        for (uids, change) in shared_changes(personal.shared(), &left, &change) {
            let newly = store.store_flags(view.mailbox, uids, change, unchanged_since).await?;
            modified = modified.ranges().iter().chain(newly.ranges()).cloned().collect();
            left = left.without(&newly);
        }
        if let Some(seen) = seen_by(&change) {
            store.mark_seen(view.mailbox, user, left, seen).await?;
        }
        Ok(modified)
    }

    /// Messages were put into a mailbox without `\\Seen`, of which the user has seen these.
    pub(super) async fn keep_seen(
        &self,
        owner: AccountId,
        mailbox: MailboxId,
        seen: UidSet,
    ) -> Result<(), Failure> {
        let Some(user) = self.account.filter(|_| !seen.is_empty()) else { return Ok(()) };
        if user == owner {
            let change = FlagChange::Add(Flags::none().with(SystemFlag::Seen));
            self.shared.store.store_flags(mailbox, seen, change, None).await?;
        } else {
            self.shared.store.mark_seen(mailbox, user, seen, true).await?;
        }
        Ok(())
    }
}

fn changed_since(index: &Index, modseq: ModSeq, uids: &UidSet) -> UidSet {
    index.within(uids).filter(|entry| entry.modseq() > modseq).map(crate::store::Entry::uid).collect()
}

/// What a change does to the flags that all share. Flags are replaced by others that have the owner's `\Seen`.
fn shared_changes(shared: &Index, uids: &UidSet, change: &FlagChange) -> Vec<(UidSet, FlagChange)> {
    let seen = FlagChange::Remove(Flags::none().with(SystemFlag::Seen));
    let without = |flags: &Flags| flags.changed(&seen);
    match change {
        FlagChange::Add(flags) | FlagChange::Remove(flags) if without(flags).is_empty() => Vec::new(),
        FlagChange::Add(flags) => vec![(uids.clone(), FlagChange::Add(without(flags)))],
        FlagChange::Remove(flags) => vec![(uids.clone(), FlagChange::Remove(without(flags)))],
        FlagChange::Replace(flags) => {
            let (seen, unseen): (Vec<Uid>, Vec<Uid>) = shared
                .within(uids)
                .map(crate::store::Entry::uid)
                .partition(|uid| shared.get(*uid).is_some_and(|entry| entry.has(SystemFlag::Seen)));
            let with = without(flags).with(SystemFlag::Seen);
            [(seen, with), (unseen, without(flags))]
                .into_iter()
                .filter(|(uids, _)| !uids.is_empty())
                .map(|(uids, flags)| (uids.into_iter().collect(), FlagChange::Replace(flags)))
                .collect()
        }
    }
}

/// What a change makes of `\Seen`; None if it leaves it as it is.
fn seen_by(change: &FlagChange) -> Option<bool> {
    match change {
        FlagChange::Replace(flags) => Some(flags.has(SystemFlag::Seen)),
        FlagChange::Add(flags) => flags.has(SystemFlag::Seen).then_some(true),
        FlagChange::Remove(flags) => flags.has(SystemFlag::Seen).then_some(false),
    }
}
