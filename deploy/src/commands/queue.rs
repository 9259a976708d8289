//! `waypost queue`: what waits in the MTA nodes.

mod listing;

use clap::Subcommand;
use jiff::Timestamp;
use proto::mta::queue_client::QueueClient;
use proto::mta::{Filter, ListRequest, QueuedMessage};

use self::listing::Waiting;
use crate::console::Console;
use crate::failure::Failure;
use crate::pipeline::{self, Credentials, Node, Pipeline, status};

/// The most that a node gives at once.
const PAGE: u32 = 1000;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:
  waypost queue list",
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: QueueCommand,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// List the messages that wait, on all MTA nodes, oldest first
    List(List),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost queue list
  waypost queue list --domain example.org --limit 20
  waypost queue list --json | jq -r '.[].message_id'")]
struct List {
    /// Only messages with a recipient in this domain
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    domain: String,
    /// Show at most so many messages
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// As JSON, for programs; moments are in UTC
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

/// Does it.
pub(crate) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let QueueCommand::List(arguments) = arguments.command;
    list(arguments, console).await
}

async fn list(arguments: List, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let nodes = pipeline.mta()?;
    let (mut messages, mut failures) = (Vec::new(), Vec::new());
    for node in nodes {
        match waiting(node, &pipeline.credentials, &arguments.domain, arguments.limit).await {
            Ok(found) => messages.extend(found),
            Err(failure) => failures.push(failure),
        }
    }
    if failures.len() == nodes.len()
        && let Some(failure) = failures.pop()
    {
        return Err(failure);
    }
    for failure in failures {
        console.warn(format_args!("the list lacks a node: {failure}"));
    }
    show(&listing::oldest(messages, arguments.limit), arguments.json, console);
    Ok(())
}

fn show(messages: &[Waiting], json: bool, console: Console) {
    if json {
        console.print_json(&messages);
    } else if messages.is_empty() {
        console.note("nothing waits");
    } else {
        console.print_table(&listing::table(messages, Timestamp::now()));
    }
}

/// The oldest messages of one node.
async fn waiting(
    node: &Node,
    credentials: &Credentials,
    domain: &str,
    limit: u32,
) -> Result<Vec<QueuedMessage>, Failure> {
    let mut queue = QueueClient::new(pipeline::channel(&node.address, credentials).await?);
    let mut messages: Vec<QueuedMessage> = Vec::new();
    let mut page_token = String::new();
    loop {
        let filter = Some(Filter { domain: domain.to_owned(), ..Filter::default() });
        let request = ListRequest { page_size: limit.min(PAGE), page_token, filter };
        let page = queue
            .list(request)
            .await
            .map_err(|error| status(format!("cannot list the queue of {}", node.name), &error))?
            .into_inner();
        messages.extend(page.messages);
        page_token = page.next_page_token;
        if page_token.is_empty() || messages.len() >= limit as usize {
            return Ok(messages);
        }
    }
}
