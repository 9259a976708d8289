//! What somebody other than its owner has seen of a mailbox (RFC 4314 §4: `\Seen` may be each user's own).
//!
//! The owner's `\Seen` is the message's flag. What another user has seen is kept beside the mailbox, by runs of UIDs, in
//! blocks of so many UIDs that a block's state is always small; a mailbox that nobody else reads has none.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::record::{SeenRun, SeenState};
use super::{ModSeq, Uid, UidSet};

/// UIDs of a block.
const BLOCK: u32 = 4_096;

/// Messages of a mailbox that a user marked, as seen or as unseen again. All others the user has not seen.
#[derive(Debug, Clone, Default)]
pub struct SeenMarks {
    blocks: BTreeMap<u32, Arc<SeenState>>,
}

/// What a user last made of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenMark {
    /// It is seen.
    pub seen: bool,
    /// When that was said.
    pub modseq: ModSeq,
}

impl SeenMarks {
    pub(super) fn new(states: impl IntoIterator<Item = SeenState>) -> Self {
        Self { blocks: states.into_iter().map(|state| (state.block, Arc::new(state))).collect() }
    }

    /// What was made of a message, if anything was.
    pub fn of(&self, uid: Uid) -> Option<SeenMark> {
        let runs = &self.blocks.get(&(uid / BLOCK))?.runs;
        let run = runs.get(runs.partition_point(|run| run.last < uid)).filter(|run| run.first <= uid)?;
        Some(SeenMark { seen: run.seen, modseq: run.modseq })
    }

    /// These say the same as earlier ones about some UIDs.
    pub(super) fn are_those_of(&self, before: &Self, uids: &RangeInclusive<Uid>) -> bool {
        let blocks = uids.start() / BLOCK..=uids.end() / BLOCK;
        let modseqs = |marks: &Self| -> Vec<(u32, ModSeq)> {
            marks.blocks.range(blocks.clone()).map(|(block, state)| (*block, state.modseq)).collect()
        };
        modseqs(self) == modseqs(before)
    }

    /// The blocks that change when some messages are marked. `there` says of which UIDs there are messages: what was
    /// said of others is forgotten.
    pub(super) fn marked(
        &self,
        uids: &UidSet,
        mark: SeenMark,
        mut there: impl FnMut(Uid) -> bool,
    ) -> Vec<SeenState> {
        let mut changed: Vec<u32> = Vec::new();
        for range in uids.ranges() {
            changed.extend(range.start() / BLOCK..=range.end() / BLOCK);
        }
        changed.dedup();
        let mut states = Vec::new();
        for block in changed {
            let mut runs: Vec<SeenRun> = Vec::new();
            for uid in block * BLOCK..=block * BLOCK + (BLOCK - 1) {
                let mark = if uids.contains(uid) { Some(mark) } else { self.of(uid) };
                let Some(SeenMark { seen, modseq }) = mark.filter(|_| there(uid)) else { continue };
                match runs.last_mut() {
                    Some(run) if run.seen == seen && run.modseq == modseq && run.last + 1 == uid => {
                        run.last = uid;
                    }
                    _ => runs.push(SeenRun { first: uid, last: uid, seen, modseq }),
                }
            }
            states.push(SeenState { mailbox: 0, account: 0, block, modseq: mark.modseq, runs });
        }
        states
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[RangeInclusive<Uid>]) -> UidSet {
        ranges.iter().cloned().collect()
    }

    #[test]
    fn marks_are_kept_by_block_and_run() {
        let seen = |modseq| SeenMark { seen: true, modseq };
        let first = SeenMarks::new(SeenMarks::default().marked(&set(&[4_000..=5_000]), seen(7), |_| true));
        assert_eq!(first.blocks.len(), 2);
        assert!(first.blocks.values().all(|block| block.runs.len() == 1));
        assert_eq!(first.of(4_095), Some(seen(7)));
        assert_eq!(first.of(5_001), None);
        let unseen = SeenMark { seen: false, modseq: 8 };
        let states = first.marked(&set(&[4_010..=4_010]), unseen, |uid| uid != 4_001);
        assert_eq!(states.len(), 1, "the other block stays");
        let runs: Vec<_> =
            states[0].runs.iter().map(|run| (run.first, run.last, run.seen, run.modseq)).collect();
        assert_eq!(
            runs,
            [
                (4_000, 4_000, true, 7),
                (4_002, 4_009, true, 7),
                (4_010, 4_010, false, 8),
                (4_011, 4_095, true, 7)
            ]
        );
    }

    #[test]
    fn what_is_the_same_is_told_by_block() {
        let mark = SeenMark { seen: true, modseq: 2 };
        let before = SeenMarks::new(SeenMarks::default().marked(&set(&[1..=1]), mark, |_| true));
        assert!(before.are_those_of(&before.clone(), &(1..=9_000)));
        assert!(!before.are_those_of(&SeenMarks::default(), &(1..=9_000)));
        assert!(before.are_those_of(&SeenMarks::default(), &(4_096..=9_000)));
    }
}
