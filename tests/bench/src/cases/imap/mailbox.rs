//! One client at work in a large mailbox.

use anyhow::ensure;

use super::steps::{Often, Steps, fetched};
use crate::cases::{Bed, Case, Extent};
use crate::load::{Door, IN_SUBJECT, IN_TEXT, Imap};
use crate::report::{Figures, Point};
use crate::system::account;

/// SELECT, FETCH, SEARCH and STORE; what a server may remember is measured the first time and again.
pub(crate) struct Mailbox;

/// Message 8,784 is the first of 2025.
const SINCE: (&str, u64) = ("SINCE 1-Jan-2025", 366 * 24);
/// Messages of which flags are set one by one.
const SINGLE: u64 = 1_000;

impl Case for Mailbox {
    fn name(&self) -> &'static str {
        "imap-mailbox"
    }

    fn about(&self) -> &'static str {
        "SELECT, FETCH, SEARCH and STORE (which Dovecot does not sync) in a mailbox of usual messages, half as many read in full. Dovecot as it comes has no full-text index and reads the messages for a search in text; Waypost has one"
    }

    fn points(&self, extent: Extent) -> Vec<Point> {
        vec![Point::default().with("messages", if extent == Extent::Quick { 500 } else { 10_000 })]
    }

    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>> {
        let messages = point.value("messages");
        let (door, account) = (Door::clear(bed.system.doors().imap), account(0));
        bed.block_on(async {
            let mut imap = Imap::log_in(&door, &account).await?;
            imap.fill("Big", messages, None).await?;
            imap.fill("Bodies", messages / 2, None).await?;
            imap.log_out().await?;
            let mut steps = Steps::new(bed, Imap::log_in(&door, &account).await?);
            read(&mut steps, messages).await?;
            search(&mut steps, messages).await?;
            store(&mut steps, messages).await?;
            bodies(&mut steps, messages / 2).await?;
            Ok(steps.figures())
        })
    }
}

async fn read(steps: &mut Steps<'_>, messages: u64) -> anyhow::Result<()> {
    for (suffix, often) in [(", first", Often::Once), ("", Often::Again)] {
        let select = async |imap: &mut Imap| {
            let exists = imap.select("SELECT Big").await?;
            ensure!(exists == messages, "SELECT told of {exists} messages, not {messages}");
            Ok(0)
        };
        steps.step(&format!("select{suffix}"), often, (1, "times"), select).await?;
        for (name, items) in
            [("flags", "FLAGS UID"), ("envelopes", "FLAGS UID ENVELOPE"), ("structures", "BODYSTRUCTURE")]
        {
            let (name, command) = (format!("fetch {name}{suffix}"), format!("FETCH 1:* ({items})"));
            steps.fetch(&name, often, messages, &command).await?;
        }
    }
    Ok(())
}

async fn search(steps: &mut Steps<'_>, messages: u64) -> anyhow::Result<()> {
    // So many of all messages whose number leaves this rest.
    let one_of = |divisor: u64, rest: u64| (messages + divisor - 1 - rest) / divisor;
    let subject = (&*format!("SUBJECT {IN_SUBJECT}"), one_of(50, 7));
    let text = (&*format!("TEXT {IN_TEXT}"), one_of(100, 42));
    let since = (SINCE.0, messages.saturating_sub(SINCE.1));
    for (suffix, often) in [(", first", Often::Once), ("", Often::Again)] {
        for (name, search) in [("subject", subject), ("text", text), ("since", since)] {
            steps.search(&format!("search {name}{suffix}"), often, messages, search).await?;
        }
    }
    Ok(())
}

async fn store(steps: &mut Steps<'_>, messages: u64) -> anyhow::Result<()> {
    let silent = async |imap: &mut Imap| {
        for sign in ["+", "-"] {
            fetched(imap, &format!(r"STORE 1:* {sign}FLAGS.SILENT (\Seen)"), 0).await?;
        }
        Ok(0)
    };
    steps.step("store, silent", Often::Again, (2 * messages, "messages"), silent).await?;
    let told = async |imap: &mut Imap| {
        for sign in ["+", "-"] {
            fetched(imap, &format!(r"STORE 1:* {sign}FLAGS (\Flagged)"), messages).await?;
        }
        Ok(0)
    };
    steps.step("store", Often::Again, (2 * messages, "messages"), told).await?;
    let single = SINGLE.min(messages);
    let one_by_one = async |imap: &mut Imap| {
        for number in 1..=single {
            imap.run(&format!(r"STORE {number} +FLAGS.SILENT (\Answered)")).await?;
        }
        Ok(0)
    };
    steps.step("store one by one", Often::Once, (single, "messages"), one_by_one).await
}

async fn bodies(steps: &mut Steps<'_>, messages: u64) -> anyhow::Result<()> {
    steps.imap.run("SELECT Bodies").await?;
    for (name, often) in [("fetch bodies, first", Often::Once), ("fetch bodies", Often::Again)] {
        steps.fetch(name, often, messages, "FETCH 1:* (UID BODY.PEEK[])").await?;
    }
    Ok(())
}
