//! What the cases of mail share: mail goes in, and all of it has to be delivered.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::time::sleep;

use super::{Bed, Extent};
use crate::cost::Meter;
use crate::load::{Amount, Door, Outcome, Plan, Sink, To};
use crate::report::{Figures, Point};
use crate::system::System;

/// The rate that counts what is in the mailboxes.
pub(super) const DELIVERED: &str = "delivered";
/// How often a system is asked what it has delivered.
const ASK: Duration = Duration::from_millis(20);
/// What a system still writes down behind the last message is among its costs.
const SETTLE: Duration = Duration::from_millis(300);
/// Octets of content that one point sends at most.
const MOST_OCTETS: u64 = 1 << 30;
/// Sessions that warm up.
const WARMING: usize = 8;

/// The point of a load of mail.
pub(super) fn point(size: u64, sessions: u64, per_connection: u64) -> Point {
    Point::default().with("size", size).with("sessions", sessions).with("per connection", per_connection)
}

/// A load of mail at such a point, as fast as it goes.
pub(super) fn plan(door: Door, to: To, point: &Point, lasting: Duration) -> Plan {
    let size = point.value("size");
    Plan {
        door,
        log_in_as: 0,
        to,
        sessions: point.value("sessions") as usize,
        per_connection: point.value("per connection"),
        size: size as usize,
        amount: Amount { lasting, most: (MOST_OCTETS / size).max(1) },
        pace: None,
    }
}

/// Mail from other systems at such a point, for all accounts in turns.
pub(super) fn inbound(bed: &Bed<'_>, point: &Point) -> Plan {
    let (door, to) = (Door::clear(bed.system.doors().smtp), To::Accounts { first: 0, count: bed.accounts });
    plan(door, to, point, lasting(bed.extent))
}

/// Mail that people submit.
pub(super) fn submission(bed: &Bed<'_>, point: &Point) -> Plan {
    let doors = bed.system.doors();
    Plan { door: Door::tls(doors.submissions, &doors.ca), log_in_as: bed.accounts, ..inbound(bed, point) }
}

/// How long a load lasts.
pub(super) fn lasting(extent: Extent) -> Duration {
    match extent {
        Extent::Quick => Duration::from_millis(500),
        Extent::Whole => Duration::from_secs(4),
    }
}

/// A first small message to every account, so that no mailbox has to be made while something is measured. What was
/// delivered before stays as it is if there was anything.
pub(super) async fn warm_up(bed: &Bed<'_>) -> anyhow::Result<()> {
    if bed.system.delivered()? >= u64::from(bed.accounts) {
        return Ok(());
    }
    let amount = Amount { lasting: bed.limit, most: bed.accounts.into() };
    let plan = Plan { amount, ..inbound(bed, &point(1 << 10, WARMING as u64, 100)) };
    deliver(bed, &plan).await.context("while it was warmed up")?;
    Ok(())
}

/// Puts a load of mail for accounts on the system, and waits until all is in the mailboxes.
pub(super) async fn deliver(bed: &Bed<'_>, plan: &Plan) -> anyhow::Result<(Figures, Outcome)> {
    let ready = plan.prepare().await?;
    let (before, stored) = (bed.system.delivered()?, bed.system.stored()?);
    let (meter, began) = (Meter::start(bed.system), Instant::now());
    let sent = ready.run().await?;
    delivered(bed.system, before + sent.operations).await?;
    let all = began.elapsed();
    sleep(SETTLE).await;
    let cost = meter.stop();
    let more = bed.system.delivered()? - before - sent.operations;
    ensure!(more == 0, "{more} messages more were delivered than were sent");
    let (new, of) = (bed.system.stored()? - stored, sent.operations);
    ensure!(new == of, "{new} messages lie in the mailboxes of {of} that were sent");
    let figures = Figures::new(sent.operations, cost)
        .rate(DELIVERED, sent.operations, all)
        .rate("accepted", sent.operations, sent.took)
        .latency(&sent.latencies);
    Ok((figures, sent))
}

/// Puts a load of mail for people elsewhere on the system, and waits until all has reached the sink.
pub(super) async fn relay(bed: &Bed<'_>, plan: &Plan, sink: &Sink) -> anyhow::Result<Figures> {
    let ready = plan.prepare().await?;
    let before = sink.messages();
    let (meter, began) = (Meter::start(bed.system), Instant::now());
    let sent = ready.run().await?;
    sink.reached(before + sent.operations).await;
    let all = began.elapsed();
    sleep(SETTLE).await;
    let cost = meter.stop();
    let more = sink.messages() - before - sent.operations;
    ensure!(more == 0, "{more} messages more were sent on than were taken");
    Ok(Figures::new(sent.operations, cost)
        .rate("relayed", sent.operations, all)
        .rate("accepted", sent.operations, sent.took)
        .latency(&sent.latencies))
}

/// Waits until so many messages are in mailboxes.
async fn delivered(system: &dyn System, messages: u64) -> anyhow::Result<()> {
    while system.delivered()? < messages {
        sleep(ASK).await;
    }
    Ok(())
}
