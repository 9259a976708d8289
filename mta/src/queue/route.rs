//! The first step of every attempt: which way each recipient's mail goes.
//!
//! Units are routed many at a time, so that the directory is asked once for all of them. What goes to another server has
//! to wait for its domain's MX records: those who wait for the same records wait together, apart from all others, so that
//! a domain whose name servers do not answer holds up only its own mail.

#[cfg(test)]
mod tests;

use std::collections::hash_map::{Entry, HashMap};
use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use message::{Address, Domain};
use parking_lot::Mutex;
use proto::mail::Reply;
use scheduler::{Scheduler, Started};
use service::directory::Resolution;

use super::Queue;
use super::order::{Hand, Tag};
use super::settle::{Outcome, Verdict};
use super::worker::Turn;
use crate::clock;
use crate::deliver::Stalled;
use crate::reply::{self, reply};
use crate::routing::{Route, RouteSettings, Sender};
use crate::site::{Site, Unroutable};
use crate::spool::Message;

/// Units that are routed together.
const TOGETHER: usize = 64;
/// Domains that are looked up at a time.
const LOOKUPS: usize = 1_024;
/// Results that are written at a time when a look-up failed.
const WRITTEN_AT_ONCE: usize = 64;

/// Those who wait for a domain's MX records.
#[derive(Default)]
pub(super) struct Resolving(Mutex<Lookups>);

#[derive(Default)]
struct Lookups {
    waiting: HashMap<LookupKey, Vec<Piece>>,
    /// Those of `waiting` that nobody looks up yet, because as many as may be are being looked up. They cost no task.
    in_line: VecDeque<(LookupKey, Route)>,
    /// Tasks that look up.
    busy: usize,
}

impl Resolving {
    /// Lets nothing of these units wait any more.
    fn forget(&self, hands: &[Arc<Hand>]) {
        let is_left = |piece: &Piece| !hands.iter().any(|hand| Arc::ptr_eq(hand, &piece.hand));
        self.0.lock().waiting.values_mut().for_each(|pieces| pieces.retain(is_left));
    }

    /// What a task that looks up does next; none if it should end. Once this node drains, nothing is begun.
    fn next(&self, is_draining: bool) -> Option<(LookupKey, Route)> {
        let mut lookups = self.0.lock();
        let mut given_up = Vec::new();
        if is_draining {
            for (key, _) in std::mem::take(&mut lookups.in_line) {
                given_up.extend(lookups.waiting.remove(&key));
            }
        }
        let next = lookups.in_line.pop_front();
        lookups.busy -= usize::from(next.is_none());
        drop(lookups);
        drop(given_up);
        next
    }
}

/// Whose records, and the settings (by where they lie) that the site will have.
type LookupKey = (Arc<str>, usize);

/// Recipients of a message that go the same way.
struct Piece {
    /// The unit that they come from.
    hand: Arc<Hand>,
    message: Arc<Message>,
    recipients: Vec<u32>,
    /// The domain of all of them, in A-labels and lower case.
    domain: Box<str>,
    is_mailbox: bool,
}

/// What decides the route of a message's recipient: domain, whether it has a mailbox here, an operator's next hop.
type Way = (Box<str>, bool, Option<Arc<str>>);

impl Queue {
    /// Routes units, `first` to begin with, until none is in line.
    pub(super) async fn work_routing(self: Arc<Self>, first: Started) {
        let turn = Turn::new(&self, Scheduler::ROUTING);
        let mut next = Some(first);
        while let Some(first) = next {
            let mut units = vec![first];
            while units.len() < TOGETHER
                && let Some(unit) = turn.take()
            {
                units.push(unit);
            }
            let hands: Vec<_> = units.iter().map(|unit| Arc::new(Hand::new(&self, unit.clone()))).collect();
            if AssertUnwindSafe(self.route(&hands)).catch_unwind().await.is_err() {
                self.resolving.forget(&hands);
                for unit in &units {
                    self.put_off(unit).await;
                }
            }
            drop(hands);
            next = turn.take();
        }
    }

    async fn route(self: &Arc<Self>, hands: &[Arc<Hand>]) {
        let mut opened = Vec::with_capacity(hands.len());
        for hand in hands {
            if let Some((message, recipients)) = self.open(&hand.unit).await {
                opened.push((hand, message, recipients));
            }
        }
        let addresses: Vec<&str> = opened
            .iter()
            .flat_map(|(_, message, recipients)| recipients.iter().map(|&index| message.address(index)))
            .collect();
        let resolved = self.parts.hops.directory.resolve(&addresses).await;
        let mut resolutions = match resolved {
            Ok(resolutions) => resolutions.into_iter(),
            Err(error) => {
                let stalled = Stalled(error.message().into());
                for (hand, message, recipients) in opened {
                    self.stall_or_expire(&message, recipients, Tag::of(&hand.unit), &stalled).await;
                }
                return;
            }
        };
        for (hand, message, recipients) in opened {
            let known: Vec<_> = recipients.into_iter().zip(resolutions.by_ref()).collect();
            self.route_one(hand, &message, known).await;
        }
    }

