//! One message to another node.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use message::MessageId;
use proto::mail::Envelope;
use proto::mta::transfer_client::TransferClient;
use proto::mta::{EnqueueReceipt, EnqueueRequest, EventKind, QueueState, RecipientState};
use service::grpc::client::PeerChannel;
use service::grpc::metadata::{TraceParent, attach};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request};

use super::Emptying;
use super::nodes::Node;
use crate::events::Details;
use crate::queue::Withdrawn;
use crate::spool::{self, Change, HandOver, Message, Spool, SpoolError, Status};
use crate::transfer;

/// The time that a node may take for a message, beside what its octets take.
const WITHIN: Duration = Duration::from_mins(2);
/// Octets that come through in a second at least.
const SLOWEST: u64 = 64 << 10;

/// What became of a message that was to leave.
pub(super) enum Ended {
    /// It is not here any more.
    Left,
    /// It is still here, for this reason.
    Kept(String),
    /// It is still here, because no node takes anything now.
    NobodyTakes(String),
}

/// Why a node gave no receipt.
enum NoReceipt {
    /// It did not take the message.
    Refused(tonic::Status),
    /// It may have taken it.
    Unclear(tonic::Status),
    /// The message cannot be read here, and was not sent.
    Unreadable(SpoolError),
}

/// What is sent.
struct Parcel {
    message: Arc<Message>,
    envelope: Envelope,
    state: QueueState,
}

impl Emptying {
    /// Hands a message to the first of these nodes that takes it, unless it is `over`.
    pub(super) async fn hand_over(
        &self,
        message: &Arc<Message>,
        nodes: &[Node],
        over: &CancellationToken,
    ) -> Ended {
        let first = fastrand::usize(..nodes.len());
        let mut ended = Ended::NobodyTakes(nobody(nodes));
        for node in nodes[first..].iter().chain(&nodes[..first]) {
            if !node.channels.is_ready() && nodes.iter().any(|node| node.channels.is_ready()) {
                continue;
            }
            let Some(Ok(channel)) = over.run_until_cancelled(node.channels.pick()).await else { continue };
            match self.hand_to(message.id, node, channel).await {
                Ok(ended) => return ended,
                Err(refused) => {
                    let why = format!("{} refuses: {}", node.address, refused.message());
                    ended = match refused.code() {
                        Code::ResourceExhausted => Ended::NobodyTakes(why),
                        _ => Ended::Kept(why),
                    };
                }
            }
        }
        ended
    }

    /// Hands a message to a node; an error says that the node did not take it.
    async fn hand_to(
        &self,
        id: MessageId,
        node: &Node,
        channel: PeerChannel,
    ) -> Result<Ended, tonic::Status> {
        let withdrawn = self.parts.queue.withdraw(id, |_| true);
        let Some(message) = self.parts.spool.get(id) else { return Ok(Ended::Left) };
        let statuses = message.statuses();
        let waiting: Vec<u32> =
            (0..).zip(&statuses).filter(|(_, status)| !status.is_final()).map(|(index, _)| index).collect();
        if statuses.iter().any(|status| status.handed_to().is_some()) {
            return Ok(Ended::Kept("another node has not said yet whether it took it".into()));
        }
        if withdrawn.recipients != waiting {
            return Ok(Ended::Kept("an attempt is under way".into()));
        }
        let last = statuses.iter().map(Status::hand_over_number).max().unwrap_or(0);
        let number = message.hand_overs.max(last) + 1;
        let parcel = match self.pack(&message, &waiting, number).await {
            Ok(parcel) => parcel,
            Err(error) => return Ok(Ended::Kept(error.to_string())),
        };
        let begun = HandOver { to: Some(Arc::clone(&node.address)), number };
        if let Err(error) = self.record(&withdrawn, &begun).await {
            return Ok(Ended::Kept(error.to_string()));
        }
        match send(&self.parts.spool, parcel, channel).await {
            Ok(receipt) => Ok(self.conclude(&withdrawn, &message, &receipt).await),
            Err(NoReceipt::Unclear(status)) => {
                self.note_unclear(id);
                Ok(Ended::Kept(format!(
                    "{} did not say whether it took it: {}",
                    node.address,
                    status.message()
                )))
            }
            Err(NoReceipt::Refused(status)) => {
                self.take_back(&withdrawn, number).await;
                Err(status)
            }
            Err(NoReceipt::Unreadable(error)) => {
                self.take_back(&withdrawn, number).await;
                Ok(Ended::Kept(error.to_string()))
            }
        }
    }

