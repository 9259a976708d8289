//! `waypost account`: who exists.

use clap::Subcommand;
use message::Address;
use proto::mda::directory_client::DirectoryClient;
use proto::mda::{
    Account, CreateAccountRequest, ListAccountsRequest, RemoveAccountRequest, SetPasswordRequest,
    SetQuotaRequest,
};
use serde::Serialize;
use tonic::transport::Channel;

use super::quota::{self, Limits};
use crate::console::{Console, Table};
use crate::failure::{Explain, Failure};
use crate::local::accounts_file::AccountsFile;
use crate::pipeline::{self, Pipeline, status};
use crate::{secrets, times};

mod app_password;

/// The environment's variable with a password.
const PASSWORD: &str = "WAYPOST_PASSWORD";

const EXAMPLES: &str = "Examples:
  waypost account add carol@example.test                   a password is made and printed
  waypost account password carol@example.test              asks for the new one
  echo \"$SECRET\" | waypost account password carol@example.test
  waypost account app-password add carol@example.test phone
  waypost account list --json";

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: AccountCommand,
}

#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// Make an account; its domain becomes local
    Add(Add),
    /// List all accounts, with how much mail they hold
    List(List),
    /// Set a new password
    Password(SetPassword),
    /// Make, list and revoke passwords for single programs
    AppPassword(app_password::Arguments),
    /// Show or set how much an account may hold
    Quota(Quota),
    /// Remove an account and all its mail
    Remove(Remove),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost account add carol@example.test
  waypost account add carol@example.test --password -

  waypost account add carol@example.test --hash - < hash.txt

