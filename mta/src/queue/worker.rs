//! Workers: each takes one unit after another at one site, until its line is empty or a limit says so.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use failpoint::{Point, hit};
use futures_util::FutureExt as _;
use message::Address;
use proto::mta::{EventKind, RecipientState};
use scheduler::{Failure, Feedback, Scheduler, SiteId, SiteName, Started};

use super::Queue;
use super::order::{Hand, Tag};
use super::settle::{Outcome, Verdict};
use super::view::shown;
use crate::clock;
use crate::deliver::{Attempt, Carried, MDA, Session, Stalled};
use crate::events::Details;
use crate::reply;
use crate::site::{Site, Unroutable};
use crate::spool::{Message, Status};

/// A worker's place among those of its site; given back however the worker ends.
pub(super) struct Turn<'a> {
    queue: &'a Arc<Queue>,
    site: SiteId,
}

impl<'a> Turn<'a> {
    pub(super) fn new(queue: &'a Arc<Queue>, site: SiteId) -> Self {
        Self { queue, site }
    }

    /// The next unit in line.
    pub(super) fn take(&self) -> Option<Started> {
        self.take_after(0)
    }

    /// The next unit for one who has done `done`.
    fn take_after(&self, done: u32) -> Option<Started> {
        self.queue.take(self.site, done)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.queue.end(self.site);
    }
}

/// A place among those who bring overdue units to their end; given back however that goes.
struct Ending<'a>(&'a Queue);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.ending_done();
    }
}

/// What was learned about recipients of a message, before it is written.
struct Ended {
    hand: Hand,
    message: Arc<Message>,
    site: Arc<Site>,
    outcomes: Vec<Outcome>,
    /// The session has carried as many messages as it may. It ends when that is written: no server's goodbye is waited
    /// for with a result that only we know.
    spent: Option<Box<Session>>,
}

/// An attempt that is on record and can begin.
struct Begun {
    hand: Hand,
    message: Arc<Message>,
    site: Arc<Site>,
    /// Whose policies count.
    domain: Arc<str>,
    /// Each recipient with its number of attempts, this one included.
    recipients: Vec<(u32, u32)>,
}

impl Queue {
    /// Handles units of a site, `first` to begin with.
    pub(super) async fn work(self: Arc<Self>, first: Started) {
        match first.site {
            Scheduler::ROUTING => self.work_routing(first).await,
            site if site == self.mda => self.work_mda(first).await,
            _ => self.work_site(first).await,
        }
    }

    /// Hands units to the MDA.
    async fn work_mda(self: Arc<Self>, first: Started) {
        let turn = Turn::new(&self, self.mda);
        let mut next = Some(first);
        while let Some(unit) = next {
            let hand = Hand::new(&self, unit);
            self.guarded(&hand.unit, self.hand_over(&hand)).await;
            drop(hand);
            next = turn.take();
        }
    }

    async fn hand_over(&self, hand: &Hand) {
        let Some((message, recipients)) = self.open(&hand.unit).await else { return };
        hit(Point::MtaHandOverBefore);
        match self.parts.hops.mda.deliver_spooled(&self.parts.spool, &message, &recipients).await {
            Ok(outcomes) => {
                hit(Point::MtaHandOverAfter);
                let taken = outcomes.iter().any(|outcome| matches!(outcome.verdict, Verdict::Delivered(_)));
                self.learn(&hand.unit, if taken { Feedback::Taken } else { Feedback::Refused });
                self.settle(&message, MDA, outcomes).await;
            }
            Err(stalled) => self.stall_or_expire(&message, recipients, Tag::of(&hand.unit), &stalled).await,
        }
    }

    /// Sends units to a site, over one session as long as it serves.
    async fn work_site(self: Arc<Self>, first: Started) {
        let turn = Turn::new(&self, first.site);
        let name = self.scheduler.lock().site_name(first.site).clone();
        let mut session = self.idle_session(&name);
        let (mut next, mut ended, mut done) = (Some(first), None, 0);
        while let Some(unit) = next {
            ended = self.step(&name, &mut session, ended.take(), unit).await;
            done += 1;
            next = turn.take_after(done);
            if next.is_none() {
                self.write(ended.take()).await;
                next = turn.take_after(done);
            }
        }
        if let Some(carried) = session {
            self.leave_session(name, carried).await;
        }
    }

    /// Writes down what the attempt before came to, together with the beginning of the next, which one sync serves; then
    /// makes that one: a remote that sees the session go on is not sent again what it has taken, whenever this node dies.
    /// Where the spool did not take the result, the next begins only if it takes the record of that.
    async fn step(
        self: &Arc<Self>,
        line: &SiteName,
        session: &mut Option<Carried>,
        ended: Option<Ended>,
        unit: Started,
    ) -> Option<Ended> {
        // Each is guarded by itself: what one is at when it panics is not what the other is at.
        let written = self.write(ended).shared();
        let begin = Box::pin(self.begin(line, Hand::new(self, unit.clone()), written.clone()));
        let ((), begun) = tokio::join!(written, self.guarded(&unit, begin));
        let attempt = Box::pin(self.attempt(line, session, begun.flatten()?));
        self.guarded(&unit, self.unless_stopped(attempt)).await.flatten()
    }

