//! `waypost mailbox import`.

use std::path::PathBuf;

use mailfiles::Reader;
use mda::exchange::{Format, files};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::mailboxes;
use crate::commands::progress;
use crate::console::Console;
use crate::failure::Failure;
use crate::pipeline::{self, Pipeline, status};

/// Parts that wait for the network.
const WAITING: usize = 16;

/// Messages that wait for their answer.
const UNANSWERED: usize = 1_024;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost mailbox import alice@example.test --format maildir ~alice/Maildir
  waypost mailbox import alice@example.test --format mbox --into Archive old.mbox

The files are on this machine; they are only read, and links among them are not followed: run it as their owner where you \
can. Mailboxes that are missing are made. A message that was imported before into the same mailbox is not put there again: \
an import that broke off is gone on with by the same command. The exit code is 1 if a message could not be imported, or \
nothing could be.")]
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
    #[arg(value_name = "FOLDER")]
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
    let (requests, received) = mpsc::channel(WAITING);
    let (sent, places) = mpsc::channel(UNANSWERED);
    // It ends once nobody takes what it reads.
    tokio::task::spawn_blocking(move || files::read(reader, &account, into.as_deref(), &requests, &sent));
    let stream = ReceiverStream::new(received);
    let answers = mailboxes(&pipeline).await?.import(stream).await.map_err(failed)?.into_inner();
    let gathered = files::gather(places, answers, |messages| progress::tell("messages", messages)).await;
    progress::end();
    super::tell(&gathered.map_err(failed)?, "imported", console)
}
