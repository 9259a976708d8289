//! Commands that do something to what waits: each counts first, then asks, then does it on every node.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use message::MessageId;
use proto::mta::steer_request::Action;
use proto::mta::{self, SteerRequest, SteerResponse};
use service::count::counted;

use super::filter::Conditions;
use super::nodes::{Choice, Nodes};
use crate::console::Console;
use crate::failure::{Explain, Failure};
use crate::pipeline::status;

/// Ids that a node takes in one call.
const MOST_IDS: usize = 10_000;

/// What is steered.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Selection {
    /// Messages by id; together with conditions: of these messages only
    #[arg(value_name = "ID")]
    ids: Vec<MessageId>,
    #[command(flatten)]
    conditions: Conditions,
    /// Everything that waits
    #[arg(long, help_heading = "Which messages")]
    all: bool,
    /// Go on without asking
    #[arg(long, short)]
    yes: bool,
    /// Only count: change nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    #[command(flatten)]
    choice: Choice,
}

#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  waypost queue retry 0193f0a5-7c1e-7b1a-9c55-0d1f6a3b2c4d
  waypost queue retry --domain example.org --yes"
)]
pub(super) struct Retry {
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  waypost queue hold --account mallory@example.test --yes"
)]
pub(super) struct Hold {
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  waypost queue release --account mallory@example.test --yes"
)]
pub(super) struct Release {
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  waypost queue bounce 0193f0a5-7c1e-7b1a-9c55-0d1f6a3b2c4d --text 'that host is gone for good'"
)]
pub(super) struct Bounce {
    /// What the report says
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    text: String,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  waypost queue drop --sender spam@example.test --reason 'stolen password, ticket 4711'"
)]
pub(super) struct Drop {
    /// Why, for those who ask later; it stands in the message's trace
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  waypost queue reroute --domain example.org --to backup.example.org:25 --yes
  waypost queue reroute --domain example.org --to '' --yes       back to the routing table"
)]
pub(super) struct Reroute {
    /// The next hop, `host:port` or `[address]:port`; empty goes back to the routing table. The TLS that the matching rule
    /// of the table asks for holds for it too; the rule's login is not used
    #[arg(long, value_name = "HOST:PORT")]
    to: String,
    #[command(flatten)]
    selection: Selection,
}

/// A command that steers.
pub(super) trait Command {
    /// What it does, as the contract has it.
    fn action(&self) -> Action;
    /// What was done, for people: `held: 3 recipients of 2 messages`.
    fn done(&self) -> &'static str;
    /// Whether it cannot be taken back: then it asks also for messages that were named by id.
    fn is_final(&self) -> bool {
        false
    }
    /// What it can be done to: `nothing that waits matches`.
    fn applies_to(&self) -> &'static str {
        "that waits"
    }
    /// What to do next, if that is not plain.
    fn hint(&self) -> Option<&'static str> {
        None
    }
    fn selection(&self) -> &Selection;
}

impl Command for Retry {
    fn action(&self) -> Action {
        Action::Retry(mta::RetryNow {})
    }
    fn done(&self) -> &'static str {
        "tried again now"
    }
    fn selection(&self) -> &Selection {
        &self.selection
    }
}

impl Command for Hold {
    fn action(&self) -> Action {
        Action::Hold(mta::Hold {})
    }
    fn done(&self) -> &'static str {
        "held"
    }
    fn selection(&self) -> &Selection {
        &self.selection
    }
}

impl Command for Release {
    fn action(&self) -> Action {
        Action::Release(mta::Release {})
    }
    fn done(&self) -> &'static str {
        "released"
    }
    fn applies_to(&self) -> &'static str {
        "that is held"
    }
    fn selection(&self) -> &Selection {
        &self.selection
    }
}

impl Command for Bounce {
    fn action(&self) -> Action {
        Action::Bounce(mta::Bounce { text: self.text.clone() })
    }
    fn done(&self) -> &'static str {
        "given up, with a report to the sender"
    }
    fn is_final(&self) -> bool {
        true
    }
    fn selection(&self) -> &Selection {
        &self.selection
    }
}

impl Command for Drop {
    fn action(&self) -> Action {
        Action::Drop(mta::Drop { reason: self.reason.clone() })
    }
    fn done(&self) -> &'static str {
        "removed"
    }
    fn is_final(&self) -> bool {
        true
    }
    fn selection(&self) -> &Selection {
        &self.selection
    }
}

impl Command for Reroute {
    fn action(&self) -> Action {
        Action::Reroute(mta::Reroute { route: self.to.clone() })
    }
    fn done(&self) -> &'static str {
        if self.to.is_empty() { "back to the routing table" } else { "rerouted" }
    }
    fn hint(&self) -> Option<&'static str> {
        Some("each goes when its time comes; `waypost queue retry` sends it now")
    }
    fn selection(&self) -> &Selection {
        &self.selection
    }
}

