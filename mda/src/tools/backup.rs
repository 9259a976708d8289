//! `mda backup` and `mda restore`.

use std::path::PathBuf;

use service::cli::AnyError;
use service::count::counted;
use service::progress::Progress;

use super::{Outcome, StoreArguments, existing, say};
use crate::config::Config;
use crate::store::{BackupReport, LocalStore, Restored, StoreConfig, restore};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mda backup /backups/mail        again into the same folder: adds what is new

The service must not run meanwhile; `waypost store backup` asks a running one. The exit code is 1 if something in the \
store is damaged: it is copied as it is.")]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) store: StoreArguments,
    /// The folder of the backup, made if it is missing
    folder: PathBuf,
    /// Link files instead of copying them where that can be done: takes no space, and is no help if the disk fails
    #[arg(long)]
    link: bool,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<Outcome, AnyError> {
    existing(&config.data_dir)?;
    let (store, _) = LocalStore::open_as_it_is(config.store_config())?;
    let mut progress = Progress::begin();
    let taken = store.backup(&arguments.folder, arguments.link, &mut |octets| {
        progress.tell("octets", octets);
        Ok(())
    });
    drop(progress);
    store.close_blocking()?;
    let BackupReport { segments, octets, added, damaged } = taken?;
    for damaged in &damaged {
        say(format_args!("damaged: {damaged}"));
    }
    let (segments, octets) = (counted(segments, "segment"), counted(octets, "octet"));
    say(format_args!("{segments} of {octets}, {added} of them new"));
    Ok(if damaged.is_empty() { Outcome::Well } else { Outcome::Wrong })
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mda restore /backups/mail /var/lib/waypost/mda

Every file is verified against the backup's checksums, then all rows are made anew from the journal. Nothing is ever \
replaced: the new folder must not exist, or be empty.")]
pub(super) struct RestoreArguments {
    /// The folder of the backup
    from: PathBuf,
    /// The folder of the new store
    to: PathBuf,
}

pub(super) fn run_restore(arguments: &RestoreArguments) -> Result<Outcome, AnyError> {
    let mut progress = Progress::begin();
    let tell = move |stage: &'static str, done| progress.tell(stage, done);
    let Restored { taken, octets, opened } = restore(&arguments.from, StoreConfig::new(&arguments.to), tell)?;
    let (to, octets) = (arguments.to.display(), counted(octets, "octet"));
    let records = counted(opened.replayed, "journal record");
    say(format_args!("{to} is as it was at {taken}: {octets}, {records}"));
    for damaged in &opened.damaged {
        say(format_args!("lost: {damaged}"));
    }
    Ok(if opened.damaged.is_empty() { Outcome::Well } else { Outcome::Wrong })
}
