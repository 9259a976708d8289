//! Mail into mailboxes: what people submit, what other systems send, and how that grows.

use super::mail::{deliver, inbound, point, submission, warm_up};
use super::{Bed, Case, Extent};
use crate::load::Plan;
use crate::report::{Figures, Point};

/// A load of mail to all accounts in turns, until it is in their mailboxes.
pub(crate) struct IntoMailboxes {
    name: &'static str,
    about: &'static str,
    is_asked_for_only: bool,
    points: fn(Extent) -> Vec<Point>,
    plan: fn(&Bed<'_>, &Point) -> Plan,
}

/// Port 465: each session logs in as another account.
pub(super) const SUBMISSION: IntoMailboxes = IntoMailboxes {
    name: "submission",
    about: "mail submitted under TLS by who has logged in, until it is in the mailboxes",
    is_asked_for_only: false,
    points: |_| vec![point(4 << 10, 32, 1), point(4 << 10, 32, 100)],
    plan: submission,
};

/// Port 25.
pub(super) const INBOUND: IntoMailboxes = IntoMailboxes {
    name: "inbound",
    about: "mail to port 25, until it is in the mailboxes",
    is_asked_for_only: false,
    points: |extent| {
        let sizes: &[u64] = if extent == Extent::Quick { &[4 << 10] } else { &[4 << 10, 64 << 10] };
        sizes.iter().flat_map(|&size| [point(size, 32, 1), point(size, 32, 100)]).collect()
    },
    plan: inbound,
};

/// Port 25 against the size of a message.
pub(super) const BY_SIZE: IntoMailboxes = IntoMailboxes {
    name: "growth-size",
    about: "inbound mail of 1 KiB to 10 MiB a message",
    is_asked_for_only: true,
    points: |extent| {
        let sizes: &[u64] = match extent {
            Extent::Quick => &[1 << 10, 1 << 20],
            Extent::Whole => &[1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 10 << 20],
        };
        sizes.iter().map(|&size| point(size, 16, 100)).collect()
    },
    plan: inbound,
};

/// Port 25 against the number of sessions at a time.
pub(super) const BY_SESSIONS: IntoMailboxes = IntoMailboxes {
    name: "growth-sessions",
    about: "inbound mail of 4 KiB over 1 to 1,000 sessions at a time",
    is_asked_for_only: true,
    points: |extent| {
        let sessions: &[u64] = match extent {
            Extent::Quick => &[1, 100],
            Extent::Whole => &[1, 3, 10, 30, 100, 300, 1_000],
        };
        sessions.iter().map(|&sessions| point(4 << 10, sessions, 100)).collect()
    },
    plan: inbound,
};

impl Case for IntoMailboxes {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn is_asked_for_only(&self) -> bool {
        self.is_asked_for_only
    }

    fn points(&self, extent: Extent) -> Vec<Point> {
        (self.points)(extent)
    }

    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>> {
        let plan = (self.plan)(bed, point);
        bed.block_on(async {
            warm_up(bed).await?;
            let (figures, _) = deliver(bed, &plan).await?;
            Ok(vec![figures])
        })
    }
}
