//! What ends by itself: messages that were kept for as long as their mailbox says, and expunged ones that nobody wanted
//! back.

use std::time::Duration;

use jiff::Timestamp;

use super::LocalStore;
use super::kept::keeps_for;
use super::together::NOBODY;
use crate::store::placed::leaves_of;
use crate::store::record::Change;
use crate::store::{Mailbox, MailboxId, Result, StoreError, Swept, Uid, UidSet, keys};

/// Messages of one mailbox that go at once.
const AT_ONCE: usize = 2_000;

/// Times in which more of them may go; the rest waits for the next sweep, behind other mailboxes.
const ROUNDS: usize = 10;

impl LocalStore {
    /// Ends what is over at `now` in up to `mailboxes` mailboxes behind `after`, of each up to 20,000 messages. When the disk
    /// is full, all expunged messages are over.
    pub async fn sweep(&self, now: Timestamp, after: MailboxId, mailboxes: usize) -> Result<Swept> {
        let found = self.read_aside(move |store| store.mailboxes_after(after, mailboxes)).await?;
        let next = found.last().filter(|_| found.len() == mailboxes).map(|(id, _)| *id);
        let mut swept = Swept { next, ..Swept::default() };
        let is_full = matches!(self.inner.journal.room_for(0), Err(journal::Error::DiskFull { .. }));
        for (id, mailbox) in found {
            let ended = match mailbox {
                Ok(Some(mailbox)) => self.sweep_mailbox(&mailbox, now, is_full, &mut swept).await,
                // Removed meanwhile.
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            match ended {
                Err(error @ (StoreError::Closed(_) | StoreError::Full)) => return Err(error),
                // Whatever is wrong with one mailbox, the others have their time too.
                Err(error) => {
                    tracing::warn!(mailbox = %id, %error, "messages that are over stay in a mailbox");
                }
                Ok(()) => {}
            }
        }
        Ok(swept)
    }

    /// Ends what is over in one mailbox, and adds it to `swept`.
    async fn sweep_mailbox(
        &self,
        mailbox: &Mailbox,
        now: Timestamp,
        is_full: bool,
        swept: &mut Swept,
    ) -> Result<()> {
        let is_kept = mailbox.account == NOBODY && keeps_for(&mailbox.name).is_some();
        let keep = match self.keeps(mailbox) {
            Some(_) if is_kept && is_full => Duration::ZERO,
            Some(keep) => keep,
            None => return Ok(()),
        };
        let (id, until) = (mailbox.id, now.as_second().saturating_sub_unsigned(keep.as_secs()));
        for _ in 0..ROUNDS {
            let uids = self.read_aside(move |store| store.saved_until(id, until)).await?;
            if uids.is_empty() {
                return Ok(());
            }
            let is_all = uids.len() < AT_ONCE;
            if is_kept {
                self.end_kept(mailbox, &uids).await?;
                swept.ended += uids.len() as u64;
            } else {
                swept.retired += self.retire(mailbox, uids).await?;
            }
            if is_all {
                return Ok(());
            }
        }
        swept.has_more = true;
        Ok(())
    }

    /// For how long messages stay in a mailbox; `None` for ever.
    fn keeps(&self, mailbox: &Mailbox) -> Option<Duration> {
        let config = &self.inner.config;
        if mailbox.account == NOBODY {
            return keeps_for(&mailbox.name).map(|_| config.keep_expunged);
        }
        let by_use = || {
            let of = |(special_use, keep): &(_, Duration)| {
                (Some(*special_use) == mailbox.special_use).then_some(*keep)
            };
            config.retention.iter().find_map(of)
        };
        mailbox.retention.or_else(by_use).filter(|keep| !keep.is_zero())
    }

    async fn retire(&self, mailbox: &Mailbox, uids: Vec<Uid>) -> Result<u64> {
        match self.messages_expunge(mailbox.id, uids.into_iter().collect(), false).await {
            Ok(gone) => Ok(gone.len()),
            // Deleted meanwhile.
            Err(StoreError::NoSuchMailbox) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Some mailboxes in the order of their numbers, each as far as it can be read.
    fn mailboxes_after(
        &self,
        after: MailboxId,
        limit: usize,
    ) -> Result<Vec<(MailboxId, Result<Option<Mailbox>>)>> {
        let all = keys::within(keys::MAILBOXES);
        let range = keys::mailbox(after.0.saturating_add(1))..all.end;
        let found = self.inner.table.keys(range).take(limit);
        let read = |key: sled::IVec| {
            let id = MailboxId(keys::last_u64(&key));
            (id, self.read_mailbox_by_id(id))
        };
        found.map(|key| Ok(read(key?))).collect()
    }

    /// The oldest messages of a mailbox, as far as they were saved by `until`: UIDs ascend with that time.
    fn saved_until(&self, mailbox: MailboxId, until: i64) -> Result<Vec<Uid>> {
        let mut uids = Vec::new();
        for leaf in leaves_of(&self.inner.table, mailbox.0, &UidSet::all()) {
            for (message, _) in leaf?.messages() {
                let saved_at = if message.saved_at > 0 { message.saved_at } else { message.internal_date };
                if saved_at > until || uids.len() == AT_ONCE {
                    return Ok(uids);
                }
                uids.push(message.uid);
            }
        }
        Ok(uids)
    }

    pub(super) async fn mailbox_set_retention(
        &self,
        mailbox: MailboxId,
        keep: Option<Duration>,
    ) -> Result<()> {
        let account = self.mailbox_state(mailbox)?.ok_or(StoreError::NoSuchMailbox)?.account;
        let gate = self.inner.gates.of(account);
        let _changes = gate.changes.lock().await;
        let mut state = self.mailbox_state(mailbox)?.ok_or(StoreError::NoSuchMailbox)?;
        state.revision += 1;
        state.retention = keep.map(|keep| keep.as_secs());
        self.propose(&Change { mailboxes: vec![state], ..Change::default() }).await?;
        Ok(())
    }
}
