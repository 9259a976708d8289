//! What the owner of a journal knows when the power is lost: the marks that it made in the recording.

use std::collections::BTreeSet;

use crate::faults::Recording;

/// What the owner knows when the power is lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Records that it has asked to append: so many, numbered in their order.
    pub(super) asked: u64,
    pub(super) acknowledged: BTreeSet<u64>,
    /// Those were not taken, and must never appear.
    pub(super) refused: BTreeSet<u64>,
    /// It needs them no more, or cannot know what became of them.
    pub(super) released: BTreeSet<u64>,
    /// Segments that it was told are gone.
    pub(super) gone: BTreeSet<u64>,
}

#[derive(Clone, Copy)]
pub(super) enum Mark {
    Asked,
    Acknowledged,
    Refused,
    Released,
    Gone,
}

impl Known {
    pub(super) fn of(recording: &Recording, steps: usize) -> Self {
        let mut known = Self::default();
        for mark in recording.marks(steps) {
            let number = mark >> 3;
            match mark & 7 {
                0 => known.asked = number + 1,
                1 => drop(known.acknowledged.insert(number)),
                2 => drop(known.refused.insert(number)),
                3 => drop(known.released.insert(number)),
                _ => drop(known.gone.insert(number)),
            }
        }
        known
    }
}

pub(super) fn mark_in(recording: &Recording, mark: Mark, number: u64) {
    recording.mark(number << 3 | mark as u64);
}
