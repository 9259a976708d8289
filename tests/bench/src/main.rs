//! Waypost beside Postfix and Dovecot: the same load over each in turns, what it took, and what it cost.

// It speaks to the person who runs it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod cases;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// In the environment of a process that is to be the operator's command: Waypost is built into this program, so that what
/// is measured is always of the same commit as what measures.
const AS_WAYPOST: &str = "BENCH_AS_WAYPOST";

#[derive(Debug, Parser)]
#[command(name = "bench", about = "Measures Waypost beside Postfix and Dovecot, on this machine's loopback")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How fast this disk takes messages at all: written and synced in groups, without a mail system
    Raw {
        /// A folder on the disk
        #[arg(long, value_name = "DIR", default_value = "target")]
        dir: PathBuf,
        /// Octets of a message
        #[arg(long, value_name = "OCTETS", default_value_t = 4096)]
        size: usize,
    },
}

fn main() -> ExitCode {
    if env::var_os(AS_WAYPOST).is_some() {
        return waypost::main();
    }
    match run(&CommandLine::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Raw { dir, size } => {
            for group in [1, 4, 16, 64] {
                let rate = cases::raw::rate(dir, *size, group)?;
                println!("{rate:>8.0} messages/s of {size} octets, synced in groups of {group}");
            }
            Ok(())
        }
    }
}