    /// Makes an attempt for as long as the spool can be told what it comes to. One that is cut off before the end of its
    /// message has delivered nothing; of one behind that nothing could be kept anyway.
    async fn unless_stopped(&self, attempt: impl Future<Output = Ended>) -> Option<Ended> {
        tokio::select! {
            biased;
            () = self.parts.spool.stopped() => None,
            ended = attempt => Some(ended),
        }
    }

    /// Makes an attempt.
    async fn attempt(&self, line: &SiteName, session: &mut Option<Carried>, begun: Begun) -> Ended {
        let Begun { hand, message, site, domain, recipients } = begun;
        // What is learned there says nothing about this site, and the session is for this site.
        let is_elsewhere = site.name != *line;
        let carried = if is_elsewhere { None } else { session.take() };
        let messages = carried.as_ref().map_or(0, |carried| carried.messages);
        let mut connection = carried.map(|carried| carried.session);
        let attempt = self
            .parts
            .hops
            .remote
            .send(&site, &domain, &mut connection, &self.parts.spool, &message, &recipients)
            .await;
        hit(Point::MtaAttemptMade);
        let Attempt { outcomes, feedback, reused } = attempt;
        let messages = if reused { messages + 1 } else { 1 };
        let spent = connection.and_then(|connection| {
            if is_elsewhere || messages >= self.parts.messages_per_session {
                return Some(Box::new(connection));
            }
            *session = Some(Carried { session: connection, messages });
            None
        });
        if !is_elsewhere {
            self.learn(&hand.unit, feedback);
            self.note_failure(&hand.unit, &outcomes);
        }
        Ended { hand, message, site, outcomes, spent }
    }

    /// Brings an attempt to its end.
    async fn write(&self, ended: Option<Ended>) {
        let Some(ended) = ended else { return };
        let unit = ended.hand.unit.clone();
        self.guarded(&unit, self.write_ended(ended)).await;
    }

    async fn write_ended(&self, ended: Ended) {
        let Ended { hand, message, site, outcomes, spent } = ended;
        self.settle(&message, site.name.as_str(), outcomes).await;
        drop(hand);
        if let Some(spent) = spent {
            self.workers.spawn(spent.quit());
        }
    }

    /// Has the spool know of an attempt before the remote is dialled, with the time of the next one: whatever becomes of
    /// this node, the remote is not tried more often than [`Spool::begin`](crate::spool::Spool::begin) says. `None` if
    /// nothing is to be tried now. `written` is done when what the attempt before came to has been offered to the spool.
    async fn begin(&self, line: &SiteName, hand: Hand, written: impl Future<Output = ()>) -> Option<Begun> {
        let (message, recipients) = self.open(&hand.unit).await?;
        let tag = Tag::of(&hand.unit);
        let (site, domain) = match self.site_of(&message, recipients[0], tag).await {
            Ok(Ok(found)) => found,
            Ok(Err(unroutable)) => {
                self.refuse(&message, recipients, &unroutable.reply).await;
                return None;
            }
            Err(stalled) => {
                self.stall_or_expire(&message, recipients, tag, &stalled).await;
                return None;
            }
        };
        if site.name != *line && tag.stalls == 0 {
            // It has moved while its mail was in line, and goes to the other line, but only once: where each answer names
            // other hosts, it would never be tried. Then it is tried from here.
            let moved = Stalled(format!("its mail goes to {} now", site.name));
            self.stall_or_expire(&message, recipients, tag, &moved).await;
            return None;
        }
        let mut begun = self.beginnings(&message, &recipients);
        if message.is_first_attempt(&begun) {
            // No record that may be refused comes of it: whether the spool takes any is known from the result before.
            written.await;
            // That may have taken long.
            begun = self.beginnings(&message, &recipients);
        }
        hit(Point::MtaAttemptBefore);
        if let Err(error) = self.parts.spool.begin(message.id, begun.clone()).await {
            tracing::warn!(id = %message.id, %error, "an attempt could not be recorded and is put off");
            self.stall_or_expire(&message, recipients, tag, &Stalled(error.to_string())).await;
            return None;
        }
        hit(Point::MtaAttemptRecorded);
        let name = site.name.as_str();
        for (index, status) in &begun {
            let (recipient, attempt) = (message.address(*index), status.attempts);
            let details = Details { recipient, site: name, attempt, ..Details::default() };
            self.parts.events.record(message.id, EventKind::Attempt, details);
        }
        let recipients = begun.iter().map(|(index, status)| (*index, status.attempts)).collect();
        Some(Begun { hand, message, site, domain, recipients })
    }

