//! `waypost store check`.

use proto::mda::{CheckReport, CheckRequest, check_response::Response};
use serde::Serialize;
use service::count::counted;
use service::progress::Progress;

use super::store;
use crate::console::Console;
use crate::failure::Failure;
use crate::pipeline::{self, Pipeline, status};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost store check
  waypost store check --bodies --rebuild --json

The mda goes on serving meanwhile. The exit code is 1 if something is wrong; `mda check` does the same without the \
service.")]
pub(super) struct Arguments {
    /// Also read every message, and everything in the journal, against the checksums
    #[arg(long)]
    bodies: bool,
    /// Also make all rows anew from the journal, beside the others, and compare
    #[arg(long)]
    rebuild: bool,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

/// A report as programs read it.
#[derive(Debug, Serialize)]
struct Shown {
    sound: bool,
    found: u64,
    problems: Vec<String>,
    unchecked: Vec<String>,
    accounts: u64,
    mailboxes: u64,
    messages: u64,
    records: u64,
    bodies: u64,
    octets: u64,
}

pub(super) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let Arguments { bodies, rebuild, json, .. } = arguments;
    let failed = |error| status("cannot check the store", &error);
    let request = CheckRequest { bodies, rebuild };
    let mut answers = store(&pipeline).await?.check(request).await.map_err(failed)?.into_inner();
    let mut progress = Progress::begin();
    let mut report = None;
    while let Some(answer) = answers.message().await.map_err(failed)? {
        match answer.response {
            Some(Response::Progress(now)) => progress.tell(&now.stage, now.done),
            None => {}
            Some(Response::Report(told)) => report = Some(told),
        }
    }
    drop(progress);
    let report = report.ok_or_else(|| Failure::new("cannot check the store", "it ended without a report"))?;
    let found = report.found;
    if json {
        console.print_json(&Shown::from(report));
    } else {
        print(&report, console);
    }
    if found == 0 {
        return Ok(());
    }
    Err(Failure::new("the store is not sound", format!("{found} found"))
        .advise("`mda rebuild` mends its rows"))
}

fn print(report: &CheckReport, console: Console) {
    let CheckReport { problems, found, unchecked, accounts, mailboxes, messages, records, bodies, octets } =
        report;
    for problem in problems {
        console.print(problem);
    }
    if *found > problems.len() as u64 {
        console.print(format_args!("… and {} more", found - problems.len() as u64));
    }
    for unchecked in unchecked {
        console.warn(format_args!("not verified: {unchecked}"));
    }
    let (accounts, mailboxes) = (counted(*accounts, "account"), counted(*mailboxes, "mailbox"));
    let (messages, records) = (counted(*messages, "message"), counted(*records, "journal record"));
    console.print(format_args!("{accounts}, {mailboxes}, {messages}, {records}"));
    if *bodies > 0 {
        let (bodies, octets) = (counted(*bodies, "body"), counted(*octets, "octet"));
        console.print(format_args!("{bodies} of {octets} read"));
    }
    if *found == 0 {
        console.print("nothing is wrong");
    }
}

impl From<CheckReport> for Shown {
    fn from(report: CheckReport) -> Self {
        let CheckReport {
            problems,
            found,
            unchecked,
            accounts,
            mailboxes,
            messages,
            records,
            bodies,
            octets,
        } = report;
        Self {
            sound: found == 0,
            found,
            problems,
            unchecked,
            accounts,
            mailboxes,
            messages,
            records,
            bodies,
            octets,
        }
    }
}
