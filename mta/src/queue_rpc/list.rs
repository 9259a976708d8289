//! Which messages and recipients are meant, and a page of them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use prost::Message as _;
use proto::mta::{ListRequest, ListResponse, QueuedMessage};
use tokio::time::Instant;
use tonic::Status as RpcStatus;

use super::describe::seen;
use super::select::{Selector, parse_id, selector};
use super::{QueueService, status};
use crate::spool::{Message, SpoolError, Status};

/// Messages on a page if the caller does not say, and at most.
const PAGE: usize = 100;
const LONGEST_PAGE: usize = 1_000;
/// Octets on a page, but for its last message.
const MOST_OCTETS: usize = 1 << 20;
/// A page that is not full after so long is given as it is.
const LONGEST_SEARCH: Duration = Duration::from_secs(5);
/// Messages that are taken from the spool together, and of which envelopes are read at a time.
pub(super) const SCANNED: usize = 256;
const AT_ONCE: usize = 16;

impl QueueService {
    pub(super) async fn page(&self, request: ListRequest) -> Result<ListResponse, RpcStatus> {
        let ListRequest { page_size, page_token, filter } = request;
        let size = match page_size as usize {
            0 => PAGE,
            size => size.min(LONGEST_PAGE),
        };
        let mut after = if page_token.is_empty() { None } else { Some(parse_id("page_token", &page_token)?) };
        let selector = selector(filter)?;
        let (mut messages, mut octets) = (Vec::new(), 0);
        let search_until = Instant::now() + LONGEST_SEARCH;
        let is_full = 'pages: loop {
            let scanned = self.spool.page(after, SCANNED);
            if scanned.is_empty() {
                break false;
            }
            let found = stream::iter(scanned).map(|message| self.listed(message, &selector));
            let mut found = std::pin::pin!(found.buffered(AT_ONCE));
            while let Some(found) = found.next().await {
                let (id, message): (_, Option<QueuedMessage>) = found?;
                after = Some(id);
                octets += message.as_ref().map_or(0, QueuedMessage::encoded_len);
                messages.extend(message);
                if messages.len() == size || octets > MOST_OCTETS || Instant::now() > search_until {
                    break 'pages true;
                }
            }
            // A filter may pass over a long queue: others have their turn.
            tokio::task::yield_now().await;
        };
        let has_more = is_full && !self.spool.page(after, 1).is_empty();
        let next_page_token = after.filter(|_| has_more).map(|id| id.to_string()).unwrap_or_default();
        Ok(ListResponse { messages, next_page_token, total: self.spool.len() as u64 })
    }

    /// The message with its id, if one of its recipients is meant.
    async fn listed(
        &self,
        message: Arc<Message>,
        selector: &Selector,
    ) -> Result<(message::MessageId, Option<QueuedMessage>), RpcStatus> {
        let is_meant = !self.meant(&message, selector).await?.is_empty();
        let described = if is_meant { self.describe(&message).await? } else { None };
        Ok((message.id, described))
    }

    /// The recipients of a message that are meant.
    pub(super) async fn meant(
        &self,
        message: &Arc<Message>,
        selector: &Selector,
    ) -> Result<Vec<u32>, RpcStatus> {
        let meant = self.meant_by_state(message, selector);
        if meant.is_empty() || !selector.asks_for_envelope() {
            return Ok(meant);
        }
        match self.spool.envelope(message).await {
            Ok(envelope) if selector.means_sender(&envelope) => Ok(meant),
            // Nobody knows whose it is if it cannot be read.
            Ok(_) | Err(SpoolError::Gone(_) | SpoolError::Damaged(_) | SpoolError::NotUnderstood) => {
                Ok(Vec::new())
            }
            Err(error) => Err(status(&error)),
        }
    }

    /// The recipients that are meant, the sender aside.
    pub(super) fn meant_by_state(&self, message: &Message, selector: &Selector) -> Vec<u32> {
        if !selector.may_mean(message) {
            return Vec::new();
        }
        let places = selector.asks_for_place().then(|| self.queue.places(message));
        let is_meant = |index: u32, mut status: Status| {
            let place = places.as_ref().and_then(|places| places.get(index as usize));
            if let Some(place) = place {
                status.state = seen(&status, place);
            }
            let site = place.and_then(|place| place.site.as_ref());
            selector.means(message.address(index), &status)
                && selector.means_site(site.map(scheduler::SiteName::as_str))
        };
        let statuses = (0..).zip(message.statuses());
        statuses.filter(|(index, status)| is_meant(*index, status.clone())).map(|(index, _)| index).collect()
    }
}