    /// The site of a recipient, and the domain whose policies count there.
    async fn site_of(
        &self,
        message: &Message,
        index: u32,
        tag: Tag,
    ) -> Result<Result<(Arc<Site>, Arc<str>), Unroutable>, Stalled> {
        let address = Address::parse(message.address(index)).map_err(|error| Stalled(error.to_string()))?;
        let domain = address.domain();
        let override_route = message.status(index).and_then(|status| status.route().cloned());
        let route = self.route_of(message, domain, tag.is_mailbox, override_route.as_deref()).await?;
        let site = self.parts.hops.remote.sites().resolve(&route).await;
        Ok(site.map(|site| (site, route.policy_domain(domain))))
    }

    /// The statuses of recipients whose next attempt begins now.
    fn beginnings(&self, message: &Message, recipients: &[u32]) -> Vec<(u32, Status)> {
        let now = clock::now();
        let random = fastrand::f64();
        let statuses = recipients.iter().filter_map(|&index| Some((index, message.status(index)?)));
        statuses
            .map(|(index, mut status)| {
                status.state = RecipientState::InFlight;
                status.attempts += 1;
                let wait = self.parts.retry.times(message, index).wait(status.attempts, random);
                let next = now.saturating_add(clock::millis(wait));
                status.next_attempt_at = message.deadline(index).min(next);
                (index, status)
            })
            .collect()
    }

    fn learn(&self, unit: &Started, feedback: Feedback) {
        let now = self.pace.now();
        let mut scheduler = self.scheduler.lock();
        scheduler.learn(unit.site, feedback, unit.at, now, fastrand::f64());
        // The site may have more at a time now.
        self.wake(&scheduler);
    }

    /// Keeps the first refusal or failure for those who look at the site.
    fn note_failure(&self, unit: &Started, outcomes: &[Outcome]) {
        let said = outcomes.iter().find_map(|outcome| match &outcome.verdict {
            Verdict::Deferred(reply) | Verdict::Failed(reply) => Some(reply),
            Verdict::Delivered(_) | Verdict::Relayed { .. } | Verdict::Expanded(_) => None,
        });
        if let Some(reply) = said.map(reply::shortened) {
            let failure = Failure { code: reply.code, enhanced: reply.enhanced, text: reply.text };
            self.scheduler.lock().note_failure(unit.site, failure);
        }
    }

    /// A unit's deadline passed while it stood in line.
    pub(super) async fn end_overdue(self: Arc<Self>, unit: Started) {
        let _ending = Ending(&self);
        let hand = Hand::new(&self, unit);
        self.guarded(&hand.unit, self.bring_to_end(&hand.unit)).await;
    }

    async fn bring_to_end(&self, unit: &Started) {
        if let Some((message, recipients)) = self.open(unit).await {
            let said = {
                let scheduler = self.scheduler.lock();
                let failure = scheduler.last_failure(unit.site).cloned();
                let site = shown(scheduler.site_name(unit.site));
                failure.map_or(format!("waited in line for {site} until its time was over"), |failure| {
                    format!("waited for {site}, which said last: {} {}", failure.code, failure.text)
                })
            };
            self.end_or_keep(&message, recipients, &reply::reply(450, "4.4.1", said)).await;
        }
    }

    /// Does something for a unit, or for as many of its recipients as `unit` names. If that panics, they are put off.
    pub(super) async fn guarded<T>(&self, unit: &Started, work: impl Future<Output = T>) -> Option<T> {
        let done = AssertUnwindSafe(work).catch_unwind().await;
        if done.is_err() {
            self.put_off(unit).await;
        }
        done.ok()
    }

    /// What was done for a unit panicked: it waits, unless its time is over or nothing is left to do.
    pub(super) async fn put_off(&self, unit: &Started) {
        tracing::error!(id = %unit.message, "a worker panicked; the message is put off");
        let busy = {
            let mut scheduler = self.scheduler.lock();
            scheduler.finish(unit.id);
            // Some may be in line again, or waiting, from before it panicked; others have them even in hand.
            let is_of_it = |index| unit.recipients.iter().any(|recipient| recipient == index);
            scheduler.withdraw(unit.message, is_of_it).busy
        };
        let recipients = unit.recipients.iter().filter(|index| !busy.contains(index)).collect();
        let unit = Started { recipients, ..unit.clone() };
        if let Some((message, recipients)) = self.open(&unit).await {
            let stalled = Stalled("internal error".into());
            self.stall_or_expire(&message, recipients, Tag::of(&unit), &stalled).await;
        }
    }

    /// A service of our own is away: recipients wait, unless their time is over.
    pub(super) async fn stall_or_expire(
        &self,
        message: &Arc<Message>,
        recipients: Vec<u32>,
        tag: Tag,
        stalled: &Stalled,
    ) {
        tracing::debug!(id = %message.id, reason = %stalled.0, "put off");
        let now = clock::now();
        let (waiting, over): (Vec<u32>, Vec<u32>) =
            recipients.into_iter().partition(|&index| now < message.deadline(index));
        self.stall(message, waiting, tag);
        self.end_or_keep(message, over, &reply::unavailable(&stalled.0)).await;
    }
}
