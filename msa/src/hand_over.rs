//! The way to the MTAs: a message is held until one of them has taken it, or streamed to one if it is too large to hold.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use message::MessageId;
use proto::mail::{Envelope, Reply};
use proto::mta::transfer_client::TransferClient;
use proto::mta::{EnqueueReceipt, EnqueueRequest};
use service::config::ByteSize;
use service::grpc::client::{Channels, PeerChannel, Retry, Target};
use service::grpc::metadata::{TraceParent, attach};
use service::status::{reply_for, with_reply};
use service::tls::Role;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Status};

use crate::config::Limits;

/// The health of transfer decides whether an MTA is called.
pub(crate) const TARGET: Target = Target { role: Role::Mta, service: "waypost.mta.v1.Transfer" };

/// Octets of a held message that go in one request.
const PIECE: usize = 256 << 10;

/// Pieces of a streamed message that may wait for the MTA. The client waits beyond that.
const PIECES_AHEAD: usize = 4;

/// The MTAs. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Mtas {
    channels: Channels,
    in_memory: usize,
    /// Octets that all messages together may be held with.
    memory: Arc<Semaphore>,
    within: Duration,
}

impl Mtas {
    /// Over `channels`, made for [`TARGET`].
    pub(crate) fn new(channels: Channels, limits: &Limits) -> Self {
        let octets = |size: ByteSize| usize::try_from(*size).unwrap_or(usize::MAX);
        let memory = octets(limits.in_memory_total).min(Semaphore::MAX_PERMITS);
        Self {
            channels,
            in_memory: octets(limits.in_memory),
            memory: Arc::new(Semaphore::new(memory)),
            within: *limits.hand_over,
        }
    }

    /// Whether a message can be handed over now.
    pub(crate) fn is_ready(&self) -> bool {
        self.channels.is_ready()
    }

    /// Begins to hand over a message. Dropping it leaves nothing behind.
    pub(crate) fn begin(&self, id: MessageId, envelope: Envelope) -> HandOver {
        let transfer = Transfer { mtas: self.clone(), id, trace: TraceParent::generate(), envelope };
        HandOver { transfer, body: Body::Held(Held::default()) }
    }
}

/// A message on its way to an MTA.
pub(crate) struct HandOver {
    transfer: Transfer,
    body: Body,
}

/// What every attempt needs.
#[derive(Clone)]
struct Transfer {
    mtas: Mtas,
    id: MessageId,
    trace: TraceParent,
    envelope: Envelope,
}

enum Body {
    Held(Held),
    Streamed(Streamed),
}

/// A message in memory, in a buffer of its own: a piece as it came may be an octet of a much larger one.
#[derive(Default)]
struct Held {
    body: BytesMut,
    permit: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// Takes a piece if there is room for it.
    fn write(&mut self, piece: &[u8], mtas: &Mtas) -> bool {
        if self.body.len() + piece.len() > mtas.in_memory {
            return false;
        }
        let Ok(octets) = u32::try_from(piece.len()) else { return false };
        let Ok(permit) = Arc::clone(&mtas.memory).try_acquire_many_owned(octets) else { return false };
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
        self.body.extend_from_slice(piece);
        true
    }
}

/// A message's body in the pieces in which it is sent.
fn pieces(mut body: Bytes) -> Vec<Bytes> {
    let mut pieces = Vec::with_capacity(body.len().div_ceil(PIECE));
    while !body.is_empty() {
        pieces.push(body.split_to(body.len().min(PIECE)));
    }
    pieces
}

impl HandOver {
    /// Adds to the message.
    pub(crate) async fn write(&mut self, piece: Bytes) -> Result<(), Reply> {
        match &mut self.body {
            Body::Held(held) => {
                if held.write(&piece, &self.transfer.mtas) {
                    return Ok(());
                }
                let start = held.body.split().freeze();
                let mut streamed = Streamed::start(self.transfer.clone()).await?;
                for piece in pieces(start).into_iter().chain([piece]) {
                    streamed.write(piece).await?;
                }
                self.body = Body::Streamed(streamed);
                Ok(())
            }
            Body::Streamed(streamed) => streamed.write(piece).await,
        }
    }

    /// The message is whole: waits for an MTA's receipt. `Ok` is the promise.
    pub(crate) async fn finish(self) -> Result<EnqueueReceipt, Reply> {
        match self.body {
            Body::Streamed(streamed) => streamed.finish().await,
            Body::Held(Held { body, permit: _held }) => {
                let (transfer, pieces) = (self.transfer, pieces(body.freeze()));
                // The message id is the idempotency key.
                let call = |channel: PeerChannel| {
                    let (transfer, pieces) = (transfer.clone(), pieces.clone());
                    async move {
                        let channel = channel.with_deadline(transfer.mtas.within);
                        let requests = stream::iter(requests(&transfer.envelope, pieces));
                        transfer.enqueue(channel, requests).await.map_err(or_elsewhere)
                    }
                };
                let receipt = transfer.mtas.channels.call(Retry::Idempotent, call).await;
                receipt.map_err(|status| refused(transfer.id, &status))
            }
        }
    }
}

