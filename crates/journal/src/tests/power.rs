//! The power is lost after every step of a workload, and the disk holds what it may hold then.
//!
//! Of what was not synced all is lost, or nothing, or chance decides: `POWER_LOSS_IMAGES` says how often for each step
//! (default 1), `POWER_LOSS_SEED` which chance. What is done while a journal is opened is cut short in the same way.

mod disk;
mod errors;
mod known;
mod owner;

use disk::{Disk, lost_after};
use known::Known;
use owner::Owner;

use crate::faults::{Loss, Recording};

/// What the owner of the journal does.
const STEPS: usize = 100;
/// One of so many openings is cut short, unless the long form is asked for; of those after a process was killed, which
/// leaves most to do, one of a quarter as many.
const OPENINGS: usize = 40;

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
    let (recording, bodies, errors) = owner.finish();
    assert!(errors.is_empty(), "{errors:?}");
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
