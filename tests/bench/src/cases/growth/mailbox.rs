//! A growing mailbox.

use crate::cases::imap::{Often, Steps, fetched};
use crate::cases::mail::{deliver, inbound, point};
use crate::cases::{Bed, Case, Extent};
use crate::load::{Amount, Append, Door, Imap, Plan, To, message};
use crate::report::{Figures, Point};
use crate::system::account;

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
