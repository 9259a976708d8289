//! `waypost mailbox undelete`.

use jiff::Timestamp;
use proto::mda::{ExpungedFilter, ExpungedMessage, ListExpungedRequest, UndeleteRequest};
use serde::Serialize;
use service::config::HumanDuration;
use service::count::counted;

use super::mailboxes;
use crate::console::{Console, Table};
use crate::failure::Failure;
use crate::pipeline::{self, Pipeline, status};
use crate::times;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost mailbox undelete alice@example.test                          list what can be brought back
  waypost mailbox undelete alice@example.test --all
  waypost mailbox undelete alice@example.test --mailbox work/old --since 2h --into found --all
  waypost mailbox undelete alice@example.test --number 17 --number 18

Messages come back with their flags and dates, and with new UIDs: where they lay, or into the mailbox of --into; mailboxes \
that are missing are made. How long they can is `keep_expunged` in the mda's configuration.")]
pub(super) struct Arguments {
    /// The account's address
    account: String,
    /// Only messages that lay in this mailbox
    #[arg(long)]
    mailbox: Option<String>,
    /// Only messages that were expunged so long ago or later, such as `2h`
    #[arg(long, value_name = "DURATION")]
    since: Option<HumanDuration>,
    /// Bring back the message of this number; may be given several times
    #[arg(long = "number", value_name = "NUMBER")]
    numbers: Vec<u32>,
    /// Bring back all that the other options select
    #[arg(long, conflicts_with = "numbers")]
    all: bool,
    /// Bring them back into this mailbox
    #[arg(long, value_name = "MAILBOX")]
    into: Option<String>,
    /// List as JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

/// A message as programs read it.
#[derive(Debug, Serialize)]
struct Shown {
    number: u32,
    mailbox: String,
    expunged_at: Option<String>,
    internal_date: Option<String>,
    octets: u64,
}

pub(super) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let Arguments { account, mailbox, since, numbers, all, into, json, .. } = arguments;
    let since = since.map(|since| {
        let seconds = Timestamp::now().as_second().saturating_sub_unsigned(since.as_secs());
        prost_types::Timestamp { seconds, nanos: 0 }
    });
    let restores = all || !numbers.is_empty();
    let filter = Some(ExpungedFilter { mailbox: mailbox.unwrap_or_default(), since, numbers });
    let mut mailboxes = mailboxes(&pipeline).await?;
    if restores {
        let what = format!("cannot bring messages of {account} back");
        let request = UndeleteRequest { account, filter, into: into.unwrap_or_default() };
        let restored = mailboxes.undelete(request).await.map_err(|error| status(what, &error))?;
        let messages = restored.into_inner().messages;
        console.note(format_args!("{} brought back", counted(messages, "message")));
        return Ok(());
    }
    let what = format!("cannot list the expunged messages of {account}");
    let listed = mailboxes.list_expunged(ListExpungedRequest { account, filter }).await;
    show(listed.map_err(|error| status(what, &error))?.into_inner().messages, json, console);
    Ok(())
}

fn show(messages: Vec<ExpungedMessage>, json: bool, console: Console) {
    if json {
        let utc = |time: Option<prost_types::Timestamp>| times::moment(time.as_ref()).map(times::utc);
        let shown = messages.into_iter().map(|message| Shown {
            number: message.number,
            mailbox: message.mailbox,
            expunged_at: utc(message.expunged_at),
            internal_date: utc(message.internal_date),
            octets: message.octets,
        });
        console.print_json(&shown.collect::<Vec<_>>());
        return;
    }
    if messages.is_empty() {
        console.note("there is nothing to bring back");
        return;
    }
    let zone = jiff::tz::TimeZone::system();
    let local = |time: Option<prost_types::Timestamp>| {
        times::moment(time.as_ref()).map(|time| times::local(time, &zone)).unwrap_or_default()
    };
    let mut table = Table::new(["NUMBER", "MAILBOX", "EXPUNGED", "ARRIVED", "OCTETS"]);
    for message in messages {
        table.row([
            message.number.to_string(),
            message.mailbox,
            local(message.expunged_at),
            local(message.internal_date),
            message.octets.to_string(),
        ]);
    }
    console.print_table(&table);
}
