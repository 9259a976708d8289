//! `waypost queue`: what waits in the MTA nodes, and steering it.

mod drain;
mod explain;
mod filter;
mod list;
mod listing;
mod nodes;
mod show;
mod sites;
mod steer;
mod suspend;
mod top;

use clap::Subcommand;

use crate::console::Console;
use crate::failure::Failure;

const EXAMPLES: &str = "Examples:
  waypost queue list --domain example.org          what waits for that domain
  waypost queue explain 0193f0a5-…                 why it waits, and until when
  waypost queue top                                the busiest sites, live
  waypost queue retry --site mx.example.org --yes  try again now
  waypost queue suspend --domain example.org --reason 'they are down till noon'";

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: QueueCommand,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// List the messages that wait, on all MTA nodes, oldest first
    List(list::Arguments),
    /// Show one waiting message: envelope, recipients, header and, if asked for, body
    Show(show::Arguments),
    /// Tell why each recipient of a message waits, and when it is tried next
    Explain(explain::Arguments),
    /// List the sites that mail waits for, the busiest first
    Sites(sites::Arguments),
    /// Show the busiest sites live in the terminal
    Top(top::Arguments),
    /// Try again now, whatever the time table says
    Retry(steer::Retry),
    /// Try nothing more until released; the deadline goes on
    Hold(steer::Hold),
    /// End a hold
    Release(steer::Release),
    /// Give up: the sender gets a report
    Bounce(steer::Bounce),
    /// Remove without a report
    Drop(steer::Drop),
    /// Send to another next hop than the routing table says
    Reroute(steer::Reroute),
    /// Stop attempts for a site, a domain or an account until resumed
    Suspend(suspend::Suspend),
    /// End a suspension
    Resume(suspend::Resume),
    /// List the suspensions in force
    Suspensions(suspend::List),
    /// Hand everything that waits at one node to others, then report it empty
    #[command(long_about = drain::LONG_ABOUT)]
    Drain(drain::Arguments),
}

/// Does it.
pub(crate) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    match arguments.command {
        QueueCommand::List(arguments) => list::run(arguments, console).await,
        QueueCommand::Show(arguments) => show::run(arguments, console).await,
        QueueCommand::Explain(arguments) => explain::run(arguments, console).await,
        QueueCommand::Sites(arguments) => sites::run(arguments, console).await,
        QueueCommand::Top(arguments) => top::run(arguments, console).await,
        QueueCommand::Retry(arguments) => steer::run(arguments, console).await,
        QueueCommand::Hold(arguments) => steer::run(arguments, console).await,
        QueueCommand::Release(arguments) => steer::run(arguments, console).await,
        QueueCommand::Bounce(arguments) => steer::run(arguments, console).await,
        QueueCommand::Drop(arguments) => steer::run(arguments, console).await,
        QueueCommand::Reroute(arguments) => steer::run(arguments, console).await,
        QueueCommand::Suspend(arguments) => suspend::suspend(arguments, console).await,
        QueueCommand::Resume(arguments) => suspend::resume(arguments, console).await,
        QueueCommand::Suspensions(arguments) => suspend::list(arguments, console).await,
        QueueCommand::Drain(arguments) => drain::run(arguments, console).await,
    }
}
