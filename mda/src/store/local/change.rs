//! Changes to messages that are there: flags, copies, moves and expunges.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::LocalStore;
use super::place::check_flags;
use crate::store::gate::Gate;
use crate::store::record::{Change, Expunged, Flagged, Placed, Uids};
use crate::store::{
    AccountId, Copied, FlagChange, FlagsStored, Mailbox, MailboxId, MailboxName, ModSeq, Result, Row,
    StoreError, SystemFlag, Uid, UidSet,
};

/// Messages changed by one record: more would hold up the changes behind it.
const BATCH: usize = 2_000;

/// The most messages of one COPY, which happens whole or not at all: they have to fit into one record.
const MAX_COPY: usize = 5_000;

impl LocalStore {
    pub(super) async fn messages_flag(
        &self,
        mailbox: MailboxId,
        uids: UidSet,
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<FlagsStored> {
        check_flags(change.flags())?;
        let gate = self.gate_of(mailbox)?;
        let _changes = gate.changes.lock().await;
        let rows = self.rows_now(mailbox, uids).await?;
        let is_modified = |row: &Row| unchanged_since.is_some_and(|modseq| row.modseq > modseq);
        let (modified, mut rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_modified);
        for batch in rows.chunks_mut(BATCH) {
            self.flag_batch(&gate, mailbox, batch, &change).await?;
        }
        Ok(FlagsStored { rows, modified: modified.iter().map(|row| row.uid).collect() })
    }

    async fn flag_batch(
        &self,
        gate: &Gate,
        mailbox: MailboxId,
        rows: &mut [Row],
        change: &FlagChange,
    ) -> Result<()> {
        let append = {
            let mut heads = gate.heads.lock();
            let head = heads.of(&self.inner.table, mailbox.0)?;
            let mut modseq = None;
            // Messages that come to the same flags share an entry.
            let mut groups: BTreeMap<(u8, Vec<String>), Vec<Uid>> = BTreeMap::new();
            for row in rows {
                let flags = row.flags.changed(change);
                if flags == row.flags {
                    continue;
                }
                check_flags(&flags)?;
                let key = (flags.bits(), flags.keywords().map(str::to_owned).collect());
                groups.entry(key).or_default().push(row.uid);
                row.flags = flags;
                row.modseq = *modseq.get_or_insert_with(|| head.take_modseq());
            }
            let Some(modseq) = modseq else { return Ok(()) };
            let flagged = groups.into_iter().map(|((bits, keywords), uids)| Flagged {
                mailbox: mailbox.0,
                modseq,
                uids: ranges(&uids.into_iter().collect()),
                flags: u32::from(bits),
                keywords,
            });
            // Messages are marked as deleted by their flags.
            self.propose_bookkeeping(&Change { flagged: flagged.collect(), ..Change::default() })
        };
        append.await?;
        Ok(())
    }

    pub(super) async fn messages_copy(
        &self,
        mailbox: MailboxId,
        uids: UidSet,
        to: &MailboxName,
    ) -> Result<Copied> {
        let gate = self.gate_of(mailbox)?;
        let _changes = gate.changes.lock().await;
        let target = self.target(mailbox, to)?;
        let rows = self.rows_now(mailbox, uids).await?;
        if rows.len() > MAX_COPY {
            return Err(StoreError::OverLimit { what: "messages of one copy", limit: MAX_COPY as u64 });
        }
        let uids = self.transfer(&gate, &rows, &target, None).await?;
        Ok(Copied { mailbox: target.id, uid_validity: target.uid_validity, uids })
    }

    pub(super) async fn messages_move(
        &self,
        mailbox: MailboxId,
        uids: UidSet,
        to: &MailboxName,
    ) -> Result<Copied> {
        let gate = self.gate_of(mailbox)?;
        let _changes = gate.changes.lock().await;
        let target = self.target(mailbox, to)?;
        let rows = self.rows_now(mailbox, uids).await?;
        let mut uids = Vec::with_capacity(rows.len());
        for batch in rows.chunks(BATCH) {
            uids.extend(self.transfer(&gate, batch, &target, Some(mailbox)).await?);
        }
        Ok(Copied { mailbox: target.id, uid_validity: target.uid_validity, uids })
    }

    /// Places messages in another mailbox and, for a move, takes them out of the old one by the same record.
    async fn transfer(
        &self,
        gate: &Gate,
        rows: &[Row],
        target: &Mailbox,
        moved_from: Option<MailboxId>,
    ) -> Result<Vec<(Uid, Uid)>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut pairs = Vec::with_capacity(rows.len());
        let append = {
            let mut heads = gate.heads.lock();
            let head = heads.of(&self.inner.table, target.id.0)?;
            let modseq = head.take_modseq();
            let mut change = Change::default();
            for row in rows {
                let uid = head.take_uid()?;
                change.placed.push(copy_of(row, target.id, uid, modseq));
                pairs.push((row.uid, uid));
            }
            if let Some(source) = moved_from {
                let modseq = heads.of(&self.inner.table, source.0)?.take_modseq();
                change.expunged.push(expunged(source, modseq, rows));
            }
            // A copy adds to what is there; a move to the trash is how many clients delete.
            if moved_from.is_some() { self.propose_bookkeeping(&change) } else { self.propose(&change) }
        };
        append.await?;
        Ok(pairs)
    }

