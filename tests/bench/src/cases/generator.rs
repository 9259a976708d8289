//! The load generator by itself: what it can do is no bound of what is measured with it.

use super::mail::{inbound, point, relay};
use super::{Bed, Case, Extent};
use crate::load::{Door, Manner, Plan, Sink, To};
use crate::report::{Figures, Point};

/// The generator sends to its own sink, both on one thread. The system has nothing to do.
pub(crate) struct Generator;

impl Case for Generator {
    fn name(&self) -> &'static str {
        "generator"
    }

    fn about(&self) -> &'static str {
        "mail from the load generator straight to its own sink, past the system: its own bound"
    }

    fn points(&self, _: Extent) -> Vec<Point> {
        vec![
            point(4 << 10, 32, 1),
            point(4 << 10, 32, 100),
            point(4 << 10, 1_000, 100),
            point(64 << 10, 32, 100),
        ]
    }

    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>> {
        let door = Door::clear(bed.sink.local_addr()?);
        let mut plan = Plan { door, to: To::Elsewhere, ..inbound(bed, point) };
        plan.amount.lasting /= 4;
        bed.block_on(async {
            let sink = Sink::open(bed.sink, Manner::Takes)?;
            Ok(vec![relay(bed, &plan, &sink).await?])
        })
    }
}
