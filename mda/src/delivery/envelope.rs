//! An envelope that was checked.

use message::{MessageId, ReversePath};
use tonic::Status;

/// What delivery needs of an envelope.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) message_id: MessageId,
    /// The reverse-path without angle brackets.
    pub(super) return_path: String,
    /// As the envelope has them; each is resolved, and may fail, on its own.
    pub(super) recipients: Vec<String>,
}

impl Envelope {
    pub(super) fn parse(envelope: proto::mail::Envelope, max_recipients: usize) -> Result<Self, Status> {
        let message_id = MessageId::parse(&envelope.message_id)
            .map_err(|error| Status::invalid_argument(format!("message_id: {error}")))?;
        let return_path = ReversePath::parse(&envelope.reverse_path)
            .map_err(|error| Status::invalid_argument(format!("reverse_path: {error}")))?;
        let recipients: Vec<String> =
            envelope.recipients.into_iter().map(|recipient| recipient.address).collect();
        if recipients.is_empty() {
            return Err(Status::invalid_argument("the envelope has no recipient"));
        }
        if recipients.len() > max_recipients {
            let text = format!("more than {max_recipients} recipients in one delivery");
            return Err(Status::invalid_argument(text));
        }
        Ok(Self { message_id, return_path: return_path.to_string(), recipients })
    }
}
