//! `waypost trace`: what happened to a message.

mod story;

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use message::MessageId;
use proto::mda::mailbox_client::MailboxClient;
use proto::mda::{LocateRequest, Located};
use proto::mta::queue_client::QueueClient;
use proto::mta::{TraceRequest, TraceResponse};
use tonic::Code;

use self::story::{Story, Told};
use crate::console::Console;
use crate::failure::Failure;
use crate::pipeline::{self, Credentials, Node, Pipeline, status};

pub(crate) const LONG_ABOUT: &str = "Tell what happened to a message.

Asks every MTA node and the MDA, and tells what they know in order of time: where the message came from, each attempt \
to hand it on with what the other side replied, until when it is deferred, the report that went out if it could not be \
delivered, and the mailboxes that it lies in.";

const EXAMPLES: &str = "Examples:
  waypost trace 0193f0a5-7c1e-7b1a-9c55-0d1f6a3b2c4d
  waypost trace \"$(waypost send --from alice@example.test --to bob@example.test --body Hello)\"
  waypost trace --json 0193f0a5-7c1e-7b1a-9c55-0d1f6a3b2c4d | jq .events

The id stands in the reply to the message (250 …), in its Received fields, in every log line about it and in reports.";

/// A message older than this has its story told wherever it is known.
const SETTLED: SignedDuration = SignedDuration::from_secs(2);
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(100);

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The message's id
    id: MessageId,
    /// As JSON, for programs; moments are in UTC
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

/// Asks all who may know, and tells.
pub(crate) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let Answer { story, silent } = ask_until_settled(&pipeline, &arguments.id).await?;
    for failure in &silent {
        console.warn(format_args!("a part of the story is missing: {failure}"));
    }
    if story.is_empty() {
        return Err(unknown(&arguments.id, silent.len()));
    }
    if arguments.json {
        console.print_json(&story);
    } else {
        story.lines(&TimeZone::system()).iter().for_each(|line| console.print(line));
        if story.left_out() > 0 {
            console.warn(format_args!(
                "{} events in the middle are left out: there are too many",
                story.left_out()
            ));
        }
    }
    Ok(())
}

/// A story, and why parts of it are missing.
struct Answer {
    story: Story,
    silent: Vec<Failure>,
}

/// An MTA keeps its events a moment after it has answered: of a message that was made just now, the story may not be
/// told yet. So it is asked for again until its beginning is there, or the message is no longer that young.
async fn ask_until_settled(pipeline: &Pipeline, id: &MessageId) -> Result<Answer, Failure> {
    loop {
        let answer = ask(pipeline, id).await?;
        let age = Timestamp::now().duration_since(id.timestamp());
        if answer.story.has_beginning() || age.abs() > SETTLED {
            return Ok(answer);
        }
        tokio::time::sleep(BETWEEN_QUESTIONS).await;
    }
}

async fn ask(pipeline: &Pipeline, id: &MessageId) -> Result<Answer, Failure> {
    let id = id.to_string();
    let (mta, mda) = (pipeline.mta()?, pipeline.mda()?);
    let (mut told, mut silent) = (Vec::new(), Vec::new());
    for node in mta {
        match events(node, &pipeline.credentials, &id).await {
            Ok(events) => told.extend(events),
            Err(failure) => silent.push(failure),
        }
    }
    let located = located(mda, &pipeline.credentials, &id).await.unwrap_or_else(|failure| {
        silent.push(failure);
        Vec::new()
    });
    Ok(Answer { story: Story::new(id, told, located), silent })
}

/// What a node knows; nothing if it never saw the message.
async fn events(node: &Node, credentials: &Credentials, id: &str) -> Result<Option<Told>, Failure> {
    let mut queue = QueueClient::new(pipeline::channel(&node.address, credentials).await?);
    match queue.trace(TraceRequest { message_id: id.to_owned() }).await {
        Ok(answer) => {
            let TraceResponse { events, left_out, .. } = answer.into_inner();
            Ok(Some(Told { node: node.name.clone(), events, left_out }))
        }
        Err(error) if error.code() == Code::NotFound => Ok(None),
        Err(error) => Err(status(format!("cannot ask {}", node.name), &error)),
    }
}

async fn located(node: &Node, credentials: &Credentials, id: &str) -> Result<Vec<Located>, Failure> {
    let mut mailbox = MailboxClient::new(pipeline::channel(&node.address, credentials).await?);
    match mailbox.locate(LocateRequest { message_id: id.to_owned() }).await {
        Ok(answer) => Ok(answer.into_inner().located),
        Err(error) if error.code() == Code::NotFound => Ok(Vec::new()),
        Err(error) => Err(status(format!("cannot ask {}", node.name), &error)),
    }
}

fn unknown(id: &MessageId, silent: usize) -> Failure {
    let what = format!("cannot trace {id}");
    if silent > 0 {
        return Failure::new(what, format!("those who answered do not know it, and {silent} did not answer"));
    }
    Failure::new(what, "no MTA node and no mailbox knows this id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_id_is_told_apart_from_a_node_that_is_silent() {
        let id = MessageId::new();
        assert_eq!(
            unknown(&id, 0).to_string(),
            format!("cannot trace {id}: no MTA node and no mailbox knows this id")
        );
        assert_eq!(
            unknown(&id, 1).to_string(),
            format!("cannot trace {id}: those who answered do not know it, and 1 did not answer")
        );
    }
}
