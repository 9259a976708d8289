//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::system::Kind;

#[derive(Debug, Parser)]
#[command(name = "bench", about = "Measures Waypost beside Postfix and Dovecot, on this machine's loopback")]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The cases that can be measured
    List,
    /// Measure, print tables, and keep the figures as lines of JSON
    Run(Run),
    /// Print the tables of figures that are kept, or write the documentation that shows them
    Report(Report),
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

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Cases to measure [default: all but growth]
    #[arg(long, value_name = "CASE", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// How often each is measured over each system, in turns
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// One round with little of everything: whether it works, not how fast
    #[arg(long)]
    pub(crate) quick: bool,
    /// Systems to measure
    #[arg(long, value_name = "SYSTEM", value_delimiter = ',', default_values = ["waypost", "sdbox", "maildir"])]
    pub(crate) systems: Vec<Kind>,
    /// Accounts that each system has [default: 1000, quick 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) accounts: Option<u32>,
    /// Where the figures are kept
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    pub(crate) out: PathBuf,
    /// A folder on the disk for the systems' mail, which is gone afterwards
    #[arg(long, value_name = "DIR", default_value = "target")]
    pub(crate) dir: PathBuf,
    /// Another build of `waypost` than the one in this program
    #[arg(long, value_name = "PATH")]
    pub(crate) waypost: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Files of figures, as `run` keeps them
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Write performance.md and performance/ into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) docs: Option<PathBuf>,
}
