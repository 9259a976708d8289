//! `waypost store`: the mail store as a whole.

mod backup;
mod check;

use clap::Subcommand;
use proto::mda::store_client::StoreClient;
use tonic::transport::Channel;

use crate::console::Console;
use crate::failure::Failure;
use crate::pipeline::{self, Pipeline};

const EXAMPLES: &str = "Examples:
  waypost store backup /backups/mail
  waypost store check --bodies";

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Verify that accounts, mailboxes, messages and the journal fit together
    Check(check::Arguments),
    /// Copy the store into a folder, or bring the copy in it up to date
    Backup(backup::Arguments),
}

/// Does it.
pub(crate) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    match arguments.command {
        StoreCommand::Check(arguments) => check::run(arguments, console).await,
        StoreCommand::Backup(arguments) => backup::run(arguments, console).await,
    }
}

async fn store(pipeline: &Pipeline) -> Result<StoreClient<Channel>, Failure> {
    Ok(StoreClient::new(pipeline::channel(&pipeline.mda()?.address, &pipeline.credentials).await?))
}
