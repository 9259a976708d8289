//! `waypost mailbox acl`.

use clap::Subcommand;
use proto::mda::{Grant, ListGrantsRequest, SetGrantRequest};
use serde::Serialize;

use super::mailboxes;
use crate::console::{Console, Table};
use crate::failure::Failure;
use crate::pipeline::{self, Pipeline, status};

const EXAMPLES: &str = "Examples:
  waypost mailbox acl show alice@example.test Team
  waypost mailbox acl grant alice@example.test Team bob@example.test lrs
  waypost mailbox acl revoke alice@example.test Team bob@example.test

Rights are the letters of RFC 4314: l (is listed), r (is read), s (\\Seen is kept), w (flags are changed), i (mail is put \
in), p (kept for other programs), k (mailboxes are made below), x (it is deleted), t (\\Deleted is changed), e (messages are \
expunged), a (rights are given).";

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: AclCommand,
}

#[derive(Debug, Subcommand)]
enum AclCommand {
    /// Show who may do what
    Show(Show),
    /// Give somebody these rights and no others
    Grant(Give),
    /// Take somebody's rights away
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
struct Show {
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

#[derive(Debug, clap::Args)]
struct Give {
    /// The account's address
    account: String,
    /// The mailbox's name, levels parted by `/`
    mailbox: String,
    /// Another account's address, or `anyone`; with `-` before it the rights are taken from what other grants give
    #[arg(allow_hyphen_values = true)]
    grantee: String,
    /// Their letters
    rights: String,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

#[derive(Debug, clap::Args)]
struct Revoke {
    /// The account's address
    account: String,
    /// The mailbox's name, levels parted by `/`
    mailbox: String,
    /// As `show` names it
    #[arg(allow_hyphen_values = true)]
    grantee: String,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

/// A grant as programs read it.
#[derive(Debug, Serialize)]
struct Shown {
    grantee: String,
    rights: String,
}

pub(super) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    match arguments.command {
        AclCommand::Show(arguments) => show(arguments, console).await,
        AclCommand::Grant(Give { rights, .. }) if rights.is_empty() => {
            Err(Failure::new("no rights are given", "there is no letter")
                .advise("`waypost mailbox acl revoke` takes all rights away"))
        }
        AclCommand::Grant(Give { account, mailbox, grantee, rights, pipeline }) => {
            set(&pipeline, account, mailbox, Grant { grantee, rights }, console).await
        }
        AclCommand::Revoke(Revoke { account, mailbox, grantee, pipeline }) => {
            set(&pipeline, account, mailbox, Grant { grantee, rights: String::new() }, console).await
        }
    }
}

async fn show(arguments: Show, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let Show { account, mailbox, json, .. } = arguments;
    let what = format!("cannot see who may use {mailbox} of {account}");
    let listed = mailboxes(&pipeline).await?.list_grants(ListGrantsRequest { account, mailbox }).await;
    let grants = listed.map_err(|error| status(what, &error))?.into_inner().grants;
    if json {
        let shown = grants.into_iter().map(|Grant { grantee, rights }| Shown { grantee, rights });
        console.print_json(&shown.collect::<Vec<_>>());
        return Ok(());
    }
    if grants.is_empty() {
        console.note("nobody else may use it");
        return Ok(());
    }
    let mut table = Table::new(["WHO", "RIGHTS"]);
    for grant in grants {
        table.row([grant.grantee, grant.rights]);
    }
    console.print_table(&table);
    Ok(())
}

async fn set(
    pipeline: &pipeline::Arguments,
    account: String,
    mailbox: String,
    grant: Grant,
    console: Console,
) -> Result<(), Failure> {
    let pipeline = Pipeline::find(pipeline)?;
    let Grant { grantee, rights } = &grant;
    let what = format!("cannot set the rights of {grantee} at {mailbox} of {account}");
    let done = if rights.is_empty() {
        format!("{grantee} has no rights of its own at {mailbox} of {account} any more")
    } else {
        format!("{grantee} has the rights {rights} at {mailbox} of {account}")
    };
    let request = SetGrantRequest { account, mailbox, grant: Some(grant) };
    mailboxes(&pipeline).await?.set_grant(request).await.map_err(|error| status(what, &error))?;
    console.note(done);
    Ok(())
}
