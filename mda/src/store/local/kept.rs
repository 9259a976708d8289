//! Expunged messages that can still be brought back.
//!
//! What is expunged is moved where nobody looks: into a mailbox that belongs to no account and is named after the
//! account whose messages it keeps. There they are counted in no quota, and leave when their time is over.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::LocalStore;
use super::change::{Leaving, copy_of, expunged, in_records};
use super::quota::{Addition, usage_of};
use super::together::NOBODY;
use crate::store::gate::Gate;
use crate::store::record::{Change, Placed};
use crate::store::{
    AccountId, EmailId, Kept, KeptFilter, Mailbox, MailboxId, MailboxName, Result, StoreError, Uid, UidSet,
    Usage, keys,
};

/// What the names of such mailboxes begin with; the account's number follows.
const PREFIX: &str = "expunged/";

/// Messages that go by one record: it says of each where it lay.
const BATCH: usize = 500;

/// Messages that are listed or brought back at once.
const MOST: usize = 10_000;

impl LocalStore {
    fn kept_mailbox(&self, account: AccountId) -> Result<Option<Mailbox>> {
        self.read_mailbox(NOBODY, &name_of(account)?)
    }

    /// The number of the mailbox that keeps what an account expunged.
    pub(super) fn kept_mailbox_id(&self, account: AccountId) -> Result<Option<u64>> {
        Ok(self.kept_mailbox(account)?.map(|mailbox| mailbox.id.0))
    }

    /// Where expunged messages of an account go; `None` if they are not kept. To be called with its gate's `changes`
    /// held.
    async fn keeping(&self, account: AccountId) -> Result<Option<Mailbox>> {
        if self.inner.config.keep_expunged.is_zero() || account == NOBODY {
            return Ok(None);
        }
        if let Some(mailbox) = self.kept_mailbox(account)? {
            return Ok(Some(mailbox));
        }
        let state = self.new_mailbox(NOBODY.0, &name_of(account)?, None);
        let change = Change { marks: self.take(|_| ()).1, mailboxes: vec![state], ..Change::default() };
        self.propose_bookkeeping(&change).await?;
        self.kept_mailbox(account)
    }

    /// Takes messages out of their mailbox, and keeps them if expunged messages are kept. To be called with the gate's
    /// `changes` held.
    pub(super) async fn take_away(&self, gate: &Gate, mailbox: &Mailbox, messages: &[Leaving]) -> Result<()> {
        let kept = self.keeping(mailbox.account).await?;
        self.count(gate, mailbox.account)?;
        for batch in messages.chunks(BATCH) {
            let Some(kept) = &kept else {
                self.let_go(gate, mailbox, batch, None).await?;
                continue;
            };
            let rows = self.placed_now(mailbox.id, batch.iter().map(|leaving| leaving.uid).collect()).await?;
            for rows in in_records(&rows, BATCH, mailbox.name.as_str().len()) {
                let batch: Vec<_> = rows.iter().map(|row| Leaving { uid: row.uid, size: row.size }).collect();
                self.let_go(gate, mailbox, &batch, Some((kept, rows))).await?;
            }
        }
        Ok(())
    }

    /// Takes messages out of their mailbox by one record, which also places them where they are kept.
    async fn let_go(
        &self,
        gate: &Gate,
        mailbox: &Mailbox,
        messages: &[Leaving],
        kept: Option<(&Mailbox, &[Placed])>,
    ) -> Result<()> {
        let append = {
            let mut heads = gate.heads.lock();
            let modseq = heads.of(&self.inner.table, mailbox.id.0)?.take_modseq();
            let gone = expunged(mailbox.id, modseq, messages.iter().map(|leaving| leaving.uid));
            let mut change = Change { expunged: vec![gone], ..Change::default() };
            if let Some((kept, rows)) = kept {
                let head = heads.of(&self.inner.table, kept.id.0)?;
                let modseq = head.take_modseq();
                for row in rows {
                    change.placed.push(Placed {
                        kept_of: mailbox.id.0,
                        kept_of_name: mailbox.name.to_string(),
                        ..copy_of(row, kept.id, head.take_uid()?, modseq)
                    });
                }
            }
            self.propose_bookkeeping(&change)
        };
        append.await?;
        Self::release(gate, usage_of(messages.iter().map(|leaving| leaving.size)));
        Ok(())
    }

    /// What can be brought back, the longest expunged first.
    pub(super) fn read_kept(&self, account: AccountId, filter: &KeptFilter) -> Result<Vec<Kept>> {
        self.read_account(account)?;
        let rows = self.kept_rows(account, filter)?;
        rows.into_iter()
            .map(|row| {
                Ok(Kept {
                    number: row.uid,
                    mailbox: self.name_where_it_lay(account, &row)?,
                    email: EmailId(row.email),
                    expunged_at: time(row.saved_at),
                    internal_date: time(row.internal_date),
                    size: row.size,
                })
            })
            .collect()
    }

