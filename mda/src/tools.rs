//! `mda check`, `mda rebuild` and their like: work on the folder of a store that no service has open.

mod backup;
mod check;
mod exchange;
mod rebuild;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use service::cli::AnyError;
use service::{config, telemetry};

use crate::config::Config;

/// The command line, behind the program's name.
#[derive(Debug, Parser)]
#[command(name = "mda", version, about = "Works on the folder of a mail store that no service has open")]
struct CommandLine {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    /// Verify that accounts, mailboxes, messages and the journal fit together
    Check(check::Arguments),
    /// Make accounts, mailboxes and messages anew from the journal; loses no message
    Rebuild(rebuild::Arguments),
    /// Copy the store into a folder, or bring the copy in it up to date
    Backup(backup::Arguments),
    /// Make a store of a backup
    Restore(backup::RestoreArguments),
    /// Write an account's mail into files
    Export(exchange::ExportArguments),
    /// Put mail from files into an account
    Import(exchange::ImportArguments),
}

/// Where the store is.
#[derive(Debug, clap::Args)]
struct StoreArguments {
    /// The service's configuration, in TOML
    #[arg(long, value_name = "FILE", default_value = "/etc/waypost/mda.toml")]
    config: PathBuf,
}

impl Tool {
    fn name(&self) -> &'static str {
        match self {
            Self::Check(_) => "check",
            Self::Rebuild(_) => "rebuild",
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
            Self::Export(_) => "export",
            Self::Import(_) => "import",
        }
    }

    fn load(&self) -> Result<Config, AnyError> {
        let store = match self {
            Self::Check(arguments) => &arguments.store,
            Self::Rebuild(arguments) => &arguments.store,
            Self::Backup(arguments) => &arguments.store,
            Self::Export(arguments) => &arguments.store,
            Self::Import(arguments) => &arguments.store,
            // There is no service yet.
            Self::Restore(_) => return Ok(Config::default()),
        };
        Ok(config::load(&store.config, "mda")?)
    }

    fn run(&self, config: &Config) -> Result<Outcome, AnyError> {
        match self {
            Self::Check(arguments) => check::run(arguments, config),
            Self::Rebuild(_) => rebuild::run(config),
            Self::Backup(arguments) => backup::run(arguments, config),
            Self::Restore(arguments) => backup::run_restore(arguments),
            Self::Export(arguments) => exchange::run_export(arguments, config),
            Self::Import(arguments) => exchange::run_import(arguments, config),
        }
    }
}

/// The first word of a command line names a tool.
pub(crate) fn is_tool(word: &OsString) -> bool {
    <Tool as Subcommand>::augment_subcommands(clap::Command::new("mda"))
        .get_subcommands()
        .any(|tool| word == tool.get_name())
}

/// What a tool ended with.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// All is well.
    Well,
    /// It did what it was to do, and found something wrong.
    Wrong,
}

/// Runs the tool of a command line, the program's name first.
pub(crate) fn main_from(arguments: &[OsString]) -> ExitCode {
    let tool = match CommandLine::try_parse_from(arguments) {
        Ok(CommandLine { tool }) => tool,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let ended = tool.load().and_then(|config| {
        telemetry::init(&config.log)?;
        tool.run(&config)
    });
    match ended {
        Ok(Outcome::Well) => ExitCode::SUCCESS,
        Ok(Outcome::Wrong) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "mda {}: {error}", tool.name());
            // Not the code for something wrong that was found.
            ExitCode::from(2)
        }
    }
}

/// A line of the result.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The store's folder has to be there: a tool makes none.
fn existing(dir: &Path) -> Result<(), AnyError> {
    if dir.join("FORMAT").is_file() {
        return Ok(());
    }
    Err(format!("{} holds no mail store", dir.display()).into())
}
