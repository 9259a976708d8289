//! How this node takes a message, whichever way it came: straight to the MDA, or into the spool.
//!
//! It owns the promise: what it accepts is on stable storage, here or there.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use failpoint::{Point, hit};
use message::received::{HopCounter, MAX_HOPS};
use message::urgency::KindReader;
use message::{Address, MessageId};
use prost::Message as _;
use proto::mail::{BodyType, DsnNotify, Envelope, Recipient, Reply};
use proto::mta::{EventKind, RecipientState};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock;
use crate::config::Limits;
use crate::deliver::{MDA, Mda, Straight};
use crate::events::{Details, Events};
use crate::metrics::{Metrics, Way};
use crate::queue::{Outcome, Queue, TimeTable, Verdict};
use crate::reply::{self, reply};
use crate::routing::{Route, Router, Sender};
use crate::spool::{self, Accepted, NewMessage, Spool, SpoolError, Staging, Status};
use service::directory::Directory;

mod aliases;
mod gate;
mod take_over;

pub(crate) use aliases::targets_of;
pub(crate) use gate::Gate;
pub(crate) use take_over::{HandedOver, NotTaken};

/// How long the MDA may take for a message whose sender is waiting. Then it is spooled, which the MDA's idempotency
/// key makes harmless.
const STRAIGHT_WITHIN: Duration = Duration::from_secs(10);

/// Takes messages. One per node; shared by reference.
pub(crate) struct Intake {
    pub(crate) limits: Limits,
    pub(crate) retry: TimeTable,
    pub(crate) directory: Arc<Directory>,
    pub(crate) router: Router,
    pub(crate) mda: Mda,
    pub(crate) spool: Arc<dyn Spool>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) events: Events,
    pub(crate) metrics: Metrics,
    /// Octets that messages on their way in may be held with, all together.
    pub(crate) memory: Arc<Semaphore>,
    pub(crate) gate: Gate,
}

/// A message on its way in. In memory while it is small, in the spool's staging area once it is not; dropping it leaves
/// nothing behind.
pub(crate) struct Incoming {
    body: Body,
    size: u64,
    /// An octet above 127 was seen.
    eight_bit: bool,
    /// Those before this host; `None` if they were counted when one of our nodes took the message.
    hops: Option<HopCounter>,
    kind: KindReader,
}

enum Body {
    Memory(BytesMut, Option<OwnedSemaphorePermit>),
    Staged(Box<dyn Staging>),
}

impl Incoming {
    /// Another node of ours has taken it and hands it over: it may have as many hops as were let in there, and one more.
    pub(crate) fn was_taken_before(&mut self) {
        self.hops = None;
    }
}

impl Intake {
    /// Begins a message. `trace` is what this host puts before what the client sends: its Received field, or nothing.
    pub(crate) fn begin(trace: &str) -> Incoming {
        Incoming {
            body: Body::Memory(BytesMut::from(trace), None),
            size: trace.len() as u64,
            eight_bit: false,
            hops: Some(HopCounter::default()),
            kind: KindReader::default(),
        }
    }

    /// Adds to a message. An error is the reply that the client gets in the end.
    pub(crate) async fn write(&self, incoming: &mut Incoming, chunk: Bytes) -> Result<(), Reply> {
        incoming.size += chunk.len() as u64;
        incoming.eight_bit = incoming.eight_bit || !chunk.is_ascii();
        if let Some(hops) = &mut incoming.hops {
            hops.push(&chunk);
            check_hops(hops)?;
        }
        incoming.kind.push(&chunk);
        match &mut incoming.body {
            Body::Memory(memory, permit) => {
                if incoming.size <= *self.limits.in_memory && self.reserve(permit, chunk.len()) {
                    memory.extend_from_slice(&chunk);
                    return Ok(());
                }
                let mut staging = self.spool.stage();
                let start = memory.split().freeze();
                let written = async {
                    staging.write(start).await?;
                    staging.write(chunk).await
                };
                written.await.map_err(|error| refusal(&error))?;
                incoming.body = Body::Staged(staging);
                Ok(())
            }
            Body::Staged(staging) => staging.write(chunk).await.map_err(|error| refusal(&error)),
        }
    }

