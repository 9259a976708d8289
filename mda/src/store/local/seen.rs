//! What others than its owner have seen of a mailbox.

use super::LocalStore;
use crate::store::record::{Change, SeenState};
use crate::store::seen::{SeenMark, SeenMarks};
use crate::store::{AccountId, Entry, MailboxId, Result, StoreError, Uid, UidSet, keys};

impl LocalStore {
    pub(super) fn read_seen(&self, mailbox: MailboxId, user: AccountId) -> Result<SeenMarks> {
        let rows = self.inner.table.scan::<SeenState>(keys::within(&keys::seen_by(mailbox.0, user.0)));
        let states: Result<Vec<SeenState>> = rows.map(|row| Ok(row?.1.value)).collect();
        Ok(SeenMarks::new(states?))
    }

    /// Marks those of the messages that are there, and are not marked so already.
    pub(super) async fn messages_mark_seen(
        &self,
        mailbox: MailboxId,
        user: AccountId,
        uids: UidSet,
        seen: bool,
    ) -> Result<()> {
        let owner = self.mailbox_state(mailbox)?.ok_or(StoreError::NoSuchMailbox)?.account;
        let gate = self.inner.gates.of(owner);
        let _changes = gate.changes.lock().await;
        let index = self.index_now(mailbox, &uids).await?;
        let marks = self.read_seen(mailbox, user)?;
        let is_seen = |uid: Uid| marks.of(uid).is_some_and(|mark| mark.seen);
        let changed = index.within(&uids).map(Entry::uid).filter(|uid| is_seen(*uid) != seen);
        let changed: UidSet = changed.collect();
        if changed.is_empty() {
            return Ok(());
        }
        let append = {
            let mut heads = gate.heads.lock();
            let modseq = heads.of(&self.inner.table, mailbox.0)?.take_modseq();
            let mut states =
                marks.marked(&changed, SeenMark { seen, modseq }, |uid| index.get(uid).is_some());
            for state in &mut states {
                (state.mailbox, state.account) = (mailbox.0, user.0);
            }
            self.propose_bookkeeping(&Change { seen: states, ..Change::default() })
        };
        append.await?;
        Ok(())
    }
}
