//! Changes to messages that are there: flags, copies, moves and expunges.

use std::collections::{HashMap, hash_map};
use std::sync::Arc;

use jiff::Timestamp;
use journal::Append;
use prost::Message;

use super::LocalStore;
use super::place::check_flags;
use super::quota::{Addition, usage_of};
use crate::store::gate::Gate;
use crate::store::record::{Change, Expunged, Flagged, Placed, Uids};
use crate::store::{
    AccountId, Copied, Entry, FlagChange, Flags, Index, Mailbox, MailboxId, MailboxName, ModSeq, Result,
    StoreError, SystemFlag, Uid, UidSet, Usage,
};

/// Messages moved by one record: more would hold up the changes behind it.
const BATCH: usize = 2_000;

/// Octets of messages' places, or of their flags, in one record.
pub(super) const MAX_OCTETS: usize = 512 << 10;

/// Messages whose flags are changed by one record, which costs less than to move them.
const FLAGGED_AT_ONCE: usize = 10_000;

/// Octets in a record of flags that some messages come to, beside their keywords and UIDs, at most.
const BESIDE_FLAGS: usize = 40;

/// Octets in it of a range of their UIDs, at most.
const RANGE: usize = 16;

/// The most messages of one COPY, which happens whole or not at all: they have to fit into one record.
const MAX_COPY: usize = 5_000;