    /// Sends a message's recipients their ways.
    async fn route_one(
        self: &Arc<Self>,
        hand: &Arc<Hand>,
        message: &Arc<Message>,
        recipients: Vec<(u32, Resolution)>,
    ) {
        let mut ways: BTreeMap<Way, (Domain, Vec<u32>)> = BTreeMap::new();
        let (mut unknown, mut aliases) = (Vec::new(), Vec::new());
        for (index, resolution) in recipients {
            let override_route = message.status(index).and_then(|status| status.route().cloned());
            match (resolution, Address::parse(message.address(index))) {
                (Resolution::Alias | Resolution::List, _) => aliases.push(index),
                (Resolution::Mailbox | Resolution::FullMailbox | Resolution::Remote, Ok(address)) => {
                    let (domain, is_mailbox) = (address.domain(), resolution.is_mailbox());
                    let way = (domain.ascii().into(), is_mailbox, override_route);
                    let (_, recipients) = ways.entry(way).or_insert_with(|| (domain.clone(), Vec::new()));
                    recipients.push(index);
                }
                (Resolution::UnknownUser, _) | (_, Err(_)) => unknown.push(index),
            }
        }
        for ((name, is_mailbox, override_route), (domain, recipients)) in ways {
            let route = match self.route_of(message, &domain, is_mailbox, override_route.as_deref()).await {
                Ok(route) => route,
                Err(stalled) => {
                    self.stall_or_expire(message, recipients, Tag::of(&hand.unit), &stalled).await;
                    continue;
                }
            };
            let (hand, message) = (Arc::clone(hand), Arc::clone(message));
            self.send_off(Piece { hand, message, recipients, domain: name, is_mailbox }, route).await;
        }
        for index in aliases {
            match Box::pin(self.redistribute(message, index)).await {
                Ok(outcome) => Box::pin(self.settle(message, "", vec![outcome])).await,
                Err(stalled) => {
                    self.stall_or_expire(message, vec![index], Tag::of(&hand.unit), &stalled).await;
                }
            }
        }
        self.refuse(message, unknown, &reply::unknown_user()).await;
    }

    /// The route of recipients in `domain`.
    pub(super) async fn route_of(
        &self,
        message: &Message,
        domain: &Domain,
        is_mailbox: bool,
        override_route: Option<&str>,
    ) -> Result<Route, Stalled> {
        let router = &self.parts.hops.router;
        let envelope = if router.asks_for_senders() && !message.reverse_path_is_null {
            let envelope = self.parts.spool.envelope(message).await;
            Some(envelope.map_err(|error| Stalled(error.to_string()))?)
        } else {
            None
        };
        let reverse_path = envelope.as_ref().map_or("", |envelope| &envelope.reverse_path);
        let sender = Sender { reverse_path, account: &message.account };
        Ok(router.route(sender, domain, is_mailbox, override_route))
    }

    async fn send_off(self: &Arc<Self>, piece: Piece, route: Route) {
        match &route {
            Route::Refuse(reply) => self.refuse(&piece.message, piece.recipients, reply).await,
            Route::Mda => {
                let tag = Tag { is_mailbox: true, ..Tag::of(&piece.hand.unit) };
                self.push(&piece.message, &piece.recipients, &piece.domain, tag, |_| self.mda);
            }
            Route::Hosts { .. } => {
                let resolved = self.parts.hops.remote.sites().resolve(&route).await;
                self.place(piece, &resolved).await;
            }
            Route::Mx { domain, settings } => {
                self.look_up((Arc::clone(domain), address_of(settings)), route.clone(), piece);
            }
        }
    }

    /// Lets a piece wait for the MX records of its route.
    fn look_up(self: &Arc<Self>, key: LookupKey, route: Route, piece: Piece) {
        let mut lookups = self.resolving.0.lock();
        match lookups.waiting.entry(key) {
            Entry::Occupied(mut waiting) => waiting.get_mut().push(piece),
            Entry::Vacant(waiting) => {
                let key = waiting.key().clone();
                waiting.insert(vec![piece]);
                if lookups.busy < LOOKUPS {
                    lookups.busy += 1;
                    self.workers.spawn(Arc::clone(self).work_lookups(key, route));
                } else {
                    lookups.in_line.push_back((key, route));
                }
            }
        }
    }

