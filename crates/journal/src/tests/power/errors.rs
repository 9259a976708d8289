//! One access to the files fails, and then the power is lost.

use super::{
    super::*,
    disk::{Disk, lost_after},
    known::Known,
    owner::Owner,
    variable,
};
use crate::{
    OnCorruption,
    faults::{Access, Loss, Recording},
};

const ALL: [Access; 6] =
    [Access::Read, Access::Write, Access::Cut, Access::Sync, Access::Name, Access::SyncNames];
/// What the owner of the journal does.
const STEPS: usize = 30;

fn losses(random: &mut fastrand::Rng) -> [Loss; 4] {
    [Loss::All, Loss::Nothing, Loss::Steps(random.fork()), Loss::Sectors(random.fork())]
}

#[test]
fn an_access_that_fails_costs_nothing_that_was_acknowledged() {
    let seed = variable("POWER_LOSS_SEED").unwrap_or(1);
    let mut random = fastrand::Rng::with_seed(seed);
    for access in ALL {
        for count in 0.. {
            let (mut owner, bench) = Owner::new(seed);
            bench.config.faults.fail_after(access, count);
            for _ in 0..STEPS {
                owner.step();
            }
            let (recording, bodies, errors) = owner.finish();
            if !bench.config.faults.has_failed() {
                assert!(errors.is_empty() && count > 0, "{access:?}: {errors:?}");
                break;
            }
            let all = Known::of(&recording, recording.len());
            // When the first was refused, and when all was done.
            let refused =
                (0..recording.len()).find(|&steps| !Known::of(&recording, steps).refused.is_empty());
            for steps in refused.into_iter().chain([recording.len()]) {
                let mut known = Known::of(&recording, steps);
                // It will hear of these later.
                known.released.extend(all.refused.union(&all.released));
                for mut loss in losses(&mut random) {
                    let context =
                        format!("seed {seed}, {access:?} {count} failed, step {steps}, {errors:?}, {loss:?}");
                    let bench = lost_after(&recording, steps, &mut loss, &bench.config);
                    drop(Disk { bench, known: &known, bodies: &bodies, context }.check());
                }
            }
        }
    }
}

#[test]
fn an_access_that_fails_while_a_journal_is_opened_costs_nothing() {
    let seed = variable("POWER_LOSS_SEED").unwrap_or(1);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut owner, bench) = Owner::new(seed);
    for _ in 0..STEPS {
        owner.step();
    }
    let (recording, bodies, _) = owner.finish();
    // Not while it is closed: a seal leaves nothing to do.
    for steps in [recording.len() / 3, recording.len() / 2] {
        let known = Known::of(&recording, steps);
        for (access, on_corruption) in ALL
            .into_iter()
            .flat_map(|access| [(access, OnCorruption::Refuse), (access, OnCorruption::Quarantine)])
        {
            for count in 0.. {
                let mut bench =
                    lost_after(&recording, steps, &mut Loss::Sectors(random.fork()), &bench.config);
                let opening = Recording::of(bench.path()).unwrap();
                bench.config.faults = Faults::noted_in(opening.clone());
                bench.config.faults.fail_after(access, count);
                bench.config.on_corruption = on_corruption;
                let opened = Journal::open(bench.config.clone(), Follow::default());
                if !bench.config.faults.has_failed() {
                    break;
                }
                let context = format!("seed {seed}, step {steps}, {access:?} {count} of opening it failed");
                assert!(
                    matches!(opened, Err(Error::Io { .. } | Error::SyncFailed(_))),
                    "{context}: {opened:?}"
                );
                bench.config.on_corruption = OnCorruption::Refuse;
                for mut loss in losses(&mut random) {
                    let bench = lost_after(&opening, opening.len(), &mut loss, &bench.config);
                    let context = format!("{context}, {loss:?}");
                    drop(Disk { bench, known: &known, bodies: &bodies, context }.check());
                }
            }
        }
    }
}

/// A journal whose files are recorded.
fn recorded() -> (Bench, Recording) {
    let (mut bench, recording) = (Bench::new(), Recording::default());
    bench.config.faults = Faults::noted_in(recording.clone());
    (bench, recording)
}

/// What is there, if the power is lost after each of these steps and chance decides.
fn there_after(
    bench: &Bench,
    recording: &Recording,
    steps: std::ops::RangeInclusive<usize>,
) -> Vec<Vec<Bytes>> {
    let seeds = 0..16;
    let lost = steps.flat_map(|steps| {
        seeds.clone().map(move |seed| (steps, Loss::Steps(fastrand::Rng::with_seed(seed))))
    });
    lost.map(|(steps, mut loss)| lost_after(recording, steps, &mut loss, &bench.config).open().1.metas())
        .collect()
}

#[test]
fn what_was_refused_since_it_could_be_written_in_part_only_does_not_come_back() {
    let (bench, recording) = recorded();
    let (journal, _, _) = bench.open();
    append(&journal, "first", "");
    // While the second is synced two others wait, which are then written together.
    let (held, before) = (bench.config.faults.hold_syncs(), recording.len());
    let second = journal.append(record("second", ""));
    while recording.len() == before {
        std::thread::yield_now();
    }
    let together = [journal.append(record("short", "")), journal.append(record("long", noise(1, 4_000)))];
    bench.config.faults.fail_after(Access::Write, 0);
    drop(held);
    second.wait().unwrap();
    for append in together {
        assert!(matches!(append.wait(), Err(Error::Io { .. })));
    }
    for there in there_after(&bench, &recording, recording.len()..=recording.len()) {
        assert_eq!(there, ["first", "second"]);
    }
}

#[test]
fn a_segment_that_could_not_be_made_does_not_come_back_beside_the_next() {
    let (bench, recording) = recorded();
    let (journal, _, _) = bench.open();
    bench.config.faults.fail_after(Access::Sync, 0);
    assert!(matches!(journal.append(record("refused", "")).wait(), Err(Error::Io { .. })));
    let refused = recording.len();
    append(&journal, "taken", "");
    for there in there_after(&bench, &recording, refused..=recording.len()) {
        assert!(there.is_empty() || there == ["taken"], "{there:?}");
    }
}
