//! The operator's command `waypost`: it runs the whole pipeline on one machine, and asks and steers running ones.
//!
//! The one place that knows all three services: as processes to run (`local`, `waypost up`), and as gRPC services to
//! talk to (`pipeline`, all other commands). The services themselves are libraries; `waypost service …` is their main.

#![forbid(unsafe_code)]

mod cli;
mod commands;
mod console;
mod failure;
mod happenings;
mod local;
mod pipeline;
mod replies;
mod secrets;
mod shell;
mod times;

use std::future::Future;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Command, CommandLine, Unparsed};
use crate::commands::{
    account, alias, domain, events, mailbox, queue, send, service as service_command, store, trace, up,
};
use crate::console::Console;
use crate::failure::{Explain, Failure};

/// The services' allocator too: `waypost up` runs them from this program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A command line that cannot be understood, as shells and `sysexits.h` have it nearly everywhere.
const USAGE: u8 = 2;

/// The program: parses the command line, does what it says, tells in one line what failed.
pub fn main() -> ExitCode {
    let console = Console::new();
    let command = match CommandLine::try_parse() {
        Ok(line) => line.command,
        Err(error) => return unparsed(&error, console),
    };
    service::tls::install_provider();
    match run(command, console) {
        Ok(code) => code,
        Err(failure) => {
            console.error(failure);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, console: Console) -> Result<ExitCode, Failure> {
    match command {
        Command::Up(arguments) => up::run(&arguments, console)?,
        Command::Account(arguments) => wait_for(account::run(arguments, console))?,
        Command::Alias(arguments) => wait_for(alias::run(arguments, console))?,
        Command::Domain(arguments) => wait_for(domain::run(arguments, console))?,
        Command::Send(arguments) => wait_for(send::run(arguments, console))?,
        Command::Trace(arguments) => wait_for(trace::run(arguments, console))?,
        Command::Events(arguments) => wait_for(events::run(arguments, console))?,
        Command::Queue(arguments) => wait_for(queue::run(arguments, console))?,
        Command::Mailbox(arguments) => wait_for(mailbox::run(arguments, console))?,
        Command::Store(arguments) => wait_for(store::run(arguments, console))?,
        Command::Service(arguments) => return service_command::run(&arguments),
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a client command; one thread is enough for it.
fn wait_for(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .explain(|| "cannot start".to_owned())?;
    let outcome = runtime.block_on(command);
    // A read of standard input that is still under way must not keep the program.
    runtime.shutdown_background();
    outcome
}

fn unparsed(error: &clap::Error, console: Console) -> ExitCode {
    match cli::explain(error, io::stdout().is_terminal()) {
        Unparsed::Answer(text) => {
            console.print(text.trim_end());
            ExitCode::SUCCESS
        }
        Unparsed::Lesson(text) => {
            console.explain(text.trim_end());
            ExitCode::from(USAGE)
        }
        Unparsed::Wrong(line) => {
            console.error(line);
            ExitCode::from(USAGE)
        }
    }
}
