//! `waypost queue explain`: why a message waits.

use jiff::Timestamp;
use message::MessageId;
use proto::mta::{ExplainRequest, Explanation, WaitReason};
use serde::Serialize;

use super::nodes::Choice;
use crate::console::{Console, Table};
use crate::failure::Failure;
use crate::times;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost queue explain 0193f0a5-7c1e-7b1a-9c55-0d1f6a3b2c4d")]
pub(super) struct Arguments {
    /// The message's id
    id: MessageId,
    /// As JSON, for programs; moments are in UTC
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    choice: Choice,
}

/// An explanation as programs read it.
#[derive(Debug, Serialize)]
struct Explained {
    node: String,
    recipient: String,
    site: String,
    reason: &'static str,
    text: String,
    next_attempt_at: Option<String>,
    #[serde(skip)]
    next: Option<Timestamp>,
}

pub(super) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let nodes = arguments.choice.find(console)?;
    let id = arguments.id.to_string();
    let (node, answer) = nodes
        .find_message(&id, async |queue| {
            queue.client.explain(ExplainRequest { message_id: id.clone() }).await
        })
        .await?;
    let explained: Vec<Explained> =
        answer.explanations.into_iter().map(|explanation| Explained::new(&node, explanation)).collect();
    if arguments.json {
        console.print_json(&explained);
    } else {
        console.print_table(&table(&explained, Timestamp::now()));
    }
    Ok(())
}

fn table(explained: &[Explained], now: Timestamp) -> Table {
    let mut table = Table::new(["RECIPIENT", "SITE", "WAITS FOR", "NEXT", "WHY"]);
    for one in explained {
        table.row([
            one.recipient.clone(),
            one.site.clone(),
            one.reason.to_owned(),
            times::until(one.next, now),
            one.text.clone(),
        ]);
    }
    table
}

impl Explained {
    fn new(node: &str, explanation: Explanation) -> Self {
        let next = times::moment(explanation.next_attempt_at.as_ref());
        Self {
            node: node.to_owned(),
            reason: reason_name(explanation.reason()),
            recipient: explanation.recipient,
            site: explanation.site,
            text: explanation.text,
            next_attempt_at: next.map(times::utc),
            next,
        }
    }
}

fn reason_name(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::Unspecified => "unknown",
        WaitReason::Scheduled => "its time",
        WaitReason::InFlight => "an attempt under way",
        WaitReason::InLine => "its turn",
        WaitReason::Connections => "a connection",
        WaitReason::Rate => "the rate limit",
        WaitReason::SiteDown => "the site to come back",
        WaitReason::Held => "its release",
        WaitReason::Suspended => "the end of a suspension",
        WaitReason::ServiceAway => "a service of ours",
        WaitReason::Final => "nothing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_has_a_row_with_its_reason_and_its_time() {
        let explanation = Explanation {
            recipient: "x@remote.test".into(),
            reason: WaitReason::Scheduled.into(),
            text: "attempt 3 failed: 451 4.7.1 greylisted".into(),
            next_attempt_at: Some(prost_types::Timestamp { seconds: 1_600, nanos: 0 }),
            site: "mx.remote.test".into(),
        };
        let explained = [Explained::new("mta", explanation)];
        let text = table(&explained, Timestamp::new(1_180, 0).unwrap()).render(false);
        let row: Vec<&str> =
            text.lines().nth(1).unwrap().split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(
            row,
            [
                "x@remote.test",
                "mx.remote.test",
                "its time",
                "in 7 min",
                "attempt 3 failed: 451 4.7.1 greylisted"
            ]
        );
    }
}
