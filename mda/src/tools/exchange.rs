//! `mda export` and `mda import`.

use std::path::PathBuf;

use mailfiles::{Reader, Writer};
use service::cli::AnyError;
use service::progress::Progress;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::{Outcome, StoreArguments, existing, say};
use crate::config::Config;
use crate::exchange::files::{self, Summary};
use crate::exchange::{self, Format};
use crate::store::{LocalStore, MailboxName};

/// Parts that wait.
const WAITING: usize = 16;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mda export alice@example.test --format maildir ~/alice
  mda export alice@example.test --mailbox Archive --format mbox ~/archive

The service must not run meanwhile; `waypost mailbox export` asks a running one. The folder must not exist, or be \
yours, empty and writable by nobody else; what is written is for you alone to read. The exit code is 1 if a message could \
not be exported, 2 if nothing could be.")]
pub(super) struct ExportArguments {
    #[command(flatten)]
    pub(super) store: StoreArguments,
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
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mda import alice@example.test --format maildir ~alice/Maildir
  mda import alice@example.test --format mbox --into Archive old.mbox

The service must not run meanwhile; `waypost mailbox import` asks a running one. A message that was imported before into \
the same mailbox is not put there again. Links among the files are not followed. The exit code is 1 if a message could not \
be imported, 2 if nothing could be.")]
pub(super) struct ImportArguments {
    #[command(flatten)]
    pub(super) store: StoreArguments,
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
}

pub(super) fn run_export(arguments: &ExportArguments, config: &Config) -> Result<Outcome, AnyError> {
    existing(&config.data_dir)?;
    let only = arguments.mailbox.as_deref().map(MailboxName::parse).transpose()?;
    let runtime = Runtime::new()?;
    let (store, _) = LocalStore::open_as_it_is(config.store_config())?;
    let done = exchange::account(&store, &arguments.account)
        .map_err(|error| error.message().to_owned())
        .and_then(|account| {
            let writer = Writer::create(arguments.format.into(), &arguments.files)
                .map_err(|error| error.to_string())?;
            let (parts, given) = mpsc::channel(WAITING);
            let source = store.clone();
            runtime.spawn(async move {
                if let Err(error) = exchange::export(&source, &account, only.as_ref(), &parts).await {
                    // The writer may have failed.
                    let _ = parts.send(Err(error)).await;
                }
            });
            let mut progress = Progress::begin();
            let tell = move |messages| progress.tell("messages", messages);
            let written = runtime.block_on(files::export(writer, ReceiverStream::new(given), tell));
            written.map_err(|error| error.to_string())
        });
    drop(runtime);
    store.close_blocking()?;
    Ok(tell(&done?, "exported"))
}

pub(super) fn run_import(arguments: &ImportArguments, config: &Config) -> Result<Outcome, AnyError> {
    existing(&config.data_dir)?;
    let reader = Reader::open(arguments.format.into(), &arguments.files)?;
    let runtime = Runtime::new()?;
    let (store, _) = LocalStore::open(config.store_config())?;
    let (target, max_message) = (store.clone(), *config.limits.message_size);
    let ask = async |requests: ReceiverStream<_>| {
        let (answers, answered) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            if let Err(error) = exchange::import(&target, max_message, requests.map(Ok), &answers).await {
                let _ = answers.send(Err(error)).await;
            }
        });
        Ok(ReceiverStream::new(answered))
    };
    let mut progress = Progress::begin();
    let heard = |messages| progress.tell("messages", messages);
    let (account, into) = (arguments.account.clone(), arguments.into.clone());
    let done = runtime.block_on(files::import(reader, account, into, ask, heard));
    drop(progress);
    drop(runtime);
    store.close_blocking()?;
    Ok(tell(&done.map_err(|error| error.message().to_owned())?, "imported"))
}

fn tell(summary: &Summary, what: &str) -> Outcome {
    for doubt in &summary.doubts {
        say(doubt);
    }
    for failure in &summary.failures {
        say(format_args!("failed: {failure}"));
    }
    say(format_args!("{summary} {what}"));
    if summary.is_whole() { Outcome::Well } else { Outcome::Wrong }
}
