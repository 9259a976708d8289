//! What a message went through at the node that hands it over, as it travels with the message.

use std::sync::Arc;

use proto::mail::Envelope;
use proto::mta::{QueueState, RecipientProgress};
use tonic::Status as RpcStatus;

use crate::clock;
use crate::intake::HandedOver;
use crate::routing::NextHop;
use crate::spool::{Deadlines, Message, Said, Status};

/// The form in which it travels, for these recipients of a message.
pub(crate) fn write(message: &Message, recipients: &[u32], hand_overs: u32, node: &str) -> QueueState {
    let latest = recipients.iter().map(|&index| message.deadline(index)).max().unwrap_or(0);
    let progress = |&index: &u32| {
        let deadline = Some(message.deadline(index)).filter(|&deadline| deadline != latest);
        Some(progress(&message.status(index)?, deadline))
    };
    QueueState {
        expires_at: Some(clock::timestamp(latest)),
        recipients: recipients.iter().filter_map(progress).collect(),
        hand_overs,
        node: node.to_owned(),
    }
}

/// `deadline` is the recipient's own, in milliseconds since the epoch.
fn progress(status: &Status, deadline: Option<u64>) -> RecipientProgress {
    RecipientProgress {
        attempts: status.attempts,
        next_attempt_at: (status.next_attempt_at > 0).then(|| clock::timestamp(status.next_attempt_at)),
        last_reply: status.last_reply().cloned(),
        last_peer: status.last_peer().to_owned(),
        held: status.is_held(),
        route: status.route().map(ToString::to_string).unwrap_or_default(),
        delay_reported: status.delay_reported,
        expires_at: deadline.map(clock::timestamp),
        said_by_peer: status.last.as_ref().is_some_and(|said| said.by_peer),
    }
}

/// Reads it; an error says what is wrong with it.
pub(super) fn read(envelope: &Envelope, state: QueueState) -> Result<HandedOver, RpcStatus> {
    let invalid = |what: &str, why: &str| RpcStatus::invalid_argument(format!("state.{what}: {why}"));
    let expires_at = state.expires_at.as_ref().map(clock::from_timestamp);
    let expires_at = expires_at.ok_or_else(|| invalid("expires_at", "is missing"))?;
    if state.recipients.len() != envelope.recipients.len() {
        return Err(invalid("recipients", "there must be one for each recipient of the envelope"));
    }
    if state.hand_overs == 0 {
        return Err(invalid("hand_overs", "must be at least 1"));
    }
    let deadline = |progress: &RecipientProgress| progress.expires_at.as_ref().map(clock::from_timestamp);
    let deadlines =
        state.recipients.iter().map(|progress| deadline(progress).unwrap_or(expires_at)).collect();
    let statuses = state.recipients.into_iter().map(|progress| {
        let route = Some(progress.route.as_str()).filter(|route| !route.is_empty());
        let route = route.map(NextHop::parse).transpose();
        let route = route.map_err(|error| invalid("recipients.route", &error.to_string()))?;
        Ok(status(progress, route))
    });
    Ok(HandedOver {
        deadlines: Deadlines::new(deadlines),
        statuses: statuses.collect::<Result<_, RpcStatus>>()?,
        hand_overs: state.hand_overs,
        from: state.node,
    })
}

fn status(progress: RecipientProgress, route: Option<NextHop>) -> Status {
    let RecipientProgress { last_peer, said_by_peer, .. } = progress;
    let said = progress.last_reply.map(|reply| Said { reply, peer: last_peer.into(), by_peer: said_by_peer });
    let status = Status {
        attempts: progress.attempts,
        next_attempt_at: progress.next_attempt_at.as_ref().map_or(0, clock::from_timestamp),
        last: said.map(Arc::new),
        delay_reported: progress.delay_reported,
        ..Status::default()
    };
    status.steered(progress.held, route.map(|hop| Arc::from(hop.to_string())))
}

#[cfg(test)]
mod tests {
    use proto::mail::Recipient;

    use super::*;
    use crate::reply::reply;

    fn envelope() -> Envelope {
        Envelope { recipients: vec![Recipient::default()], ..Envelope::default() }
    }

    fn state(recipient: RecipientProgress) -> QueueState {
        QueueState {
            expires_at: Some(clock::timestamp(7_000)),
            recipients: vec![recipient],
            hand_overs: 1,
            node: "mta1".into(),
        }
    }

    #[test]
    fn what_a_recipient_went_through_arrives_as_it_was() {
        let said = Said { reply: reply(451, "4.7.1", "later"), peer: "mx.test".into(), by_peer: true };
        let status = Status {
            attempts: 4,
            next_attempt_at: 9_000,
            last: Some(Arc::new(said)),
            delay_reported: true,
            ..Status::default()
        };
        for (held, route) in
            [(false, None), (true, None), (false, Some("smart.test:25")), (true, Some("[::1]:25"))]
        {
            let status = status.clone().steered(held, route.map(Arc::from));
            for (own, deadline) in [(None, 7_000), (Some(5_000), 5_000)] {
                let read = read(&envelope(), state(progress(&status, own))).unwrap();
                let deadlines = Deadlines::All(deadline);
                assert_eq!((read.deadlines, &read.statuses[..]), (deadlines, std::slice::from_ref(&status)));
            }
        }
    }

    #[test]
    fn a_state_that_cannot_be_is_refused() {
        let good = || state(RecipientProgress::default());
        assert!(read(&envelope(), good()).is_ok());
        let bad = [
            QueueState { expires_at: None, ..good() },
            QueueState { recipients: Vec::new(), ..good() },
            QueueState { hand_overs: 0, ..good() },
            state(RecipientProgress { route: "no host".into(), ..RecipientProgress::default() }),
        ];
        for state in bad {
            assert!(read(&envelope(), state.clone()).is_err(), "{state:?}");
        }
    }
}
