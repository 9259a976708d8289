//! What an attempt comes to: statuses, reports, events, the next attempt.

mod late;
mod tell;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use failpoint::{Point, hit};
use proto::mail::Reply;
use proto::mta::{EventKind, RecipientState};

use super::Queue;
use super::order::Tag;
use super::report::{self, Reported};
use crate::clock;
use crate::reply;
use crate::spool::{Accepted, Message, NewMessage, Said, SpoolError, Status};

pub(super) use late::Late;

/// What an attempt came to for one recipient.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Its place in the envelope.
    pub(crate) index: u32,
    /// Attempts made, this one included.
    pub(crate) attempts: u32,
    pub(crate) verdict: Verdict,
    /// Whom it was tried with: host name and address, or `local`.
    pub(crate) peer: String,
    /// The peer said it; else it is what was found out here, about `peer` if one is named.
    pub(crate) said_by_peer: bool,
    /// How the session was protected; empty in clear.
    pub(crate) tls: String,
    /// Anything else worth telling: why STARTTLS was not used, where the message lies.
    pub(crate) detail: String,
}

impl Outcome {
    /// What this node says itself.
    pub(crate) fn local(index: u32, attempts: u32, verdict: Verdict) -> Self {
        let (peer, tls, detail) = ("local".into(), String::new(), String::new());
        Self { index, attempts, verdict, peer, said_by_peer: false, tls, detail }
    }
}

/// What the next hop made of one recipient.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// The MDA keeps it.
    Delivered(Reply),
    /// Another MTA took it. `reports` says whether that one will report success if the sender asked for it (DSN,
    /// RFC 3461 §5.2.2).
    Relayed { reply: Reply, reports: bool },
    /// It went on to the several addresses behind an alias. They report what goes wrong, and none that it went well
    /// (RFC 3461 §5.2.7.3 (c)).
    Expanded(Reply),
    /// Not now.
    Deferred(Reply),
    /// Never.
    Failed(Reply),
}

/// What an attempt came to for all of its recipients, with all that follows from it.
struct Settlement {
    message: Arc<Message>,
    /// The site that was tried; empty if none was.
    site: Box<str>,
    settled: Vec<Settled>,
    report: Option<(NewMessage, Bytes)>,
}

/// An outcome with what follows from it for its recipient.
struct Settled {
    outcome: Outcome,
    status: Status,
    kind: EventKind,
    /// What is to be reported of it.
    action: Option<message::dsn::Action>,
}

impl Queue {
    /// Brings an attempt at `site` (empty if it came to none) to its end: first the spool, then everything that can be
    /// told from it. Nothing else is done about these recipients until then: what the spool does not take now waits, in
    /// bounds, and is offered to it again.
    pub(crate) async fn settle(&self, message: &Arc<Message>, site: &str, outcomes: Vec<Outcome>) {
        let settlement = self.settlement(message, site, outcomes).await;
        match self.complete(&settlement).await {
            Ok(()) => {}
            Err(error @ SpoolError::NotUnderstood) => {
                // It never will be. What the spool says of them stays as it is.
                tracing::error!(id = %message.id, %error, "the outcome of an attempt cannot be written");
                self.set_aside(&settlement, &[]);
            }
            Err(error @ SpoolError::Stopped(_)) => {
                // This node is about to end; what it finds in the spool when it returns is what it goes on with.
                tracing::error!(id = %message.id, %error, "the outcome of an attempt could not be written");
            }
            Err(error) => {
                tracing::error!(id = %message.id, %error, "the outcome of an attempt could not be written yet");
                Box::pin(self.late.add(settlement)).await;
            }
        }
    }

    /// Gives recipients up that are in nobody's hands, as after an attempt that failed for good. Done when it returns;
    /// after an error nothing has changed, unless the spool has stopped.
    pub(crate) async fn give_up(
        &self,
        message: &Arc<Message>,
        recipients: &[u32],
        reply: &Reply,
        why: &str,
    ) -> Result<(), SpoolError> {
        let outcome = |&index: &u32| {
            let attempts = message.status(index).map_or(0, |status| status.attempts);
            let failed = Outcome::local(index, attempts, Verdict::Failed(reply.clone()));
            Outcome { detail: why.to_owned(), ..failed }
        };
        let settlement = self.settlement(message, "", recipients.iter().map(outcome).collect()).await;
        self.complete(&settlement).await
    }

    async fn settlement(&self, message: &Arc<Message>, site: &str, outcomes: Vec<Outcome>) -> Settlement {
        let now = clock::now();
        let random = fastrand::f64();
        let mut settled: Vec<Settled> =
            outcomes.into_iter().map(|outcome| self.judge(message, outcome, now, random)).collect();
        let report = self.report_on(message, &mut settled).await;
        Settlement { message: Arc::clone(message), site: site.into(), settled, report }
    }

