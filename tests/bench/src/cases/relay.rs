//! Mail for people elsewhere.

use super::mail::{inbound, point, relay};
use super::{Bed, Case, Extent};
use crate::load::{Manner, Plan, Sink, To};
use crate::report::{Figures, Point};

/// Port 25 to another server.
pub(crate) struct Relay;

impl Case for Relay {
    fn name(&self) -> &'static str {
        "relay"
    }

    fn about(&self) -> &'static str {
        "mail to port 25 for another server, until that has taken it"
    }

    fn points(&self, _: Extent) -> Vec<Point> {
        vec![point(4 << 10, 32, 1), point(4 << 10, 32, 100)]
    }

    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>> {
        let plan = Plan { to: To::Elsewhere, ..inbound(bed, point) };
        bed.block_on(async {
            let sink = Sink::open(bed.sink, Manner::Takes)?;
            Ok(vec![relay(bed, &plan, &sink).await?])
        })
    }
}
