//! Runs as an aligned table.

use std::iter;

use crate::results::Run;

/// What stands above the columns.
pub(crate) const HEADER: [&str; 9] = [
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

/// What stands in the columns for a run.
pub(crate) fn cells(run: &Run) -> [String; 9] {
    let outcome = &run.outcome;
    let numbers = [
        outcome.rounds,
        outcome.acknowledged,
        outcome.refused_for_now,
        outcome.unknown,
        outcome.delivered,
        outcome.duplicated,
        outcome.lost,
    ];
    let [faults, acknowledged, refused, unknown, delivered, duplicated, lost] = numbers.map(grouped);
    [
        run.scenario.clone(),
        run.form().to_owned(),
        faults,
        acknowledged,
        refused,
        unknown,
        delivered,
        duplicated,
        lost,
    ]
}

/// The runs, for a terminal.
pub(crate) fn print(runs: &[Run]) {
    let header = HEADER.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> =
        iter::once(header).chain(runs.iter().map(|run| cells(run).to_vec())).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADER.len()).map(width).collect();
    let verdicts =
        iter::once("").chain(runs.iter().map(|run| if run.outcome.is_right() { "" } else { "FAILED" }));
    for (row, verdict) in rows.iter().zip(verdicts) {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 | 1 => format!("{cell:<width$}  "),
            _ => format!("{cell:>width$}  "),
        });
        println!("{}", (cells.collect::<String>() + verdict).trim_end());
    }
}

/// A number with a comma between each three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let places = digits.len();
    let mut text = String::with_capacity(places + places / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (places - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn digits_are_grouped_by_three() {
        let shown = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
