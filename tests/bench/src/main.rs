//! Waypost beside Postfix and Dovecot: the same load over each in turns, what it took, and what it cost.

// It speaks to the person who runs it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod cases;
mod cli;
mod cost;
mod interruption;
mod load;
mod origin;
mod report;
mod run;
mod system;

use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Parser as _;

use crate::cli::{Command, CommandLine, Report};
use crate::report::Line;

fn main() -> ExitCode {
    if env::var_os(system::AS_WAYPOST).is_some() {
        return waypost::main();
    }
    match run(&CommandLine::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does it, and says how the program is to end.
fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List => {
            let catalogue = cases::catalogue();
            let width = catalogue.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
            for (name, about) in catalogue {
                println!("{name:<width$}  {about}");
            }
        }
        Command::Run(arguments) => return run::run(arguments),
        Command::Report(arguments) => tell(arguments)?,
        Command::Raw { dir, size } => {
            for group in [1, 4, 16, 64] {
                let rate = cases::raw::rate(dir, *size, group)?;
                println!("{rate:>8.0} messages/s of {size} octets, synced in groups of {group}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The tables of figures that are kept.
fn tell(arguments: &Report) -> anyhow::Result<()> {
    let (mut lines, mut runs) = (Vec::new(), Vec::new());
    for file in &arguments.files {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        for (number, line) in text.lines().enumerate() {
            let line: Line = serde_json::from_str(line)
                .with_context(|| format!("{}: line {} is no figure", file.display(), number + 1))?;
            if let Line::Origin(origin) = &line {
                runs.push((file.as_path(), origin.build()));
            }
            lines.push(line);
        }
    }
    match &arguments.docs {
        None => report::print(&lines),
        Some(docs) => {
            ensure_alike(&runs)?;
            report::write(&lines, docs)?;
        }
    }
    Ok(())
}

/// Rounds of one figure have to be of one build and of one kind of run.
fn ensure_alike(runs: &[(&Path, String)]) -> anyhow::Result<()> {
    if runs.windows(2).any(|pair| pair[0].1 != pair[1].1) {
        let told: Vec<_> = runs.iter().map(|(file, build)| format!("{}: {build}", file.display())).collect();
        bail!("these runs cannot be told of together, for they are not alike:\n{}", told.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_several_commits_are_refused_by_their_files_names() {
        let run = |file, commit: &str| (Path::new(file), commit.to_owned());
        assert!(ensure_alike(&[run("a.jsonl", "1"), run("b.jsonl", "1")]).is_ok());
        let refused = ensure_alike(&[run("a.jsonl", "1"), run("b.jsonl", "2")]).unwrap_err().to_string();
        assert!(refused.contains("a.jsonl: 1") && refused.contains("b.jsonl: 2"), "{refused}");
    }
}
