//! Messages put into mailboxes by clients.

use futures_util::future::try_join_all;

use crate::cases::mail::lasting;
use crate::cases::{Bed, Case, Extent};
use crate::cost::Meter;
use crate::load::{Amount, Append, Door, Imap, message, run};
use crate::report::{Figures, Point};
use crate::system::account;

/// Clients that append, each to a mailbox of its own, one message at a time.
pub(crate) struct Appending;

impl Case for Appending {
    fn name(&self) -> &'static str {
        "imap-append"
    }

    fn about(&self) -> &'static str {
        "messages that clients append over IMAP, one at a time"
    }

    fn points(&self, _: Extent) -> Vec<Point> {
        [1, 16].map(|clients| Point::default().with("clients", clients).with("size", 4 << 10)).to_vec()
    }

    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>> {
        let append = Append::new("INBOX", &message(1, Some(point.value("size") as usize)));
        let door = Door::clear(bed.system.doors().imap);
        bed.block_on(async {
            let clients = (0..point.value("clients") as u32)
                .map(async |number| Imap::log_in(&door, &account(number % bed.accounts)).await);
            let mut clients = try_join_all(clients).await?;
            let before = messages(&mut clients).await?;
            let amount = Amount { lasting: lasting(bed.extent) / 2, most: u64::MAX };
            let meter = Meter::start(bed.system);
            let appended = run(&mut clients, amount, None, async |imap, _| {
                imap.append(&append).await?;
                Ok(0)
            });
            let appended = appended.await?;
            let cost = meter.stop();
            let (count, there) = (appended.operations, messages(&mut clients).await? - before);
            anyhow::ensure!(there == count, "{count} messages were appended, and {there} are there");
            Ok(vec![
                Figures::new(count, cost).rate("messages", count, appended.took).latency(&appended.latencies),
            ])
        })
    }
}

/// What is in the clients' mailboxes together.
async fn messages(clients: &mut [Imap]) -> anyhow::Result<u64> {
    let mut messages = 0;
    for imap in clients {
        let [there] = imap.numbers("STATUS INBOX (MESSAGES)", ["MESSAGES"]).await?;
        messages += there;
    }
    Ok(messages)
}
