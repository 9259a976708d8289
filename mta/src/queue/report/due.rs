//! Which reports are due (RFC 3461 §4.1 and §6.2, RFC 5321 §4.5.5).

use std::time::Duration;

use message::dsn::Action;
use proto::mail::DsnNotify;
use proto::mta::RecipientState;

use super::super::settle::{Outcome, Verdict};
use crate::clock;
use crate::spool::{Message, Status};

/// What is to be reported of a recipient that `outcome` has brought to `status`, if anything is. A delay is reported once,
/// when the message has been here for `delay_after`; not to the senders of bulk mail, who can do nothing with it.
pub(in crate::queue) fn due(
    message: &Message,
    outcome: &Outcome,
    status: &Status,
    delay_after: Duration,
    now: u64,
) -> Option<Action> {
    if message.reverse_path_is_null {
        // Never a report about a report.
        return None;
    }
    let action = match (&outcome.verdict, status.state) {
        (Verdict::Delivered(_), _) => Action::Delivered,
        (Verdict::Relayed { reports: false, .. }, _) => Action::Relayed,
        (Verdict::Expanded(_), _) => Action::Expanded,
        (_, RecipientState::Bounced | RecipientState::Expired) => Action::Failed,
        (Verdict::Deferred(_), _) => {
            let is_late = now.saturating_sub(message.received_at) >= clock::millis(delay_after);
            let is_bulk = message.priority < 0;
            (is_late && !is_bulk && !status.delay_reported).then_some(Action::Delayed)?
        }
        // The next host tells.
        (Verdict::Relayed { reports: true, .. } | Verdict::Failed(_), _) => return None,
    };
    message.wants(outcome.index, asked_by(action)).then_some(action)
}

/// What a sender asks for who wants to be told of this.
fn asked_by(action: Action) -> DsnNotify {
    match action {
        Action::Failed => DsnNotify::Failure,
        Action::Delayed => DsnNotify::Delay,
        Action::Delivered | Action::Relayed | Action::Expanded => DsnNotify::Success,
    }
}
