//! What others than its owner have seen of a mailbox.

use journal::Append;
use prost::Message as _;

use super::LocalStore;
use super::change::{MAX_OCTETS, Reflagged, all_done, reflag};
use super::place::check_flags;
use crate::store::gate::Gate;
use crate::store::record::{Change, SeenState};
use crate::store::seen::SeenMarks;
use crate::store::{
    AccountId, Entry, FlagChange, Flags, Index, MailboxId, ModSeq, Result, SystemFlag, UidSet, keys,
};

/// Octets that the modseq of a run takes at most.
const DATE: usize = 11;

impl LocalStore {
    pub(super) fn read_seen(&self, mailbox: MailboxId, user: AccountId) -> Result<SeenMarks> {
        let rows = self.inner.table.scan::<SeenState>(keys::within(&keys::seen_by(mailbox.0, user.0)));
        let states: Result<Vec<SeenState>> = rows.map(|row| Ok(row?.1.value)).collect();
        Ok(SeenMarks::new(states?))
    }

    /// With the owner's gate held all that it depends on stays as it is: the owner's `\Seen` too.
    pub(super) async fn messages_flag_as(
        &self,
        mailbox: MailboxId,
        user: AccountId,
        uids: UidSet,
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<UidSet> {
        let owner = self.owner(mailbox)?;
        if owner == user {
            return self.messages_flag(mailbox, uids, change, unchanged_since).await;
        }
        check_flags(change.flags())?;
        let gate = self.inner.gates.of(owner.0);
        let _changes = gate.changes.lock().await;
        let index = self.index_now(mailbox, &SeenMarks::around(&uids)).await?;
        let decide = move |store: &Self| {
            let marks = store.read_seen(mailbox, user)?;
            Decided::of(&index, &marks, &uids, &change, unchanged_since)
        };
        let Decided { modified, flags, mut seen } = self.read_aside(decide).await?;
        for state in &mut seen {
            (state.mailbox, state.account) = (mailbox.0, user.0);
        }
        let mut appends = Vec::new();
        let proposed = self
            .propose_flags(&gate, mailbox, flags, &mut appends)
            .and_then(|()| self.propose_seen(&gate, mailbox, seen, &mut appends));
        all_done(appends).await.and(proposed)?;
        Ok(modified)
    }

    fn propose_seen(
        &self,
        gate: &Gate,
        mailbox: MailboxId,
        mut states: Vec<SeenState>,
        appends: &mut Vec<Append<()>>,
    ) -> Result<()> {
        while !states.is_empty() {
            let left = states.split_off(fitting(&states));
            let mut seen = std::mem::replace(&mut states, left);
            let mut heads = gate.heads.lock();
            let modseq = heads.of(&self.inner.table, mailbox.0)?.take_modseq();
            for state in &mut seen {
                state.date(modseq);
            }
            appends.push(self.propose_bookkeeping(&Change { seen, ..Change::default() }));
        }
        Ok(())
    }
}

/// How many blocks of marks, still to be dated, one record holds.
fn fitting(states: &[SeenState]) -> usize {
    let mut octets = 0;
    let fit = states.iter().take_while(|state| {
        octets += state.encoded_len() + (state.runs.len() + 1) * DATE;
        octets <= MAX_OCTETS
    });
    fit.count().max(1).min(states.len())
}

/// What becomes of messages whose flags somebody other than their owner changes.
struct Decided {
    /// They had changed since, and are left alone.
    modified: UidSet,
    /// What the flags that all share come to.
    flags: Vec<Reflagged>,
    /// What the user has seen.
    seen: Vec<SeenState>,
}

impl Decided {
    fn of(
        index: &Index,
        marks: &SeenMarks,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Self> {
        let (mut modified, mut left, mut to_mark) = (UidSet::none(), UidSet::none(), UidSet::none());
        let seen = seen_by(change);
        for entry in index.within(uids) {
            let mark = marks.of(entry.uid());
            let modseq = mark.map_or(0, |mark| mark.modseq).max(entry.modseq());
            if unchanged_since.is_some_and(|since| modseq > since) {
                modified.push(entry.uid());
                continue;
            }
            left.push(entry.uid());
            if seen.is_some_and(|seen| seen != mark.is_some_and(|mark| mark.seen)) {
                to_mark.push(entry.uid());
            }
        }
        let mut flags = Vec::new();
        for (uids, change) in shared_changes(index, &left, change) {
            flags.extend(reflag(index, &uids, &change, |_| false)?.0);
        }
        let seen = seen.map_or_else(Vec::new, |seen| marks.marked(&to_mark, seen, index));
        Ok(Self { modified, flags, seen })
    }
}

/// What a change does to the flags that all share. Flags are replaced by others that have the owner's `\Seen`.
fn shared_changes(index: &Index, uids: &UidSet, change: &FlagChange) -> Vec<(UidSet, FlagChange)> {
    let seen = FlagChange::Remove(Flags::none().with(SystemFlag::Seen));
    let without = |flags: &Flags| flags.changed(&seen);
    match change {
        FlagChange::Add(flags) | FlagChange::Remove(flags) if without(flags).is_empty() => Vec::new(),
        FlagChange::Add(flags) => vec![(uids.clone(), FlagChange::Add(without(flags)))],
        FlagChange::Remove(flags) => vec![(uids.clone(), FlagChange::Remove(without(flags)))],
        FlagChange::Replace(flags) => {
            let (seen, unseen): (Vec<&Entry>, Vec<&Entry>) =
                index.within(uids).partition(|entry| entry.has(SystemFlag::Seen));
            let with = without(flags).with(SystemFlag::Seen);
            [(seen, with), (unseen, without(flags))]
                .into_iter()
                .filter(|(entries, _)| !entries.is_empty())
                .map(|(entries, flags)| {
                    (entries.into_iter().map(Entry::uid).collect(), FlagChange::Replace(flags))
                })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::SeenRun;

    #[test]
    fn marks_of_one_message_each_fit_into_their_records_once_they_are_dated() {
        let run = |uid| SeenRun { first: uid, last: uid, seen: true, modseq: 0 };
        let block = |block: u32| SeenState {
            mailbox: u64::MAX,
            account: u64::MAX,
            block,
            modseq: 0,
            runs: (block * 256..block * 256 + 256).map(run).collect(),
        };
        let mut left: Vec<SeenState> = (1_000_000..1_000_500).map(block).collect();
        let mut records = 0;
        while !left.is_empty() {
            let rest = left.split_off(fitting(&left));
            let mut seen = std::mem::replace(&mut left, rest);
            assert!(left.is_empty() || seen.len() > 10, "{}", seen.len());
            for state in &mut seen {
                state.date(u64::MAX);
            }
            assert!(Change { seen, ..Change::default() }.encoded_len() < MAX_OCTETS + (16 << 10));
            records += 1;
        }
        assert!(records > 1);
    }
}