impl LocalStore {
    pub(super) async fn messages_flag(
        &self,
        mailbox: MailboxId,
        uids: UidSet,
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<UidSet> {
        check_flags(change.flags())?;
        let gate = self.gate_of(mailbox)?;
        let _changes = gate.changes.lock().await;
        let index = self.index_now(mailbox, &uids).await?;
        let is_modified = |entry: &Entry| unchanged_since.is_some_and(|modseq| entry.modseq() > modseq);
        let (batches, modified) = reflag(&index, &uids, &change, is_modified)?;
        let mut appends = Vec::new();
        let proposed = self.propose_flags(&gate, mailbox, batches, &mut appends);
        all_done(appends).await.and(proposed)?;
        Ok(modified)
    }

    /// All are on their way before the first is waited for, so that they may be made durable together. What is on its way
    /// is in `appends`, also after an error.
    pub(super) fn propose_flags(
        &self,
        gate: &Gate,
        mailbox: MailboxId,
        batches: Vec<Reflagged>,
        appends: &mut Vec<Append<()>>,
    ) -> Result<()> {
        for batch in batches {
            let mut heads = gate.heads.lock();
            let modseq = heads.of(&self.inner.table, mailbox.0)?.take_modseq();
            // Messages are marked as deleted by their flags.
            appends.push(self.propose_bookkeeping(&record_of(mailbox, modseq, batch)));
        }
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
        if self.uids_now(mailbox, &uids).await?.len() > MAX_COPY {
            return Err(StoreError::OverLimit { what: "messages of one copy", limit: MAX_COPY as u64 });
        }
        let rows = self.placed_now(mailbox, uids).await?;
        let more = usage_of(rows.iter().map(|row| row.size));
        let reserved = {
            let mut heads = gate.heads.lock();
            self.reserve(&gate, &mut heads, target.account, more, Usage::default(), Addition::Client)?
        };
        let uids = self.transfer(&gate, &rows, &target, None).await?;
        reserved.keep();
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
        let to_move = self.uids_now(mailbox, &uids).await?;
        let mut uids = Vec::with_capacity(to_move.len());
        for some in to_move.chunks(BATCH) {
            let rows = self.placed_now(mailbox, some.iter().copied().collect()).await?;
            for batch in in_records(&rows, BATCH, 0) {
                uids.extend(self.transfer(&gate, batch, &target, Some(mailbox)).await?);
            }
        }
        Ok(Copied { mailbox: target.id, uid_validity: target.uid_validity, uids })
    }

    /// Places messages in another mailbox and, for a move, takes them out of the old one by the same record.
    pub(super) async fn transfer(
        &self,
        gate: &Gate,
        rows: &[Placed],
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
                change.expunged.push(expunged(source, modseq, rows.iter().map(|row| row.uid)));
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
        let of = self.read_mailbox_by_id(mailbox)?.ok_or(StoreError::NoSuchMailbox)?;
        let index = self.index_now(mailbox, &uids).await?;
        let doomed = index.within(&uids).filter(|entry| !only_deleted || entry.has(SystemFlag::Deleted));
        let doomed: Vec<_> = doomed.map(Leaving::of).collect();
        self.take_away(&gate, &of, &doomed).await?;
        Ok(doomed.iter().map(|leaving| leaving.uid).collect())
    }

    /// Which messages of a set there are: to be counted, and read some at a time, for of a large mailbox all of them would
    /// take much memory.
    pub(super) async fn uids_now(&self, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Uid>> {
        let index = self.index_now(mailbox, uids).await?;
        Ok(index.within(uids).map(Entry::uid).collect())
    }

    fn gate_of(&self, mailbox: MailboxId) -> Result<Arc<Gate>> {
        Ok(self.inner.gates.of(self.owner(mailbox)?.0))
    }

    pub(super) fn owner(&self, mailbox: MailboxId) -> Result<AccountId> {
        Ok(AccountId(self.mailbox_state(mailbox)?.ok_or(StoreError::NoSuchMailbox)?.account))
    }

    /// The messages of a set; with the gate's `changes` held, only new ones may come beside them.
    pub(super) async fn placed_now(&self, mailbox: MailboxId, uids: UidSet) -> Result<Vec<Placed>> {
        self.read_aside(move |store| store.placed_of(mailbox, &uids)).await
    }

    /// The mailbox `to` of the account that `mailbox` belongs to.
    fn target(&self, mailbox: MailboxId, to: &MailboxName) -> Result<Mailbox> {
        let state = self.mailbox_state(mailbox)?.ok_or(StoreError::NoSuchMailbox)?;
        self.read_mailbox(AccountId(state.account), to)?.ok_or(StoreError::NoSuchMailbox)
    }
}

/// Waits for all changes of a gate: nothing may be on its way any more when it is let go of, whatever became of some.
pub(super) async fn all_done(appends: Vec<Append<()>>) -> Result<()> {
    let mut failed = None;
    for append in appends {
        if let Err(error) = append.await {
            failed.get_or_insert(error);
        }
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// Cuts messages into as many as one record may place: no more than `at_most`, and with their keywords, and so many
/// octets beside each, no more than it holds.
pub(super) fn in_records(rows: &[Placed], at_most: usize, beside: usize) -> impl Iterator<Item = &[Placed]> {
    let mut left = rows;
    std::iter::from_fn(move || {
        let mut octets = 0;
        let fit = left.iter().take(at_most).take_while(|row| {
            octets += row.encoded_len() + beside;
            octets <= MAX_OCTETS
        });
        // One fits always: it came in one record.
        let (batch, rest) = left.split_at(fit.count().max(1).min(left.len()));
        left = rest;
        (!batch.is_empty()).then_some(batch)
    })
}

/// A message that is about to go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    pub(super) uid: Uid,
    /// Its octets.
    pub(super) size: u64,
}

impl Leaving {
    pub(super) fn of(entry: &Entry) -> Self {
        Self { uid: entry.uid(), size: entry.size() }
    }
}

/// Messages that come to the same flags.
pub(super) type Reflagged = Vec<(Flags, UidSet)>;

/// What flags messages come to by a change, those that keep theirs left out, in batches of what one record may change;
/// and the messages that must not be changed.
pub(super) fn reflag(
    index: &Index,
    uids: &UidSet,
    change: &FlagChange,
    is_modified: impl Fn(&Entry) -> bool,
) -> Result<(Vec<Reflagged>, UidSet)> {
    let mut batches: Vec<Reflagged> = Vec::new();
    // Messages that have the same flags come to the same flags: their place in the batch.
    let mut known: HashMap<_, Option<usize>> = HashMap::new();
    // Of the message before, which is mostly of the same.
    let mut last = None;
    let (mut left, mut octets) = (0, 0);
    let mut modified = UidSet::none();
    for entry in index.within(uids) {
        if is_modified(entry) {
            modified.push(entry.uid());
            continue;
        }
        if left == 0 || octets > MAX_OCTETS {
            (left, octets) = (FLAGGED_AT_ONCE, 0);
            batches.push(Vec::new());
            known.clear();
            last = None;
        }
        let Some(batch) = batches.last_mut() else { continue };
        let key = entry.flags_key();
        let group = match last {
            Some((last, group)) if last == key => group,
            _ => match known.entry(key) {
                hash_map::Entry::Occupied(known) => *known.get(),
                hash_map::Entry::Vacant(vacant) => {
                    let flags = index.flags(entry);
                    let changed = flags.changed(change);
                    check_flags(&changed)?;
                    octets += BESIDE_FLAGS;
                    octets += changed.keywords().map(|keyword| keyword.len() + 2).sum::<usize>();
                    *vacant.insert((changed != flags).then(|| {
                        batch.push((changed, UidSet::none()));
                        batch.len() - 1
                    }))
                }
            },
        };
        last = Some((key, group));
        if let Some(group) = group {
            let uids = &mut batch[group].1;
            let before = uids.ranges().len();
            uids.push(entry.uid());
            octets += (uids.ranges().len() - before) * RANGE;
            left -= 1;
        }
    }
    batches.retain(|batch| !batch.is_empty());
    Ok((batches, modified))
}

fn record_of(mailbox: MailboxId, modseq: ModSeq, batch: Reflagged) -> Change {
    let flagged = batch.into_iter().map(|(flags, uids)| Flagged {
        mailbox: mailbox.0,
        modseq,
        uids: ranges(&uids),
        flags: flags.bits().into(),
        keywords: flags.keywords().map(str::to_owned).collect(),
    });
    Change { flagged: flagged.collect(), ..Change::default() }
}

pub(super) fn copy_of(row: &Placed, mailbox: MailboxId, uid: Uid, modseq: u64) -> Placed {
    Placed {
        mailbox: mailbox.0,
        uid,
        modseq,
        // A copy is saved when it is made (RFC 8514 §3).
        saved_at: Timestamp::now().as_second(),
        kept_of: 0,
        kept_of_name: String::new(),
        ..row.clone()
    }
}

pub(super) fn expunged(mailbox: MailboxId, modseq: u64, uids: impl Iterator<Item = Uid>) -> Expunged {
    Expunged { mailbox: mailbox.0, modseq, uids: ranges(&uids.collect()) }
}

fn ranges(uids: &UidSet) -> Vec<Uids> {
    uids.ranges().iter().map(|range| Uids { first: *range.start(), last: *range.end() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MadeIndex;

    #[test]
    fn no_batch_of_flags_is_larger_than_a_record() {
        // Each message has another set of many short keywords.
        let letters: Vec<String> =
            ('!'..='~').filter(|letter| !letter.is_ascii_uppercase()).map(String::from).collect();
        let (common, own) = letters.split_at(50);
        let rows = (1..=7_000_u32).map(|uid| {
            let mut flags = Flags::none();
            let its_own = own.iter().take(13).enumerate().filter(|(bit, _)| (uid >> bit) & 1 == 1);
            its_own.for_each(|(_, keyword)| flags.set_keyword(keyword));
            (uid, Some(flags))
        });
        let index = MadeIndex::new().commit(&rows.collect::<Vec<_>>());
        let mut added = Flags::none();
        for keyword in common {
            added.set_keyword(keyword);
        }
        let (batches, _) = reflag(&index, &UidSet::all(), &FlagChange::Add(added), |_| false).unwrap();
        let uids: u64 = batches.iter().flatten().map(|(_, uids)| uids.len()).sum();
        assert_eq!(uids, 7_000);
        for batch in batches {
            let octets = record_of(MailboxId(u64::MAX), u64::MAX, batch).encoded_len();
            assert!(octets < journal::MAX_META_BYTES, "{octets}");
        }
    }
}
