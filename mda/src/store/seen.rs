//! What somebody other than its owner has seen of a mailbox (RFC 4314 §4: `\Seen` may be each user's own).
//!
//! The owner's `\Seen` is the message's flag. What another user has seen is kept beside the mailbox, by runs of UIDs, in
//! blocks of so many UIDs that a block's state is always small; a mailbox that nobody else reads has none.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::record::{SeenRun, SeenState};
use super::{Entry, Index, ModSeq, Uid, UidSet};

/// UIDs of a block: it is written whole whenever one of them is marked.
const BLOCK: u32 = 256;

/// Of marks whose number is not taken yet.
const UNDATED: ModSeq = 0;

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

    /// How many messages of a mailbox the user has not seen. The work is in proportion to the marks, not to the messages.
    pub fn unseen_of(&self, index: &Index) -> u32 {
        let runs = self.blocks.values().flat_map(|block| &block.runs).filter(|run| run.seen);
        let seen = runs.map(|run| {
            let first = index.position(run.first).unwrap_or_else(|place| place);
            index.position(run.last).map_or_else(|place| place, |last| last + 1) - first
        });
        index.len() - seen.sum::<u32>()
    }

    /// The UIDs of all marks that are written anew when some messages are marked.
    pub(super) fn around(uids: &UidSet) -> UidSet {
        blocks_of(uids).map(uids_of).collect()
    }

    /// The blocks that change when some messages are marked: dated once that is to be written. What was said of
    /// messages that an index lacks is forgotten: it must have those of [`SeenMarks::around`].
    pub(super) fn marked(&self, uids: &UidSet, seen: bool, index: &Index) -> Vec<SeenState> {
        let mark = SeenMark { seen, modseq: UNDATED };
        let blocks = blocks_of(uids).map(|block| {
            let mut runs: Vec<SeenRun> = Vec::new();
            for uid in index.range(uids_of(block)).map(Entry::uid) {
                let mark = if uids.contains(uid) { Some(mark) } else { self.of(uid) };
                let Some(SeenMark { seen, modseq }) = mark else { continue };
                match runs.last_mut() {
                    Some(run) if run.seen == seen && run.modseq == modseq && run.last + 1 == uid => {
                        run.last = uid;
                    }
                    _ => runs.push(SeenRun { first: uid, last: uid, seen, modseq }),
                }
            }
            SeenState { mailbox: 0, account: 0, block, modseq: UNDATED, runs }
        });
        blocks.collect()
    }
}

impl SeenState {
    /// Says when its new marks were made.
    pub(super) fn date(&mut self, now: ModSeq) {
        let runs = self.runs.iter_mut().map(|run| &mut run.modseq);
        for modseq in runs.chain([&mut self.modseq]).filter(|modseq| **modseq == UNDATED) {
            *modseq = now;
        }
    }

    /// Its marks ascend, are of UIDs of its block, and none is newer than itself.
    pub(super) fn is_in_order(&self) -> bool {
        // A damaged number is of no block.
        if self.block > Uid::MAX / BLOCK {
            return false;
        }
        let own = uids_of(self.block);
        let ascend = self.runs.is_sorted_by(|one, other| one.last < other.first);
        let fits = |run: &SeenRun| {
            own.contains(&run.first)
                && own.contains(&run.last)
                && run.first <= run.last
                && run.modseq <= self.modseq
        };
        ascend && self.runs.iter().all(fits)
    }
}

/// The blocks of some UIDs, each once, ascending.
fn blocks_of(uids: &UidSet) -> impl Iterator<Item = u32> {
    let mut next = 0;
    uids.ranges().iter().flat_map(move |range| {
        // Many short ranges may belong to one block.
        let (first, last) = ((range.start() / BLOCK).max(next), range.end() / BLOCK);
        next = last + 1;
        first..=last
    })
}

fn uids_of(block: u32) -> RangeInclusive<Uid> {
    block * BLOCK..=block * BLOCK + (BLOCK - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Flags, MadeIndex, Personal};

    fn set(ranges: &[RangeInclusive<Uid>]) -> UidSet {
        ranges.iter().cloned().collect()
    }

    /// What there is once these are marked besides.
    fn marked(marks: &SeenMarks, uids: &UidSet, mark: SeenMark, index: &Index) -> SeenMarks {
        let mut now = marks.clone();
        for mut state in marks.marked(uids, mark.seen, index) {
            state.date(mark.modseq);
            now.blocks.insert(state.block, Arc::new(state));
        }
        now
    }

    #[test]
    fn marks_are_kept_by_block_and_run() {
        let seen = |modseq| SeenMark { seen: true, modseq };
        let mut made = MadeIndex::new();
        let first = marked(&SeenMarks::default(), &set(&[200..=300]), seen(7), &made.append(400));
        assert_eq!(first.blocks.len(), 2);
        assert!(first.blocks.values().all(|block| block.runs.len() == 1));
        assert_eq!(first.of(255), Some(seen(7)));
        assert_eq!(first.of(301), None);
        let index = made.commit(&[(201, None)]);
        let mut states = first.marked(&set(&[210..=210]), false, &index);
        assert_eq!(states.len(), 1, "the other block stays");
        states[0].date(8);
        let runs: Vec<_> =
            states[0].runs.iter().map(|run| (run.first, run.last, run.seen, run.modseq)).collect();
        assert_eq!(
            runs,
            [(200, 200, true, 7), (202, 209, true, 7), (210, 210, false, 8), (211, 255, true, 7)]
        );
    }

    #[test]
    fn what_is_the_same_is_told_by_block() {
        let mark = SeenMark { seen: true, modseq: 2 };
        let index = MadeIndex::new().append(1);
        let before = marked(&SeenMarks::default(), &set(&[1..=1]), mark, &index);
        assert!(before.are_those_of(&before.clone(), &(1..=9_000)));
        assert!(!before.are_those_of(&SeenMarks::default(), &(1..=9_000)));
        assert!(before.are_those_of(&SeenMarks::default(), &(256..=9_000)));
    }

    #[test]
    fn what_is_written_anew_with_marks_is_their_blocks() {
        assert_eq!(SeenMarks::around(&set(&[1..=1, 3..=3, 255..=256])), set(&[0..=511]));
        assert_eq!(SeenMarks::around(&set(&[600..=600])), set(&[512..=767]));
        assert_eq!(SeenMarks::around(&set(&[Uid::MAX..=Uid::MAX])).ranges()[0].end(), &Uid::MAX);
    }

    #[test]
    fn the_unseen_are_counted_by_marks_as_one_by_one() {
        let mut made = MadeIndex::new();
        let index = made.append(600);
        let mark = |seen| SeenMark { seen, modseq: 2 };
        let seen = marked(&SeenMarks::default(), &set(&[1..=1, 3..=290, 600..=600]), mark(true), &index);
        let seen = marked(&seen, &set(&[10..=11]), mark(false), &index);
        let gone: Vec<(Uid, Option<Flags>)> =
            [1, 2, 4, 290, 291, 600].into_iter().map(|uid| (uid, None)).collect();
        for (index, unseen) in [(index, 600 - 288), (made.commit(&gone), 594 - 284)] {
            assert_eq!(seen.unseen_of(&index), unseen);
            assert_eq!(Personal::new(index, seen.clone()).index().status().unseen, unseen);
        }
        assert_eq!(seen.unseen_of(&MadeIndex::new().index()), 0);
    }
}
