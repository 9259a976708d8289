//! Mailboxes read over POP3.

use anyhow::ensure;

use super::mail::lasting;
use super::{Bed, Case, Extent};
use crate::cost::Meter;
use crate::load::{Amount, Door, Imap, Pop3, message, run};
use crate::report::{Figures, Point};
use crate::system::account;

/// Clients that read all messages of their own mailboxes, over and over, one after the other.
pub(crate) struct Retrieval;

struct Client {
    pop3: Pop3,
    /// Messages read so far.
    read: u64,
}

impl Case for Retrieval {
    fn name(&self) -> &'static str {
        "pop3"
    }

    fn about(&self) -> &'static str {
        "messages read over POP3, of usual sizes"
    }

    fn points(&self, extent: Extent) -> Vec<Point> {
        let messages = if extent == Extent::Quick { 100 } else { 1_000 };
        [1, 8].map(|clients| Point::default().with("clients", clients).with("messages", messages)).to_vec()
    }

    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>> {
        let messages = point.value("messages");
        let lengths: Vec<u64> = (0..messages).map(|number| message(number, None).len() as u64).collect();
        let doors = bed.system.doors();
        let count = point.value("clients") as u32;
        ensure!(
            count <= bed.accounts,
            "only one client at a time may read a mailbox: {count} accounts are needed"
        );
        bed.block_on(async {
            let mut clients = Vec::new();
            for number in 0..count {
                let account = account(number);
                let mut imap = Imap::log_in(&Door::clear(doors.imap), &account).await?;
                let [there] = imap.numbers("STATUS INBOX (MESSAGES)", ["MESSAGES"]).await?;
                if there == 0 {
                    imap.fill("INBOX", messages, None).await?;
                }
                imap.log_out().await?;
                clients
                    .push(Client { pop3: Pop3::log_in(&Door::clear(doors.pop3), &account).await?, read: 0 });
            }
            let amount = Amount { lasting: lasting(bed.extent), most: u64::MAX };
            let meter = Meter::start(bed.system);
            let read = run(&mut clients, amount, None, async |client, _| {
                let number = client.read % messages;
                let octets = client.pop3.retrieve(number + 1).await?;
                let length = lengths[number as usize];
                ensure!(octets == length, "message {number} has {length} octets; {octets} came");
                client.read += 1;
                Ok(octets)
            });
            let read = read.await?;
            let cost = meter.stop();
            for client in clients {
                client.pop3.quit().await?;
            }
            let figures = Figures::new(read.operations, cost).rate("messages", read.operations, read.took);
            Ok(vec![figures.rate("octets", read.octets, read.took).latency(&read.latencies)])
        })
    }
}