    /// Asks the node that may have taken a message for its receipt, by handing it the message once more. `None` if
    /// nothing is unclear about it any more.
    pub(super) async fn ask_again(&self, id: MessageId) -> Option<Ended> {
        let message = self.parts.spool.get(id)?;
        let address = unclear_at(&message)?;
        let channel = match self.parts.nodes.at(&address) {
            Ok(node) => node.channels.pick().await,
            Err(error) => return Some(Ended::Kept(error.to_string())),
        };
        let channel = match channel {
            Ok(channel) => channel,
            Err(status) => return Some(Ended::Kept(status.message().to_owned())),
        };
        let is_one = |index| message.status(index).is_some_and(|status| is_unclear(&status));
        let withdrawn = self.parts.queue.withdraw(id, is_one);
        // Nobody changes them now; until now somebody may have.
        let recipients: Vec<u32> =
            withdrawn.recipients.iter().copied().filter(|&index| is_one(index)).collect();
        let Some(status) = recipients.first().and_then(|&index| message.status(index)) else {
            return Some(Ended::Kept("an operator is at work on it".into()));
        };
        if status.handed_to() != Some(&address) {
            return Some(Ended::Kept("it was handed to another node meanwhile".into()));
        }
        let parcel = match self.pack(&message, &recipients, status.hand_over_number()).await {
            Ok(parcel) => parcel,
            Err(error) => return Some(Ended::Kept(error.to_string())),
        };
        match send(&self.parts.spool, parcel, channel).await {
            Ok(receipt) => Some(self.conclude(&withdrawn, &message, &receipt).await),
            // That it does not take it now does not say that it did not before.
            Err(NoReceipt::Unclear(status) | NoReceipt::Refused(status)) => {
                Some(Ended::Kept(format!("{address}: {}", status.message())))
            }
            Err(NoReceipt::Unreadable(error)) => Some(Ended::Kept(error.to_string())),
        }
    }

    async fn pack(
        &self,
        message: &Arc<Message>,
        recipients: &[u32],
        number: u32,
    ) -> Result<Parcel, SpoolError> {
        let envelope = self.parts.spool.envelope(message).await?;
        let wanted = recipients.iter().filter_map(|&index| envelope.recipients.get(index as usize).cloned());
        Ok(Parcel {
            envelope: Envelope { recipients: wanted.collect(), ..Envelope::clone(&envelope) },
            state: transfer::state(message, recipients, number, &self.parts.node),
            message: Arc::clone(message),
        })
    }

    /// Puts on record that a hand-over begins, or came to nothing.
    async fn record(&self, withdrawn: &Withdrawn, hand_over: &HandOver) -> Result<(), SpoolError> {
        let change =
            |&index: &u32| (index, Change { hand_over: Some(hand_over.clone()), ..Change::default() });
        let changes = withdrawn.recipients.iter().map(change).collect();
        self.parts.spool.steer(withdrawn.message, changes).await
    }

    /// A node did not take the message after all.
    async fn take_back(&self, withdrawn: &Withdrawn, number: u32) {
        if let Err(error) = self.record(withdrawn, &HandOver { to: None, number }).await {
            tracing::warn!(id = %withdrawn.message, %error, "a hand-over that came to nothing could not be recorded");
            self.note_unclear(withdrawn.message);
        }
    }

