//! Telling of what an attempt came to: the operator's log, the log of events, the metrics.

use proto::mta::{EventKind, RecipientState};

use super::super::Queue;
use super::Settlement;
use crate::events::Details;
use crate::reply;
use crate::spool::Message;

impl Queue {
    /// Tells of each recipient; `report` is the report that went out, if one did.
    pub(super) fn tell(&self, settlement: &Settlement, report: Option<&Message>) {
        let (id, site) = (settlement.message.id, &*settlement.site);
        let report_id = report.map(|report| report.id.to_string()).unwrap_or_default();
        for one in &settlement.settled {
            let (outcome, status) = (&one.outcome, &one.status);
            let (recipient, peer) = (settlement.message.address(outcome.index), outcome.peer.as_str());
            let reply = status.last_reply();
            let details = Details {
                recipient,
                reply,
                said_by_peer: outcome.said_by_peer,
                peer,
                tls: &outcome.tls,
                next_attempt_at: (one.kind == EventKind::Deferred).then_some(status.next_attempt_at),
                detail: &outcome.detail,
                site,
                attempt: outcome.attempts,
                account: "",
            };
            self.parts.events.record(id, one.kind, details);
            let reported = one.action.is_some() && report.is_some();
            if reported {
                let details = Details { recipient, detail: &report_id, ..Details::default() };
                self.parts.events.record(id, EventKind::Reported, details);
            }
            self.parts.metrics.settled(status.state);
            let (attempts, tls) = (outcome.attempts, &outcome.tls);
            let said = reply.map(reply::line).unwrap_or_default();
            match status.state {
                RecipientState::Delivered => {
                    tracing::info!(%id, recipient, site, peer, tls, attempts, said, "delivered");
                }
                RecipientState::Queued => {
                    tracing::info!(%id, recipient, site, peer, tls, attempts, said, "deferred");
                }
                state => {
                    let (state, report_id) = (state.as_str_name(), if reported { &report_id } else { "" });
                    tracing::info!(%id, recipient, site, peer, tls, attempts, said, state, report_id, "given up");
                }
            }
        }
    }

    /// Lets the story of a report begin, as that of every message does.
    pub(super) fn tell_of_report(&self, report: &Message, about: &Message) {
        let details = Details { peer: "local", ..Details::default() };
        self.parts.events.record(report.id, EventKind::Received, details);
        self.parts.events.record(report.id, EventKind::Queued, Details::default());
        tracing::info!(id = %report.id, about = %about.id, to = report.address(0), size = report.size, "reporting");
    }
}
