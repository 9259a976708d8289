//! A disk after the power was lost.

use std::collections::BTreeSet;

use super::{super::*, known::Known};
use crate::faults::{Loss, Recording};

/// A disk after the power was lost, and what must be on it.
pub(super) struct Disk<'a> {
    pub(super) bench: Bench,
    pub(super) known: &'a Known,
    pub(super) bodies: &'a [Bytes],
    pub(super) context: String,
}

impl Disk<'_> {
    /// Opens it and looks for all that was acknowledged. Gives what else there is, too.
    pub(super) fn check(&self) -> (Journal<u64>, BTreeSet<u64>) {
        let Self { known, context, .. } = self;
        let follow = Follow::default();
        let opened = Journal::open(self.bench.config.clone(), follow.clone());
        let (journal, _) = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
        let current = follow.current();
        let there: BTreeSet<u64> = current.keys().map(number).collect();
        let missing = |number: &u64| {
            !known.released.contains(number) && !known.refused.contains(number) && !there.contains(number)
        };
        let lost: Vec<_> = known.acknowledged.iter().copied().filter(missing).collect();
        assert!(lost.is_empty(), "{context}: {lost:?} are lost");
        let last = there.last().copied().unwrap_or_default();
        assert!(last < known.asked || there.is_empty(), "{context}: nobody asked for {last}");
        let holes: Vec<_> = (0..last).filter(missing).collect();
        assert!(holes.is_empty(), "{context}: {holes:?} are lost, and {last} is not");
        let refused: Vec<_> = known.refused.intersection(&there).collect();
        assert!(refused.is_empty(), "{context}: {refused:?} were refused, and are there");
        let originals = follow.seen().into_iter().filter(|entry| entry.copied_from.is_none());
        assert!(originals.map(|entry| number(&entry.meta)).is_sorted(), "{context}: out of order");
        let back = journal.segments().into_iter().find(|segment| known.gone.contains(&segment.0));
        assert_eq!(back, None, "{context}: a segment came back");
        for (meta, entry) in &current {
            let number = number(meta);
            if !known.released.contains(&number) {
                let body = journal.read(&entry.body, 0..entry.body.len());
                let body = body.unwrap_or_else(|error| panic!("{context}: {number}: {error}"));
                assert!(body == self.bodies[number as usize], "{context}: {number} is another");
            }
        }
        (journal, there)
    }

    /// Opens it, goes on, and opens it again.
    pub(super) fn check_twice(&self) {
        let (journal, _) = self.check();
        let last = numbered(self.bodies.len());
        append(&journal, last.clone(), "goes on");
        journal.close().unwrap();
        let (_, follow, recovery) = self.bench.open();
        assert_eq!((follow.metas().last(), recovery.torn), (Some(&last), None), "{}", self.context);
    }

    /// Opens it, and the power is lost again after every step of that. `recording` tells what is synced already. What was
    /// there when it was open is there for good.
    pub(super) fn check_every_opening(mut self, recording: &Recording, random: &mut fastrand::Rng) {
        self.bench.config.faults = Faults::noted_in(recording.clone());
        let before = recording.len();
        let (journal, there) = self.check();
        let opened = recording.len();
        journal.close().unwrap();
        let mut known = self.known.clone();
        for steps in before..=recording.len() {
            if steps == opened {
                known.acknowledged.extend(&there);
            }
            for mut loss in
                [Loss::All, Loss::Nothing, Loss::Steps(random.fork()), Loss::Sectors(random.fork())]
            {
                let bench = lost_after(recording, steps, &mut loss, &self.bench.config);
                let context =
                    format!("{}, and {} steps of opening it later, {loss:?}", self.context, steps - before);
                Disk { bench, known: &known, bodies: self.bodies, context }.check_twice();
            }
        }
    }
}

/// What a disk may hold then.
pub(super) fn lost_after(recording: &Recording, steps: usize, loss: &mut Loss, config: &Config) -> Bench {
    let bench = Bench::in_memory(config);
    recording.lost_after(steps, loss).write(bench.path()).unwrap();
    bench
}

pub(super) fn number(meta: &Bytes) -> u64 {
    let text = std::str::from_utf8(meta).unwrap();
    text.rsplit(' ').next().unwrap().parse().unwrap()
}
