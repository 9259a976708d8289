//! The command line.

use std::{ffi::OsString, path::PathBuf};

use clap::{Arg, ArgAction, Command, value_parser};

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) config: PathBuf,
    pub(super) action: Action,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Run,
    Check,
    PrintConfig,
}

impl Arguments {
    pub(super) fn parse<A: Into<OsString> + Clone>(
        name: &'static str,
        about: &'static str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self, clap::Error> {
        let matches = command(name, about).try_get_matches_from(arguments)?;
        let action = match (matches.get_flag("check"), matches.get_flag("print-config")) {
            (true, _) => Action::Check,
            (_, true) => Action::PrintConfig,
            _ => Action::Run,
        };
        let config = matches.get_one::<PathBuf>("config").cloned().unwrap_or_else(|| default_path(name));
        Ok(Self { config, action })
    }
}

fn command(name: &'static str, about: &'static str) -> Command {
    let path = default_path(name).display().to_string();
    Command::new(name)
        .about(about)
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(format!(
            "Environment variables WAYPOST_{}__SECTION__KEY override the file; WAYPOST_LOG overrides log.level.\n\
             SIGTERM drains and ends; a second one ends at once. SIGHUP reads certificates again.",
            name.to_uppercase()
        ))
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help(format!("The configuration, in TOML [default: {path}]")),
        )
        .arg(
            Arg::new("check")
                .long("check")
                .action(ArgAction::SetTrue)
                .help("Check the configuration and the files it names, and end"),
        )
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .conflicts_with("check")
                .help("Print the effective configuration, defaults and environment included, and end"),
        )
}

fn default_path(name: &str) -> PathBuf {
    format!("/etc/waypost/{name}.toml").into()
}
