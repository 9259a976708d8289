//! Disks that are full, at every write.

use std::thread;
use std::time::{Duration, Instant};

use pipeline_tests::load::Mix;
use pipeline_tests::{Disk, Options, Remote, eventually_within};

use super::kill_mta::relaying_to;
use super::trial::{SMALL_SEGMENTS, Trial, in_logs};
use crate::{Form, Outcome, Promise, Scenario};

pub(crate) const AT_EVERY_WRITE: Scenario = Scenario {
    name: "disk-full",
    proves: "Nothing is lost by a disk that is full at any write, and mail goes on when there is room again",
    how: "The MTA's spool and events are on a small disk, what the MDA keeps on another, and no space is kept in reserve \
          (`min_free` is 0), so that writes fail in their middle. Under load one of them is filled until some KiB are left, \
          another number each round; then there is room again, and mail has to be taken at both doors. Meanwhile mail may \
          only be refused with a temporary error, and the logs have to tell of the full disk.",
    promises: &[Promise::Kept, Promise::Once, Promise::NothingSilent],
    run: at_every_write,
};

/// The room on each disk: more than the mail of a trial takes.
const ROOM: u64 = 256 << 20;
/// Rounds on the same two disks.
const ROUNDS_OF_A_TRIAL: u32 = 24;
/// The most that is left: more than a segment, so that the end comes within one, and sometimes with the next.
const MOST_LEFT: u64 = 2 << 20;
/// Octets that a disk hands out at a time.
const PAGE: u64 = 4 << 10;
/// How long a disk stays full at most, and how long it takes to see that it is.
const FULL_FOR: Duration = Duration::from_secs(2);

fn at_every_write(form: &Form) -> Outcome {
    let mut outcome = Outcome::default();
    let mut left = form.rounds(4, 240);
    while left > 0 {
        let rounds = left.min(ROUNDS_OF_A_TRIAL);
        let Some(tried) = try_once(form, rounds) else {
            outcome.figure("left out", "there is no right to mount a disk");
            return outcome;
        };
        outcome.add(tried);
        left -= rounds;
    }
    outcome
}

fn try_once(form: &Form, rounds: u32) -> Option<Outcome> {
    let (spool, store) = (Disk::mount(ROOM)?, Disk::mount(ROOM)?);
    let remote = Remote::start();
    let mut environment = relaying_to(&remote);
    environment.extend(SMALL_SEGMENTS.map(|(name, value)| (name, value.to_owned())));
    environment.extend([
        ("WAYPOST_MTA__SPOOL__DIR", spool.folder().join("spool").display().to_string()),
        ("WAYPOST_MTA__EVENTS__DIR", spool.folder().join("events").display().to_string()),
        ("WAYPOST_MTA__SPOOL__MIN_FREE", "0".to_owned()),
        ("WAYPOST_MDA__DATA_DIR", store.folder().display().to_string()),
        ("WAYPOST_MDA__STORE__MIN_FREE_SPACE", "0".to_owned()),
    ]);
    let pipeline = form.pipeline(Options { environment, ..Options::default() });
    let mix = Mix { smtp: 2, submissions: 3, reports: true, remote: true };
    let mut trial = Trial::of(pipeline, mix, Some(remote)).with_errors();
    for round in 0..rounds {
        trial.go_on();
        let disk = if round % 2 == 0 { &store } else { &spool };
        // As often little as much.
        let most = MOST_LEFT >> fastrand::u32(0..10);
        disk.fill(fastrand::u64(..most) / PAGE * PAGE);
        stay(&trial);
        disk.empty();
        trial.count_round();
    }
    let told = in_logs(trial.pipeline(), "No space left on device").lines().count();
    let mut outcome = trial.end();
    outcome.figure("lines of the logs that tell of a full disk", told);
    if told == 0 {
        outcome.wrong.push("no log tells of a full disk: none has met one, or in silence".to_owned());
    }
    Some(outcome)
}

/// Stays until some mail is refused, or for a while: what goes straight to mailboxes needs no room in the spool.
fn stay(trial: &Trial) {
    let before = trial.load().refused();
    let end = Instant::now() + FULL_FOR;
    eventually_within(FULL_FOR * 10, "the disk to have been full for long enough", || {
        (trial.load().refused() > before || Instant::now() > end).then_some(())
    });
    // No wait for anything: some more of the same.
    thread::sleep(FULL_FOR.mul_f32(fastrand::f32() / 4.0));
}
