//! Running a scenario, however it ends.

use std::any::Any;
use std::thread;
use std::time::Instant;

use crate::origin::Origin;
use crate::results::Run;
use crate::{Form, Outcome, Scenario};

/// Runs a scenario. One that panics has failed, and says why.
pub fn run(scenario: &'static Scenario, form: &Form) -> Run {
    let began = Instant::now();
    let its_form = form.clone();
    // On a thread of its own, so that a panic ends only that.
    let ended = thread::spawn(move || {
        fastrand::seed(its_form.seed);
        (scenario.run)(&its_form)
    })
    .join();
    let outcome =
        ended.unwrap_or_else(|panic| Outcome { wrong: vec![reason(&*panic)], ..Outcome::default() });
    Run {
        scenario: scenario.name.to_owned(),
        is_long: form.is_long,
        seed: form.seed,
        seconds: began.elapsed().as_secs_f64(),
        origin: Origin::of_now(),
        outcome,
    }
}

/// What a panic said.
fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
    text.unwrap_or("it panicked").to_owned()
}
