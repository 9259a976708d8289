//! `waypost mailbox import`.

use std::path::PathBuf;

use mailfiles::Reader;
use mda::exchange::{Format, files};
use service::progress::Progress;
use tonic::Response;

use super::mailboxes;
use crate::console::Console;
use crate::failure::Failure;
use crate::pipeline::{self, Pipeline, status};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost mailbox import alice@example.test --format maildir ~alice/Maildir
  waypost mailbox import alice@example.test --format mbox --into Archive old.mbox

The files are on this machine; they are only read, and links among them are not followed: run it as their owner where you \
can. Mailboxes that are missing are made. A message that was imported before into the same mailbox, with the same \
time of arrival (of Maildir the file's time: copy with `cp -p`), is not put there again: an import that broke off is \
gone on with by the same command. The exit code is 1 if a message could not be imported, or nothing could be.")]
pub(super) struct Arguments {
    /// The account's address
    account: String,
    /// How the files are written
    #[arg(long)]
    format: Format,
    /// Put INBOX' messages into this mailbox, and all others below it
    #[arg(long, value_name = "NAME")]
    into: Option<String>,
    /// The folder of the files, or one mbox file
    #[arg(value_name = "FILES")]
    files: PathBuf,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

pub(super) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let Arguments { account, format, into, files, .. } = arguments;
    let what = format!("cannot import mail into {account}");
    let failed = |error| status(what.clone(), &error);
    let reader =
        Reader::open(format.into(), &files).map_err(|error| Failure::new(what.clone(), error.to_string()))?;
    let mut client = mailboxes(&pipeline).await?;
    let ask = async |requests| client.import(requests).await.map(Response::into_inner);
    let mut progress = Progress::begin();
    let tell = |messages| progress.tell("messages", messages);
    let gathered = files::import(reader, account, into, ask, tell).await;
    drop(progress);
    super::tell(&gathered.map_err(failed)?, "imported", console)
}