impl Transfer {
    async fn enqueue(
        &self,
        channel: PeerChannel,
        requests: impl Stream<Item = EnqueueRequest> + Send + 'static,
    ) -> Result<EnqueueReceipt, Status> {
        let mut request = Request::new(requests);
        attach(request.metadata_mut(), &self.id, self.trace);
        TransferClient::new(channel).enqueue(request).await.map(tonic::Response::into_inner)
    }
}

/// The envelope and the first piece in one request, the others behind it: one frame for a small message.
fn requests(envelope: &Envelope, pieces: Vec<Bytes>) -> Vec<EnqueueRequest> {
    let mut requests: Vec<EnqueueRequest> =
        pieces.into_iter().map(|data| EnqueueRequest { data, ..EnqueueRequest::default() }).collect();
    match requests.first_mut() {
        Some(first) => first.envelope = Some(envelope.clone()),
        None => {
            requests.push(EnqueueRequest { envelope: Some(envelope.clone()), ..EnqueueRequest::default() });
        }
    }
    requests
}

/// A message that is being sent to one MTA while it arrives.
struct Streamed {
    id: MessageId,
    within: Duration,
    pieces: mpsc::Sender<Piece>,
    call: AbortOnDrop<Result<EnqueueReceipt, Status>>,
}

enum Piece {
    Data(Box<EnqueueRequest>),
    /// The message is whole.
    End,
}

impl Streamed {
    async fn start(transfer: Transfer) -> Result<Self, Reply> {
        let (id, within) = (transfer.id, transfer.mtas.within);
        let channel = transfer.mtas.channels.pick().await.map_err(|status| refused(id, &status))?;
        let (pieces, received) = mpsc::channel(PIECES_AHEAD);
        let envelope =
            EnqueueRequest { envelope: Some(transfer.envelope.clone()), ..EnqueueRequest::default() };
        let call = tokio::spawn(async move {
            let requests = until_end(received);
            transfer.enqueue(channel.without_deadline(), requests).await
        });
        let mut streamed = Self { id, within, pieces, call: AbortOnDrop(call) };
        streamed.send(Piece::Data(Box::new(envelope))).await?;
        Ok(streamed)
    }

    async fn write(&mut self, data: Bytes) -> Result<(), Reply> {
        self.send(Piece::Data(Box::new(EnqueueRequest { data, ..EnqueueRequest::default() }))).await
    }

    async fn send(&mut self, piece: Piece) -> Result<(), Reply> {
        match tokio::time::timeout(self.within, self.pieces.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            // The call has ended before the message: it says why.
            Ok(Err(_)) => match self.call.wait().await {
                Ok(_) => {
                    Err(refused(self.id, &Status::internal("the MTA did not wait for the whole message")))
                }
                Err(status) => Err(refused(self.id, &status)),
            },
            Err(_) => {
                Err(refused(self.id, &Status::deadline_exceeded("the MTA takes no more of the message")))
            }
        }
    }

    async fn finish(mut self) -> Result<EnqueueReceipt, Reply> {
        self.send(Piece::End).await?;
        match tokio::time::timeout(self.within, self.call.wait()).await {
            Ok(received) => received.map_err(|status| refused(self.id, &status)),
            Err(_) => {
                Err(refused(self.id, &Status::deadline_exceeded("the MTA did not acknowledge the message")))
            }
        }
    }
}

/// The requests up to the end of the message. If the sender goes away before that the stream never ends, for its end
/// would say that the message is whole; the call is aborted instead.
fn until_end(received: mpsc::Receiver<Piece>) -> impl Stream<Item = EnqueueRequest> + Send + 'static {
    stream::unfold(received, async |mut received| match received.recv().await {
        Some(Piece::Data(request)) => Some((*request, received)),
        Some(Piece::End) => None,
        None => std::future::pending().await,
    })
}

/// A task that ends with its handle.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> AbortOnDrop<Result<T, Status>> {
    async fn wait(&mut self) -> Result<T, Status> {
        (&mut self.0).await.unwrap_or_else(|error| Err(Status::internal(error.to_string())))
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An MTA that is full has not taken the message: another may (UNAVAILABLE is what the channels try elsewhere). What it
/// said stays.
fn or_elsewhere(status: Status) -> Status {
    match status.code() {
        Code::ResourceExhausted => with_reply(Code::Unavailable, &reply_for(&status)),
        _ => status,
    }
}

fn refused(id: MessageId, status: &Status) -> Reply {
    tracing::warn!(%id, code = ?status.code(), reason = status.message(), "no MTA took the message");
    reply_for(status)
}
