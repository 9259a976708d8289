//! What becomes of the rates as things grow: messages, sessions, the queue, a mailbox.

use anyhow::{Context as _, ensure};

use super::imap::{Often, Steps, fetched};
use super::mail::{deliver, inbound, into_mailboxes, point, warm_up};
use super::{Bed, Case, Extent};
use crate::load::{Amount, Append, Door, Imap, Manner, Plan, Sink, To, message};
use crate::report::{Figures, Point};
use crate::system::account;

/// Inbound mail against the size of a message.
pub(crate) struct Size;

impl Case for Size {
    fn name(&self) -> &'static str {
        "growth-size"
    }

    fn about(&self) -> &'static str {
        "inbound mail of 1 KiB to 10 MiB a message"
    }

    fn is_asked_for_only(&self) -> bool {
        true
    }

    fn points(&self, extent: Extent) -> Vec<Point> {
        let sizes: &[u64] = match extent {
            Extent::Quick => &[1 << 10, 1 << 20],
            Extent::Whole => &[1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 10 << 20],
        };
        sizes.iter().map(|&size| point(size, 16, 100)).collect()
    }

    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>> {
        into_mailboxes(bed, &inbound(bed, point))
    }
}

/// Inbound mail against the number of sessions at a time.
pub(crate) struct Sessions;

impl Case for Sessions {
    fn name(&self) -> &'static str {
        "growth-sessions"
    }

    fn about(&self) -> &'static str {
        "inbound mail of 4 KiB over 1 to 1,000 sessions at a time"
    }

    fn is_asked_for_only(&self) -> bool {
        true
    }

    fn points(&self, extent: Extent) -> Vec<Point> {
        let sessions: &[u64] = match extent {
            Extent::Quick => &[1, 100],
            Extent::Whole => &[1, 3, 10, 30, 100, 300, 1_000],
        };
        sessions.iter().map(|&sessions| point(4 << 10, sessions, 100)).collect()
    }

    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>> {
        into_mailboxes(bed, &inbound(bed, point))
    }
}

/// Inbound mail against the number of messages that wait in the queue for another server.
pub(crate) struct Queue;

impl Queue {
    fn lengths(extent: Extent) -> &'static [u64] {
        match extent {
            Extent::Quick => &[0, 100],
            Extent::Whole => &[0, 1_000, 10_000],
        }
    }
}

impl Case for Queue {
    fn name(&self) -> &'static str {
        "growth-queue"
    }

    fn about(&self) -> &'static str {
        "inbound mail of 4 KiB while the queue holds messages that another server puts off"
    }

    fn is_asked_for_only(&self) -> bool {
        true
    }

    fn points(&self, extent: Extent) -> Vec<Point> {
        Self::lengths(extent).iter().map(|&length| point(4 << 10, 16, 100).with("queued", length)).collect()
    }

    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>> {
        let queued = point.value("queued");
        // The points before this one left theirs.
        let before = Self::lengths(bed.extent).iter().rev().find(|&&length| length < queued).unwrap_or(&0);
        let amount = Amount { lasting: bed.limit, most: queued - before };
        let fill = Plan { to: To::Elsewhere, amount, ..inbound(bed, point) };
        bed.block_on(async {
            warm_up(bed).await?;
            // It goes on to put off what the system tries meanwhile.
            let sink = Sink::open(bed.sink, Manner::PutsOff)?;
            fill.prepare().await?.run().await.context("while the queue was filled")?;
            let (figures, _) = deliver(bed, &inbound(bed, point)).await?;
            ensure!(queued == 0 || sink.messages() > 0, "nothing was put off");
            Ok(vec![figures])
        })
    }
}

/// One mailbox against the number of messages in it.
pub(crate) struct MailboxSize;

/// What a client shows of a mailbox at first.
const SHOWN: u64 = 50;
/// Each step that adds messages adds one for so many that are there: few enough that the mailbox stays as large as it is
/// told to be, and as many for every system, however fast it is.
const MORE: u64 = 20;

impl Case for MailboxSize {
    fn name(&self) -> &'static str {
        "growth-mailbox"
    }

    fn about(&self) -> &'static str {
        "a mailbox of 1,000 to 50,000 messages: a client opens it, appends a twentieth as many to it, and as many are delivered to it"
    }

    fn is_asked_for_only(&self) -> bool {
        true
    }

    fn points(&self, extent: Extent) -> Vec<Point> {
        let sizes: &[u64] = match extent {
            Extent::Quick => &[100, 1_000],
            Extent::Whole => &[1_000, 5_000, 20_000, 50_000],
        };
        sizes.iter().map(|&messages| Point::default().with("messages", messages)).collect()
    }

    fn run(&self, bed: &Bed<'_>, at: &Point) -> anyhow::Result<Vec<Figures>> {
        let messages = at.value("messages");
        // Each point has a mailbox of its own.
        let owner = self.points(bed.extent).iter().position(|point| point == at).unwrap_or(0) as u32;
        let door = Door::clear(bed.system.doors().imap);
        let append = Append::new("INBOX", &message(1, Some(4 << 10)));
        let more = (messages / MORE).max(1);
        let amount = Amount { lasting: bed.limit, most: more };
        let to = To::Accounts { first: owner, count: 1 };
        let mail = Plan { to, amount, ..inbound(bed, &point(4 << 10, 8, 100)) };
        bed.block_on(async {
            let mut imap = Imap::log_in(&door, &account(owner)).await?;
            imap.fill("INBOX", messages, Some(1 << 10)).await?;
            let mut steps = Steps::new(bed, imap);
            steps
                .step("open", Often::Again, (1, "times"), async |imap| {
                    let exists = imap.select("SELECT INBOX").await?;
                    let command = format!("FETCH {}:{exists} (UID FLAGS ENVELOPE)", exists - SHOWN + 1);
                    fetched(imap, &command, SHOWN).await?;
                    imap.run("UNSELECT").await?;
                    Ok(0)
                })
                .await?;
            steps
                .step("append", Often::Times(more), (1, "messages"), async |imap| {
                    imap.append(&append).await?;
                    Ok(0)
                })
                .await?;
            let mut figures = steps.figures();
            let (delivered, _) = deliver(bed, &mail).await?;
            figures.push(delivered.step("deliver"));
            Ok(figures)
        })
    }
}
