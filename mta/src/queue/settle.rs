//! What an attempt comes to: statuses, reports, events, the next attempt.

use std::sync::Arc;
use std::time::Duration;

use proto::mail::{DsnNotify, Reply};
use proto::mta::{EventKind, RecipientState};

use super::report::{self, Reported};
use super::{Queue, Unit};
use crate::clock;
use crate::events::Details;
use crate::reply;
use crate::spool::{Accepted, Message, NewMessage, Said, SpoolError, Status};

/// The wait before a result that the spool did not take is offered to it again.
const SPOOL_AWAY: Duration = Duration::from_secs(1);

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
    /// Another mail system said it; else it is what was found out here, about `peer` if one is named.
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
    /// Not now.
    Deferred(Reply),
    /// Never.
    Failed(Reply),
}

/// An outcome with all that follows from it.
struct Settled {
    outcome: Outcome,
    status: Status,
    kind: EventKind,
}

impl Queue {
    /// Brings an attempt to its end: first the spool, then everything that can be told from it.
    pub(crate) async fn settle(&self, message: &Message, outcomes: Vec<Outcome>) {
        let now = clock::now();
        let random = fastrand::f64();
        let settled: Vec<Settled> =
            outcomes.into_iter().map(|outcome| self.judge(message, outcome, now, random)).collect();
        let report = self.report_on(message, &settled).await;
        let report_id = report.as_ref().map(|(report, _)| report.id.to_string()).unwrap_or_default();
        match self.persist(message, &settled, report).await {
            Ok(Some(report)) => {
                self.tell_of_report(&report, message);
                self.admit(&report);
            }
            Ok(None) => {}
            Err(error) => {
                // This node is about to end; what it finds in the spool when it returns is what it goes on with.
                return tracing::error!(id = %message.id, %error, "the outcome of an attempt could not be written");
            }
        }
        for one in &settled {
            self.tell(message, one, &report_id);
        }
        self.schedule(message, &settled);
    }

    fn judge(&self, message: &Message, outcome: Outcome, now: u64, random: f64) -> Settled {
        let wait = clock::millis(self.parts.retry.wait(outcome.attempts, random));
        let mut next_attempt_at = 0;
        let (state, kind, reply) = match &outcome.verdict {
            Verdict::Delivered(reply) | Verdict::Relayed { reply, .. } => {
                (RecipientState::Delivered, EventKind::Delivered, reply)
            }
            Verdict::Failed(reply) => (RecipientState::Bounced, EventKind::Bounced, reply),
            Verdict::Deferred(reply) if now >= message.expires_at => {
                (RecipientState::Expired, EventKind::Expired, reply)
            }
            Verdict::Deferred(reply) => {
                // The last attempt comes with the end of its time.
                next_attempt_at = message.expires_at.min(now + wait);
                (RecipientState::Queued, EventKind::Deferred, reply)
            }
        };
        let status = Status {
            state,
            attempts: outcome.attempts,
            next_attempt_at,
            last: Some(Arc::new(Said {
                reply: reply::shortened(reply),
                peer: outcome.peer.as_str().into(),
                by_peer: outcome.said_by_peer,
            })),
            ..Status::default()
        };
        Settled { outcome, status, kind }
    }

    /// The report that is due after this attempt, if one is: one for all recipients together.
    async fn report_on(&self, message: &Message, settled: &[Settled]) -> Option<(NewMessage, bytes::Bytes)> {
        if message.reverse_path_is_null {
            // Never a report about a report (RFC 5321 §4.5.5).
            return None;
        }
        let reported: Vec<Reported<'_>> = settled.iter().filter_map(|one| reported(message, one)).collect();
        if reported.is_empty() {
            return None;
        }
        report::compose(&self.parts, message, &reported).await
    }