Without a password one is made and printed. `--password -` asks for it on the terminal, or reads a line from standard \
input.")]
struct Add {
    /// The account's address, which is also its login name
    address: String,
    /// Its password, or `-` to be asked; others on this machine can see what stands on a command line
    #[arg(long, env = PASSWORD, hide_env_values = true)]
    password: Option<String>,
    /// In place of a password: a hash that another system has made, such as `{BLF-CRYPT}$2y$…`, or `-` to read a line with
    /// it; others on this machine can see what stands on a command line
    #[arg(long)]
    hash: Option<String>,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost account list
  waypost account list --json | jq -r '.[].address'")]
struct List {
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost account password carol@example.test
  echo \"$SECRET\" | waypost account password carol@example.test

Without --password it is asked for on the terminal, or a line is read from standard input.")]
struct SetPassword {
    /// The account's address
    address: String,
    /// The new password, or `-` to be asked; others on this machine can see what stands on a command line
    #[arg(long, env = PASSWORD, hide_env_values = true)]
    password: Option<String>,
    /// In place of a password: a hash that another system has made, such as `{BLF-CRYPT}$2y$…`, or `-` to read a line with
    /// it; others on this machine can see what stands on a command line
    #[arg(long)]
    hash: Option<String>,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost account quota carol@example.test
  waypost account quota carol@example.test --octets 5GiB --messages 100000
  waypost account quota carol@example.test --octets inherit      what `waypost domain quota` says

Mail for an account that has used up its quota is put off, so its senders try again.")]
struct Quota {
    /// The account's address
    address: String,
    #[command(flatten)]
    limits: Limits,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost account remove carol@example.test")]
struct Remove {
    /// The account's address
    address: String,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

/// Does it.
pub(crate) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    match arguments.command {
        AccountCommand::Add(arguments) => add(arguments, console).await,
        AccountCommand::List(arguments) => list(arguments, console).await,
        AccountCommand::Password(arguments) => set_password(arguments, console).await,
        AccountCommand::AppPassword(arguments) => app_password::run(arguments, console).await,
        AccountCommand::Quota(arguments) => quota(arguments, console).await,
        AccountCommand::Remove(arguments) => remove(arguments, console).await,
    }
}

async fn add(arguments: Add, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let address = arguments.address;
    let hash = given_hash(arguments.password.as_deref(), arguments.hash)?;
    let (password, generated) = match arguments.password.as_deref() {
        _ if hash.is_some() => (String::new(), false),
        None => (secrets::generate()?, true),
        Some("-") => (secrets::ask_for_new(&address)?, false),
        Some(given) => (given.to_owned(), false),
    };
    let request = CreateAccountRequest {
        address: address.clone(),
        password: password.clone(),
        password_hash: hash.unwrap_or_default(),
    };
    directory(&pipeline)
        .await?
        .create_account(request)
        .await
        .map_err(|error| status(format!("cannot make the account {address}"), &error))?;
    if generated {
        console.note(format_args!("the account {address} is made; its password is"));
        console.print(&password);
        remember(&pipeline, |file| file.keep(&address, &password))
    } else {
        console.note(format_args!("the account {address} is made"));
        remember(&pipeline, |file| file.forget(&address))
    }
}

/// An account as programs read it.
#[derive(Debug, Serialize)]
struct Listed {
    address: String,
    created_at: Option<String>,
    messages: u64,
    octets: u64,
}

impl From<Account> for Listed {
    fn from(account: Account) -> Self {
        let created_at = times::moment(account.created_at.as_ref()).map(times::utc);
        Self { address: account.address, created_at, messages: account.messages, octets: account.octets }
    }
}

async fn list(arguments: List, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let accounts = all_accounts(&mut directory(&pipeline).await?).await?;
    if arguments.json {
        console.print_json(&accounts.into_iter().map(Listed::from).collect::<Vec<_>>());
        return Ok(());
    }
    if accounts.is_empty() {
        console.note("there are no accounts");
        return Ok(());
    }
    let zone = jiff::tz::TimeZone::system();
    let mut table = Table::new(["ACCOUNT", "MESSAGES", "OCTETS", "MADE"]);
    for account in accounts {
        let made = times::moment(account.created_at.as_ref());
        let made = made.map(|made| times::local(made, &zone)).unwrap_or_default();
        table.row([account.address, account.messages.to_string(), account.octets.to_string(), made]);
    }
    console.print_table(&table);
    Ok(())
}

async fn all_accounts(directory: &mut DirectoryClient<Channel>) -> Result<Vec<Account>, Failure> {
    let mut accounts = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = directory
            .list_accounts(ListAccountsRequest { page_size: 0, page_token })
            .await
            .map_err(|error| status("cannot list the accounts", &error))?
            .into_inner();
        accounts.extend(page.accounts);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(accounts);
        }
    }
}

async fn set_password(arguments: SetPassword, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let address = arguments.address;
    let hash = given_hash(arguments.password.as_deref(), arguments.hash)?;
    let password = match arguments.password.as_deref() {
        _ if hash.is_some() => String::new(),
        None | Some("-") => secrets::ask_for_new(&address)?,
        Some(given) => given.to_owned(),
    };
    directory(&pipeline)
        .await?
        .set_password(SetPasswordRequest {
            address: address.clone(),
            password,
            password_hash: hash.unwrap_or_default(),
        })
        .await
        .map_err(|error| status(format!("cannot set the password of {address}"), &error))?;
    console.note(format_args!("{address} has a new password"));
    remember(&pipeline, |file| file.forget(&address))
}

/// The hash that is given in place of a password. One in the environment may stand there for other commands.
fn given_hash(password: Option<&str>, hash: Option<String>) -> Result<Option<String>, Failure> {
    let both = hash.is_some() && password.is_some();
    if both && std::env::var(PASSWORD).ok().as_deref() != password {
        return Err(Failure::new("a password and a hash are given", "an account has one of them"));
    }
    hash.map(secrets::hash).transpose()
}

/// Where an account stands, as programs read it.
#[derive(Debug, Serialize)]
struct Standing {
    address: String,
    messages: u64,
    octets: u64,
    quota: quota::Shown,
    limits: quota::Shown,
}

async fn quota(arguments: Quota, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let Quota { address, limits, json, .. } = arguments;
    let mut directory = directory(&pipeline).await?;
    let name = Address::parse(&address).map_or_else(|_| address.clone(), |address| address.key());
    let known = all_accounts(&mut directory).await?.into_iter().find(|account| account.address == name);
    let mut account =
        known.ok_or_else(|| Failure::new("cannot find the account", format!("{address} is none")))?;
    if limits.is_given() {
        let quota = limits.applied_to(account.quota.unwrap_or_default());
        let request = SetQuotaRequest { address: address.clone(), quota: Some(quota) };
        let set = directory.set_quota(request).await;
        account =
            set.map_err(|error| status(format!("cannot set the quota of {address}"), &error))?.into_inner();
    }
    let (own, limits) = (account.quota.unwrap_or_default(), account.limits.unwrap_or_default());
    if json {
        let Account { address, messages, octets, .. } = account;
        console.print_json(&Standing { address, messages, octets, quota: own.into(), limits: limits.into() });
        return Ok(());
    }
    let mut table = Table::new(["", "HELD", "LIMIT", "OWN"]);
    let unset = ("none", "inherit");
    for (what, held, limit, own) in [
        ("messages", account.messages, limits.messages, own.messages),
        ("octets", account.octets, limits.octets, own.octets),
    ] {
        table.row([
            what.to_owned(),
            held.to_string(),
            quota::shown(limit, unset.0),
            quota::shown(own, unset.1),
        ]);
    }
    console.print_table(&table);
    Ok(())
}

async fn remove(arguments: Remove, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let address = arguments.address;
    directory(&pipeline)
        .await?
        .remove_account(RemoveAccountRequest { address: address.clone() })
        .await
        .map_err(|error| status(format!("cannot remove the account {address}"), &error))?;
    console.note(format_args!("the account {address} and its mail are removed"));
    remember(&pipeline, |file| file.forget(&address))
}

async fn directory(pipeline: &Pipeline) -> Result<DirectoryClient<Channel>, Failure> {
    Ok(DirectoryClient::new(pipeline::channel(&pipeline.mda()?.address, &pipeline.credentials).await?))
}

/// Keeps `accounts.txt` true, if the pipeline has one.
fn remember(
    pipeline: &Pipeline,
    change: impl FnOnce(&AccountsFile) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let Some(layout) = &pipeline.layout else { return Ok(()) };
    let file = AccountsFile::new(layout.accounts());
    change(&file).explain(|| format!("cannot update {}", file.path().display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_and_a_hash_are_not_both_taken() {
        assert!(given_hash(Some("secret of nobody"), Some("{SHA512-CRYPT}$6$x$y".to_owned())).is_err());
        assert_eq!(given_hash(None, Some("{X}y".to_owned())).unwrap().as_deref(), Some("{X}y"));
        assert!(given_hash(Some("secret of nobody"), None).unwrap().is_none());
    }
}
