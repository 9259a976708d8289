//! gRPC `Queue`: what waits here, and what became of what no longer waits.

use std::sync::Arc;

use message::MessageId;
use proto::mta::queue_server::Queue;
use proto::mta::{
    GetRequest, ListRequest, ListResponse, QueuedMessage, QueuedRecipient, RecipientState, TraceRequest,
    TraceResponse,
};
use tonic::{Request, Response, Status};

use crate::clock;
use crate::events::{Events, Story};
use crate::spool::{self, Message, Spool, SpoolError};

/// Messages on a page if the caller does not say.
const PAGE: usize = 100;
/// The most on a page.
const LONGEST_PAGE: usize = 1_000;

/// The service.
pub(crate) struct QueueService {
    pub(crate) spool: Arc<dyn Spool>,
    pub(crate) events: Events,
    /// This node's name.
    pub(crate) node: String,
}

#[tonic::async_trait]
impl Queue for QueueService {
    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let ListRequest { page_size, page_token, filter } = request.into_inner();
        let size = match page_size as usize {
            0 => PAGE,
            size => size.min(LONGEST_PAGE),
        };
        let mut after = if page_token.is_empty() { None } else { Some(parse_id("page_token", &page_token)?) };
        let domain = filter.unwrap_or_default().domain.to_lowercase();
        let mut messages = Vec::new();
        let mut next_page_token = String::new();
        'pages: loop {
            let page = self.spool.page(after, LONGEST_PAGE);
            for message in &page {
                if messages.len() == size {
                    next_page_token = after.map(|id| id.to_string()).unwrap_or_default();
                    break 'pages;
                }
                if domain.is_empty() || has_recipient_in(message, &domain) {
                    messages.extend(self.describe(message).await?);
                }
                after = Some(message.id);
            }
            // A filter may pass over a long queue: others have their turn.
            tokio::task::yield_now().await;
            if page.len() < LONGEST_PAGE {
                break;
            }
        }
        let total = self.spool.len() as u64;
        Ok(Response::new(ListResponse { messages, next_page_token, total }))
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<QueuedMessage>, Status> {
        let id = parse_id("message_id", &request.into_inner().message_id)?;
        let described = match self.spool.get(id) {
            Some(message) => self.describe(&message).await?,
            None => None,
        };
        let none = || Status::not_found(format!("{id} does not wait at {}", self.node));
        described.map(Response::new).ok_or_else(none)
    }

    async fn trace(&self, request: Request<TraceRequest>) -> Result<Response<TraceResponse>, Status> {
        let id = parse_id("message_id", &request.into_inner().message_id)?;
        let events = self.events.clone();
        let found = tokio::task::spawn_blocking(move || events.of(id)).await;
        let Story { events, left_out } = found
            .map_err(|error| Status::internal(error.to_string()))?
            .map_err(|error| Status::internal(format!("the events cannot be read: {error}")))?;
        if events.is_empty() {
            return Err(Status::not_found(format!("{} knows nothing of {id}", self.node)));
        }
        Ok(Response::new(TraceResponse { events, node: self.node.clone(), left_out }))
    }
}

impl QueueService {
    /// What is told of a message; `None` if it has left meanwhile.
    async fn describe(&self, message: &Message) -> Result<Option<QueuedMessage>, Status> {
        let envelope = match self.spool.envelope(message).await {
            Ok(envelope) => envelope,
            Err(SpoolError::Gone(_)) => return Ok(None),
            Err(error) => return Err(Status::internal(format!("{}: {error}", message.id))),
        };
        let recipients = message
            .statuses()
            .into_iter()
            .zip(0..)
            .map(|(status, index)| describe_recipient(message, index, &status));
        Ok(Some(QueuedMessage {
            message_id: message.id.to_string(),
            reverse_path: envelope.reverse_path.clone(),
            account: message.account.to_string(),
            size: message.size,
            received_at: envelope.received_at,
            recipients: recipients.collect(),
            node: self.node.clone(),
            priority: i32::from(message.priority),
        }))
    }
}

fn describe_recipient(message: &Message, index: u32, status: &spool::Status) -> QueuedRecipient {
    let next = (status.state == RecipientState::Queued && status.next_attempt_at > 0)
        .then(|| clock::timestamp(status.next_attempt_at));
    QueuedRecipient {
        address: message.address(index).into(),
        state: status.state.into(),
        attempts: status.attempts,
        next_attempt_at: next,
        expires_at: Some(clock::timestamp(message.deadline(index))),
        last_reply: status.last_reply().cloned(),
        last_peer: status.last_peer().to_owned(),
        ..QueuedRecipient::default()
    }
}

fn has_recipient_in(message: &Message, domain: &str) -> bool {
    let of = |address: &str| address.rsplit_once('@').is_some_and(|(_, of)| of.eq_ignore_ascii_case(domain));
    (0..).take(message.recipients()).any(|index| of(message.address(index)))
}

fn parse_id(field: &str, text: &str) -> Result<MessageId, Status> {
    MessageId::parse(text).map_err(|error| Status::invalid_argument(format!("{field}: {error}")))
}
