//! The program's command line.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use jiff::SignedDuration;

use crate::results::Results;
use crate::{Form, SCENARIOS, Scenario, report, run, scenario, table};

/// The variable that makes this program the operator's command.
pub const AS_WAYPOST: &str = "FAULTS_AS_WAYPOST";

/// What results are kept in, beside the program, from one run to the next, unless another file is named or a report is
/// written.
const RESULTS: &str = "reliability.json";

/// Kills, starves and damages Waypost while mail goes through it, and counts what was acknowledged, delivered,
/// duplicated and lost. Ends with 1 if anything was.
#[derive(Debug, Parser)]
#[command(name = "faults")]
struct CommandLine {
    /// Run the long forms
    #[arg(long)]
    long: bool,
    /// Run only these scenarios
    #[arg(long, num_args = 1.., value_name = "NAME", value_parser = named)]
    only: Vec<&'static Scenario>,
    /// Run so many rounds of each
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Have scenarios that are bounded by time go on so long, such as `8h`
    #[arg(long, value_name = "TIME", value_parser = time)]
    duration: Option<Duration>,
    /// What the choices come from; processes take their own time all the same
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Say which scenarios there are, and run none
    #[arg(long)]
    list: bool,
    /// Keep the results in this file, beside those of other runs that it holds; else in one beside the report, named
    /// like it, or without a report beside this program
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Add the results that these files keep, of runs elsewhere
    #[arg(long, num_args = 1.., value_name = "FILE")]
    add: Vec<PathBuf>,
    /// Write a report of all results in that file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Run nothing: write the report of what is there
    #[arg(long, requires = "report", conflicts_with_all = ["long", "only", "rounds", "duration"])]
    report_only: bool,
}

impl CommandLine {
    /// The file that results are kept in: what is published changes only where a report is asked for.
    fn kept(&self) -> anyhow::Result<PathBuf> {
        Ok(match (&self.json, &self.report) {
            (Some(file), _) => file.clone(),
            (None, Some(report)) => report.with_extension("json"),
            (None, None) => program()?.with_file_name(RESULTS),
        })
    }
}

/// This program's file.
fn program() -> anyhow::Result<PathBuf> {
    env::current_exe().context("cannot find this program")
}

fn named(name: &str) -> Result<&'static Scenario, String> {
    scenario(name).ok_or_else(|| "there is no such scenario; --list says which there are".to_owned())
}

fn time(text: &str) -> anyhow::Result<Duration> {
    Ok(text.parse::<SignedDuration>()?.try_into()?)
}

/// The program.
pub fn main() -> ExitCode {
    match follow(&CommandLine::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the command line says. Says whether all was as it was promised.
fn follow(line: &CommandLine) -> anyhow::Result<bool> {
    if line.list {
        list();
        return Ok(true);
    }
    // Before anything runs for hours: what cannot be read would not be written either.
    let kept = line.kept()?;
    let mut results = Results::read(&kept)?;
    for file in &line.add {
        results.add_all(Results::read(file)?);
        results.write(&kept)?;
    }
    let mut is_right = true;
    if !line.report_only {
        is_right = run_all(line, &mut results, &kept)?;
    }
    if let Some(path) = &line.report {
        report::write(&results, path)?;
    }
    Ok(is_right)
}

fn list() {
    let width = SCENARIOS.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    for scenario in SCENARIOS {
        println!("{:<width$}  {}", scenario.name, scenario.proves);
    }
}

fn run_all(line: &CommandLine, results: &mut Results, kept: &Path) -> anyhow::Result<bool> {
    let program = program()?;
    let seed = line.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let form = Form { is_long: line.long, rounds: line.rounds, duration: line.duration, seed, program };
    let chosen: Vec<&'static Scenario> =
        if line.only.is_empty() { SCENARIOS.to_vec() } else { line.only.clone() };
    let mut runs = Vec::new();
    for (number, scenario) in chosen.iter().enumerate() {
        eprintln!("[{}/{}] {}: {}", number + 1, chosen.len(), scenario.name, scenario.proves);
        let run = run(scenario, &form);
        for wrong in &run.outcome.wrong {
            eprintln!("  wrong: {wrong}");
        }
        eprintln!("  {:.0} s", run.seconds);
        results.add(run.clone());
        // After each, so that one that is stopped takes no other's result with it.
        results.write(kept)?;
        runs.push(run);
    }
    print!("{}", table::of_runs(&runs, "FAILED").text());
    for run in &runs {
        for figure in &run.outcome.figures {
            println!("{}: {}: {}", run.scenario, figure.label, figure.value);
        }
    }
    println!("seed {seed}");
    Ok(runs.iter().all(|run| run.outcome.is_right()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_with_a_report_changes_what_is_beside_it() -> anyhow::Result<()> {
        let kept =
            |arguments: &[&str]| CommandLine::try_parse_from([&["faults"], arguments].concat())?.kept();
        assert_eq!(kept(&["--report", "docs/reliability.md"])?, Path::new("docs/reliability.json"));
        assert_eq!(kept(&["--report", "a.md", "--json", "b.json"])?, Path::new("b.json"));
        assert_eq!(kept(&["--long"])?.parent(), program()?.parent());
        Ok(())
    }
}
