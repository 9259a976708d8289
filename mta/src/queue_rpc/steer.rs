//! Doing something to what waits: recipients are taken out of the order, changed in the spool, and put back where the
//! spool then says that they are.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use message::MessageId;
use proto::mail::Reply;
use proto::mta::steer_request::Action as Asked;
use proto::mta::{EventKind, RecipientState, SteerRequest, SteerResponse};
use service::grpc::server::Peer;
use tonic::{Request, Status as RpcStatus};

use super::list::SCANNED;
use super::select::{Selector, parse_id, selector};
use super::{QueueService, status};
use crate::clock;
use crate::events::Details;
use crate::queue::Withdrawn;
use crate::reply::reply;
use crate::routing::NextHop;
use crate::spool::{Change, HandOver, Message, SpoolError, Status};

/// Ids in one request.
const MOST_IDS: usize = 10_000;
/// Octets of what an operator says.
const MOST_TEXT: usize = 400;
/// Messages that are steered at a time.
const AT_ONCE: usize = 64;

/// What is done.
#[derive(Clone, Debug)]
enum Action {
    Retry,
    Hold,
    Release,
    /// The report says this.
    Bounce(Reply),
    /// For this reason.
    Drop(String),
    /// By way of this next hop; `None` is that of the routing table.
    Reroute(Option<Arc<str>>),
}

/// What is done, to whom, and by whom.
struct Order {
    action: Action,
    selector: Selector,
    dry_run: bool,
    /// The operator, as the certificate names them.
    who: String,
}

impl QueueService {
    pub(super) async fn steer_all(&self, request: Request<SteerRequest>) -> Result<SteerResponse, RpcStatus> {
        let who = Peer::of(&request).map_or("", |peer| &peer.subject).to_owned();
        let SteerRequest { message_ids, filter, all, dry_run, action } = request.into_inner();
        let filter = filter.filter(|filter| *filter != proto::mta::Filter::default());
        let ids = ids(&message_ids)?;
        match (all, ids.is_empty() && filter.is_none()) {
            (false, true) => {
                return Err(RpcStatus::invalid_argument(
                    "the selection names nothing: give ids, a filter or all",
                ));
            }
            (true, false) => {
                return Err(RpcStatus::invalid_argument("all: goes neither with ids nor with a filter"));
            }
            _ => {}
        }
        let order = Order { action: read_action(action)?, selector: selector(filter)?, dry_run, who };
        let order = Arc::new(order);
        let mut done = SteerResponse::default();
        if ids.is_empty() {
            let mut after = None;
            loop {
                let page = self.spool.page(after, SCANNED);
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                self.steer_page(page, &order, &mut done).await?;
            }
        } else {
            let ids: Vec<MessageId> = ids.into_iter().collect();
            for ids in ids.chunks(SCANNED) {
                let page = ids.iter().filter_map(|&id| self.spool.get(id)).collect();
                self.steer_page(page, &order, &mut done).await?;
            }
        }
        if !dry_run {
            tracing::info!(
                action = ?order.action, who = order.who, messages = done.messages, recipients = done.recipients,
                busy = done.busy, "an operator steered the queue"
            );
        }
        Ok(done)
    }

