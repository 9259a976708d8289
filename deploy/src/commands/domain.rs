//! `waypost domain`: the domains whose mail is kept here.

use clap::Subcommand;
use message::Domain;
use proto::mda::directory_client::DirectoryClient;
use proto::mda::{AddDomainRequest, ListDomainsRequest, LocalDomain, SetDomainQuotaRequest};
use serde::Serialize;
use tonic::transport::Channel;

use super::quota::{self, Limits};
use crate::console::{Console, Table};
use crate::failure::Failure;
use crate::pipeline::{self, Pipeline, status};

const EXAMPLES: &str = "Examples:
  waypost domain add example.org
  waypost domain quota example.test --octets 5GiB
  waypost domain list";

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: DomainCommand,
}

#[derive(Debug, Subcommand)]
enum DomainCommand {
    /// Make a domain local: its unknown users are refused, its mail is not relayed
    Add(Add),
    /// List all local domains, with the quotas of their accounts
    List(List),
    /// Set how much each account of a domain may hold that has no quota of its own
    Quota(SetQuota),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost domain add example.org")]
struct Add {
    /// The domain's name
    domain: String,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost domain list
  waypost domain list --json | jq -r '.[].domain'")]
struct List {
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost domain quota example.test --octets 5GiB --messages 100000
  waypost domain quota example.test --messages none")]
struct SetQuota {
    /// The domain's name
    domain: String,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

/// A domain as programs read it.
#[derive(Debug, Serialize)]
struct Shown {
    domain: String,
    quota: quota::Shown,
}

/// Does it.
pub(crate) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    match arguments.command {
        DomainCommand::Add(arguments) => add(arguments, console).await,
        DomainCommand::List(arguments) => list(arguments, console).await,
        DomainCommand::Quota(arguments) => set_quota(arguments, console).await,
    }
}

async fn add(arguments: Add, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let domain = arguments.domain;
    directory(&pipeline)
        .await?
        .add_domain(AddDomainRequest { domain: domain.clone() })
        .await
        .map_err(|error| status(format!("cannot make {domain} local"), &error))?;
    console.note(format_args!("{domain} is local"));
    Ok(())
}

async fn list(arguments: List, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let domains = domains(&mut directory(&pipeline).await?).await?;
    if arguments.json {
        let shown = domains
            .into_iter()
            .map(|domain| Shown { domain: domain.name, quota: domain.quota.unwrap_or_default().into() });
        console.print_json(&shown.collect::<Vec<_>>());
        return Ok(());
    }
    let mut table = Table::new(["DOMAIN", "MESSAGES", "OCTETS"]);
    for LocalDomain { name, quota } in domains {
        let quota = quota.unwrap_or_default();
        table.row([name, quota::shown(quota.messages, "none"), quota::shown(quota.octets, "none")]);
    }
    console.print_table(&table);
    Ok(())
}

async fn set_quota(arguments: SetQuota, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let SetQuota { domain, limits, .. } = arguments;
    let what = format!("cannot set the quota of {domain}");
    if !limits.is_given() {
        return Err(Failure::new(what, "give --messages, --octets or both"));
    }
    let mut directory = directory(&pipeline).await?;
    let before = find(domains(&mut directory).await?, &domain).map_err(|why| Failure::new(&what, why))?;
    let quota = before.quota.unwrap_or_default();
    let request = SetDomainQuotaRequest { domain: domain.clone(), quota: Some(limits.applied_to(quota)) };
    directory.set_domain_quota(request).await.map_err(|error| status(what, &error))?;
    console.note(format_args!("{domain} has a new quota for its accounts"));
    Ok(())
}

/// The domain that is meant, however it is spelt.
fn find(domains: Vec<LocalDomain>, meant: &str) -> Result<LocalDomain, String> {
    let name = Domain::parse(meant).map_err(|error| error.to_string())?;
    let known = domains.into_iter().find(|known| known.name == name.ascii());
    known.ok_or_else(|| format!("{meant} is not local"))
}

async fn domains(directory: &mut DirectoryClient<Channel>) -> Result<Vec<LocalDomain>, Failure> {
    let answer = directory.list_domains(ListDomainsRequest {}).await;
    Ok(answer.map_err(|error| status("cannot list the domains", &error))?.into_inner().domains)
}

async fn directory(pipeline: &Pipeline) -> Result<DirectoryClient<Channel>, Failure> {
    Ok(DirectoryClient::new(pipeline::channel(&pipeline.mda()?.address, &pipeline.credentials).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_found_however_it_is_spelt() {
        let known = |name: &str| LocalDomain { name: name.to_owned(), quota: None };
        let find = |meant| find(vec![known("example.test"), known("xn--bcher-kva.test")], meant);
        assert_eq!(find("Example.Test").unwrap().name, "example.test");
        assert_eq!(find("bücher.test").unwrap().name, "xn--bcher-kva.test");
        assert!(find("example.org").is_err() && find("no domain").is_err());
    }
}
