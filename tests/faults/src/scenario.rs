//! What a scenario is, and in which form it runs.

use std::path::PathBuf;
use std::time::Duration;

use pipeline_tests::{Options, Pipeline};

use crate::{AS_WAYPOST, Outcome};

/// A fault and what has to hold in spite of it.
#[derive(Debug)]
pub struct Scenario {
    /// What it is called on the command line and in reports, such as `kill-any`.
    pub name: &'static str,
    /// What it shows, as a sentence.
    pub proves: &'static str,
    /// How it shows that, in sentences.
    pub how: &'static str,
    /// The promises that it tests.
    pub promises: &'static [Promise],
    /// What it does. It may panic: that is a failure with a reason.
    pub run: fn(&Form) -> Outcome,
}

/// What Waypost promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// What was acknowledged stays.
    Kept,
    /// It comes once.
    Once,
    /// Nothing ends without being told.
    NothingSilent,
    /// Whatever comes: there is a limit, and temporary errors at it.
    Bounded,
}

/// How much of a scenario is run, and over what.
#[derive(Clone, Debug)]
pub struct Form {
    /// The long form: minutes to hours. The short one takes some seconds.
    pub is_long: bool,
    /// How many rounds, if not as many as the form has by itself.
    pub rounds: Option<u32>,
    /// How long a scenario goes on that is bounded by time, if not as long as the form has it.
    pub duration: Option<Duration>,
    /// What the scenario's choices come from. Processes take their own time, so no two runs are the same.
    pub seed: u64,
    /// The program `faults`, which is also the `waypost` that is tested.
    pub program: PathBuf,
}

impl Form {
    /// The rounds to run.
    pub fn rounds(&self, short: u32, long: u32) -> u32 {
        self.rounds.unwrap_or(self.pick(short, long))
    }

    /// What goes with this form.
    pub fn pick<T>(&self, short: T, long: T) -> T {
        if self.is_long { long } else { short }
    }

    /// Starts a pipeline.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn pipeline(&self, mut options: Options) -> Pipeline {
        options.environment.push((AS_WAYPOST, "1".to_owned()));
        Pipeline::start(self.program.to_str().expect("a path in UTF-8"), &options)
    }
}
