//! `waypost store backup`.

use std::path::PathBuf;

use proto::mda::{BackupRequest, backup_response::Response};
use service::count::counted;
use service::progress::Progress;

use super::store;
use crate::console::Console;
use crate::failure::{Explain, Failure};
use crate::pipeline::{self, Pipeline, status};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost store backup /backups/mail        again into the same folder: adds what is new

The folder is one on the machine of the mda, which goes on serving meanwhile. `mda restore` makes a store of it. \
The exit code is 1 too if something in the store is damaged.")]
pub(super) struct Arguments {
    /// The folder of the backup, made if it is missing
    folder: PathBuf,
    /// Link files instead of copying them where that can be done: takes no space, and is no help if the disk fails
    #[arg(long)]
    link: bool,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

pub(super) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let Arguments { folder, link, .. } = arguments;
    // What is relative is meant from here, and the mda is elsewhere.
    let folder = std::path::absolute(&folder).explain(|| format!("cannot find {}", folder.display()))?;
    let folder = folder.display().to_string();
    let what = format!("cannot take a backup into {folder}");
    let failed = |error| status(what.clone(), &error);
    let request = BackupRequest { folder, link };
    let mut answers = store(&pipeline).await?.backup(request).await.map_err(failed)?.into_inner();
    let mut progress = Progress::begin();
    let mut report = None;
    while let Some(answer) = answers.message().await.map_err(failed)? {
        match answer.response {
            Some(Response::Octets(octets)) => progress.tell("octets", octets),
            Some(Response::Report(told)) => report = Some(told),
            None => {}
        }
    }
    drop(progress);
    let report = report.ok_or_else(|| Failure::new(what, "it ended without a report"))?;
    for damaged in &report.damaged {
        console.warn(format_args!("damaged in the store, and copied as it is: {damaged}"));
    }
    let (segments, octets) = (counted(report.segments, "segment"), counted(report.octets, "octet"));
    console.print(format_args!("{segments} of {octets}, {} of them new", report.added));
    if report.damaged.is_empty() {
        return Ok(());
    }
    Err(Failure::new("the store is not sound", format!("{} damaged", report.damaged.len()))
        .advise("`waypost store check` tells what is wrong"))
}
