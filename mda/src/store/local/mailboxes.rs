//! Changes to an account's list of mailboxes.

use std::time::{SystemTime, UNIX_EPOCH};

use super::LocalStore;
use super::change::Leaving;
use crate::store::gate::Gate;
use crate::store::record::{Change, MailboxState, Removed, SubscriptionState};
use crate::store::{
    AccountId, Mailbox, MailboxId, MailboxName, NameError, Result, SpecialUse, StoreError, UidSet, keys,
};

impl LocalStore {
    pub(super) async fn mailbox_create(
        &self,
        account: AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<Mailbox> {
        let gate = self.inner.gates.of(account.0);
        let _changes = gate.changes.lock().await;
        let existing = self.read_mailboxes(account)?;
        if existing.iter().any(|mailbox| mailbox.name == *name) {
            return Err(StoreError::AlreadyExists);
        }
        let mut change =
            Change { mailboxes: self.missing_superiors(account, &existing, name), ..Change::default() };
        let mailbox = self.new_mailbox(account.0, name, special_use);
        let id = MailboxId(mailbox.id);
        change.mailboxes.push(mailbox);
        self.check_number(existing.len() + change.mailboxes.len())?;
        change.marks = self.take(|_| ()).1;
        self.propose(&change).await?;
        self.read_mailbox_by_id(id)?.ok_or(StoreError::NoSuchMailbox)
    }

    pub(super) async fn mailbox_delete(&self, account: AccountId, name: &MailboxName) -> Result<()> {
        let gate = self.inner.gates.of(account.0);
        let _changes = gate.changes.lock().await;
        if name.is_inbox() {
            return Err(StoreError::InboxIsPermanent);
        }
        let existing = self.read_mailboxes(account)?;
        let mailbox =
            existing.iter().find(|mailbox| mailbox.name == *name).ok_or(StoreError::NoSuchMailbox)?;
        if existing.iter().any(|other| name.is_superior_of(&other.name)) {
            return Err(StoreError::HasChildren);
        }
        let restructuring = gate.restructure();
        if !self.inner.config.keep_expunged.is_zero() {
            self.keep_all_of(&gate, mailbox).await?;
        }
        let removed = Removed { id: mailbox.id.0, ..Removed::default() };
        let change = Change { removed_mailboxes: vec![removed], ..Change::default() };
        self.propose_bookkeeping(&change).await?;
        self.mailbox_is_gone(&gate, mailbox.id.0);
        drop(restructuring);
        Ok(())
    }

    /// Keeps the messages of a mailbox that is about to be deleted; nobody may be let in.
    async fn keep_all_of(&self, gate: &Gate, mailbox: &Mailbox) -> Result<()> {
        // What was on its way into it is there once this is.
        self.propose_bookkeeping(&Change::default()).await?;
        let index = self.index_now(mailbox.id, &UidSet::all()).await?;
        let all: Vec<_> = index.iter().map(Leaving::of).collect();
        self.take_away(gate, mailbox, &all).await
    }

    pub(super) async fn mailbox_rename(
        &self,
        account: AccountId,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<()> {
        let gate = self.inner.gates.of(account.0);
        let _changes = gate.changes.lock().await;
        let existing = self.read_mailboxes(account)?;
        if !existing.iter().any(|mailbox| mailbox.name == *from) {
            return Err(StoreError::NoSuchMailbox);
        }
        // INBOX leaves its inferiors behind, so its messages may go below it.
        if from.is_superior_of(to) && !from.is_inbox() {
            return Err(NameError::BelowItself.into());
        }
        let mut change =
            Change { mailboxes: self.missing_superiors(account, &existing, to), ..Change::default() };
        for mailbox in &existing {
            if from.is_inbox() && mailbox.name != *from {
                continue;
            }
            let Some(name) = mailbox.name.moved(from, to) else { continue };
            let name = name?;
            if existing.iter().any(|other| other.name == name) {
                return Err(StoreError::AlreadyExists);
            }
            let mut state = self.mailbox_state(mailbox.id)?.ok_or(StoreError::NoSuchMailbox)?;
            state.revision += 1;
            state.name = name.to_string();
            change.mailboxes.push(state);
        }
        if from.is_inbox() {
            change.mailboxes.push(self.new_mailbox(account.0, &MailboxName::inbox(), None));
        }
        self.check_number(existing.len() + change.mailboxes.len())?;
        change.marks = self.take(|_| ()).1;
        let _restructuring = gate.restructure();
        self.propose(&change).await?;
        Ok(())
    }

    pub(super) async fn mailbox_subscribe(
        &self,
        account: AccountId,
        name: &MailboxName,
        subscribed: bool,
    ) -> Result<()> {
        let gate = self.inner.gates.of(account.0);
        let _changes = gate.changes.lock().await;
        let existing = self.subscription_states(account)?;
        let key = keys::subscription(account.0, name.as_str());
        let old = self.inner.table.get::<SubscriptionState>(&key)?.map(|stored| stored.value);
        if old.as_ref().is_some_and(|old| old.subscribed) == subscribed {
            return Ok(());
        }
        self.check_number(
            existing.iter().filter(|state| state.subscribed).count() + usize::from(subscribed),
        )?;
        // Those that were ended stay, so that no older record can bring them back: there may be as many again.
        if old.is_none() && existing.len() >= self.inner.config.max_mailboxes.saturating_mul(2) {
            let limit = self.inner.config.max_mailboxes as u64 * 2;
            return Err(StoreError::OverLimit { what: "names that were ever subscribed", limit });
        }
        let subscription = SubscriptionState {
            account: account.0,
            name: name.to_string(),
            revision: old.map_or(1, |old| old.revision + 1),
            subscribed,
        };
        self.propose(&Change { subscriptions: vec![subscription], ..Change::default() }).await?;
        Ok(())
    }

    /// A mailbox with new numbers.
    pub(super) fn new_mailbox(
        &self,
        account: u64,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> MailboxState {
        let ((id, uid_validity), _) = self.take(|marks| {
            marks.mailbox += 1;
            // Seconds, so that a store which lost everything does not begin again with numbers that clients know.
            marks.uid_validity = marks.uid_validity.saturating_add(1).max(seconds());
            (marks.mailbox, marks.uid_validity)
        });
        MailboxState {
            id,
            account,
            revision: 1,
            name: name.to_string(),
            uid_validity,
            special_use: special_use.map_or_else(String::new, |special| special.as_str().to_owned()),
            retention: None,
        }
    }

    /// A mailbox was removed: its numbers are of no use, and its rows go in the background.
    pub(super) fn mailbox_is_gone(&self, gate: &Gate, mailbox: u64) {
        let mut heads = gate.heads.lock();
        heads.forget(mailbox);
        // It went with all that was in it. Nothing is on its way: whoever removes a mailbox lets nobody in meanwhile.
        heads.forget_usage();
        drop(heads);
        self.inner.housekeeper.purge(mailbox);
    }

    /// The superiors of a name that do not exist.
    fn missing_superiors(
        &self,
        account: AccountId,
        existing: &[Mailbox],
        name: &MailboxName,
    ) -> Vec<MailboxState> {
        name.superiors()
            .filter(|superior| !existing.iter().any(|mailbox| mailbox.name == *superior))
            .map(|superior| self.new_mailbox(account.0, &superior, None))
            .collect()
    }

    fn check_number(&self, number: usize) -> Result<()> {
        let limit = self.inner.config.max_mailboxes;
        if number > limit {
            return Err(StoreError::OverLimit { what: "mailboxes of one account", limit: limit as u64 });
        }
        Ok(())
    }
}

pub(super) fn seconds() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(0)
}
