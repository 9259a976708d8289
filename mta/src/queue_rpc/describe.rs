//! A message as it is shown.

use std::sync::Arc;

use proto::mta::{QueuedMessage, QueuedRecipient, RecipientState};
use tonic::Status as RpcStatus;

use super::{QueueService, status};
use crate::clock;
use crate::queue::Place;
use crate::spool::{Message, SpoolError, Status};

/// Stands for a reverse-path that cannot be read.
const UNREADABLE: &str = "(unreadable)";

impl QueueService {
    /// What is told of a message; `None` if it has left meanwhile.
    pub(super) async fn describe(&self, message: &Arc<Message>) -> Result<Option<QueuedMessage>, RpcStatus> {
        let reverse_path = match self.spool.envelope(message).await {
            Ok(envelope) => envelope.reverse_path.clone(),
            Err(SpoolError::Gone(_)) => return Ok(None),
            Err(error @ (SpoolError::Damaged(_) | SpoolError::NotUnderstood)) => {
                tracing::error!(id = %message.id, %error, "an envelope cannot be read");
                UNREADABLE.to_owned()
            }
            Err(error) => return Err(status(&error)),
        };
        let places = self.queue.places(message);
        let recipients = (0..).zip(message.statuses().into_iter().zip(&places));
        Ok(Some(QueuedMessage {
            message_id: message.id.to_string(),
            reverse_path,
            account: message.account.to_string(),
            size: message.size,
            received_at: Some(clock::timestamp(message.received_at)),
            recipients: recipients
                .map(|(index, (status, place))| recipient(message, index, &status, place))
                .collect(),
            node: self.node.clone(),
            priority: i32::from(message.priority),
        }))
    }
}

fn recipient(message: &Message, index: u32, status: &Status, place: &Place) -> QueuedRecipient {
    let state = seen(status, place);
    let is_due = state == RecipientState::Queued && status.next_attempt_at > 0 && !status.is_kept_back();
    QueuedRecipient {
        address: message.address(index).into(),
        state: state.into(),
        attempts: status.attempts,
        next_attempt_at: is_due.then(|| clock::timestamp(status.next_attempt_at)),
        expires_at: Some(clock::timestamp(message.deadline(index))),
        last_reply: status.last_reply().cloned(),
        last_peer: status.last_peer().to_owned(),
        site: place.site.as_ref().map(ToString::to_string).unwrap_or_default(),
        held: status.is_held(),
        route: status.route().map(ToString::to_string).unwrap_or_default(),
    }
}

/// The state as people see it: of an attempt whose end a crash took only the beginning is on record, and nobody is at
/// work on it any more.
pub(super) fn seen(status: &Status, place: &Place) -> RecipientState {
    match status.state {
        RecipientState::InFlight if !place.in_hand => RecipientState::Queued,
        state => state,
    }
}