    /// Writes statuses, and the report if there is one, into the spool: in one record, so that neither is without the
    /// other. Returns the report as it is in the spool. Gives up only when the spool has stopped: what a remote said must
    /// not be forgotten because the disk is full for a while.
    async fn persist(
        &self,
        message: &Message,
        settled: &[Settled],
        report: Option<(NewMessage, bytes::Bytes)>,
    ) -> Result<Option<Arc<Message>>, SpoolError> {
        let statuses: Vec<(u32, Status)> =
            settled.iter().map(|one| (one.outcome.index, one.status.clone())).collect();
        loop {
            let result = match &report {
                None => self.parts.spool.progress(message.id, statuses.clone()).await.map(|()| None),
                Some((report, body)) => {
                    let settles = Some((message.id, statuses.clone()));
                    let report = NewMessage { settles, ..report.clone() };
                    self.parts.spool.accept(report, body.clone()).await.map(|accepted| match accepted {
                        Accepted::New(report) => Some(report),
                        Accepted::Known => None,
                    })
                }
            };
            match result {
                Ok(report) => return Ok(report),
                Err(SpoolError::Gone(_)) => return Ok(None),
                Err(error @ SpoolError::Stopped(_)) => return Err(error),
                Err(error) => {
                    tracing::error!(id = %message.id, %error, "the outcome of an attempt could not be written; trying again");
                    tokio::time::sleep(SPOOL_AWAY).await;
                }
            }
        }
    }

    /// Lets the story of a report begin, as that of every message does.
    fn tell_of_report(&self, report: &Message, about: &Message) {
        self.parts.events.record(
            report.id,
            EventKind::Received,
            Details { peer: "local", ..Details::default() },
        );
        tracing::info!(id = %report.id, about = %about.id, to = report.address(0), size = report.size, "reporting");
    }

    /// Tells the operator and the event log.
    fn tell(&self, message: &Message, one: &Settled, report_id: &str) {
        let Settled { outcome, status, kind } = one;
        let recipient = message.address(outcome.index);
        let reply = status.last_reply();
        let due = (*kind == EventKind::Deferred).then_some(status.next_attempt_at);
        let details = Details {
            recipient,
            reply,
            peer: &outcome.peer,
            tls: &outcome.tls,
            next_attempt_at: due,
            detail: &outcome.detail,
            said_by_peer: outcome.said_by_peer,
            attempt: outcome.attempts,
            ..Details::default()
        };
        self.parts.events.record(message.id, *kind, details);
        if !report_id.is_empty() && reported(message, one).is_some() {
            let details = Details { recipient, detail: report_id, ..Details::default() };
            self.parts.events.record(message.id, EventKind::Reported, details);
        }
        self.parts.metrics.settled(status.state);
        let (id, peer, said) = (message.id, &outcome.peer, reply.map(reply::line).unwrap_or_default());
        match status.state {
            RecipientState::Delivered => tracing::info!(%id, recipient, peer, said, "delivered"),
            RecipientState::Queued => {
                tracing::info!(%id, recipient, peer, said, attempts = status.attempts, "deferred");
            }
            _ => {
                tracing::info!(%id, recipient, peer, said, state = status.state.as_str_name(), report_id, "given up");
            }
        }
    }

    /// Lets recipients that are to be tried again wait, together as long as they were together.
    fn schedule(&self, message: &Message, settled: &[Settled]) {
        let waiting: Vec<&Settled> =
            settled.iter().filter(|one| one.status.state == RecipientState::Queued).collect();
        let Some(due) = waiting.iter().map(|one| one.status.next_attempt_at).max() else { return };
        let recipients = waiting.iter().map(|one| one.outcome.index).collect();
        self.push_waiting(due, Unit { message: message.id, recipients, stalls: 0 });
    }
}

/// What is to be reported of a recipient, if anything is (RFC 3461 §4.1, §6.2).
fn reported<'a>(message: &Message, settled: &'a Settled) -> Option<Reported<'a>> {
    use message::dsn::Action;
    let asked = |notify: DsnNotify| message.wants(settled.outcome.index, notify);
    let action = match (&settled.outcome.verdict, settled.status.state) {
        (Verdict::Delivered(_), _) if asked(DsnNotify::Success) => Action::Delivered,
        (Verdict::Relayed { reports: false, .. }, _) if asked(DsnNotify::Success) => Action::Relayed,
        (_, RecipientState::Bounced | RecipientState::Expired) if asked(DsnNotify::Failure) => Action::Failed,
        _ => return None,
    };
    let (index, status) = (settled.outcome.index, &settled.status);
    Some(Reported { index, action, status, expired: settled.kind == EventKind::Expired })
}
