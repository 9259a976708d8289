//! A client that was away and learns what has changed.

use anyhow::ensure;

use super::steps::{Often, Steps, fetched};
use crate::cases::{Bed, Case, Extent};
use crate::load::{Append, Door, Imap, message};
use crate::report::{Figures, Point};
use crate::system::account;

/// A mailbox of which one message in a hundred got a flag, one in five hundred went, and ten came.
pub(crate) struct Resynchronisation;

/// Messages that came.
const NEW: u64 = 10;
/// Octets of each message.
const SIZE: usize = 1 << 10;

/// What a client knows of the mailbox from before.
struct Before {
    validity: u64,
    modseq: u64,
    next: u64,
    /// Messages that have another flag since.
    flagged: u64,
    messages: u64,
    gone: u64,
}

impl Case for Resynchronisation {
    fn name(&self) -> &'static str {
        "imap-sync"
    }

    fn about(&self) -> &'static str {
        "a mailbox is opened and what changed is learned: by QRESYNC, by CONDSTORE, or by all flags; and what is new"
    }

    fn points(&self, extent: Extent) -> Vec<Point> {
        vec![Point::default().with("messages", if extent == Extent::Quick { 500 } else { 10_000 })]
    }

    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>> {
        let door = Door::clear(bed.system.doors().imap);
        bed.block_on(async {
            let mut imap = Imap::log_in(&door, &account(0)).await?;
            let before = change(&mut imap, point.value("messages")).await?;
            imap.log_out().await?;
            // Each has a session of its own: what is enabled in one stays enabled.
            let steps = async || anyhow::Ok(Steps::new(bed, Imap::log_in(&door, &account(0)).await?));
            let mut figures = qresync(steps().await?, &before).await?;
            figures.extend(condstore(steps().await?, &before).await?);
            figures.extend(all_flags(steps().await?, &before).await?);
            Ok(figures)
        })
    }
}

/// Fills the mailbox and, behind what a client knows of it, changes it.
async fn change(imap: &mut Imap, messages: u64) -> anyhow::Result<Before> {
    imap.fill("Synced", messages, Some(SIZE)).await?;
    let known = ["UIDVALIDITY", "HIGHESTMODSEQ", "UIDNEXT"];
    let [validity, modseq, next] =
        imap.numbers("STATUS Synced (UIDVALIDITY HIGHESTMODSEQ UIDNEXT)", known).await?;
    imap.run("SELECT Synced").await?;
    let (flagged, gone) = (messages / 100, messages / 500);
    for number in 1..=flagged {
        imap.run(&format!(r"STORE {} +FLAGS.SILENT (\Flagged)", 100 * number)).await?;
    }
    for number in 0..gone {
        imap.run(&format!(r"STORE {} +FLAGS.SILENT (\Deleted)", 50 + 500 * number)).await?;
    }
    imap.run("EXPUNGE").await?;
    let append = Append::new("Synced", &message(1, Some(SIZE)));
    for _ in 0..NEW {
        imap.append(&append).await?;
    }
    Ok(Before { validity, modseq, next, flagged, messages, gone })
}

/// RFC 7162 §3.2.5: all of it in the answer to SELECT.
async fn qresync(mut steps: Steps<'_>, before: &Before) -> anyhow::Result<Vec<Figures>> {
    steps.imap.run("ENABLE QRESYNC").await?;
    let select = format!("SELECT Synced (QRESYNC ({} {}))", before.validity, before.modseq);
    let once = async |imap: &mut Imap| {
        fetched(imap, &select, before.flagged + NEW).await?;
        new(imap, before).await
    };
    steps.step("by qresync", Often::Again, (1, "times"), once).await?;
    Ok(steps.figures())
}

/// RFC 7162 §3.1.4.1: the flags that changed, and then the numbers of all messages.
async fn condstore(mut steps: Steps<'_>, before: &Before) -> anyhow::Result<Vec<Figures>> {
    let changed = format!("UID FETCH 1:{} (FLAGS) (CHANGEDSINCE {})", before.next - 1, before.modseq);
    let once = async |imap: &mut Imap| {
        imap.run("SELECT Synced (CONDSTORE)").await?;
        fetched(imap, &changed, before.flagged).await?;
        let left = imap.search("ALL").await?;
        let expected = before.messages - before.gone + NEW;
        ensure!(left == expected, "{left} messages are left, not {expected}");
        new(imap, before).await
    };
    steps.step("by condstore", Often::Again, (1, "times"), once).await?;
    Ok(steps.figures())
}

/// As every client can: all flags anew.
async fn all_flags(mut steps: Steps<'_>, before: &Before) -> anyhow::Result<Vec<Figures>> {
    let flags = format!("UID FETCH 1:{} (FLAGS)", before.next - 1);
    let once = async |imap: &mut Imap| {
        imap.run("SELECT Synced").await?;
        fetched(imap, &flags, before.messages - before.gone).await?;
        new(imap, before).await
    };
    steps.step("by all flags", Often::Again, (1, "times"), once).await?;
    Ok(steps.figures())
}

/// Learns of the new messages, and leaves.
async fn new(imap: &mut Imap, before: &Before) -> anyhow::Result<u64> {
    let command = format!("UID FETCH {}:* (UID FLAGS RFC822.SIZE ENVELOPE)", before.next);
    fetched(imap, &command, NEW).await?;
    imap.run("UNSELECT").await?;
    Ok(0)
}
