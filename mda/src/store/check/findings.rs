//! What a check has found.

use std::fmt::Display;

/// Findings that are kept as text; the rest is counted.
const KEPT: usize = 1_000;

/// What is wrong, in the order in which it was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: Vec<String>,
    found: u64,
}

impl Findings {
    pub(super) fn add(&mut self, problem: impl Display) {
        self.found += 1;
        if self.problems.len() < KEPT {
            self.problems.push(problem.to_string());
        }
    }

    pub(super) fn add_all(&mut self, problems: &[String]) {
        for problem in problems {
            self.add(problem);
        }
    }

    /// Adds what was found in a part.
    pub(super) fn append(&mut self, other: &Self) {
        let kept = other.problems.len() as u64;
        self.add_all(&other.problems);
        self.found += other.found - kept;
    }

    /// Adds the problem unless all is well.
    pub(super) fn expect(&mut self, well: bool, problem: impl FnOnce() -> String) {
        if !well {
            self.add(problem());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found == 0
    }

    pub(super) fn into_parts(self) -> (Vec<String>, u64) {
        (self.problems, self.found)
    }
}
