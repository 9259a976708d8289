//! Mail of people who log in under TLS.

use super::mail::{into_mailboxes, point, submission};
use super::{Bed, Case, Extent};
use crate::report::{Figures, Point};

/// Port 465 to mailboxes: each session logs in as another account.
pub(crate) struct Submission;

impl Case for Submission {
    fn name(&self) -> &'static str {
        "submission"
    }

    fn about(&self) -> &'static str {
        "mail submitted under TLS by who has logged in, until it is in the mailboxes"
    }

    fn points(&self, _: Extent) -> Vec<Point> {
        vec![point(4 << 10, 32, 1), point(4 << 10, 32, 100)]
    }

    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>> {
        into_mailboxes(bed, &submission(bed, point))
    }
}
