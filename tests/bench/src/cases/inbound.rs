//! Mail from other systems into mailboxes.

use super::mail::{inbound, into_mailboxes, point};
use super::{Bed, Case, Extent};
use crate::report::{Figures, Point};

/// Port 25 to mailboxes, to all accounts in turns.
pub(crate) struct Inbound;

impl Case for Inbound {
    fn name(&self) -> &'static str {
        "inbound"
    }

    fn about(&self) -> &'static str {
        "mail to port 25, until it is in the mailboxes"
    }

    fn points(&self, extent: Extent) -> Vec<Point> {
        let mut points = vec![point(4 << 10, 32, 1), point(4 << 10, 32, 100)];
        if extent == Extent::Whole {
            points.extend([point(64 << 10, 32, 1), point(64 << 10, 32, 100)]);
        }
        points
    }

    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>> {
        into_mailboxes(bed, &inbound(bed, point))
    }
}