    pub(super) async fn messages_expunge(
        &self,
        mailbox: MailboxId,
        uids: UidSet,
        only_deleted: bool,
    ) -> Result<UidSet> {
        let gate = self.gate_of(mailbox)?;
        let _changes = gate.changes.lock().await;
        let mut rows = self.rows_now(mailbox, uids).await?;
        rows.retain(|row| !only_deleted || row.flags.has(SystemFlag::Deleted));
        for batch in rows.chunks(BATCH) {
            let append = {
                let mut heads = gate.heads.lock();
                let modseq = heads.of(&self.inner.table, mailbox.0)?.take_modseq();
                self.propose_bookkeeping(&Change {
                    expunged: vec![expunged(mailbox, modseq, batch)],
                    ..Change::default()
                })
            };
            append.await?;
        }
        Ok(rows.iter().map(|row| row.uid).collect())
    }

    fn gate_of(&self, mailbox: MailboxId) -> Result<Arc<Gate>> {
        let state = self.mailbox_state(mailbox)?.ok_or(StoreError::NoSuchMailbox)?;
        Ok(self.inner.gates.of(state.account))
    }

    /// The rows of a set; with the gate's `changes` held, only new messages may come beside them.
    async fn rows_now(&self, mailbox: MailboxId, uids: UidSet) -> Result<Vec<Row>> {
        if self.mailbox_state(mailbox)?.is_none() {
            return Err(StoreError::NoSuchMailbox);
        }
        self.read_aside(move |store| store.rows_of(mailbox, &uids)).await
    }

    /// The mailbox `to` of the account that `mailbox` belongs to.
    fn target(&self, mailbox: MailboxId, to: &MailboxName) -> Result<Mailbox> {
        let state = self.mailbox_state(mailbox)?.ok_or(StoreError::NoSuchMailbox)?;
        self.read_mailbox(AccountId(state.account), to)?.ok_or(StoreError::NoSuchMailbox)
    }
}

pub(super) fn copy_of(row: &Row, mailbox: MailboxId, uid: Uid, modseq: u64) -> Placed {
    Placed {
        mailbox: mailbox.0,
        uid,
        modseq,
        email: row.email.0,
        message_id: row.message_id.as_bytes().to_vec(),
        flags: u32::from(row.flags.bits()),
        keywords: row.flags.keywords().map(str::to_owned).collect(),
        internal_date: row.internal_date.as_second(),
        size: row.size,
        position: Vec::new(),
    }
}

fn expunged(mailbox: MailboxId, modseq: u64, rows: &[Row]) -> Expunged {
    Expunged { mailbox: mailbox.0, modseq, uids: ranges(&rows.iter().map(|row| row.uid).collect()) }
}

fn ranges(uids: &UidSet) -> Vec<Uids> {
    uids.ranges().iter().map(|range| Uids { first: *range.start(), last: *range.end() }).collect()
}
