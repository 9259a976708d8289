//! Leaves of messages, in the form in which changes work on them, until they are committed.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use journal::Position;

use super::State;
use crate::store::leaf::{self, Leaf};
use crate::store::record::Uids;
use crate::store::{Result, keys};

/// Leaves that were looked at since the last commit, by mailbox and number.
pub(super) type Held = HashMap<(u64, u32), HeldLeaf>;

/// A leaf at hand.
#[derive(Debug)]
pub(super) struct HeldLeaf {
    pub(super) leaf: Leaf,
    /// It is not what its row says any more.
    pub(super) changed: bool,
    /// What its keywords count as its row says ([`Leaf::keyword_octets`]).
    counted: Vec<(Position, i64)>,
}

impl State {
    /// Takes a leaf to work on; [`State::put_back`] is to follow.
    pub(super) fn take_leaf(&mut self, mailbox: u64, number: u32) -> Result<HeldLeaf> {
        if let Some(held) = self.leaves.remove(&(mailbox, number)) {
            return Ok(held);
        }
        let stored = self.table.get::<Leaf>(&keys::leaf(mailbox, number))?;
        let leaf = stored.map_or_else(|| Leaf::empty(number), |stored| stored.value);
        let counted = leaf.keyword_octets();
        Ok(HeldLeaf { leaf, changed: false, counted })
    }

    pub(super) fn put_back(&mut self, mailbox: u64, held: impl Into<Option<HeldLeaf>>) {
        if let Some(held) = held.into() {
            self.leaves.insert((mailbox, held.leaf.number()), held);
        }
    }

    /// Takes a leaf to work on, if it is not the one at hand, which is put back then.
    pub(super) fn next_leaf(
        &mut self,
        mailbox: u64,
        at_hand: Option<HeldLeaf>,
        number: u32,
    ) -> Result<HeldLeaf> {
        match at_hand {
            Some(held) if held.leaf.number() == number => Ok(held),
            other => {
                self.put_back(mailbox, other);
                self.take_leaf(mailbox, number)
            }
        }
    }

    /// Works on the leaves that ranges of UIDs reach into, each with a range of its own.
    pub(super) fn each_leaf(
        &mut self,
        mailbox: u64,
        uids: &[Uids],
        mut work: impl FnMut(&mut Self, &mut HeldLeaf, &RangeInclusive<u32>) -> Result<()>,
    ) -> Result<()> {
        let mut at_hand: Option<HeldLeaf> = None;
        for (number, uids) in leaf::pieces(uids.iter().map(|uids| uids.first..=uids.last)) {
            // Many short ranges may reach into one leaf.
            let mut held = self.next_leaf(mailbox, at_hand, number)?;
            work(self, &mut held, &uids)?;
            at_hand = Some(held);
        }
        self.put_back(mailbox, at_hand);
        Ok(())
    }

    /// Adds the leaves that changed to what is about to be committed, with what their keywords need of the journal, and
    /// keeps for the indexes those that they want.
    pub(super) fn write_leaves(&mut self, at: Position) {
        for mailbox in self.news.mailboxes.keys().filter(|mailbox| self.indexes.follows(**mailbox)) {
            self.news.leaves.entry(*mailbox).or_default();
        }
        for ((mailbox, number), HeldLeaf { leaf, changed, counted }) in std::mem::take(&mut self.leaves) {
            if !changed {
                continue;
            }
            for (record, octets) in counted {
                self.weigh(record, -octets);
            }
            for (record, octets) in leaf.keyword_octets() {
                self.weigh(record, octets);
            }
            let key = keys::leaf(mailbox, number);
            if leaf.is_empty() {
                self.pending.delete(key);
            } else {
                self.pending.put(key, at, &leaf);
            }
            if let Some(wanted) = self.news.leaves.get_mut(&mailbox) {
                wanted.insert(number, leaf);
            }
        }
    }
}
