//! `waypost mailbox export`.

use std::path::PathBuf;

use mailfiles::Writer;
use mda::exchange::{Format, files};
use proto::mda::ExportRequest;
use service::progress::Progress;

use super::mailboxes;
use crate::console::Console;
use crate::failure::Failure;
use crate::pipeline::{self, Pipeline, status};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost mailbox export alice@example.test --format maildir ~/alice
  waypost mailbox export alice@example.test --mailbox Archive --format mbox ~/archive

The folder is on this machine; it must not exist, or be yours, empty and writable by nobody else. What is written is for \
you alone to read. Maildir holds 26 keywords for each mailbox. The exit code is 1 if a message could not be exported, or \
nothing could be.")]
pub(super) struct Arguments {
    /// The account's address
    account: String,
    /// Only this mailbox
    #[arg(long, value_name = "NAME")]
    mailbox: Option<String>,
    /// How the files are written
    #[arg(long)]
    format: Format,
    /// The folder of the files, made if it is missing
    #[arg(value_name = "FOLDER")]
    files: PathBuf,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

pub(super) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let Arguments { account, mailbox, format, files, .. } = arguments;
    let what = format!("cannot export the mail of {account}");
    let failed = |error| status(what.clone(), &error);
    let request = ExportRequest { account, mailbox: mailbox.unwrap_or_default() };
    let stream = mailboxes(&pipeline).await?.export(request).await.map_err(failed)?.into_inner();
    let broken = |error: &dyn std::fmt::Display| Failure::new(what.clone(), error.to_string());
    let writer = Writer::create(format.into(), &files).map_err(|error| broken(&error))?;
    let mut progress = Progress::begin();
    let written = files::export(writer, stream, move |messages| progress.tell("messages", messages)).await;
    super::tell(&written.map_err(|error| broken(&error))?, "exported", console)
}