    /// Whether there is memory for so many more octets of a message.
    fn reserve(&self, held: &mut Option<OwnedSemaphorePermit>, octets: usize) -> bool {
        let Ok(octets) = u32::try_from(octets) else { return false };
        let Ok(more) = Arc::clone(&self.memory).try_acquire_many_owned(octets) else { return false };
        match held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        true
    }

    /// Takes a message that has arrived whole. `Ok` is the promise; an error is the reply that says why not.
    ///
    /// Must not be dropped before it ends: a message that is in the spool would not be put in line.
    pub(crate) async fn accept(&self, mut envelope: Envelope, incoming: Incoming) -> Result<(), Reply> {
        let _inside = self.gate.enter()?;
        let id = MessageId::parse(&envelope.message_id)
            .map_err(|error| reply(554, "5.5.0", format!("bad message id: {error}")))?;
        check_size(&envelope)?;
        let all_here = self.expand(&mut envelope).await;
        check_size(&envelope)?;
        envelope.size_hint = incoming.size;
        if envelope.body_type() != BodyType::Binarymime {
            // What the message is, not what the client said: a next hop without 8BITMIME cannot have the one, and can
            // have the other.
            let body_type =
                if incoming.eight_bit { BodyType::BodyType8bitmime } else { BodyType::BodyType7bit };
            envelope.set_body_type(body_type);
        }
        if envelope.priority == 0 {
            // Its sender asked for nothing: mail that somebody waits for goes before it.
            envelope.priority = incoming.kind.kind().priority().into();
        }
        envelope.received_at.get_or_insert_with(|| clock::timestamp(clock::now()));
        match incoming.body {
            Body::Memory(body, _permit) => {
                let body = body.freeze();
                let delivered = if all_here && self.may_go_straight(&envelope) {
                    if envelope.recipients.len() > 1 {
                        self.has_room(body.len() + envelope.encoded_len())?;
                    }
                    hit(Point::MtaStraightBefore);
                    match self.mda.deliver_straight(&envelope, &body, STRAIGHT_WITHIN).await {
                        Straight::Delivered(outcomes) => {
                            hit(Point::MtaStraightAfter);
                            self.tell_received(id, &envelope, incoming.size, Way::Direct);
                            self.tell_delivered(id, &envelope, &outcomes);
                            return Ok(());
                        }
                        Straight::Refused(reply) => return Err(reply),
                        Straight::Partly(outcomes) => outcomes,
                    }
                } else {
                    Vec::new()
                };
                let message = self.new_message(id, envelope.clone(), &delivered);
                let taken = self.admissible().map(|()| self.spool.accept(message, body));
                self.spooled(&envelope, incoming.size, &delivered, taken).await
            }
            Body::Staged(staging) => {
                let message = self.new_message(id, envelope.clone(), &[]);
                let taken = self.admissible().map(|()| staging.commit(message));
                self.spooled(&envelope, incoming.size, &[], taken).await
            }
        }
    }

    /// Whether there is room for one more message in the queue.
    fn admissible(&self) -> Result<(), Reply> {
        if self.spool.len() < self.limits.queued_messages {
            return Ok(());
        }
        Err(reply(452, "4.3.1", "the queue is full, try again later"))
    }

    /// Whether the queue and the spool could take a message of so many octets: asked before it goes straight to several
    /// recipients. Some may get it and others not yet; if then there were no room for these, the client would come again
    /// with all of them, and those who have it would get it again.
    fn has_room(&self, octets: usize) -> Result<(), Reply> {
        self.admissible()?;
        self.spool.room_for(octets).map_err(|error| refusal(&error))
    }

    /// Whether the MDA can be handed a message for mailboxes of ours while its sender waits: nobody wants to hear more
    /// than that it arrived, and no rule sends any of it elsewhere.
    fn may_go_straight(&self, envelope: &Envelope) -> bool {
        let wants_report = |notify: &Vec<i32>| notify.contains(&DsnNotify::Success.into());
        let sender = Sender { reverse_path: &envelope.reverse_path, account: &envelope.account };
        let goes_to_mda = |recipient: &Recipient| {
            Address::parse(&recipient.address)
                .is_ok_and(|address| self.router.route(sender, address.domain(), true, None) == Route::Mda)
        };
        self.mda.is_available()
            && envelope.recipients.iter().all(|r| !wants_report(&r.notify) && goes_to_mda(r))
    }

