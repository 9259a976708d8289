//! The figures as tables.

use pipeline_tests::{Table, grouped};

use super::goals::{Verdict, verdicts};
use super::results::{CaseResults, Results, Rounds, Setting};
use super::words::{figure, rate, times};
use super::{Figures, Line};

/// Prints all that the lines tell of, for a terminal.
pub(crate) fn print(lines: &[Line]) {
    let results = Results::of(lines);
    for case in &results.cases {
        println!("\n{}\n{}", case.name, of_case(case).text());
    }
    let verdicts = verdicts(&results);
    if !verdicts.is_empty() {
        println!("\ngoals\n{}", of_goals(&verdicts).text());
    }
}

/// Each setting of a case over each system.
pub(crate) fn of_case(case: &CaseResults<'_>) -> Table {
    let has_steps = case.settings.iter().any(|setting| !setting.step.is_empty());
    let latency = |rounds: Rounds<'_>| rounds.median(|figures| figures.latency.map(|all| all.p50)).is_some();
    let has_latencies = case.settings.iter().any(|setting| setting.systems().any(latency));
    let mut headline = if has_steps { vec!["step"] } else { Vec::new() };
    headline.extend(["at", "system", "what"]);
    let words = headline.len();
    headline.extend(["a second", "least–most", "ratio", "CPU µs", "ratio", "load's", "MiB", "flushes/1,000"]);
    if has_latencies {
        headline.extend(["p50 ms", "p99", "p99.9"]);
    }
    let mut table = Table::new(headline, words);
    for setting in &case.settings {
        for rounds in setting.systems() {
            for (number, row) in rows(setting, rounds).into_iter().enumerate() {
                let mut cells = if has_steps { vec![setting.step.to_owned()] } else { Vec::new() };
                cells.push(setting.point.to_string());
                cells.extend(row);
                let latency =
                    |of: fn(&Figures) -> Option<f64>| told(rounds.median(of).filter(|_| number == 0), figure);
                if has_latencies {
                    cells.push(latency(|figures| figures.latency.map(|all| all.p50)));
                    cells.push(latency(|figures| figures.latency.map(|all| all.p99)));
                    cells.push(latency(|figures| figures.latency.map(|all| all.p999)));
                }
                table.row(cells);
            }
        }
    }
    table
}

/// From the system on to the flushes: a row for each rate, the costs in the first one.
fn rows(setting: &Setting<'_>, rounds: Rounds<'_>) -> Vec<Vec<String>> {
    let ours = setting.ours().filter(|ours| ours.system != rounds.system);
    let mut rows = Vec::new();
    for (number, (what, summary)) in rounds.rates().enumerate() {
        let mut cells = vec![rounds.system.to_owned(), what.to_owned(), rate(what, summary.median)];
        let is_spread = summary.min < summary.max;
        let spread = format!("{}–{}", rate(what, summary.min), rate(what, summary.max));
        cells.push(if is_spread { spread } else { String::new() });
        cells.push(told(ours.and_then(|ours| ours.rate_over(rounds, what)), times));
        let costs = [
            // A second for 1,000 operations is a millisecond for each.
            told(rounds.cpu().map(|seconds| seconds * 1e3), figure),
            told(ours.and_then(|ours| ours.cpu_over(rounds)), times),
            told(rounds.median(load), |share| format!("{share:.2}")),
            told(rounds.median(peak), figure),
            told(rounds.per_thousand(|figures| figures.cost.flushes as f64), figure),
        ];
        cells.extend(if number == 0 { costs } else { Default::default() });
        rows.push(cells);
    }
    rows
}

/// How much of a core the load generator took while it worked: until its operations were done, where something else was
/// still to be awaited.
fn load(figures: &Figures) -> Option<f64> {
    let rates = figures.rates.iter().filter(|rate| rate.what != "octets");
    let fastest = rates.map(|rate| rate.per_second).max_by(f64::total_cmp)?;
    (figures.operations > 0).then(|| figures.cost.own_cpu * fastest / figures.operations as f64)
}

/// MiB of memory, shared pages counted once; `None` of what was not watched.
fn peak(figures: &Figures) -> Option<f64> {
    (figures.cost.peak_pss > 0).then(|| figures.cost.peak_pss as f64 / f64::from(1 << 20))
}

fn told(figure: Option<f64>, how: impl Fn(f64) -> String) -> String {
    figure.map(how).unwrap_or_default()
}

/// The goals, and how far they are reached.
pub(crate) fn of_goals(verdicts: &[Verdict]) -> Table {
    let headline = ["goal", "beside", "worst at", "ratio there", "met", "settings"];
    let mut table = Table::new(headline, 3);
    for verdict in verdicts {
        let (met, of) = verdict.met;
        table.row([
            verdict.goal.clone(),
            verdict.other.clone(),
            verdict.at.clone(),
            times(verdict.ratio),
            if verdict.is_met { "yes" } else { "NO" }.to_owned(),
            format!("{} of {}", grouped(met as u64), grouped(of as u64)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::line;
    use super::*;

    #[test]
    fn the_others_row_says_how_many_times_ours_is_theirs() {
        let lines = [
            line("inbound", "Waypost", 4096, 1000, 0.5),
            line("inbound", "Waypost", 4096, 1200, 0.5),
            line("inbound", "Postfix", 4096, 100, 10.0),
        ];
        let results = Results::of(&lines);
        assert_eq!(
            of_case(&results.cases[0]).markdown(),
            "| at | system | what | a second | least–most | ratio | CPU µs | ratio | load's | MiB | flushes/1,000 | p50 ms | p99 | p99.9 |\n\
             | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n\
             | size 4 KiB | Waypost | delivered | 1,100 | 1,000–1,200 |  | 500 |  | 0.00 | 10.0 | 3.00 | 2.00 | 2.00 | 2.00 |\n\
             | size 4 KiB | Postfix | delivered | 100 |  | 11.0 × | 10,000 | 0.050 × | 0.00 | 10.0 | 3.00 | 2.00 | 2.00 | 2.00 |\n"
        );
    }
}
