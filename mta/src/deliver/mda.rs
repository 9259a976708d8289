//! Final delivery: gRPC `Delivery`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use proto::mail::{Envelope, Reply};
use proto::mda::delivery_client::DeliveryClient;
use proto::mda::{DeliverReceipt, DeliverRequest, RecipientResult};
use service::grpc::client::{Channels, PeerChannel, Target};
use service::status::reply_for;
use service::tls::Role;
use tokio::sync::oneshot;
use tonic::{Code, Status};

use super::{MDA, Stalled};
use crate::queue::{Outcome, Verdict};
use crate::reply;
use crate::spool::{self, Message, Spool, SpoolError};

/// How long the MDA may take for a message from the spool.
const SPOOLED_WITHIN: Duration = Duration::from_mins(5);

/// The health of delivery decides whether an MDA is called.
pub(crate) const TARGET: Target = Target { role: Role::Mda, service: "waypost.mda.v1.Delivery" };

/// The MDA. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Mda {
    channels: Channels,
}

/// What became of a message that was handed over while its sender waits.
#[derive(Debug)]
pub(crate) enum Straight {
    /// It is with the MDA for every recipient.
    Delivered(Vec<Outcome>),
    /// The MDA will have it for no recipient, ever. The sender is still there to be told.
    Refused(Reply),
    /// It has to be spooled, less the recipients that the MDA has it for, if any.
    Partly(Vec<Outcome>),
}

impl Mda {
    /// Over `channels`, made for [`TARGET`].
    pub(crate) fn new(channels: Channels) -> Self {
        Self { channels }
    }

    /// Whether an MDA can be called now.
    pub(crate) fn is_available(&self) -> bool {
        self.channels.is_ready()
    }

    /// Hands over a message that is in memory, for all its recipients.
    pub(crate) async fn deliver_straight(
        &self,
        envelope: &Envelope,
        body: &Bytes,
        within: Duration,
    ) -> Straight {
        let request = DeliverRequest { envelope: Some(envelope.clone()), data: body.clone() };
        let attempt = async {
            let channel = self.channels.pick().await?.with_deadline(within);
            self.deliver(channel, envelope, stream::iter([request])).await
        };
        let attempts = vec![1; envelope.recipients.len()];
        match attempt.await.map(|(peer, receipt)| outcomes(&peer, &receipt, (0..).zip(attempts))) {
            Ok(outcomes) => judge(outcomes),
            Err(status) => {
                tracing::debug!(id = envelope.message_id, %status, "not handed straight over");
                Straight::Partly(Vec::new())
            }
        }
    }

    /// Hands over a message from the spool, for some of its recipients.
    pub(crate) async fn deliver_spooled(
        &self,
        spool: &Arc<dyn Spool>,
        message: &Arc<Message>,
        recipients: &[u32],
    ) -> Result<Vec<Outcome>, Stalled> {
        let attempts: Vec<u32> = recipients
            .iter()
            .map(|&index| message.status(index).map_or(1, |status| status.attempts + 1))
            .collect();
        let whole = match spool.envelope(message).await {
            Ok(envelope) => envelope,
            Err(SpoolError::Damaged(error)) => {
                return Ok(unreadable(recipients.iter().copied().zip(attempts), &error));
            }
            Err(error) => return Err(Stalled(error.to_string())),
        };
        let chosen = recipients.iter().filter_map(|&index| whole.recipients.get(index as usize));
        let envelope = Envelope { recipients: chosen.cloned().collect(), ..Envelope::clone(&whole) };
        let channel = self.channels.pick().await.map_err(|status| Stalled(status.message().into()))?;
        let (requests, failure) = requests(Arc::clone(spool), Arc::clone(message), envelope.clone());
        let delivered = tokio::select! {
            delivered = self.deliver(channel.without_deadline(), &envelope, requests) => delivered,
            Ok(error) = failure => return match error {
                SpoolError::Damaged(error) => Ok(unreadable(recipients.iter().copied().zip(attempts), &error)),
                error => Err(Stalled(error.to_string())),
            },
            () = tokio::time::sleep(SPOOLED_WITHIN) => {
                return Err(Stalled(format!("the MDA did not answer within {} s", SPOOLED_WITHIN.as_secs())));
            }
        };
        let (peer, receipt) = match delivered {
            Ok(delivered) => delivered,
            // It has answered, and does not take the call as it is: an attempt, to be repeated by the time table.
            Err(status) if is_about_the_call(status.code()) => {
                let verdict = Verdict::Deferred(reply_for(&status));
                let deferred = |(&index, attempts)| Outcome::local(index, attempts, verdict.clone());
                return Ok(recipients.iter().zip(attempts).map(deferred).collect());
            }
            Err(status) => return Err(Stalled(status.message().into())),
        };
        Ok(outcomes(&peer, &receipt, recipients.iter().copied().zip(attempts)))
    }

