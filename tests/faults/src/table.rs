//! Runs as a table.

use pipeline_tests::{Table, grouped};

use crate::results::Run;

/// What stands above the columns; the first two hold words.
const HEADLINE: [&str; 9] = [
    "scenario",
    "form",
    "faults",
    "acknowledged",
    "refused for now",
    "no answer",
    "delivered",
    "duplicated",
    "lost",
];

/// A row for each run; `failed` marks one that has.
pub(crate) fn of_runs<'a>(runs: impl IntoIterator<Item = &'a Run>, failed: &str) -> Table {
    let mut table = Table::new(HEADLINE, 2);
    for run in runs {
        let outcome = &run.outcome;
        let mark = if outcome.is_right() { String::new() } else { format!(", {failed}") };
        let numbers = [
            outcome.rounds,
            outcome.acknowledged,
            outcome.refused_for_now,
            outcome.unknown,
            outcome.delivered,
            outcome.duplicated,
            outcome.lost,
        ];
        let words = [run.scenario.clone(), [run.form(), &mark].concat()];
        table.row(words.into_iter().chain(numbers.map(grouped)));
    }
    table
}
