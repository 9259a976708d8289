//! `mda check`.

use service::cli::AnyError;
use service::count::counted;
use service::progress::Progress;

use super::{Outcome, StoreArguments, existing, say};
use crate::config::Config;
use crate::store::{CheckOptions, CheckReport, LocalStore, StoreConfig};

const EXAMPLES: &str = "Examples:
  mda check
  mda check --bodies --rebuild      all that can be verified

The service must not run meanwhile; `waypost store check` asks a running one. The exit code is 0 if all is well, 1 if \
something is wrong, 2 if it could not be verified.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) store: StoreArguments,
    /// Also read every message, and everything in the journal, against the checksums
    #[arg(long)]
    bodies: bool,
    /// Also make all rows anew from the journal, beside the others, and compare
    #[arg(long)]
    rebuild: bool,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<Outcome, AnyError> {
    let Arguments { bodies, rebuild, .. } = *arguments;
    let report = check(config.store_config(), CheckOptions { bodies, rebuild })?;
    print(&report);
    Ok(if report.is_sound() { Outcome::Well } else { Outcome::Wrong })
}

pub(super) fn check(config: StoreConfig, options: CheckOptions) -> Result<CheckReport, AnyError> {
    existing(&config.dir)?;
    let (store, _) = LocalStore::open_as_it_is(config)?;
    let mut progress = Progress::begin();
    let checked = store.check(options, &mut |now| {
        progress.tell(now.stage, now.done);
        Ok(())
    });
    drop(progress);
    store.close_blocking()?;
    Ok(checked?)
}

fn print(report: &CheckReport) {
    let CheckReport { problems, found, unchecked, accounts, mailboxes, messages, records, bodies, octets } =
        report;
    for problem in problems {
        say(problem);
    }
    if *found > problems.len() as u64 {
        say(format_args!("… and {} more", found - problems.len() as u64));
    }
    for unchecked in unchecked {
        say(format_args!("not verified: {unchecked}"));
    }
    let (accounts, mailboxes) = (counted(*accounts, "account"), counted(*mailboxes, "mailbox"));
    let (messages, records) = (counted(*messages, "message"), counted(*records, "journal record"));
    say(format_args!("{accounts}, {mailboxes}, {messages}, {records}"));
    if *bodies > 0 {
        let (bodies, octets) = (counted(*bodies, "body"), counted(*octets, "octet"));
        say(format_args!("{bodies} of {octets} read"));
    }
    say(match found {
        0 => "nothing is wrong".to_owned(),
        _ => {
            let problems = counted(*found, "problem");
            format!("{problems}: `mda rebuild` makes all rows anew from the journal")
        }
    });
}