    /// Looks up one route after the other, this one to begin with, until none is in line.
    async fn work_lookups(self: Arc<Self>, key: LookupKey, route: Route) {
        let mut next = Some((key, route));
        while let Some((key, route)) = next {
            self.resolve(&key, &route).await;
            next = self.resolving.next(self.is_draining());
        }
    }

    /// Looks up the site of a route, and places all who have come to wait for it meanwhile.
    async fn resolve(&self, key: &LookupKey, route: &Route) {
        let lookup = AssertUnwindSafe(self.parts.hops.remote.sites().resolve(route)).catch_unwind().await;
        let resolved = lookup.unwrap_or_else(|_| {
            tracing::error!("a look-up panicked; the messages are put off");
            Err(Unroutable { reply: reply(451, "4.3.0", "internal error") })
        });
        let pieces = self.resolving.0.lock().waiting.remove(key).unwrap_or_default();
        let (queue, resolved) = (self, &resolved);
        let place = |piece: Piece| async move {
            let recipients = piece.recipients.iter().copied().collect();
            let unit = Started { recipients, ..piece.hand.unit.clone() };
            queue.guarded(&unit, queue.place(piece, resolved)).await;
        };
        stream::iter(pieces).for_each_concurrent(WRITTEN_AT_ONCE, place).await;
    }

    /// Puts a piece in line at its site, or tells it why there is none.
    async fn place(&self, piece: Piece, resolved: &Result<Arc<Site>, Unroutable>) {
        match resolved {
            Ok(site) => {
                let tag = Tag { is_mailbox: piece.is_mailbox, ..Tag::of(&piece.hand.unit) };
                let limits = self.parts.sites.limits(site.settings.sharing());
                self.push(&piece.message, &piece.recipients, &piece.domain, tag, |scheduler| {
                    scheduler.site(&site.name, limits)
                });
            }
            Err(unroutable) => self.refuse(&piece.message, piece.recipients, &unroutable.reply).await,
        }
    }

    /// Says no to recipients, for now or for good as the reply's code says.
    pub(super) async fn refuse(&self, message: &Arc<Message>, recipients: Vec<u32>, reply: &Reply) {
        if recipients.is_empty() {
            return;
        }
        let verdict =
            if reply.code < 500 { Verdict::Deferred(reply.clone()) } else { Verdict::Failed(reply.clone()) };
        let outcome = |index| {
            let attempts = message.status(index).map_or(0, |status| status.attempts);
            Outcome::local(index, attempts + 1, verdict.clone())
        };
        // Rare: whoever may come to it is small without it.
        Box::pin(self.settle(message, "", recipients.into_iter().map(outcome).collect())).await;
    }

    /// The unit's message, and those of its recipients that are to be tried. What is kept back has come to the end of its
    /// time. `None` if nobody is left.
    pub(super) async fn open(&self, unit: &Started) -> Option<(Arc<Message>, Vec<u32>)> {
        let message = self.parts.spool.get(unit.message)?;
        let (mut waiting, mut held, mut handed) = (Vec::new(), Vec::new(), Vec::new());
        for index in unit.recipients.iter() {
            match message.status(index) {
                Some(status) if status.is_final() => {}
                Some(status) if status.handed_to().is_some() => handed.push(index),
                Some(status) if status.is_held() => held.push(index),
                Some(_) => waiting.push(index),
                None => {}
            }
        }
        if !held.is_empty() {
            let text = "held by the operator of this server until its time was over";
            self.end_or_keep(&message, held, &reply(450, "4.7.0", text)).await;
        }
        if !handed.is_empty() {
            let text = "handed to another server of ours that did not say until its time was over whether it took it";
            self.end_or_keep(&message, handed, &reply(450, "4.3.0", text)).await;
        }
        (!waiting.is_empty()).then_some((message, waiting))
    }

    /// Brings recipients to the end of their time; if that has not come, they wait for it.
    pub(super) async fn end_or_keep(&self, message: &Arc<Message>, recipients: Vec<u32>, reply: &Reply) {
        let now = clock::now();
        let (over, early): (Vec<u32>, Vec<u32>) =
            recipients.into_iter().partition(|&index| self.ends_at(message, index) <= now);
        self.enter(message, |index| early.contains(&index));
        if over.is_empty() {
            return;
        }
        let outcome = |index| {
            let attempts = message.status(index).map_or(0, |status| status.attempts);
            Outcome::local(index, attempts, Verdict::Deferred(reply.clone()))
        };
        Box::pin(self.settle(message, "", over.into_iter().map(outcome).collect())).await;
    }
}

fn address_of(settings: &Arc<RouteSettings>) -> usize {
    Arc::as_ptr(settings) as usize
}
