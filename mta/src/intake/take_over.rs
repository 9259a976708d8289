//! Messages that another node hands over, with what they went through there.

use message::MessageId;
use proto::mail::{Envelope, Reply};
use proto::mta::EventKind;

use super::{Body, Incoming, Intake, check_size, refusal};
use crate::events::Details;
use crate::metrics::Way;
use crate::spool::{Accepted, Deadlines, NewMessage, SpoolError, Status};

/// What comes with such a message.
#[derive(Clone, Debug)]
pub(crate) struct HandedOver {
    pub(crate) deadlines: Deadlines,
    /// How far each recipient of the envelope has come, in order.
    pub(crate) statuses: Vec<Status>,
    /// At least 1; with the id it is what the hand-over is known by.
    pub(crate) hand_overs: u32,
    /// The node that hands it over.
    pub(crate) from: String,
}

/// Why a message was not taken from another node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NotTaken {
    /// As any message might have been refused.
    Refused(Reply),
    /// It was here before, and has not left yet.
    NotGoneYet,
}

impl Intake {
    /// Takes a message that has arrived whole from another node. It goes into the spool and nowhere else: whether it may
    /// go straight to the MDA, and to whom, was decided when it was first accepted. `Ok` is the promise.
    ///
    /// Must not be dropped before it ends, as [`Intake::accept`].
    pub(crate) async fn take_over(
        &self,
        id: MessageId,
        envelope: Envelope,
        handed: HandedOver,
        incoming: Incoming,
    ) -> Result<(), NotTaken> {
        let _inside = self.gate.enter().map_err(NotTaken::Refused)?;
        check_size(&envelope).and_then(|()| self.admissible()).map_err(NotTaken::Refused)?;
        let message = NewMessage {
            id,
            envelope: envelope.clone(),
            deadlines: handed.deadlines,
            recipients: (0..).zip(handed.statuses).collect(),
            settles: None,
            hand_overs: handed.hand_overs,
        };
        let taken = match incoming.body {
            Body::Memory(body, _permit) => self.spool.accept(message, body.freeze()).await,
            Body::Staged(staging) => staging.commit(message).await,
        };
        match taken {
            Ok(Accepted::New(message)) => {
                self.metrics.accepted(Way::Spool, incoming.size);
                let details = Details {
                    peer: &handed.from,
                    detail: &envelope.reverse_path,
                    account: &envelope.account,
                    ..Details::default()
                };
                self.events.record(id, EventKind::Received, details);
                self.events.record(id, EventKind::Queued, Details::default());
                tracing::info!(
                    %id, from = envelope.reverse_path, recipients = envelope.recipients.len(), size = incoming.size,
                    node = handed.from, account = envelope.account, "taken over"
                );
                self.queue.admit(&message);
                Ok(())
            }
            Ok(Accepted::Known) => {
                tracing::info!(%id, node = handed.from, "taken over before; nothing is added");
                Ok(())
            }
            Err(SpoolError::NotGoneYet(_)) => Err(NotTaken::NotGoneYet),
            Err(error) => {
                tracing::error!(%id, node = handed.from, %error, "a message was not taken over");
                Err(NotTaken::Refused(refusal(&error)))
            }
        }
    }
}