    async fn deliver(
        &self,
        channel: PeerChannel,
        envelope: &Envelope,
        requests: impl Stream<Item = DeliverRequest> + Send + 'static,
    ) -> Result<(String, DeliverReceipt), Status> {
        let peer = format!("{MDA} {}", channel.address());
        let receipt = DeliveryClient::new(channel).deliver(requests).await?.into_inner();
        if receipt.results.len() != envelope.recipients.len() {
            return Err(Status::internal("the MDA did not answer for every recipient"));
        }
        Ok((peer, receipt))
    }
}

fn is_about_the_call(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition | Code::PermissionDenied
    )
}

/// The requests of a delivery: the envelope, then the body in pieces.
///
/// A stream that ends says that the message is whole. So when the spool cannot be read the stream never ends; the error
/// comes out of the receiver, and dropping the call tells the MDA.
fn requests(
    spool: Arc<dyn Spool>,
    message: Arc<Message>,
    envelope: Envelope,
) -> (impl Stream<Item = DeliverRequest> + Send + 'static, oneshot::Receiver<SpoolError>) {
    let (failed, failure) = oneshot::channel();
    let state = (Box::pin(spool::pieces(spool, message)), Some(envelope), Some(failed));
    let requests = stream::unfold(state, async |(mut pieces, mut envelope, mut failed)| {
        let data = match pieces.next().await {
            Some(Ok(data)) => data,
            None if envelope.is_none() => return None,
            None => Bytes::new(),
            Some(Err(error)) => {
                if let Some(failed) = failed.take() {
                    // Without a listener the call is over anyway.
                    let _ = failed.send(error);
                }
                std::future::pending().await
            }
        };
        let request = DeliverRequest { envelope: envelope.take(), data };
        Some((request, (pieces, envelope, failed)))
    });
    (requests, failure)
}

/// What the MDA said, as the queue wants it. `recipients` are indices into the envelope in the spool, with attempts.
fn outcomes(
    peer: &str,
    receipt: &DeliverReceipt,
    recipients: impl Iterator<Item = (u32, u32)>,
) -> Vec<Outcome> {
    let outcome = |((index, attempts), result): ((u32, u32), &RecipientResult)| {
        let reply = result.reply.clone().unwrap_or_else(|| reply::unavailable("the MDA did not say"));
        let verdict = match reply.code / 100 {
            2 => Verdict::Delivered(reply),
            5 => Verdict::Failed(reply),
            _ => Verdict::Deferred(reply),
        };
        let detail = result.placement.as_ref().map(|place| format!("{} UID {}", place.mailbox, place.uid));
        let detail = detail.unwrap_or_default();
        Outcome { detail, peer: peer.into(), said_by_peer: true, ..Outcome::local(index, attempts, verdict) }
    };
    recipients.zip(&receipt.results).map(outcome).collect()
}

/// What to do with a message whose sender waits, after what the MDA said.
fn judge(outcomes: Vec<Outcome>) -> Straight {
    if outcomes.iter().all(|outcome| matches!(outcome.verdict, Verdict::Delivered(_))) {
        return Straight::Delivered(outcomes);
    }
    let refusals: Option<Vec<&Reply>> = outcomes
        .iter()
        .map(|outcome| match &outcome.verdict {
            Verdict::Failed(reply) => Some(reply),
            _ => None,
        })
        .collect();
    match refusals.as_deref() {
        Some([refusal, ..]) => Straight::Refused((*refusal).clone()),
        _ => Straight::Partly(outcomes),
    }
}

/// The body is lost. Its recipients are not tried for ever; the sender gets to know.
fn unreadable(recipients: impl Iterator<Item = (u32, u32)>, error: &journal::Error) -> Vec<Outcome> {
    tracing::error!(%error, "a message in the spool cannot be read");
    let reply = reply::reply(554, "5.3.0", "the message was damaged in storage and cannot be delivered");
    recipients
        .map(|(index, attempts)| Outcome::local(index, attempts, Verdict::Failed(reply.clone())))
        .collect()
}
