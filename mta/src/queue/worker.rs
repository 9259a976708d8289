//! Workers: each takes one unit after another for one destination, until its line is empty.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use proto::mta::{EventKind, RecipientState};
use service::directory::Resolution;

use super::settle::{Outcome, Verdict};
use super::{Destination, Queue, Unit};
use crate::clock;
use crate::deliver::{Session, Stalled};
use crate::events::Details;
use crate::reply;
use crate::spool::{Message, Status};

impl Queue {
    /// Handles units of `destination`, `unit` first, until there are none in line or others have waited long enough for
    /// their turn. Units for a domain share a session.
    pub(super) async fn work(self: Arc<Self>, destination: Destination, unit: Unit) {
        let _turn = Turn { queue: &self, destination: &destination };
        let mut session = None;
        let mut next = Some(unit);
        let mut left = self.parts.messages_per_session.max(1);
        while let Some(unit) = next {
            let handled = AssertUnwindSafe(self.handle(&destination, &mut session, unit.clone()));
            if handled.catch_unwind().await.is_err() {
                tracing::error!(id = %unit.message, "a worker panicked; the message is put off");
                session = None;
                self.put_off(unit, &Stalled("internal error".into())).await;
            }
            left -= 1;
            next = if left > 0 { self.take(&destination) } else { None };
        }
        if let Some(session) = session {
            session.quit().await;
        }
    }

    async fn handle(&self, destination: &Destination, session: &mut Option<Session>, unit: Unit) {
        match destination {
            Destination::Unrouted => self.route(unit).await,
            Destination::Mda => self.hand_over(unit).await,
            Destination::Domain(domain) => self.relay(domain, session, unit).await,
        }
    }

    /// Splits a unit by where its recipients' mail goes.
    async fn route(&self, unit: Unit) {
        let Some((message, recipients)) = self.open(&unit) else { return };
        let addresses: Vec<&str> = recipients.iter().map(|&index| message.address(index)).collect();
        let resolutions = match self.parts.hops.directory.resolve(&addresses).await {
            Ok(resolutions) => resolutions,
            Err(error) => {
                return self.stall_or_expire(&message, unit, &Stalled(error.message().into())).await;
            }
        };
        let mut local = Vec::new();
        let mut remote: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let (mut unknown, mut aliases) = (Vec::new(), Vec::new());
        for (&index, resolution) in recipients.iter().zip(resolutions) {
            match resolution {
                Resolution::Mailbox => local.push(index),
                Resolution::UnknownUser => unknown.push(index),
                Resolution::Alias | Resolution::List => aliases.push(index),
                Resolution::Remote => match message::Address::parse(message.address(index)) {
                    Ok(address) => remote.entry(address.domain().ascii().to_owned()).or_default().push(index),
                    Err(_) => unknown.push(index),
                },
            }
        }
        let id = unit.message;
        let unit = |recipients| Unit { message: id, recipients, stalls: 0 };
        let local = (!local.is_empty()).then(|| (Destination::Mda, unit(local)));
        let remote =
            remote.into_iter().map(|(domain, indices)| (Destination::Domain(domain.into()), unit(indices)));
        self.push_ready(local.into_iter().chain(remote));
        for index in aliases {
            match self.redistribute(&message, index).await {
                Ok(outcome) => self.settle(&message, vec![outcome]).await,
                Err(stalled) => self.stall_or_expire(&message, unit(vec![index]), &stalled).await,
            }
        }
        if !unknown.is_empty() {
            let failed = unknown.into_iter().map(|index| {
                let attempts = message.status(index).map_or(0, |status| status.attempts);
                Outcome::local(index, attempts + 1, Verdict::Failed(reply::unknown_user()))
            });
            self.settle(&message, failed.collect()).await;
        }
    }

    /// Hands a unit to the MDA.
    async fn hand_over(&self, unit: Unit) {
        let Some((message, recipients)) = self.open(&unit) else { return };
        match self.parts.hops.mda.deliver_spooled(&self.parts.spool, &message, &recipients).await {
            Ok(outcomes) => self.settle(&message, outcomes).await,
            Err(stalled) => self.stall_or_expire(&message, unit, &stalled).await,
        }
    }

    /// One attempt at a domain's MX.
    async fn relay(&self, domain: &str, session: &mut Option<Session>, unit: Unit) {
        let Some((message, recipients)) = self.open(&unit) else { return };
        // On stable storage before the remote is dialled, with the time of the next attempt: whatever becomes of this
        // node, the remote is not tried more often than the time table says.
        let begun = self.begin(&message, &recipients);
        if let Err(error) = self.parts.spool.progress(message.id, begun.clone()).await {
            tracing::warn!(id = %message.id, %error, "an attempt could not be recorded and is put off");
            return self.stall(unit);
        }
        for &(index, _) in &begun {
            let details = Details { recipient: message.address(index), peer: domain, ..Details::default() };
            self.parts.events.record(message.id, EventKind::Attempt, details);
        }
        let attempts: Vec<(u32, u32)> =
            begun.iter().map(|(index, status)| (*index, status.attempts)).collect();
        let outcomes =
            self.parts.hops.remote.send(domain, session, &self.parts.spool, &message, &attempts).await;
        self.settle(&message, outcomes).await;
    }

    /// The statuses of recipients whose next attempt begins now.
    fn begin(&self, message: &Message, recipients: &[u32]) -> Vec<(u32, Status)> {
        let now = clock::now();
        let random = fastrand::f64();
        let statuses = recipients.iter().filter_map(|&index| Some((index, message.status(index)?)));
        statuses
            .map(|(index, status)| {
                let attempts = status.attempts + 1;
                let wait = clock::millis(self.parts.retry.wait(attempts, random));
                let next_attempt_at = message.expires_at.min(now + wait);
                (index, Status { state: RecipientState::InFlight, attempts, next_attempt_at, ..status })
            })
            .collect()
    }

    /// The unit's message, and those of its recipients that something can still happen to. `None` if there are none.
    fn open(&self, unit: &Unit) -> Option<(Arc<Message>, Vec<u32>)> {
        let message = self.parts.spool.get(unit.message)?;
        let waiting = |index: &u32| message.status(*index).is_some_and(|status| !status.is_final());
        let recipients: Vec<u32> = unit.recipients.iter().copied().filter(waiting).collect();
        (!recipients.is_empty()).then_some((message, recipients))
    }

    /// A unit could not be handled: it waits, unless its time is over or nothing is left to do.
    async fn put_off(&self, unit: Unit, stalled: &Stalled) {
        if let Some((message, _)) = self.open(&unit) {
            self.stall_or_expire(&message, unit, stalled).await;
        }
    }

    /// A service of our own is away: the unit waits, unless its time is over.
    async fn stall_or_expire(&self, message: &Message, unit: Unit, stalled: &Stalled) {
        tracing::debug!(id = %message.id, reason = %stalled.0, "put off");
        if clock::now() < message.expires_at {
            return self.stall(unit);
        }
        let waiting = |index: &&u32| message.status(**index).is_some_and(|status| !status.is_final());
        let expired = unit.recipients.iter().filter(waiting).map(|&index| {
            let attempts = message.status(index).map_or(0, |status| status.attempts);
            Outcome::local(index, attempts + 1, Verdict::Deferred(reply::unavailable(&stalled.0)))
        });
        self.settle(message, expired.collect()).await;
    }
}

/// A worker's place among those of its destination; given back however the worker ends.
struct Turn<'a> {
    queue: &'a Queue,
    destination: &'a Destination,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.queue.end_worker(self.destination);
    }
}
