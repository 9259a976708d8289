//! The owner of a journal, who does what owners do.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use super::{
    super::*,
    known::{Mark, mark_in},
};
use crate::{Append, Verdict, faults::Recording};

const SEGMENT: u64 = 16 << 10;

/// The owner of a journal: it appends, lets go of what it has and reclaims.
pub(super) struct Owner {
    journal: Journal<u64>,
    follow: Follow,
    recording: Recording,
    random: fastrand::Rng,
    bodies: Vec<Bytes>,
    waiting: VecDeque<(u64, Append<u64>)>,
    /// Appended without waiting, and not synced since.
    relaxed: Vec<u64>,
    acknowledged: BTreeSet<u64>,
    released: BTreeSet<u64>,
    /// Errors that it met.
    errors: Vec<Error>,
    /// A sync failed when so many records had been asked for.
    stopped: Option<u64>,
}

impl Owner {
    pub(super) fn new(seed: u64) -> (Self, Bench) {
        let mut config = Config::new("");
        config.segment_bytes = SEGMENT;
        config.min_free_bytes = 0;
        let mut bench = Bench::in_memory(&config);
        let recording = Recording::default();
        bench.config.faults = Faults::noted_in(recording.clone());
        bench.config.relaxed_sync_after = Duration::from_hours(1);
        let (journal, follow, _) = bench.open();
        let owner = Self {
            journal,
            follow,
            recording,
            random: fastrand::Rng::with_seed(seed),
            bodies: Vec::new(),
            waiting: VecDeque::new(),
            relaxed: Vec::new(),
            acknowledged: BTreeSet::new(),
            released: BTreeSet::new(),
            errors: Vec::new(),
            stopped: None,
        };
        (owner, bench)
    }

    fn mark(&self, mark: Mark, number: u64) {
        mark_in(&self.recording, mark, number);
    }

    pub(super) fn step(&mut self) {
        match self.random.usize(..20) {
            0..=6 => self.append(),
            7..=8 => self.append_relaxed(),
            9..=10 => self.stream(),
            11..=12 => self.wait(0),
            13 => self.sync(),
            14..=15 => self.release(),
            _ => self.reclaim(),
        }
        self.wait(6);
    }

    /// The next record, asked for from now on.
    fn next(&mut self, length: usize) -> (u64, Bytes) {
        let number = self.bodies.len() as u64;
        let body = noise(number, length);
        self.bodies.push(body.clone());
        self.mark(Mark::Asked, number);
        (number, body)
    }

    fn append(&mut self) {
        let length = self.random.usize(..3_000);
        let (number, body) = self.next(length);
        self.waiting.push_back((number, self.journal.append(record(numbered(number as usize), body))));
    }

    fn append_relaxed(&mut self) {
        let length = self.random.usize(..500);
        let (number, body) = self.next(length);
        match self.journal.append_relaxed(record(numbered(number as usize), body)) {
            Ok(()) => self.relaxed.push(number),
            Err(error) => self.refused(number, error),
        }
    }

    /// A body in pieces, over several segments; some come to nothing.
    fn stream(&mut self) {
        let mut writer = self.journal.body_writer();
        if self.random.u8(..4) == 0 {
            self.errors.extend(block_on(writer.write(noise(0, 70_000))).err());
            return;
        }
        let length = self.random.usize(60_000..150_000);
        let (number, body) = self.next(length);
        match block_on(writer.write(body)) {
            Ok(()) => self.waiting.push_back((number, writer.commit(7, numbered(number as usize)))),
            Err(error) => self.refused(number, error),
        }
    }

    /// Waits until at most so many appends are on their way.
    fn wait(&mut self, left: usize) {
        while self.waiting.len() > left {
            let Some((number, append)) = self.waiting.pop_front() else { return };
            match append.wait() {
                Ok(_) => self.acknowledge(number),
                Err(error) => self.refused(number, error),
            }
        }
    }

    fn sync(&mut self) {
        let synced = self.journal.sync();
        let all = synced.is_ok() && self.journal.lost() == 0;
        self.errors.extend(synced.err());
        for number in std::mem::take(&mut self.relaxed) {
            if all { self.acknowledge(number) } else { self.mark(Mark::Released, number) }
        }
    }

    /// Behind a sync that failed nobody knows what is on the disk, and nothing is taken any more.
    fn refused(&mut self, number: u64, error: Error) {
        if let Error::SyncFailed(_) = error {
            self.stopped.get_or_insert(self.bodies.len() as u64);
            self.mark(Mark::Released, number);
        } else {
            self.mark(Mark::Refused, number);
        }
        self.errors.push(error);
    }

    fn acknowledge(&mut self, number: u64) {
        assert!(self.stopped.is_none_or(|stopped| number < stopped), "taken behind a sync that failed");
        self.acknowledged.insert(number);
        self.mark(Mark::Acknowledged, number);
    }

    /// Lets go of most of the older half of what it has.
    fn release(&mut self) {
        let had: Vec<u64> = self.acknowledged.difference(&self.released).copied().collect();
        let current = self.follow.current();
        for &number in &had[..had.len() / 2] {
            if self.random.u8(..3) > 0 {
                self.mark(Mark::Released, number);
                self.released.insert(number);
                let entry = &current[&numbered(number as usize)];
                self.journal.liveness().note_dead(entry.position, &entry.body);
            }
        }
    }

    fn reclaim(&mut self) {
        let candidates = self.journal.reclaim_candidates(1.0);
        let Some(&candidate) = self.random.choice(&candidates) else { return };
        let released: BTreeSet<Bytes> =
            self.released.iter().map(|&number| numbered(number as usize)).collect();
        let reclaimed = self.journal.reclaim(candidate.segment, |entry| {
            let current = self.follow.current();
            let here = current[&entry.meta].position == entry.position;
            if here && !released.contains(&entry.meta) { Verdict::Keep } else { Verdict::Drop }
        });
        match reclaimed {
            Ok(_) => self.mark(Mark::Gone, candidate.segment.0),
            Err(error) => self.errors.push(error),
        }
    }

    /// Gives what was done, the bodies by number, and the errors.
    pub(super) fn finish(mut self) -> (Recording, Vec<Bytes>, Vec<Error>) {
        self.wait(0);
        self.sync();
        self.errors.extend(self.journal.close().err());
        (self.recording, self.bodies, self.errors)
    }
}
