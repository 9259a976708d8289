//! Results of several runs, kept in a file of JSON: of each scenario the newest of each form.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::origin::Origin;

/// A scenario's run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The scenario's name.
    pub scenario: String,
    /// Whether it was the long form.
    pub is_long: bool,
    /// What its choices came from.
    pub seed: u64,
    /// How long it took.
    pub seconds: f64,
    /// When, where and of what it was made.
    pub origin: Origin,
    /// What it came to.
    pub outcome: Outcome,
}

impl Run {
    /// The name of its form.
    pub(crate) fn form(&self) -> &'static str {
        if self.is_long { "long" } else { "short" }
    }
}

/// Runs, one of a scenario and form, each behind those that are older.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    runs: Vec<Run>,
}

impl Results {
    /// Those that a file holds; none if there is no file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        match fs::read(path) {
            Ok(text) => {
                serde_json::from_slice(&text).with_context(|| format!("cannot understand {}", path.display()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Writes all of them.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Adds a run in place of an older one of its scenario and form.
    pub(crate) fn add(&mut self, run: Run) {
        self.runs.retain(|known| (&known.scenario, known.is_long) != (&run.scenario, run.is_long));
        self.runs.push(run);
    }

    /// Adds all runs of others, each as [`Results::add`] does.
    pub(crate) fn add_all(&mut self, others: Self) {
        others.runs.into_iter().for_each(|run| self.add(run));
    }

    /// What there is to tell of a scenario: the run that says most, which is the long form's if there is one, and a newer
    /// one of the other form if that has failed.
    pub(crate) fn of(&self, scenario: &str) -> Vec<&Run> {
        let mut runs: Vec<&Run> = self.runs.iter().filter(|run| run.scenario == scenario).collect();
        if let Some(best) = runs.iter().position(|run| run.is_long) {
            runs.drain(..best);
            runs.retain(|run| run.is_long || !run.outcome.is_right());
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(scenario: &str, is_long: bool, rounds: u64) -> Run {
        let outcome = Outcome { rounds, ..Outcome::default() };
        Run { scenario: scenario.into(), is_long, seed: 1, seconds: 2.5, origin: Origin::default(), outcome }
    }

    #[test]
    fn the_newest_run_of_the_longest_form_counts() {
        let mut results = Results::default();
        for run in
            [run("a", false, 1), run("a", true, 2), run("a", true, 3), run("a", false, 4), run("b", false, 5)]
        {
            results.add(run);
        }
        let rounds = |scenario| results.of(scenario).iter().map(|run| run.outcome.rounds).collect::<Vec<_>>();
        assert_eq!([rounds("a"), rounds("b"), rounds("c")], [vec![3], vec![5], vec![]]);
    }

    #[test]
    fn a_failure_is_told_of_unless_a_newer_run_of_the_long_form_has_not_failed() {
        let mut results = Results::default();
        let failed = Outcome { lost: 1, ..Outcome::default() };
        results.add(run("a", true, 1));
        results.add(Run { outcome: failed, ..run("a", false, 2) });
        let are_right =
            |results: &Results| results.of("a").iter().map(|run| run.outcome.is_right()).collect::<Vec<_>>();
        assert_eq!(are_right(&results), [true, false]);
        results.add(run("a", true, 3));
        assert_eq!(are_right(&results), [true]);
    }

    #[test]
    fn a_file_keeps_them() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("results.json");
        assert_eq!(Results::read(&file)?, Results::default());
        let mut results = Results::default();
        results.add(run("a", true, 1));
        results.write(&file)?;
        assert_eq!(Results::read(&file)?, results);
        Ok(())
    }
}
