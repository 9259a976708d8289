//! `waypost queue drain`: empties a node, so that it can go.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use proto::mta::queue_client::QueueClient;
use proto::mta::{DrainRequest, DrainResponse};
use service::count::counted;
use tonic::Status;

use crate::console::Console;
use crate::failure::Failure;
use crate::pipeline::{self, Node, Pipeline, status};

pub(super) const LONG_ABOUT: &str = "Hand everything that waits at one node to others, then report it empty.

The node takes no new mail meanwhile. Each message goes with what it has been through: attempts, deadline, holds. Once \
the node is empty it can be stopped and its disk given back. If this command is interrupted, what was handed over \
stays with the other nodes and the node takes mail again.";

/// A spool of a million messages takes its time.
const LONGEST: Duration = Duration::from_hours(24);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost queue drain mta1 --to mta2
  waypost queue drain mta1 --to mta2 --to mta3")]
pub(super) struct Arguments {
    /// The node to empty
    #[arg(value_name = "NODE")]
    from: String,
    /// A node that takes over, by name or gRPC address (repeatable)
    #[arg(long, value_name = "NODE", required = true)]
    to: Vec<String>,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

pub(super) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let nodes = pipeline.mta()?;
    let from = find(nodes, &arguments.from)?;
    let to = arguments.to.iter().map(|name| target(nodes, name)).collect::<Result<Vec<String>, Failure>>()?;
    if to.contains(&from.address) {
        return Err(Failure::new(format!("cannot drain {}", from.name), "it cannot hand over to itself"));
    }
    let channel = pipeline::channel_for(&from.address, &pipeline.credentials, LONGEST).await?;
    let failed = |error: Status| status(format!("cannot drain {}", from.name), &error);
    let mut progress =
        QueueClient::new(channel).drain(DrainRequest { to }).await.map_err(failed)?.into_inner();
    let mut last = DrainResponse::default();
    let live = io::stderr().is_terminal();
    while let Some(now) = progress.message().await.map_err(failed)? {
        tell(&now, &last, live, console);
        last = now;
    }
    if live {
        console.note("");
    }
    let handed_over = counted(last.handed_over, "message");
    console.print(format_args!("{} is empty: {handed_over} handed over", from.name));
    Ok(())
}

/// On a terminal one line that changes; elsewhere a line for each new problem only.
fn tell(now: &DrainResponse, last: &DrainResponse, live: bool, console: Console) {
    if live {
        let mut terminal = io::stderr().lock();
        let _ = write!(terminal, "\r{} handed over, {} left\x1b[K", now.handed_over, now.left);
        let _ = terminal.flush();
    }
    if !now.problem.is_empty() && now.problem != last.problem {
        if live {
            console.note("");
        }
        console.warn(format_args!("{}; it is tried again until Ctrl-C", now.problem));
    }
}

fn find<'a>(nodes: &'a [Node], name: &str) -> Result<&'a Node, Failure> {
    nodes.iter().find(|node| node.name == name || node.address == name).ok_or_else(|| {
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        Failure::new(format!("cannot find the node {name}"), format!("there are: {}", names.join(", ")))
    })
}

/// The gRPC address of a node that takes over: one of the pipeline's by name, or any by address.
fn target(nodes: &[Node], name: &str) -> Result<String, Failure> {
    match find(nodes, name) {
        Ok(node) => Ok(node.address.clone()),
        Err(_) if name.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => {
            Ok(name.to_owned())
        }
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_node_of_the_pipeline_or_an_address() {
        let nodes = [Node { name: "mta1".into(), address: "127.0.0.1:7025".into() }];
        assert_eq!(target(&nodes, "mta1").unwrap(), "127.0.0.1:7025");
        assert_eq!(target(&nodes, "mta9.example.test:7025").unwrap(), "mta9.example.test:7025");
        let failure = target(&nodes, "mta2").unwrap_err().to_string();
        assert_eq!(failure, "cannot find the node mta2: there are: mta1");
    }
}
