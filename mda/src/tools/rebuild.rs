//! `mda rebuild`.

use service::cli::AnyError;
use service::count::counted;
use service::progress::Progress;

use super::{Outcome, StoreArguments, existing, say};
use crate::config::Config;
use crate::store::LocalStore;

const EXAMPLES: &str = "Examples:
  mda rebuild
  mda rebuild && mda check --rebuild

The service must not run meanwhile. It takes time in proportion to the number of messages. The rows that were there are \
kept as `state.damaged` until the next time. The exit code is 1 if the journal itself is damaged and something is lost.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) store: StoreArguments,
}

pub(super) fn run(config: &Config) -> Result<Outcome, AnyError> {
    existing(&config.data_dir)?;
    let mut progress = Progress::begin();
    let opened = LocalStore::rebuild(config.store_config(), move |records| {
        progress.tell("journal records", records);
    })?;
    let records = counted(opened.replayed, "journal record");
    say(format_args!("rebuilt {} from {records}", config.data_dir.display()));
    for damaged in &opened.damaged {
        say(format_args!("lost: {damaged}"));
    }
    Ok(if opened.damaged.is_empty() { Outcome::Well } else { Outcome::Wrong })
}
