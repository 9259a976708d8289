//! Whichever service dies, at whatever moment: what got its 250 is in its mailboxes afterwards, whole and once.

use pipeline_tests::{Pipeline, Service, eventually};

use super::trial::Trial;
use crate::{Form, Outcome, Promise, Scenario};

pub(crate) const AT_RANDOM_MOMENTS: Scenario = Scenario {
    name: "kill-any",
    proves: "No acknowledged message is lost when a service is killed",
    how: "Six clients send mail for two mailboxes, some of it asking for reports. At random moments a service gets a \
          `kill -9`, now and then two at once. In between, mail has to be taken again at both doors, a reader's UIDs have \
          to mean the same messages as before, and no service may call the death of another an error.",
    promises: &[Promise::Kept, Promise::Once],
    run: at_random_moments,
};

pub(crate) const ALL_AT_ONCE: Scenario = Scenario {
    name: "kill-all",
    proves: "No acknowledged message is lost when all services are killed at once",
    how: "As kill-any, but every service and the supervisor die in the same moment, as when the power fails, but for what \
          the kernel has not yet written.",
    promises: &[Promise::Kept, Promise::Once],
    run: all_at_once,
};

pub(crate) const SERVICES: [Service; 3] = ["msa", "mta", "mda"];

fn at_random_moments(form: &Form) -> Outcome {
    let mut trial = Trial::begin(form);
    for _ in 0..form.rounds(6, 400) {
        trial.go_on();
        kill_some(trial.pipeline());
        trial.count_round();
    }
    trial.end()
}

fn all_at_once(form: &Form) -> Outcome {
    let mut trial = Trial::begin(form);
    for _ in 0..form.rounds(3, 100) {
        trial.go_on();
        trial.pipeline_mut().crash();
        trial.pipeline_mut().up();
        trial.count_round();
    }
    trial.end()
}

/// Kills a service, now and then two at once.
fn kill_some(pipeline: &Pipeline) {
    let mut services = SERVICES;
    fastrand::shuffle(&mut services);
    let count = if fastrand::u8(..4) == 0 { 2 } else { 1 };
    kill(pipeline, &services[..count]);
}

/// Kills services at once, and waits until the supervisor has started them again.
pub(crate) fn kill(pipeline: &Pipeline, services: &[Service]) {
    let victims: Vec<(Service, Option<u32>)> =
        services.iter().map(|&service| (service, pipeline.pid(service))).collect();
    for &(service, _) in &victims {
        pipeline.kill(service);
    }
    for (service, old) in victims {
        eventually("the service to be started again", || {
            pipeline.pid(service).filter(|&pid| Some(pid) != old)
        });
    }
}