/// Counts, asks if need be, and does it.
pub(super) async fn run(command: impl Command, console: Console) -> Result<(), Failure> {
    let selection = command.selection();
    let request = request(selection, command.action())?;
    let nodes = selection.choice.find(console)?;
    let counted = steer(&nodes, &SteerRequest { dry_run: true, ..request.clone() }).await?;
    if selection.dry_run || counted.recipients == 0 {
        let nothing = format!("nothing {} matches", command.applies_to());
        console.print(if counted.recipients == 0 { nothing } else { count(&counted) });
        tell_passed_over(&counted, console);
        return Ok(());
    }
    let named = !selection.ids.is_empty() && request.filter.is_none();
    if !selection.yes && (command.is_final() || !named) {
        confirm(&counted)?;
    }
    let done = steer(&nodes, &request).await?;
    console.print(format_args!("{}: {}", command.done(), count(&done)));
    tell_passed_over(&done, console);
    if let Some(hint) = command.hint() {
        console.note(hint);
    }
    Ok(())
}

fn tell_passed_over(counted: &SteerResponse, console: Console) {
    let passed_over = |number: u64, why: &str| {
        if number > 0 {
            let were = if number == 1 { "recipient was" } else { "recipients were" };
            console.note(format_args!("{number} {were} passed over: {why}"));
        }
    };
    passed_over(counted.busy, "an attempt or a hand-over is under way");
    passed_over(counted.held, "held; `waypost queue release` ends that");
}

fn request(selection: &Selection, action: Action) -> Result<SteerRequest, Failure> {
    let request = SteerRequest {
        message_ids: selection.ids.iter().map(MessageId::to_string).collect(),
        filter: selection.conditions.filter(),
        all: selection.all,
        dry_run: false,
        action: Some(action),
    };
    if request.message_ids.is_empty() && request.filter.is_none() && !request.all {
        return Err(Failure::new("cannot steer the queue", "nothing is selected")
            .advise("name messages by id, give conditions such as --domain, or say --all"));
    }
    if request.all && (request.filter.is_some() || !request.message_ids.is_empty()) {
        return Err(Failure::new(
            "cannot steer the queue",
            "--all goes neither with ids nor with conditions",
        ));
    }
    if request.message_ids.len() > MOST_IDS {
        return Err(Failure::new("cannot steer the queue", format!("more than {MOST_IDS} ids")));
    }
    Ok(request)
}

/// The sum over all nodes.
async fn steer(nodes: &Nodes, request: &SteerRequest) -> Result<SteerResponse, Failure> {
    let answers = nodes
        .tell(async |queue| {
            let answer = queue.client.steer(request.clone()).await;
            let answer = answer
                .map_err(|error| status(format!("cannot steer the queue of {}", queue.node), &error))?;
            Ok(answer.into_inner())
        })
        .await?;
    Ok(answers.into_iter().fold(SteerResponse::default(), |sum, answer| SteerResponse {
        messages: sum.messages + answer.messages,
        recipients: sum.recipients + answer.recipients,
        busy: sum.busy + answer.busy,
        held: sum.held + answer.held,
    }))
}

fn count(found: &SteerResponse) -> String {
    format!("{} of {}", counted(found.recipients, "recipient"), counted(found.messages, "message"))
}

/// Asks on the terminal. Where there is none, `--yes` must have been said.
fn confirm(counted: &SteerResponse) -> Result<(), Failure> {
    let what = || format!("cannot go on with {}", count(counted));
    if !io::stdin().is_terminal() {
        return Err(Failure::new(what(), "nobody can be asked").advise("say --yes"));
    }
    let mut terminal = io::stderr().lock();
    let asked = write!(terminal, "{}. Go on? [y/N] ", count(counted)).and_then(|()| terminal.flush());
    asked.explain(what)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).explain(what)?;
    if matches!(line.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Failure::new("nothing was changed", "you said no"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        drop: Drop,
    }

    fn asked_for(arguments: &[&str]) -> Result<SteerRequest, Failure> {
        let line = Line::try_parse_from(std::iter::once(&"x").chain(arguments)).unwrap();
        request(&line.drop.selection, line.drop.action())
    }

    #[test]
    fn an_empty_selection_is_refused() {
        let failure = asked_for(&["--reason", "x"]).unwrap_err().to_string();
        assert!(failure.starts_with("cannot steer the queue: nothing is selected"), "{failure}");
    }

    #[test]
    fn all_is_all() {
        assert!(asked_for(&["--all"]).unwrap().all);
        for narrower in ["--domain=example.org", "0193f0a5-7c1e-7b1a-9c55-0d1f6a3b2c4d"] {
            let failure = asked_for(&["--all", narrower]).unwrap_err().to_string();
            assert!(failure.contains("--all goes neither with ids nor with conditions"), "{failure}");
        }
    }

    #[test]
    fn ids_and_conditions_go_together() {
        let id = MessageId::new().to_string();
        let request = asked_for(&[&id, "--domain", "example.org", "--reason", "why"]).unwrap();
        assert_eq!(request.message_ids, [id]);
        assert_eq!(request.filter.unwrap().domain, "example.org");
        assert_eq!(request.action, Some(Action::Drop(mta::Drop { reason: "why".into() })));
        assert!(!request.all);
    }

    #[test]
    fn counts_are_words() {
        let counted = SteerResponse { messages: 1, recipients: 2, ..SteerResponse::default() };
        assert_eq!(count(&counted), "2 recipients of 1 message");
    }
}
