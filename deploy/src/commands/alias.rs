//! `waypost alias`: addresses that stand for others.

use clap::Subcommand;
use proto::mda::directory_client::DirectoryClient;
use proto::mda::{Alias, ListAliasesRequest, PutAliasRequest, RemoveAliasRequest};
use serde::Serialize;
use tonic::transport::Channel;

use crate::console::{Console, Table};
use crate::failure::Failure;
use crate::pipeline::{self, Pipeline, status};

const EXAMPLES: &str = "Examples:
  waypost alias add info@example.test alice@example.test bob@elsewhere.test
  waypost alias add @example.test alice@example.test              all that nobody else takes
  waypost alias add team@example.test alice@example.test bob@example.test --owner alice@example.test
  waypost alias list
  waypost alias remove info@example.test";

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: AliasCommand,
}

#[derive(Debug, Subcommand)]
enum AliasCommand {
    /// Make an alias or a list, or replace it; its domain becomes local
    Add(Add),
    /// List all aliases and lists, with where their mail goes
    List(List),
    /// Remove an alias or a list
    Remove(Remove),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost alias add info@example.test alice@example.test
  waypost alias add @example.test alice@example.test
  waypost alias add team@example.test alice@example.test bob@elsewhere.test --owner alice@example.test

Mail to an alias goes to its targets under its sender's name, and the accounts among them may send as the alias. With \
--owner it is a list: mail goes on under the list's name, and the owner hears of recipients that cannot be reached. \
`@example.test` takes all mail of that domain which no account and no other alias takes.")]
struct Add {
    /// The address, or `@` and a domain
    address: String,
    /// Where its mail goes: accounts, other aliases, or addresses elsewhere
    #[arg(required = true)]
    targets: Vec<String>,
    /// Make it a list: reports about its mail go to this address, not to whoever sent it
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<String>,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost alias list
  waypost alias list --json | jq -r '.[] | select(.owner != null) | .address'")]
struct List {
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost alias remove info@example.test
  waypost alias remove @example.test")]
struct Remove {
    /// The address, or `@` and a domain
    address: String,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

/// Does it.
pub(crate) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    match arguments.command {
        AliasCommand::Add(arguments) => add(arguments, console).await,
        AliasCommand::List(arguments) => list(arguments, console).await,
        AliasCommand::Remove(arguments) => remove(arguments, console).await,
    }
}

async fn add(arguments: Add, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let Add { address, targets, owner, .. } = arguments;
    let what = if owner.is_some() { "list" } else { "alias" };
    let goes_to = targets.join(", ");
    let alias = Alias { address: address.clone(), targets, owner: owner.unwrap_or_default() };
    directory(&pipeline)
        .await?
        .put_alias(PutAliasRequest { alias: Some(alias) })
        .await
        .map_err(|error| status(format!("cannot make the {what} {address}"), &error))?;
    console.note(format_args!("mail to the {what} {address} goes to {goes_to}"));
    Ok(())
}

/// An alias as programs read it.
#[derive(Debug, Serialize)]
struct Listed {
    address: String,
    targets: Vec<String>,
    owner: Option<String>,
}

impl From<Alias> for Listed {
    fn from(alias: Alias) -> Self {
        let Alias { address, targets, owner } = alias;
        Self { address, targets, owner: (!owner.is_empty()).then_some(owner) }
    }
}

async fn list(arguments: List, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let aliases = all_aliases(&mut directory(&pipeline).await?).await?;
    if arguments.json {
        console.print_json(&aliases.into_iter().map(Listed::from).collect::<Vec<_>>());
        return Ok(());
    }
    if aliases.is_empty() {
        console.note("there are no aliases");
        return Ok(());
    }
    let mut table = Table::new(["ADDRESS", "KIND", "GOES TO", "OWNER"]);
    for Alias { address, targets, owner } in aliases {
        let kind = match (owner.is_empty(), address.starts_with('@')) {
            (false, _) => "list",
            (true, true) => "catch-all",
            (true, false) => "alias",
        };
        table.row([address, kind.to_owned(), targets.join(", "), owner]);
    }
    console.print_table(&table);
    Ok(())
}

async fn all_aliases(directory: &mut DirectoryClient<Channel>) -> Result<Vec<Alias>, Failure> {
    let mut aliases = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = directory
            .list_aliases(ListAliasesRequest { page_size: 0, page_token })
            .await
            .map_err(|error| status("cannot list the aliases", &error))?
            .into_inner();
        aliases.extend(page.aliases);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(aliases);
        }
    }
}

async fn remove(arguments: Remove, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let address = arguments.address;
    directory(&pipeline)
        .await?
        .remove_alias(RemoveAliasRequest { address: address.clone() })
        .await
        .map_err(|error| status(format!("cannot remove the alias {address}"), &error))?;
    console.note(format_args!("the alias {address} is removed"));
    Ok(())
}

async fn directory(pipeline: &Pipeline) -> Result<DirectoryClient<Channel>, Failure> {
    Ok(DirectoryClient::new(pipeline::channel(&pipeline.mda()?.address, &pipeline.credentials).await?))
}