    /// Another node answers for the message from now on.
    async fn conclude(&self, withdrawn: &Withdrawn, message: &Message, receipt: &EnqueueReceipt) -> Ended {
        let (id, node) = (message.id, receipt.node.as_str());
        let given = |&index: &u32| {
            let status = message.status(index).filter(|status| status.handed_to().is_some())?;
            Some((index, Status { state: RecipientState::Transferred, ..status }))
        };
        let given: Vec<(u32, Status)> = withdrawn.recipients.iter().filter_map(given).collect();
        if let Err(error) = self.parts.spool.progress(id, given.clone()).await {
            self.note_unclear(id);
            return Ended::Kept(format!("{node} has it, which could not be recorded here: {error}"));
        }
        for (index, status) in &given {
            let recipient = message.address(*index);
            let details = Details { recipient, peer: node, ..Details::default() };
            self.parts.events.record(id, EventKind::Transferred, details);
            self.parts.metrics.settled(status.state);
        }
        self.handed_over.fetch_add(1, Ordering::Relaxed);
        tracing::info!(%id, node, recipients = given.len(), "handed over");
        Ended::Left
    }
}

/// The node that has not said whether it took a message.
pub(super) fn unclear_at(message: &Message) -> Option<Arc<str>> {
    message.statuses().iter().find(|status| is_unclear(status))?.handed_to().cloned()
}

fn is_unclear(status: &Status) -> bool {
    !status.is_final() && status.handed_to().is_some()
}

fn nobody(nodes: &[Node]) -> String {
    let addresses: Vec<&str> = nodes.iter().map(|node| &*node.address).collect();
    format!("nobody takes mail at {}", addresses.join(", "))
}

async fn send(
    spool: &Arc<dyn Spool>,
    parcel: Parcel,
    channel: PeerChannel,
) -> Result<EnqueueReceipt, NoReceipt> {
    let (id, size) = (parcel.message.id, parcel.message.size);
    let (requests, failed) = requests(spool, parcel);
    let mut request = Request::new(requests);
    attach(request.metadata_mut(), &id, TraceParent::generate());
    let mut client = TransferClient::new(channel.with_deadline(within(size)));
    tokio::select! {
        biased;
        Ok(error) = failed => Err(NoReceipt::Unreadable(error)),
        receipt = client.enqueue(request) => match receipt {
            Ok(receipt) => Ok(receipt.into_inner()),
            Err(status) if is_refusal(status.code()) => Err(NoReceipt::Refused(status)),
            Err(status) => Err(NoReceipt::Unclear(status)),
        },
    }
}

/// The requests up to the end of the message, and what may go wrong with them. If the message cannot be read they never
/// end, for their end would say that the message is whole: the call has to be broken off.
fn requests(
    spool: &Arc<dyn Spool>,
    parcel: Parcel,
) -> (impl Stream<Item = EnqueueRequest> + Send + 'static, oneshot::Receiver<SpoolError>) {
    let Parcel { message, envelope, state } = parcel;
    let (failure, failed) = oneshot::channel();
    let first = EnqueueRequest { envelope: Some(envelope), state: Some(state), data: Bytes::new() };
    let pieces = Box::pin(spool::pieces(Arc::clone(spool), message));
    let pieces = stream::unfold((pieces, Some(failure)), async |(mut pieces, mut failure)| {
        match pieces.next().await? {
            Ok(data) => Some((EnqueueRequest { data, ..EnqueueRequest::default() }, (pieces, failure))),
            Err(error) => {
                let _ = failure.take()?.send(error);
                std::future::pending().await
            }
        }
    });
    (stream::iter([first]).chain(pieces), failed)
}

/// The time that a node may take for a message of so many octets.
fn within(size: u64) -> Duration {
    WITHIN + Duration::from_secs(size / SLOWEST)
}

/// Whether a node that ends a call so has certainly not taken the message.
fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::OutOfRange
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented
            | Code::NotFound
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_message_has_the_time_that_a_slow_link_needs() {
        assert_eq!(within(0), WITHIN);
        assert_eq!(within(60 * SLOWEST), WITHIN + Duration::from_mins(1));
    }
}
