//! A growing queue.

use anyhow::{Context as _, ensure};

use crate::cases::mail::{deliver, inbound, point, warm_up};
use crate::cases::{Bed, Case, Extent};
use crate::load::{Amount, Manner, Plan, Sink, To};
use crate::report::{Figures, Point};

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