    fn kept_rows(&self, account: AccountId, filter: &KeptFilter) -> Result<Vec<Placed>> {
        let Some(kept) = self.kept_mailbox(account)? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for row in self.inner.table.scan::<Placed>(keys::within(&keys::rows(kept.id.0))) {
            let row = row?.1.value;
            let wanted = filter.since.is_none_or(|since| row.saved_at >= since.as_second())
                && filter.numbers.as_ref().is_none_or(|numbers| numbers.contains(row.uid));
            if !wanted {
                continue;
            }
            if let Some(mailbox) = &filter.mailbox
                && self.name_where_it_lay(account, &row)? != *mailbox
            {
                continue;
            }
            found.push(row);
            if found.len() == MOST {
                break;
            }
        }
        Ok(found)
    }

    /// The name that the message's mailbox has now, or had when it was deleted.
    fn name_where_it_lay(&self, account: AccountId, row: &Placed) -> Result<MailboxName> {
        let mailbox = self.read_mailbox_by_id(MailboxId(row.kept_of))?;
        match mailbox.filter(|mailbox| mailbox.account == account) {
            Some(mailbox) => Ok(mailbox.name),
            None => super::read::stored_name(&row.kept_of_name),
        }
    }

    pub(super) async fn messages_undelete(
        &self,
        account: AccountId,
        filter: KeptFilter,
        into: Option<MailboxName>,
    ) -> Result<u64> {
        self.read_account(account)?;
        let rows = self.read_aside(move |store| store.kept_rows(account, &filter)).await?;
        let mut targets: BTreeMap<String, (MailboxName, Vec<Uid>)> = BTreeMap::new();
        for row in rows {
            let name = match &into {
                Some(name) => name.clone(),
                None => self.name_where_it_lay(account, &row)?,
            };
            targets.entry(name.to_string()).or_insert_with(|| (name, Vec::new())).1.push(row.uid);
        }
        let mut restored = 0;
        for (name, uids) in targets.into_values() {
            if self.read_mailbox(account, &name)?.is_none() {
                match self.mailbox_create(account, &name, None).await {
                    Ok(_) | Err(StoreError::AlreadyExists) => {}
                    Err(error) => return Err(error),
                }
            }
            restored += self.restore_to(account, &name, uids).await?;
        }
        Ok(restored)
    }

    async fn restore_to(&self, account: AccountId, name: &MailboxName, uids: Vec<Uid>) -> Result<u64> {
        let gate = self.inner.gates.of(account.0);
        let _changes = gate.changes.lock().await;
        let target = self.read_mailbox(account, name)?.ok_or(StoreError::NoSuchMailbox)?;
        let Some(kept) = self.kept_mailbox(account)? else { return Ok(0) };
        let uids: UidSet = uids.into_iter().collect();
        // Their time may have ended since they were looked up.
        let rows = self.read_aside(move |store| store.placed_of(kept.id, &uids)).await?;
        for batch in in_records(&rows, BATCH, 0) {
            let more = usage_of(batch.iter().map(|row| row.size));
            let reserved = {
                let mut heads = gate.heads.lock();
                self.reserve(&gate, &mut heads, account, more, Usage::default(), Addition::Client)?
            };
            self.transfer(&gate, batch, &target, Some(kept.id)).await?;
            reserved.keep();
        }
        Ok(rows.len() as u64)
    }

    /// The time of some kept messages is over.
    pub(super) async fn end_kept(&self, kept: &Mailbox, uids: &[Uid]) -> Result<()> {
        let Some(account) = keeps_for(&kept.name) else { return Ok(()) };
        let gate = self.inner.gates.of(account.0);
        let _changes = gate.changes.lock().await;
        if self.mailbox_state(kept.id)?.is_none() {
            return Ok(());
        }
        let append = {
            let mut heads = gate.heads.lock();
            let modseq = heads.of(&self.inner.table, kept.id.0)?.take_modseq();
            let gone = expunged(kept.id, modseq, uids.iter().copied());
            self.propose_bookkeeping(&Change { expunged: vec![gone], ..Change::default() })
        };
        append.await?;
        Ok(())
    }
}

/// Whose expunged messages a mailbox of nobody's keeps; `None` if it is there for something else.
pub(super) fn keeps_for(name: &MailboxName) -> Option<AccountId> {
    name.as_str().strip_prefix(PREFIX)?.parse().ok().map(AccountId)
}

fn name_of(account: AccountId) -> Result<MailboxName> {
    Ok(MailboxName::parse(&format!("{PREFIX}{}", account.0))?)
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MIN)
}
