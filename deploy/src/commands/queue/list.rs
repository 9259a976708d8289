//! `waypost queue list`.

use jiff::Timestamp;
use proto::mta::{Filter, ListRequest, QueuedMessage};

use super::filter::Conditions;
use super::listing::{self, Waiting};
use super::nodes::{Choice, Queue};
use crate::console::Console;
use crate::failure::Failure;
use crate::pipeline::status;

/// The most that a node gives at once.
const PAGE: u32 = 1000;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost queue list
  waypost queue list --domain example.org --limit 20
  waypost queue list --reply greylist --older-than 2h
  waypost queue list --json | jq -r '.[].message_id'")]
pub(super) struct Arguments {
    #[command(flatten)]
    conditions: Conditions,
    /// Show at most so many messages
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// As JSON, for programs; moments are in UTC
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    choice: Choice,
}

pub(super) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let (filter, limit) = (arguments.conditions.filter(), arguments.limit);
    let nodes = arguments.choice.find(console)?;
    let found = nodes.ask(async |queue| waiting(queue, filter.as_ref(), limit).await).await?;
    let messages = listing::oldest(found.into_iter().flatten().collect(), limit);
    show(&messages, &arguments, console);
    Ok(())
}

fn show(messages: &[Waiting], arguments: &Arguments, console: Console) {
    if arguments.json {
        console.print_json(&messages);
    } else if messages.is_empty() {
        console.note(if arguments.conditions.filter().is_some() {
            "nothing that waits matches"
        } else {
            "nothing waits"
        });
    } else {
        console.print_table(&listing::table(messages, Timestamp::now()));
        if messages.len() == arguments.limit as usize {
            console.note(format_args!("the first {}; --limit shows more", arguments.limit));
        }
    }
}

/// The oldest messages of one node.
async fn waiting(
    queue: &mut Queue,
    filter: Option<&Filter>,
    limit: u32,
) -> Result<Vec<QueuedMessage>, Failure> {
    let mut messages: Vec<QueuedMessage> = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListRequest { page_size: limit.min(PAGE), page_token, filter: filter.cloned() };
        let page = queue
            .client
            .list(request)
            .await
            .map_err(|error| status(format!("cannot list the queue of {}", queue.node), &error))?
            .into_inner();
        messages.extend(page.messages);
        page_token = page.next_page_token;
        if page_token.is_empty() || messages.len() >= limit as usize {
            return Ok(messages);
        }
    }
}
