//! `waypost mailbox`: a look into mailboxes, and what is done there.

mod acl;
mod export;
mod import;
mod retention;
mod undelete;

use clap::Subcommand;
use mda::exchange::files::Summary;
use proto::mda::mailbox_client::MailboxClient;
use proto::mda::{ListMailboxesRequest, MailboxStatus, MailboxStatusRequest};
use serde::Serialize;
use tonic::transport::Channel;

use crate::console::{Console, Table};
use crate::failure::Failure;
use crate::pipeline::{self, Pipeline, status};

const EXAMPLES: &str = "Examples:
  waypost mailbox list alice@example.test
  waypost mailbox status alice@example.test INBOX --json";

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: MailboxCommand,
}

#[derive(Debug, Subcommand)]
enum MailboxCommand {
    /// List the mailboxes of an account
    List(List),
    /// Show the state of one mailbox
    Status(Status),
    /// Show and change what others may do with a mailbox
    Acl(acl::Arguments),
    /// List and bring back messages that were expunged
    Undelete(undelete::Arguments),
    /// Say how long messages stay in a mailbox
    Retention(retention::Arguments),
    /// Write an account's mail into files
    Export(export::Arguments),
    /// Put mail from files into an account
    Import(import::Arguments),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost mailbox list alice@example.test
  waypost mailbox list alice@example.test --json | jq -r '.[].name'")]
struct List {
    /// The account's address
    account: String,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost mailbox status alice@example.test INBOX
  waypost mailbox status alice@example.test INBOX --json")]
struct Status {
    /// The account's address
    account: String,
    /// The mailbox's name, levels parted by `/`
    mailbox: String,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

/// A mailbox as programs read it.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    special_use: String,
    uid_validity: u32,
    uid_next: u32,
    highest_modseq: u64,
    messages: u32,
    unseen: u32,
    octets: u64,
    /// Seconds that messages stay; 0 for ever.
    retention: Option<i64>,
}

/// Does it.
pub(crate) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    match arguments.command {
        MailboxCommand::List(arguments) => list(arguments, console).await,
        MailboxCommand::Status(arguments) => show(arguments, console).await,
        MailboxCommand::Acl(arguments) => acl::run(arguments, console).await,
        MailboxCommand::Undelete(arguments) => undelete::run(arguments, console).await,
        MailboxCommand::Retention(arguments) => retention::run(arguments, console).await,
        MailboxCommand::Export(arguments) => export::run(arguments, console).await,
        MailboxCommand::Import(arguments) => import::run(arguments, console).await,
    }
}

async fn list(arguments: List, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let account = arguments.account;
    let mailboxes = mailboxes(&pipeline)
        .await?
        .list(ListMailboxesRequest { account: account.clone() })
        .await
        .map_err(|error| status(format!("cannot list the mailboxes of {account}"), &error))?
        .into_inner()
        .mailboxes;
    let shown: Vec<Shown> = mailboxes.into_iter().map(Shown::from).collect();
    if arguments.json {
        console.print_json(&shown);
    } else {
        console.print_table(&table(&shown));
    }
    Ok(())
}

async fn show(arguments: Status, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let Status { account, mailbox, json, .. } = arguments;
    let what = format!("cannot look into {mailbox} of {account}");
    let shown: Shown = mailboxes(&pipeline)
        .await?
        .status(MailboxStatusRequest { account, mailbox })
        .await
        .map_err(|error| status(what, &error))?
        .into_inner()
        .into();
    if json {
        console.print_json(&shown);
    } else {
        console.print_table(&table(&[shown]));
    }
    Ok(())
}

fn table(mailboxes: &[Shown]) -> Table {
    let mut table =
        Table::new(["MAILBOX", "USE", "MESSAGES", "UNSEEN", "OCTETS", "UIDVALIDITY", "UIDNEXT", "MODSEQ"]);
    for mailbox in mailboxes {
        table.row([
            mailbox.name.clone(),
            mailbox.special_use.clone(),
            mailbox.messages.to_string(),
            mailbox.unseen.to_string(),
            mailbox.octets.to_string(),
            mailbox.uid_validity.to_string(),
            mailbox.uid_next.to_string(),
            mailbox.highest_modseq.to_string(),
        ]);
    }
    table
}

/// Says what an export or import came to; it fails if not all of it did.
fn tell(summary: &Summary, done: &str, console: Console) -> Result<(), Failure> {
    for told in summary.doubts.iter().chain(&summary.failures) {
        console.warn(told);
    }
    console.print(format_args!("{summary} {done}"));
    if summary.is_whole() {
        return Ok(());
    }
    Err(Failure::new(format!("not all could be {done}"), format!("{} failed", summary.failed)))
}

async fn mailboxes(pipeline: &Pipeline) -> Result<MailboxClient<Channel>, Failure> {
    Ok(MailboxClient::new(pipeline::channel(&pipeline.mda()?.address, &pipeline.credentials).await?))
}

impl From<MailboxStatus> for Shown {
    fn from(status: MailboxStatus) -> Self {
        Self {
            name: status.name,
            special_use: status.special_use,
            uid_validity: status.uid_validity,
            uid_next: status.uid_next,
            highest_modseq: status.highest_modseq,
            messages: status.messages,
            unseen: status.unseen,
            octets: status.octets,
            retention: status.retention.map(|keep| keep.seconds),
        }
    }
}
