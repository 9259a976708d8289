//! Clients that wait for new mail.

use std::time::Instant;

use futures_util::future::{try_join, try_join_all};

use crate::cases::{Bed, Case, Extent};
use crate::cost::Meter;
use crate::load::{Append, Door, Imap, message};
use crate::report::{Figures, Point};
use crate::system::account;

/// Many clients idle in one mailbox, and are told of every message that another one appends.
pub(crate) struct Idling;

impl Case for Idling {
    fn name(&self) -> &'static str {
        "imap-idle"
    }

    fn about(&self) -> &'static str {
        "clients that idle in one mailbox are told of a message, counted from when it began to be appended. Dovecot gathers such news for a built-in half second, which the rate and the times show and which is no lack of speed: compare the CPU time"
    }

    fn points(&self, extent: Extent) -> Vec<Point> {
        let messages = if extent == Extent::Quick { 3 } else { 10 };
        vec![Point::default().with("clients", 50).with("messages", messages)]
    }

    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>> {
        let door = Door::clear(bed.system.doors().imap);
        let append = Append::new("INBOX", &message(1, Some(4 << 10)));
        bed.block_on(async {
            let mut sender = Imap::log_in(&door, &account(0)).await?;
            let idle = (0..point.value("clients")).map(async |_| {
                let mut imap = Imap::log_in(&door, &account(0)).await?;
                imap.run("SELECT INBOX").await?;
                imap.idle().await?;
                anyhow::Ok(imap)
            });
            let mut idle = try_join_all(idle).await?;
            let (meter, began) = (Meter::start(bed.system), Instant::now());
            let mut latencies = Vec::new();
            for _ in 0..point.value("messages") {
                let appended = Instant::now();
                let told = idle.iter_mut().map(async |imap| {
                    imap.told().await?;
                    Ok(appended.elapsed())
                });
                let (told, ()) = try_join(try_join_all(told), sender.append(&append)).await?;
                latencies.extend(told);
            }
            let (took, cost) = (began.elapsed(), meter.stop());
            let told = latencies.len() as u64;
            Ok(vec![Figures::new(told, cost).rate("told", told, took).latency(&latencies)])
        })
    }
}
