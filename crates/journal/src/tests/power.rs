//! The power is lost after every step of a workload, and the disk holds what it may hold then.
//!
//! Of what was not synced all is lost, or nothing, or chance decides: `POWER_LOSS_IMAGES` says how often for each step
//! (default 1), `POWER_LOSS_SEED` which chance. What is done while a journal is opened is cut short in the same way.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use super::*;
use crate::{
    Append, Verdict,
    faults::{Loss, Recording},
};

const SEGMENT: u64 = 16 << 10;
/// What the owner of the journal does.
const STEPS: usize = 100;
/// One of so many openings is cut short, unless the long form is asked for; of those after a process was killed, which
/// leaves most to do, one of a quarter as many.
const OPENINGS: usize = 40;

/// What the owner knows when the power is lost.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Records that it has asked to append: so many, numbered in their order.
    asked: u64,
    acknowledged: BTreeSet<u64>,
    /// It needs them no more.
    released: BTreeSet<u64>,
    /// Segments that it was told are gone.
    gone: BTreeSet<u64>,
}

#[derive(Clone, Copy)]
enum Mark {
    Asked,
    Acknowledged,
    Released,
    Gone,
}

impl Known {
    fn of(recording: &Recording, steps: usize) -> Self {
        let mut known = Self::default();
        for mark in recording.marks(steps) {
            let number = mark >> 2;
            match mark & 3 {
                0 => known.asked = number + 1,
                1 => drop(known.acknowledged.insert(number)),
                2 => drop(known.released.insert(number)),
                _ => drop(known.gone.insert(number)),
            }
        }
        known
    }
}

fn mark_in(recording: &Recording, mark: Mark, number: u64) {
    recording.mark(number << 2 | mark as u64);
}

/// The owner of a journal: it appends, lets go of what it has and reclaims.
struct Owner {
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
}

impl Owner {
    fn new(seed: u64) -> (Self, Bench) {
        let mut bench = Bench::with_segment_bytes(SEGMENT);
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
        };
        (owner, bench)
    }

    fn mark(&self, mark: Mark, number: u64) {
        mark_in(&self.recording, mark, number);
    }

    fn step(&mut self) {
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
        self.journal.append_relaxed(record(numbered(number as usize), body)).unwrap();
        self.relaxed.push(number);
    }

    /// A body in pieces, over several segments; some come to nothing.
    fn stream(&mut self) {
        let mut writer = self.journal.body_writer();
        if self.random.u8(..4) == 0 {
            return block_on(writer.write(noise(0, 70_000))).unwrap();
        }
        let length = self.random.usize(60_000..150_000);
        let (number, body) = self.next(length);
        block_on(writer.write(body)).unwrap();
        self.waiting.push_back((number, writer.commit(7, numbered(number as usize))));
    }

    /// Waits until at most so many appends are on their way.
    fn wait(&mut self, left: usize) {
        while self.waiting.len() > left {
            let Some((number, append)) = self.waiting.pop_front() else { return };
            append.wait().unwrap();
            self.acknowledge(number);
        }
    }

    fn sync(&mut self) {
        self.journal.sync().unwrap();
        for number in std::mem::take(&mut self.relaxed) {
            self.acknowledge(number);
        }
    }

    fn acknowledge(&mut self, number: u64) {
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
        reclaimed.unwrap();
        self.mark(Mark::Gone, candidate.segment.0);
    }

    fn finish(mut self) -> (Recording, Vec<Bytes>) {
        self.wait(0);
        self.sync();
        self.journal.close().unwrap();
        (self.recording, self.bodies)
    }
}

/// A disk after the power was lost, and what must be on it.
struct Disk<'a> {
    bench: Bench,
    known: &'a Known,
    bodies: &'a [Bytes],
    context: String,
}

impl Disk<'_> {
    /// Opens it and looks for all that was acknowledged. Gives what else there is, too.
    fn check(&self) -> (Journal<u64>, BTreeSet<u64>) {
        let Self { known, context, .. } = self;
        let follow = Follow::default();
        let opened = Journal::open(self.bench.config.clone(), follow.clone());
        let (journal, _) = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
        let current = follow.current();
        let there: BTreeSet<u64> = current.keys().map(number).collect();
        let missing = |number: &u64| !known.released.contains(number) && !there.contains(number);
        let lost: Vec<_> = known.acknowledged.iter().copied().filter(missing).collect();
        assert!(lost.is_empty(), "{context}: {lost:?} are lost");
        let last = there.last().copied().unwrap_or_default();
        assert!(last < known.asked || there.is_empty(), "{context}: nobody asked for {last}");
        let holes: Vec<_> = (0..last).filter(missing).collect();
        assert!(holes.is_empty(), "{context}: {holes:?} are lost, and {last} is not");
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
    fn check_twice(&self) {
        let (journal, _) = self.check();
        let last = numbered(self.bodies.len());
        append(&journal, last.clone(), "goes on");
        journal.close().unwrap();
        let (_, follow, recovery) = self.bench.open();
        assert_eq!((follow.metas().last(), recovery.torn), (Some(&last), None), "{}", self.context);
    }

    /// Opens it, and the power is lost again after every step of that. `recording` tells what is synced already. What was
    /// there when it was open is there for good.
    fn check_every_opening(mut self, recording: &Recording, random: &mut fastrand::Rng) {
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
fn lost_after(recording: &Recording, steps: usize, loss: &mut Loss, config: &Config) -> Bench {
    let bench = Bench::in_memory(config);
    recording.lost_after(steps, loss).write(bench.path()).unwrap();
    bench
}

fn number(meta: &Bytes) -> u64 {
    let text = std::str::from_utf8(meta).unwrap();
    text.rsplit(' ').next().unwrap().parse().unwrap()
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn whatever_was_acknowledged_survives_a_power_loss_after_every_step() {
    let (images, seed) = (variable("POWER_LOSS_IMAGES"), variable("POWER_LOSS_SEED").unwrap_or(1));
    let (mut owner, bench) = Owner::new(seed);
    for _ in 0..STEPS {
        owner.step();
    }
    let (recording, bodies) = owner.finish();
    let mut random = fastrand::Rng::with_seed(seed);
    for steps in 0..=recording.len() {
        let known = Known::of(&recording, steps);
        let mut losses = vec![Loss::All, Loss::Nothing];
        for _ in 0..images.unwrap_or(1) {
            losses.extend([Loss::Steps(random.fork()), Loss::Sectors(random.fork())]);
        }
        for mut loss in losses {
            // A process that is killed loses nothing, and nothing is synced by that.
            let killed = matches!(loss, Loss::Nothing).then(|| recording.until(steps));
            let context = format!("seed {seed}, step {steps} of {}, {loss:?}", recording.len());
            let bench = lost_after(&recording, steps, &mut loss, &bench.config);
            let disk = Disk { bench, known: &known, bodies: &bodies, context };
            let openings = if killed.is_some() { OPENINGS / 4 } else { OPENINGS };
            if images.is_none() && random.usize(..openings) > 0 {
                disk.check();
                continue;
            }
            let synced = killed.map_or_else(|| Recording::of(disk.bench.path()), Ok).unwrap();
            disk.check_every_opening(&synced, &mut random);
        }
    }
}