    fn judge(&self, message: &Message, outcome: Outcome, now: u64, random: f64) -> Settled {
        let times = self.parts.retry.times(message, outcome.index);
        let wait = clock::millis(times.wait(outcome.attempts, random));
        let deadline = message.deadline(outcome.index);
        let mut next_attempt_at = 0;
        let (state, kind, reply) = match &outcome.verdict {
            Verdict::Delivered(reply) | Verdict::Relayed { reply, .. } | Verdict::Expanded(reply) => {
                (RecipientState::Delivered, EventKind::Delivered, reply)
            }
            Verdict::Failed(reply) => (RecipientState::Bounced, EventKind::Bounced, reply),
            Verdict::Deferred(reply) if now >= deadline => {
                (RecipientState::Expired, EventKind::Expired, reply)
            }
            Verdict::Deferred(reply) => {
                // The last attempt comes with the end of its time.
                next_attempt_at = deadline.min(now.saturating_add(wait));
                (RecipientState::Queued, EventKind::Deferred, reply)
            }
        };
        let last = Some(Arc::new(Said {
            reply: reply::shortened(reply),
            peer: outcome.peer.as_str().into(),
            by_peer: outcome.said_by_peer,
        }));
        let mut status = message.status(outcome.index).unwrap_or_default();
        (status.state, status.attempts, status.last) = (state, outcome.attempts, last);
        status.next_attempt_at = next_attempt_at;
        let action = report::due(message, &outcome, &status, times.delay_after(), now);
        Settled { outcome, status, kind, action }
    }

    /// The report that is due after this attempt, if one is: one for all recipients together.
    async fn report_on(&self, message: &Message, settled: &mut [Settled]) -> Option<(NewMessage, Bytes)> {
        let reported: Vec<Reported<'_>> = settled.iter().filter_map(Settled::reported).collect();
        if reported.is_empty() {
            return None;
        }
        let report = Box::pin(report::compose(&self.parts, message, &reported)).await?;
        for one in settled {
            one.status.delay_reported |= one.action == Some(message::dsn::Action::Delayed);
        }
        Some(report)
    }

    /// Writes a settlement into the spool and then does what follows from it.
    async fn complete(&self, settlement: &Settlement) -> Result<(), SpoolError> {
        let report = self.persist(settlement).await?;
        if let Some(report) = &report {
            self.tell_of_report(report, &settlement.message);
        }
        self.tell(settlement, report.as_deref());
        self.schedule(settlement);
        if let Some(report) = report {
            self.admit(&report);
        }
        Ok(())
    }

    /// Writes statuses, and the report if there is one, into the spool: in one record, so that neither is without the
    /// other. Returns the report as it is in the spool.
    async fn persist(&self, settlement: &Settlement) -> Result<Option<Arc<Message>>, SpoolError> {
        let Settlement { message, settled, report, .. } = settlement;
        let statuses: Vec<(u32, Status)> =
            settled.iter().map(|one| (one.outcome.index, one.status.clone())).collect();
        let (before, after) = match report {
            None => (Point::MtaResultBefore, Point::MtaResultAfter),
            Some(_) => (Point::MtaReportBefore, Point::MtaReportAfter),
        };
        hit(before);
        let written = match report {
            None => self.parts.spool.progress(message.id, statuses).await.map(|()| None),
            Some((report, body)) => {
                let report = NewMessage { settles: Some((message.id, statuses)), ..report.clone() };
                self.parts.spool.accept(report, body.clone()).await.map(|accepted| match accepted {
                    Accepted::New(report) => Some(report),
                    Accepted::Known => None,
                })
            }
        };
        hit(after);
        match written {
            Err(SpoolError::Gone(_)) => Ok(None),
            written => written,
        }
    }

    /// What the spool made of a settlement is not known. Its recipients wait as long as the time table lets anybody wait,
    /// but for those who are `busy` and those whose end the spool knows.
    fn set_aside(&self, settlement: &Settlement, busy: &[u32]) {
        let Settlement { message, settled, .. } = settlement;
        let is_left = |index: &u32| {
            !busy.contains(index) && message.status(*index).is_some_and(|status| !status.is_final())
        };
        let recipients = settled.iter().map(|one| one.outcome.index).filter(is_left).collect();
        self.wait(message, recipients, self.latest_attempt(), Tag::default());
    }

    /// Takes a settlement's recipients out of the order, should they be in it by now; returns those who are in somebody's
    /// hands.
    fn withdraw_again(&self, settlement: &Settlement) -> Vec<u32> {
        let is_of_it = |index| settlement.settled.iter().any(|one| one.outcome.index == index);
        self.scheduler.lock().withdraw(settlement.message.id, is_of_it).busy
    }

    /// Lets recipients that are to be tried again wait, together as long as they were together.
    fn schedule(&self, settlement: &Settlement) {
        let waiting = || settlement.settled.iter().filter(|one| one.status.state == RecipientState::Queued);
        let Some(due) = waiting().map(|one| one.status.next_attempt_at).max() else { return };
        let recipients = waiting().map(|one| one.outcome.index).collect();
        // What it waits for the spool may be long enough for the clock to be set back.
        let due = due.min(self.latest_attempt());
        self.wait(&settlement.message, recipients, due, Tag::default());
    }
}

impl Settled {
    fn reported(&self) -> Option<Reported<'_>> {
        let (index, status, expired) = (self.outcome.index, &self.status, self.kind == EventKind::Expired);
        Some(Reported { index, action: self.action?, status, expired })
    }
}
