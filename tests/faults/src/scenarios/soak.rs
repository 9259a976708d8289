//! Hours of ordinary work: nothing grows that should not, and nothing gets slower.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pipeline_tests::load::{self, Door, Load, Mix, RECIPIENTS};
use pipeline_tests::{Options, Pipeline, Tally, read_by_pop3, usage};

use super::kill_any::SERVICES;
use super::trial::{SMALL_SEGMENTS, assert_no_errors};
use crate::{Form, Outcome, Promise, Scenario};

pub(crate) const FOR_HOURS: Scenario = Scenario {
    name: "soak",
    proves: "Hours of ordinary work leave memory, disk and speed as they were",
    how: "Mail comes in over submission and from another host, at about half of what was taken without pauses in the first \
          seconds. Two readers fetch all that has come over IMAP and expunge it, another one reads over POP3, again and \
          again. Memory, disk and speed are sampled, and the medians of the first and the last quarter compared: where a run \
          takes ten minutes or more, memory and disk may not be more than twice what they were and 64 MiB, nor the speed \
          less than half. Of events the MTA keeps 16 MiB; the logs, which only a start rotates, do not count. The long form \
          takes an hour, or as long as `--duration` says.",
    promises: &[Promise::Bounded, Promise::Kept, Promise::Once],
    run: for_hours,
};

/// Clients that say what the services can take.
const FULL_SPEED: Mix = Mix { smtp: 4, submissions: 4, reports: false, remote: false };
/// Messages that a client with pauses sends in a second, about.
const PACE: u64 = 30;
/// Samples of a run.
const SAMPLES: u32 = 80;

/// What is sampled: octets, but for the last.
const SAMPLED: [&str; 5] = ["msa: memory", "mta: memory", "mda: memory", "disk", "messages a second"];
/// Where the speed stands there.
const SPEED: usize = 4;
/// A run of this length has filled its caches and files within its first quarter; in a shorter one they still grow.
const LONG_ENOUGH: Duration = Duration::from_mins(10);
/// What memory and disk may have of more, whatever they began with.
const MORE: u64 = 64 << 20;

fn for_hours(form: &Form) -> Outcome {
    let time = form.duration.unwrap_or(form.pick(Duration::from_secs(6), Duration::from_hours(1)));
    let pipeline = form.pipeline(Options { environment: small_and_soon(), ..Options::default() });
    let mut clients = load::Outcome::default();
    let full = full_speed(&pipeline, time / 20, &mut clients);
    // At each of two doors.
    let each = usize::try_from((full / 2 / PACE / 2).clamp(1, 32)).unwrap_or(1);
    let load = Load::start(&pipeline, Mix { smtp: each, submissions: each, reports: true, remote: false });

    let is_over = AtomicBool::new(false);
    let mut outcome = Outcome { rounds: 1, ..Outcome::default() };
    let (mut tally, samples) = thread::scope(|scope| {
        let readers = scope.spawn(|| read_and_expunge(&pipeline, &is_over));
        scope.spawn(|| read_again_and_again(&pipeline, &is_over));
        let samples = {
            let _over = Over(&is_over);
            sample(&pipeline, &load, time)
        };
        (readers.join().expect("the readers"), samples)
    });
    clients.add(load.stop());
    tally.take_when_settled(&pipeline);
    outcome.add_load(&clients);
    outcome.add_verdict(&tally.verdict(&clients.sent));
    outcome.figure("at full speed in the first seconds", format!("{full} messages a second"));
    for (place, what) in SAMPLED.iter().enumerate() {
        let [first, last] = quarters(&samples, place);
        if time >= LONG_ENOUGH && is_worse(place, first, last) {
            outcome.wrong.push(format!("{what}: {first} in the first quarter, {last} in the last"));
        }
        let unit = if place == SPEED { 1 } else { 1 << 20 };
        let name = if unit == 1 { "" } else { " MiB" };
        outcome.figure(
            format!("{what}, medians of the first and the last quarter"),
            format!("{}, {}{name}", first / unit, last / unit),
        );
    }
    assert_no_errors(&pipeline);
    outcome
}

