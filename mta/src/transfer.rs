//! gRPC `Transfer`: messages from the MSA, and from other nodes.

mod state;

use std::collections::HashSet;
use std::sync::Arc;

use message::{Address, MessageId, ReversePath, header};
use proto::mail::{Envelope, Reply};
use proto::mta::transfer_server::Transfer;
use proto::mta::{EnqueueReceipt, EnqueueRequest};
use service::drain::Shutdown;
use service::grpc::server::Peer;
use service::tls::Role;
use tonic::{Request, Response, Status, Streaming};

use crate::intake::{HandedOver, Incoming, Intake, NotTaken};
use crate::reply::reply;
use crate::spool::MAX_RECIPIENTS;

pub(crate) use state::write as state;

/// The service.
pub(crate) struct TransferService {
    pub(crate) intake: Arc<Intake>,
    /// This node's name, for receipts.
    pub(crate) node: String,
    /// Messages that are being taken.
    pub(crate) work: Shutdown,
}

#[tonic::async_trait]
impl Transfer for TransferService {
    async fn enqueue(
        &self,
        request: Request<Streaming<EnqueueRequest>>,
    ) -> Result<Response<EnqueueReceipt>, Status> {
        let from_node = Peer::of(&request).is_some_and(|peer| peer.role == Role::Mta);
        let mut stream = request.into_inner();
        let Some(first) = stream.message().await? else {
            return Err(Status::invalid_argument(
                "the stream is empty: its first request carries the envelope",
            ));
        };
        let envelope = first
            .envelope
            .ok_or_else(|| Status::invalid_argument("the first request carries no envelope"))?;
        let most = if first.state.is_some() { MAX_RECIPIENTS } else { self.intake.limits.recipients };
        let id = check(&envelope, most)?;
        let handed = match first.state {
            Some(_) if !from_node => {
                return Err(Status::permission_denied("only another MTA node hands over what waited there"));
            }
            Some(state) => Some(state::read(&envelope, state)?),
            None => None,
        };
        if let Some(handed) = &handed
            && self.intake.spool.knows(id, handed.hand_overs)
        {
            // Whatever this node would say to a new message now.
            return Ok(self.receipt(id, envelope.size_hint));
        }

        let mut incoming = Intake::begin("");
        if handed.is_some() {
            incoming.was_taken_before();
        }
        let mut size = 0;
        // The limit is for what the client sent; what the MSA added to its header does not count.
        let most = *self.intake.limits.message_size + header::MAX_HEADER as u64;
        let mut next = Some(first.data);
        while let Some(data) = next {
            size += data.len() as u64;
            if size > most {
                let text = format!("the message is larger than {most} octets");
                return Err(status(&reply(552, "5.3.4", text)));
            }
            self.intake.write(&mut incoming, data).await.map_err(|reply| status(&reply))?;
            next = match stream.message().await? {
                Some(EnqueueRequest { envelope: Some(_), .. }) => {
                    return Err(Status::invalid_argument("a second envelope in one stream"));
                }
                Some(EnqueueRequest { envelope: None, data, .. }) => Some(data),
                None => None,
            };
        }
        // hyper takes RST_STREAM(CANCEL) for the end of a request, and drops the handler of a cancelled call only when it
        // waits. So it waits once, or half a message would be taken for a whole one.
        tokio::task::yield_now().await;
        // In a task of its own: a caller that goes away must not stop it half-way.
        let accepted = self.work.spawn(accept(Arc::clone(&self.intake), id, envelope, handed, incoming));
        match accepted.await {
            Ok(Some(Ok(()))) => Ok(self.receipt(id, size)),
            Ok(Some(Err(refused))) => Err(refused),
            Ok(None) | Err(_) => Err(Status::unavailable("this node is stopping")),
        }
    }
}

async fn accept(
    intake: Arc<Intake>,
    id: MessageId,
    envelope: Envelope,
    handed: Option<HandedOver>,
    incoming: Incoming,
) -> Result<(), Status> {
    let Some(handed) = handed else {
        return intake.accept(envelope, incoming).await.map_err(|reply| status(&reply));
    };
    intake.take_over(id, envelope, handed, incoming).await.map_err(|error| match error {
        NotTaken::Refused(reply) => status(&reply),
        NotTaken::NotGoneYet => {
            Status::failed_precondition(format!("{id} is here from before it was handed over"))
        }
    })
}

impl TransferService {
    fn receipt(&self, id: MessageId, size: u64) -> Response<EnqueueReceipt> {
        Response::new(EnqueueReceipt { message_id: id.to_string(), node: self.node.clone(), size })
    }
}

/// Whether an MTA could handle a message with this envelope, and at most so many recipients.
fn check(envelope: &Envelope, most: usize) -> Result<MessageId, Status> {
    let invalid = |what: &str, why: String| Status::invalid_argument(format!("{what}: {why}"));
    let id = MessageId::parse(&envelope.message_id)
        .map_err(|error| invalid("envelope.message_id", error.to_string()))?;
    ReversePath::parse(&envelope.reverse_path)
        .map_err(|error| invalid("envelope.reverse_path", error.to_string()))?;
    if envelope.recipients.is_empty() {
        return Err(Status::invalid_argument("envelope.recipients: at least one is needed"));
    }
    if envelope.recipients.len() > most {
        return Err(invalid("envelope.recipients", format!("more than {most}")));
    }
    let mut seen = HashSet::new();
    for recipient in &envelope.recipients {
        let address = Address::parse(&recipient.address)
            .map_err(|error| invalid("envelope.recipients", format!("{}: {error}", recipient.address)))?;
        if !seen.insert(address) {
            return Err(invalid("envelope.recipients", format!("{} stands twice", recipient.address)));
        }
    }
    Ok(id)
}

fn status(reply: &Reply) -> Status {
    service::status::status_for(reply)
}
