//! `waypost account app-password`: passwords for single programs, which can be taken back one by one.

use clap::{Subcommand, ValueEnum};
use proto::mda::{
    AddAppPasswordRequest, AppPassword, ListAppPasswordsRequest, Protocol, RemoveAppPasswordRequest,
};
use serde::Serialize;

use super::directory;
use crate::console::{Console, Table};
use crate::failure::Failure;
use crate::pipeline::{self, Pipeline, status};
use crate::times;

const EXAMPLES: &str = "Examples:
  waypost account app-password add carol@example.test phone             it is made and printed, this once
  waypost account app-password add carol@example.test copier --for smtp
  waypost account app-password revoke carol@example.test phone";

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: AppPasswordCommand,
}

#[derive(Debug, Subcommand)]
enum AppPasswordCommand {
    /// Make a password for a program; it is printed, this once
    Add(Add),
    /// List an account's passwords for programs
    List(List),
    /// Make a program's password wrong from now on, and end the account's IMAP and POP3 sessions
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
struct Add {
    /// The account's address
    address: String,
    /// A name to know the password by
    name: String,
    /// What it can be used for; without this for all
    #[arg(long = "for", value_name = "PROTOCOL", value_delimiter = ',')]
    protocols: Vec<Purpose>,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

#[derive(Debug, clap::Args)]
struct List {
    /// The account's address
    address: String,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

#[derive(Debug, clap::Args)]
struct Revoke {
    /// The account's address
    address: String,
    /// The password's name
    name: String,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Purpose {
    Imap,
    Pop3,
    Smtp,
}

impl From<Purpose> for Protocol {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Imap => Self::Imap,
            Purpose::Pop3 => Self::Pop3,
            Purpose::Smtp => Self::Smtp,
        }
    }
}

pub(super) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    match arguments.command {
        AppPasswordCommand::Add(arguments) => add(arguments, console).await,
        AppPasswordCommand::List(arguments) => list(arguments, console).await,
        AppPasswordCommand::Revoke(arguments) => revoke(arguments, console).await,
    }
}

async fn add(arguments: Add, console: Console) -> Result<(), Failure> {
    let Add { address, name, protocols, pipeline } = arguments;
    let pipeline = Pipeline::find(&pipeline)?;
    let protocols = protocols.into_iter().map(|purpose| Protocol::from(purpose).into()).collect();
    let request = AddAppPasswordRequest { address: address.clone(), name: name.clone(), protocols };
    let made = directory(&pipeline)
        .await?
        .add_app_password(request)
        .await
        .map_err(|error| status(format!("cannot make the app password {name} for {address}"), &error))?;
    console.note(format_args!("the app password {name} of {address} is made; it is not shown again"));
    console.print(&made.into_inner().password);
    Ok(())
}

/// An app password as programs read it.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    protocols: Vec<&'static str>,
    created_at: Option<String>,
    last_used_at: Option<String>,
}

impl From<AppPassword> for Listed {
    fn from(password: AppPassword) -> Self {
        let protocols = password.protocols().map(|protocol| match protocol {
            Protocol::Imap => "imap",
            Protocol::Pop3 => "pop3",
            Protocol::Smtp => "smtp",
            Protocol::Unspecified => "?",
        });
        Self {
            protocols: protocols.collect(),
            created_at: times::moment(password.created_at.as_ref()).map(times::utc),
            last_used_at: times::moment(password.last_used_at.as_ref()).map(times::utc),
            name: password.name,
        }
    }
}

async fn list(arguments: List, console: Console) -> Result<(), Failure> {
    let List { address, json, pipeline } = arguments;
    let pipeline = Pipeline::find(&pipeline)?;
    let listed = directory(&pipeline)
        .await?
        .list_app_passwords(ListAppPasswordsRequest { address: address.clone() })
        .await
        .map_err(|error| status(format!("cannot list the app passwords of {address}"), &error))?;
    let listed: Vec<Listed> = listed.into_inner().app_passwords.into_iter().map(Into::into).collect();
    if json {
        console.print_json(&listed);
        return Ok(());
    }
    if listed.is_empty() {
        console.note(format_args!("{address} has no app passwords"));
        return Ok(());
    }
    let mut table = Table::new(["NAME", "FOR", "MADE", "LAST USED"]);
    for password in listed {
        let [made, used] = [password.created_at, password.last_used_at].map(Option::unwrap_or_default);
        table.row([password.name, password.protocols.join(","), made, used]);
    }
    console.print_table(&table);
    Ok(())
}

async fn revoke(arguments: Revoke, console: Console) -> Result<(), Failure> {
    let Revoke { address, name, pipeline } = arguments;
    let pipeline = Pipeline::find(&pipeline)?;
    directory(&pipeline)
        .await?
        .remove_app_password(RemoveAppPasswordRequest { address: address.clone(), name: name.clone() })
        .await
        .map_err(|error| status(format!("cannot revoke the app password {name} of {address}"), &error))?;
    console.note(format_args!("the app password {name} of {address} is revoked"));
    Ok(())
}