/// Tells the readers that it is over, also where that is a panic: else they would be waited for without end.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Small segments, few events, and expunged messages that give their space back as soon as nobody can be reading them any
/// more: who is sent one when it goes for good can only be cut off.
fn small_and_soon() -> Vec<(&'static str, String)> {
    let soon = [("WAYPOST_MDA__STORE__KEEP_EXPUNGED", "5s"), ("WAYPOST_MTA__EVENTS__KEEP", "16MiB")];
    [SMALL_SEGMENTS, soon].concat().into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

/// Messages taken in a second without pauses.
fn full_speed(pipeline: &Pipeline, time: Duration, clients: &mut load::Outcome) -> u64 {
    let load = Load::flood(pipeline, FULL_SPEED);
    thread::sleep(time);
    let taken = acknowledged(&load);
    clients.add(load.stop());
    (u128::from(taken) * 1_000 / time.as_millis().max(1)) as u64
}

fn acknowledged(load: &Load) -> u64 {
    load.acknowledged(Door::Smtp) + load.acknowledged(Door::Submissions)
}

/// Takes all that comes out of the inboxes.
fn read_and_expunge(pipeline: &Pipeline, is_over: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    while !is_over.load(Ordering::Relaxed) {
        for account in RECIPIENTS {
            tally.take(pipeline, account).expect("the inbox");
        }
    }
    tally
}

fn read_again_and_again(pipeline: &Pipeline, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        for account in RECIPIENTS {
            read_by_pop3(pipeline, account).expect("the maildrop");
        }
    }
}

/// Looks at what the services use and do, at equal distances of time.
fn sample(pipeline: &Pipeline, load: &Load, time: Duration) -> Vec<[u64; 5]> {
    let mut samples = Vec::new();
    let (mut taken, mut last) = (acknowledged(load), Instant::now());
    for _ in 0..SAMPLES {
        thread::sleep(time / SAMPLES);
        let [msa, mta, mda] = SERVICES.map(|service| {
            let used = pipeline.pid(service).and_then(|pid| usage(pid).ok());
            used.expect("a service that runs").memory
        });
        let now = acknowledged(load);
        let rate = u128::from(now - taken) * 1_000 / last.elapsed().as_millis().max(1);
        (taken, last) = (now, Instant::now());
        let disk = SERVICES.iter().map(|service| on_disk(&pipeline.data().join(service))).sum();
        samples.push([msa, mta, mda, disk, rate as u64]);
    }
    samples
}

/// Octets of all files in a folder, whatever goes away meanwhile.
fn on_disk(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let octets = entries.filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        Some(if metadata.is_dir() { on_disk(&entry.path()) } else { metadata.len() })
    });
    octets.sum()
}

/// Whether what stands at a place has become far too much, or the speed too little.
fn is_worse(place: usize, first: u64, last: u64) -> bool {
    if place == SPEED { last < first / 2 } else { last > first * 2 + MORE }
}

/// The medians of the first and the last quarter of what stands at a place.
fn quarters(samples: &[[u64; 5]], place: usize) -> [u64; 2] {
    let quarter = samples.len() / 4;
    [&samples[..quarter], &samples[samples.len() - quarter..]].map(|samples| {
        let mut values: Vec<u64> = samples.iter().map(|sample| sample[place]).collect();
        values.sort_unstable();
        values[values.len() / 2]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_and_slowness_are_wrong_and_noise_is_not() {
        let mib = 1 << 20;
        assert!(!is_worse(0, 50 * mib, 160 * mib) && is_worse(0, 50 * mib, 170 * mib));
        assert!(!is_worse(SPEED, 100, 50) && is_worse(SPEED, 100, 49));
        assert!(!is_worse(SPEED, 100, 1_000));
    }
}
