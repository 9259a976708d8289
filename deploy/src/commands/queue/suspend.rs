//! `waypost queue suspend`, `resume` and `suspensions`.

use jiff::Timestamp;
use proto::mta::suspension::Scope;
use proto::mta::{ListSuspensionsRequest, ResumeRequest, SuspendRequest, Suspension};
use serde::Serialize;
use tonic::Code;

use super::nodes::Choice;
use crate::console::{Console, Table};
use crate::failure::Failure;
use crate::pipeline::status;
use crate::times;

#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  waypost queue suspend --site mx.example.org --reason 'they asked us to wait'
  waypost queue suspend --account mallory@example.test

Mail is still accepted and waits; its deadline goes on. A suspension survives restarts."
)]
pub(super) struct Suspend {
    #[command(flatten)]
    scope: ScopeArguments,
    /// Why, for those who find it later
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    #[command(flatten)]
    choice: Choice,
}

#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  waypost queue resume --site mx.example.org"
)]
pub(super) struct Resume {
    #[command(flatten)]
    scope: ScopeArguments,
    #[command(flatten)]
    choice: Choice,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost queue suspensions --json")]
pub(super) struct List {
    /// As JSON, for programs; moments are in UTC
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    choice: Choice,
}

/// What is suspended.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct ScopeArguments {
    /// A site, as `waypost queue sites` names it
    #[arg(long, value_name = "SITE")]
    site: Option<String>,
    /// A recipient domain
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// An account that submits mail
    #[arg(long, value_name = "ADDRESS")]
    account: Option<String>,
}

impl ScopeArguments {
    fn scope(self) -> Option<Scope> {
        self.site.map(Scope::Site).or(self.domain.map(Scope::Domain)).or(self.account.map(Scope::Account))
    }
}

/// A suspension as programs read it.
#[derive(Debug, Serialize)]
struct Shown {
    node: String,
    kind: &'static str,
    name: String,
    reason: String,
    since: Option<String>,
    #[serde(skip)]
    began: Option<Timestamp>,
}

pub(super) async fn suspend(arguments: Suspend, console: Console) -> Result<(), Failure> {
    let nodes = arguments.choice.find(console)?;
    let suspension = Suspension { scope: arguments.scope.scope(), reason: arguments.reason, since: None };
    nodes
        .tell(async |queue| {
            let request = SuspendRequest { suspension: Some(suspension.clone()) };
            let answer = queue.client.suspend(request).await;
            answer.map_err(|error| status(format!("cannot suspend it at {}", queue.node), &error))
        })
        .await?;
    console.note(format_args!("{} is suspended", named(suspension.scope.as_ref())));
    Ok(())
}

pub(super) async fn resume(arguments: Resume, console: Console) -> Result<(), Failure> {
    let nodes = arguments.choice.find(console)?;
    let suspension = Suspension { scope: arguments.scope.scope(), ..Suspension::default() };
    let ended = nodes
        .tell(async |queue| {
            let request = ResumeRequest { suspension: Some(suspension.clone()) };
            match queue.client.resume(request).await {
                Ok(_) => Ok(true),
                Err(error) if error.code() == Code::NotFound => Ok(false),
                Err(error) => Err(status(format!("cannot resume it at {}", queue.node), &error)),
            }
        })
        .await?;
    let name = named(suspension.scope.as_ref());
    if !ended.contains(&true) {
        return Err(Failure::new(format!("cannot resume {name}"), "it is not suspended"));
    }
    console.note(format_args!("{name} is resumed"));
    Ok(())
}

pub(super) async fn list(arguments: List, console: Console) -> Result<(), Failure> {
    let nodes = arguments.choice.find(console)?;
    let found = nodes
        .ask(async |queue| {
            let answer = queue.client.list_suspensions(ListSuspensionsRequest {}).await;
            let answer = answer
                .map_err(|error| status(format!("cannot list the suspensions of {}", queue.node), &error))?;
            let node = queue.node.clone();
            Ok(answer.into_inner().suspensions.into_iter().map(move |one| Shown::new(&node, one)))
        })
        .await?;
    let shown: Vec<Shown> = found.into_iter().flatten().collect();
    if arguments.json {
        console.print_json(&shown);
    } else if shown.is_empty() {
        console.note("nothing is suspended");
    } else {
        console.print_table(&table(&shown, Timestamp::now()));
    }
    Ok(())
}

fn table(shown: &[Shown], now: Timestamp) -> Table {
    let mut table = Table::new(["WHAT", "NAME", "NODE", "FOR", "REASON"]);
    for one in shown {
        table.row([
            one.kind.to_owned(),
            one.name.clone(),
            one.node.clone(),
            one.began.map(|began| times::span(began, now)).unwrap_or_default(),
            one.reason.clone(),
        ]);
    }
    table
}

impl Shown {
    fn new(node: &str, suspension: Suspension) -> Self {
        let (kind, name) = parts(suspension.scope.as_ref());
        let began = times::moment(suspension.since.as_ref());
        Self {
            node: node.to_owned(),
            kind,
            name: name.to_owned(),
            reason: suspension.reason,
            since: began.map(times::utc),
            began,
        }
    }
}

fn parts(scope: Option<&Scope>) -> (&'static str, &str) {
    match scope {
        Some(Scope::Site(name)) => ("site", name),
        Some(Scope::Domain(name)) => ("domain", name),
        Some(Scope::Account(name)) => ("account", name),
        None => ("unknown", ""),
    }
}

fn named(scope: Option<&Scope>) -> String {
    let (kind, name) = parts(scope);
    format!("the {kind} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        scope: ScopeArguments,
    }

    #[test]
    fn a_suspension_covers_exactly_one_thing() {
        let parse = |arguments: &[&str]| Line::try_parse_from(std::iter::once(&"x").chain(arguments));
        assert!(parse(&[]).is_err());
        assert!(parse(&["--site", "a", "--domain", "b"]).is_err());
        let scope = parse(&["--account", "a@example.test"]).unwrap().scope.scope();
        assert_eq!(named(scope.as_ref()), "the account a@example.test");
    }
}