    /// The message for the spool, less the recipients that were delivered already.
    fn new_message(&self, id: MessageId, envelope: Envelope, delivered: &[Outcome]) -> NewMessage {
        let deadlines = self.retry.deadlines(&envelope);
        let recipients = delivered
            .iter()
            .filter(|outcome| matches!(outcome.verdict, Verdict::Delivered(_)))
            .map(|outcome| {
                let mut status = Status::default();
                (status.state, status.attempts) = (RecipientState::Delivered, outcome.attempts);
                (outcome.index, status)
            })
            .collect();
        NewMessage { id, envelope, deadlines, recipients, settles: None, hand_overs: 0 }
    }

    /// Waits until the spool has taken a message, tells of it and puts it in line: in that order, so that its story
    /// begins with its arrival. A message that was taken before is in line already, or has been.
    async fn spooled(
        &self,
        envelope: &Envelope,
        size: u64,
        delivered: &[Outcome],
        taken: Result<impl Future<Output = Result<Accepted, SpoolError>>, Reply>,
    ) -> Result<(), Reply> {
        hit(Point::MtaSpoolBefore);
        match taken?.await {
            Ok(Accepted::New(message)) => {
                hit(Point::MtaSpoolAfter);
                self.tell_received(message.id, envelope, size, Way::Spool);
                self.tell_delivered(message.id, envelope, delivered);
                self.events.record(message.id, EventKind::Queued, Details::default());
                self.queue.admit(&message);
                Ok(())
            }
            Ok(Accepted::Known) => {
                tracing::info!(id = envelope.message_id, "taken before; nothing is added");
                Ok(())
            }
            Err(error) => {
                tracing::error!(id = envelope.message_id, %error, "a message was not taken");
                Err(refusal(&error))
            }
        }
    }

    fn tell_received(&self, id: MessageId, envelope: &Envelope, size: u64, way: Way) {
        self.metrics.accepted(way, size);
        let origin = envelope.origin.clone().unwrap_or_default();
        let details = Details {
            peer: &origin.client_address,
            tls: &origin.tls,
            detail: &envelope.reverse_path,
            account: &envelope.account,
            ..Details::default()
        };
        self.events.record(id, EventKind::Received, details);
        tracing::info!(
            %id, from = envelope.reverse_path, recipients = envelope.recipients.len(), size,
            client = origin.client_address, protocol = origin.protocol, account = envelope.account, ?way, "received"
        );
    }

    fn tell_delivered(&self, id: MessageId, envelope: &Envelope, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let Verdict::Delivered(reply) = &outcome.verdict else { continue };
            let recipient =
                envelope.recipients.get(outcome.index as usize).map_or("", |recipient| &recipient.address);
            let (peer, detail) = (outcome.peer.as_str(), outcome.detail.as_str());
            let details = Details {
                recipient,
                reply: Some(reply),
                said_by_peer: outcome.said_by_peer,
                peer,
                detail,
                site: MDA,
                attempt: outcome.attempts,
                ..Details::default()
            };
            self.events.record(id, EventKind::Delivered, details);
            self.metrics.settled(RecipientState::Delivered);
            tracing::info!(%id, recipient, peer, said = reply::line(reply), "delivered");
        }
    }
}

fn check_size(envelope: &Envelope) -> Result<(), Reply> {
    if !spool::fits(envelope) {
        return Err(reply(552, "5.5.3", "the envelope is too large: send to fewer recipients at a time"));
    }
    Ok(())
}

/// Refuses a message that goes in circles (RFC 5321 §6.3).
fn check_hops(counter: &HopCounter) -> Result<(), Reply> {
    if counter.hops() >= MAX_HOPS {
        return Err(reply(554, "5.4.6", "too many hops: this message is going in circles"));
    }
    Ok(())
}

fn refusal(error: &SpoolError) -> Reply {
    match error {
        SpoolError::Full(_) => reply(452, "4.3.1", "no room to keep the message now, try again later"),
        _ => reply(451, "4.3.0", "the message could not be kept, try again later"),
    }
}
