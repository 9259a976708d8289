//! `waypost events`: what happens at the MTA nodes, as far back as their logs go and as it happens.

mod offsets;
mod reader;

use jiff::tz::TimeZone;
use proto::mta::EventKind;
use serde::Serialize;
use tokio::sync::mpsc;

use self::reader::{Reader, Told, Wanted};
use crate::console::{Console, clean};
use crate::failure::Failure;
use crate::happenings::{self, Happening};
use crate::pipeline::{self, Pipeline};
use crate::times;

pub(crate) const LONG_ABOUT: &str = "Tell what happens at the MTA nodes.

Tells every event in the nodes' logs, the oldest first, and with --follow each new one about a second after it \
happened. Each node has offsets of its own: who comes back with the last offset of a node misses nothing and sees \
nothing twice, as long as the node's log reaches back so far.";

const EXAMPLES: &str = "Examples:
  waypost events
  waypost events --new --kind bounced --kind expired
  waypost events --json > events.jsonl
  waypost events --json --follow --after \"$(tail -n 1 events.jsonl | jq -r .offset)\" >> events.jsonl
  waypost events --after mta=00000000000000030000a1c8594d1f20 --after mta1=0000000000000001000004408ee2b7c1";

/// Events that wait to be printed.
const WAITING: usize = 256;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Only what came after this event; with several nodes NODE=OFFSET (repeatable)
    #[arg(long, value_name = "OFFSET", conflicts_with = "new")]
    after: Vec<String>,
    /// Go on with each new event as it happens, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// Only what happens from now on, until Ctrl-C
    #[arg(long)]
    new: bool,
    /// Only events of this kind: received, attempt, delivered, deferred, bounced … (repeatable)
    #[arg(long, value_name = "KIND", value_parser = happenings::parse_kind)]
    kind: Vec<EventKind>,
    /// As JSON, for programs: one object a line, with its offset; moments are in UTC
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

/// Reads, and tells.
pub(crate) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let wanted = Wanted {
        only_new: arguments.new,
        until_now: !arguments.follow && !arguments.new,
        kinds: arguments.kind.iter().map(|kind| i32::from(*kind)).collect(),
    };
    let places = offsets::of(pipeline.mta()?, &arguments.after)?;
    let reader = |place| Reader::new(place, pipeline.credentials.clone(), wanted.clone(), console);
    let readers = places.into_iter().map(reader).collect();
    let printer = Printer { console, json: arguments.json, zone: TimeZone::system() };
    if wanted.until_now { so_far(readers, &printer).await } else { follow(readers, &printer).await }
}

/// Tells what all nodes have told so far, in order of time.
async fn so_far(mut readers: Vec<Reader>, printer: &Printer) -> Result<(), Failure> {
    let mut heads: Vec<Option<Told>> = Vec::new();
    for reader in &mut readers {
        heads.push(reader.next().await?);
    }
    loop {
        let moments =
            heads.iter().zip(0..).filter_map(|(head, of)| Some((head.as_ref()?.happening.moment(), of)));
        let Some((_, earliest)) = moments.min() else { break };
        let next = readers[earliest].next().await?;
        if let Some(told) = std::mem::replace(&mut heads[earliest], next) {
            printer.print(&told);
        }
    }
    printer.tell_where_to_go_on(&readers);
    Ok(())
}

/// Tells what all nodes tell, as it comes. A node that cannot be read ends it: what it would have told would be missing.
async fn follow(readers: Vec<Reader>, printer: &Printer) -> Result<(), Failure> {
    let (sender, mut told) = mpsc::channel(WAITING);
    for mut reader in readers {
        let sender = sender.clone();
        tokio::spawn(async move {
            while let Some(next) = reader.next().await.transpose() {
                let failed = next.is_err();
                if sender.send(next).await.is_err() || failed {
                    return;
                }
            }
        });
    }
    drop(sender);
    while let Some(next) = told.recv().await {
        printer.print(&next?);
    }
    Ok(())
}

struct Printer {
    console: Console,
    json: bool,
    zone: TimeZone,
}

/// An event as programs read it.
#[derive(Serialize)]
struct Line<'a> {
    offset: &'a str,
    #[serde(flatten)]
    happening: &'a Happening,
}

impl Printer {
    fn print(&self, Told { offset, happening }: &Told) {
        if self.json {
            return self.console.print_json_line(&Line { offset, happening });
        }
        let at = happening.moment().map(|moment| times::local(moment, &self.zone)).unwrap_or_default();
        let told = happening.tell(&self.zone);
        self.console.print(clean(&format!("{at}  {}  {}  {told}", happening.node(), happening.message_id())));
    }

    /// Programs have the offsets with the events.
    fn tell_where_to_go_on(&self, readers: &[Reader]) {
        let known = readers.iter().filter(|reader| !reader.after.is_empty());
        let places: Vec<String> =
            known.map(|reader| format!("--after {}={}", reader.node.name, reader.after)).collect();
        if !self.json && !places.is_empty() {
            self.console.note(format_args!("go on with {}", places.join(" ")));
        }
    }
}
