//! How long people wait for their mail program to say "sent".

use anyhow::Context as _;

use super::mail::{DELIVERED, deliver, lasting, point, submission, warm_up};
use super::{Bed, Case, Extent};
use crate::load::{Amount, Plan};
use crate::report::{Figures, Point};

/// Submissions that are due at a steady pace over sessions that are open: each counts from when it was due, so that one that
/// had to wait for a slow one before it is not told of as quick.
pub(crate) struct Latency;

/// Sessions: as many as can be waited for at a time.
const SESSIONS: u64 = 64;
/// Octets of a message.
const SIZE: u64 = 4 << 10;

impl Case for Latency {
    fn name(&self) -> &'static str {
        "latency"
    }

    fn about(&self) -> &'static str {
        "how long a submission takes to be acknowledged, at half the rate that the system can keep up, and at a given one"
    }

    fn points(&self, _: Extent) -> Vec<Point> {
        vec![Point::default().with("percent of most", 50), Point::default().with("due a second", 100)]
    }

    fn run(&self, bed: &Bed<'_>, at: &Point) -> anyhow::Result<Vec<Figures>> {
        let plan = submission(bed, &point(SIZE, SESSIONS, u64::MAX));
        let amount = Amount { lasting: 2 * lasting(bed.extent), ..plan.amount };
        bed.block_on(async {
            warm_up(bed).await?;
            let pace = match at.value("due a second") {
                0 => most(bed, &plan).await? * at.value("percent of most") as f64 / 100.0,
                given => given as f64,
            };
            let (figures, sent) = deliver(bed, &Plan { pace: Some(pace), amount, ..plan }).await?;
            let own = Figures::new(sent.operations, figures.cost.clone());
            let own = own.rate("due", sent.operations, sent.took).latency(&sent.late);
            Ok(vec![figures, own.step("the generator's own lateness")])
        })
    }
}

/// Messages a second that the system takes and delivers, measured just now.
async fn most(bed: &Bed<'_>, plan: &Plan) -> anyhow::Result<f64> {
    let (figures, _) = deliver(bed, plan).await?;
    figures.per_second(DELIVERED).context("no rate of delivery")
}