    /// Steers some messages. A caller who goes away meanwhile stops what would come after them.
    async fn steer_page(
        &self,
        page: Vec<Arc<Message>>,
        order: &Arc<Order>,
        sum: &mut SteerResponse,
    ) -> Result<(), RpcStatus> {
        let (service, order) = (self.clone(), Arc::clone(order));
        let steered = self.complete(async move {
            let steered = stream::iter(page).map(|message| service.steer_one(message, &order));
            Ok(steered.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await)
        });
        let mut failed = None;
        for one in steered.await? {
            match one {
                Ok(one) => add(sum, &one),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            None => Ok(()),
            Some(error) => {
                let done =
                    format!("; {} recipients of {} messages were done before", sum.recipients, sum.messages);
                Err(RpcStatus::new(error.code(), format!("{}{done}", error.message())))
            }
        }
    }

    async fn steer_one(&self, message: Arc<Message>, order: &Order) -> Result<SteerResponse, RpcStatus> {
        let chosen = self.meant(&message, &order.selector).await?;
        let waits = |index: u32| message.status(index).filter(|status| order.action.is_about(status));
        let (mut busy, mut held, mut free) = (0, 0, Vec::new());
        let mut sort = |index: u32, is_free: bool| match waits(index) {
            None => {}
            Some(status) if !is_free || order.action.waits_for_node(&status) => busy += 1,
            Some(status) if order.action.needs_release(&status) => held += 1,
            Some(_) => free.push(index),
        };
        if order.dry_run {
            let places = self.queue.places(&message);
            let in_hand = |index: u32| places.get(index as usize).is_some_and(|place| place.in_hand);
            for index in chosen {
                sort(index, !in_hand(index));
            }
        } else {
            let chosen = || chosen.iter().copied();
            let withdrawn = self.queue.withdraw(message.id, |index| chosen().any(|chosen| chosen == index));
            // Nobody changes them now; until now somebody may have.
            let still = self.meant_by_state(&message, &order.selector);
            for index in chosen() {
                let is_free = withdrawn.recipients.contains(&index);
                if !is_free || still.contains(&index) {
                    sort(index, is_free);
                }
            }
            if !free.is_empty() {
                match self.act(&message, &withdrawn, &free, order).await {
                    Ok(()) => {}
                    Err(SpoolError::Gone(_)) => free.clear(),
                    Err(error) => return Err(status(&error)),
                }
            }
        }
        let (messages, recipients) = (u64::from(!free.is_empty()), free.len() as u64);
        Ok(SteerResponse { messages, recipients, busy, held })
    }

    /// Does it, to recipients that nobody else has.
    async fn act(
        &self,
        message: &Arc<Message>,
        withdrawn: &Withdrawn,
        recipients: &[u32],
        order: &Order,
    ) -> Result<(), SpoolError> {
        match &order.action {
            Action::Bounce(reply) => {
                let why = format!("given up by an operator {}", order.who);
                return self.queue.give_up(message, recipients, reply, why.trim_end()).await;
            }
            Action::Drop(_) => {
                let dropped = |&index: &u32| {
                    Some((index, Status { state: RecipientState::Dropped, ..message.status(index)? }))
                };
                let dropped = recipients.iter().filter_map(dropped).collect();
                self.spool.progress(message.id, dropped).await?;
            }
            action => {
                let change = |&index: &u32| Some((index, action.change(&message.status(index)?)));
                let changes = recipients.iter().filter_map(change).collect();
                self.spool.steer(message.id, changes).await?;
            }
        }
        if let Action::Retry = order.action {
            withdrawn.try_sites();
        }
        for &index in recipients {
            self.tell(message, index, order);
        }
        Ok(())
    }

    fn tell(&self, message: &Message, index: u32, order: &Order) {
        let (kind, detail) = match &order.action {
            Action::Retry => (EventKind::Steered, "tried again now".to_owned()),
            Action::Hold => (EventKind::Held, String::new()),
            Action::Release => (EventKind::Released, String::new()),
            Action::Drop(reason) => (EventKind::Removed, reason.clone()),
            Action::Reroute(Some(route)) => (EventKind::Steered, format!("goes to {route} from now on")),
            Action::Reroute(None) => (EventKind::Steered, "goes by the routing table again".to_owned()),
            // The settlement tells of it.
            Action::Bounce(_) => return,
        };
        let (recipient, peer) = (message.address(index), order.who.as_str());
        let details = Details { recipient, peer, detail: &detail, ..Details::default() };
        self.events.record(message.id, kind, details);
    }
}

impl Action {
    /// Whether it is about a recipient in this state at all.
    fn is_about(&self, status: &Status) -> bool {
        match self {
            Self::Release => !status.is_final() && status.is_kept_back(),
            _ => !status.is_final(),
        }
    }

    /// Whether it must not be done while another node may have the message.
    fn waits_for_node(&self, status: &Status) -> bool {
        !matches!(self, Self::Release) && status.handed_to().is_some()
    }

    /// Whether it comes to nothing while the recipient is held.
    fn needs_release(&self, status: &Status) -> bool {
        matches!(self, Self::Retry) && status.is_held()
    }

    /// What it changes of a recipient that goes on waiting.
    fn change(&self, status: &Status) -> Change {
        let change = Change::default();
        match self {
            Self::Retry => Change { next_attempt_at: Some(clock::now()), ..change },
            Self::Hold => Change { held: Some(true), ..change },
            Self::Release => {
                let number = status.hand_over_number();
                let taken_back = status.handed_to().map(|_| HandOver { to: None, number });
                Change { held: Some(false), hand_over: taken_back, ..change }
            }
            Self::Reroute(route) => Change { route: Some(route.clone()), ..change },
            Self::Bounce(_) | Self::Drop(_) => change,
        }
    }
}

fn add(sum: &mut SteerResponse, one: &SteerResponse) {
    sum.messages += one.messages;
    sum.recipients += one.recipients;
    sum.busy += one.busy;
    sum.held += one.held;
}

/// Each id once, the oldest message first.
fn ids(given: &[String]) -> Result<BTreeSet<MessageId>, RpcStatus> {
    if given.len() > MOST_IDS {
        return Err(RpcStatus::invalid_argument(format!("message_ids: at most {MOST_IDS}")));
    }
    given.iter().map(|id| parse_id("message_ids", id)).collect()
}

fn read_action(asked: Option<Asked>) -> Result<Action, RpcStatus> {
    Ok(match asked {
        None => return Err(RpcStatus::invalid_argument("action: none is given")),
        Some(Asked::Retry(_)) => Action::Retry,
        Some(Asked::Hold(_)) => Action::Hold,
        Some(Asked::Release(_)) => Action::Release,
        Some(Asked::Bounce(bounce)) => {
            let said = if bounce.text.is_empty() {
                "given up by the operator of the sending mail system".to_owned()
            } else {
                text("bounce.text", &bounce.text)?
            };
            Action::Bounce(reply(554, "5.3.0", said))
        }
        Some(Asked::Drop(drop)) => Action::Drop(text("drop.reason", &drop.reason)?),
        Some(Asked::Reroute(reroute)) if reroute.route.is_empty() => Action::Reroute(None),
        Some(Asked::Reroute(reroute)) => {
            let hop = NextHop::parse(&reroute.route)
                .map_err(|error| RpcStatus::invalid_argument(format!("reroute.route: {error}")))?;
            Action::Reroute(Some(hop.to_string().into()))
        }
    })
}

/// What an operator says, on one line.
fn text(field: &str, given: &str) -> Result<String, RpcStatus> {
    if given.len() > MOST_TEXT {
        return Err(RpcStatus::invalid_argument(format!("{field}: at most {MOST_TEXT} octets")));
    }
    Ok(given.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
}
