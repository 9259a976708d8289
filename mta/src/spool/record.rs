//! The spool's records, as they stand in the journal. A field's number and meaning never change once released.

use std::sync::Arc;

use bytes::Bytes;
use journal::MAX_META_BYTES;
use message::MessageId;
use prost::Message as _;
use proto::mail;
use proto::mta::RecipientState;

use super::status::{Said, Status};
use super::{steering, suspension};

/// A message was accepted; its body stands beside this record. Also written anew, with the state so far, when the
/// segment it stood in is reclaimed.
pub(super) const ACCEPTED: u8 = 1;
/// Recipients of a message came further, or an operator changed how they wait.
pub(super) const PROGRESS: u8 = 2;
/// All suspensions in force.
pub(super) const SUSPENSIONS: u8 = 3;

/// Recipients of a message at most.
pub(crate) const MAX_RECIPIENTS: usize = 1_000;
/// Octets that a [`Recipient`] can take, its deadline included, without what was said to it. The longest are the names of
/// an operator's next hop and of another node.
const PER_RECIPIENT: usize = 640;

/// Whether a message with this envelope can be kept whatever becomes of it: one record of the journal has to hold its
/// envelope and how far all recipients have come, or its segment could never be reclaimed.
pub(crate) fn fits(envelope: &mail::Envelope) -> bool {
    // And what stands beside them.
    const OTHERS: usize = 1 << 10;
    let statuses = envelope.recipients.len().saturating_mul(PER_RECIPIENT);
    envelope.encoded_len().saturating_add(statuses) <= MAX_META_BYTES - OTHERS
}

/// The record of kind [`ACCEPTED`].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Accepted {
    #[prost(message, optional, tag = "1")]
    pub(super) envelope: Option<mail::Envelope>,
    /// Octets of the body.
    #[prost(uint64, tag = "2")]
    pub(super) size: u64,
    /// When recipients are given up that `deadlines` does not list, in milliseconds since the epoch.
    #[prost(uint64, tag = "3")]
    pub(super) expires_at: u64,
    /// How far recipients had come when this record was written. Those not listed had not begun.
    #[prost(message, repeated, tag = "4")]
    pub(super) recipients: Vec<Recipient>,
    /// For a report: the recipients whose failure it reports. One record holds both, so that no crash can part a
    /// failure from its report.
    #[prost(message, optional, tag = "5")]
    pub(super) settles: Option<Progress>,
    /// How often one node had handed the message over to another when it came here.
    #[prost(uint32, tag = "6")]
    pub(super) hand_overs: u32,
    /// When each recipient is given up, in the envelope's order; empty if all are together.
    #[prost(uint64, repeated, tag = "7")]
    pub(super) deadlines: Vec<u64>,
}

/// What the index keeps of [`Accepted`]: the same bytes, with what is read when it is needed passed over, and no
/// allocation for what is only looked at.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AcceptedSummary {
    #[prost(message, optional, tag = "1")]
    pub(super) envelope: Option<EnvelopeSummary>,
    #[prost(uint64, tag = "2")]
    pub(super) size: u64,
    #[prost(uint64, tag = "3")]
    pub(super) expires_at: u64,
    #[prost(message, repeated, tag = "4")]
    pub(super) recipients: Vec<Recipient>,
    #[prost(message, optional, tag = "5")]
    pub(super) settles: Option<Progress>,
    #[prost(uint32, tag = "6")]
    pub(super) hand_overs: u32,
    #[prost(uint64, repeated, tag = "7")]
    pub(super) deadlines: Vec<u64>,
}

/// What the index keeps of [`mail::Envelope`].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EnvelopeSummary {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) message_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) reverse_path: Bytes,
    #[prost(message, repeated, tag = "3")]
    pub(super) recipients: Vec<RecipientSummary>,
    #[prost(bytes = "bytes", tag = "9")]
    pub(super) account: Bytes,
    #[prost(message, optional, tag = "10")]
    pub(super) received_at: Option<prost_types::Timestamp>,
    #[prost(int32, tag = "13")]
    pub(super) priority: i32,
}

/// What the index keeps of [`mail::Recipient`].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RecipientSummary {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) address: Bytes,
    #[prost(enumeration = "mail::DsnNotify", repeated, tag = "3")]
    pub(super) notify: Vec<i32>,
}

/// The record of kind [`PROGRESS`].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Progress {
    /// The message id's 16 octets.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) message_id: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub(super) recipients: Vec<Recipient>,
    /// The `hand_overs` of the message that is meant: it may have left, and come back from another node since.
    #[prost(uint32, tag = "3")]
    pub(super) hand_overs: u32,
}

/// How far one recipient has come.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Recipient {
    /// Its place in the envelope.
    #[prost(uint32, tag = "1")]
    pub(super) index: u32,
    #[prost(enumeration = "RecipientState", tag = "2")]
    pub(super) state: i32,
    #[prost(uint32, tag = "3")]
    pub(super) attempts: u32,
    #[prost(uint64, tag = "4")]
    pub(super) next_attempt_at: u64,
    #[prost(message, optional, tag = "5")]
    pub(super) last_reply: Option<mail::Reply>,
    #[prost(string, tag = "6")]
    pub(super) last_peer: String,
    /// Another mail system gave the last reply.
    #[prost(bool, tag = "7")]
    pub(super) said_by_peer: bool,
    /// The sender has been told of the delay.
    #[prost(bool, tag = "8")]
    pub(super) delay_reported: bool,
    #[prost(message, optional, tag = "9")]
    pub(super) steering: Option<Steering>,
}

/// What operators decided about one recipient; see [`steering::Steering`](super::steering::Steering).
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Steering {
    #[prost(bool, tag = "1")]
    pub(super) held: bool,
    #[prost(uint64, tag = "2")]
    pub(super) held_revision: u64,
    /// Empty for the routing table's.
    #[prost(string, tag = "3")]
    pub(super) route: String,
    #[prost(uint64, tag = "4")]
    pub(super) route_revision: u64,
    #[prost(uint64, tag = "5")]
    pub(super) due_revision: u64,
    /// The node that a hand-over has begun to; empty for none.
    #[prost(string, tag = "6")]
    pub(super) handed_to: String,
    #[prost(uint32, tag = "7")]
    pub(super) hand_over_number: u32,
    #[prost(uint64, tag = "8")]
    pub(super) hand_over_revision: u64,
}

/// The record of kind [`SUSPENSIONS`]. Of several, the one with the highest revision holds.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Suspensions {
    #[prost(uint64, tag = "1")]
    pub(super) revision: u64,
    #[prost(message, repeated, tag = "2")]
    pub(super) in_force: Vec<Suspension>,
}

/// One suspension.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Suspension {
    #[prost(oneof = "Scope", tags = "1, 2, 3")]
    pub(super) scope: Option<Scope>,
    #[prost(string, tag = "4")]
    pub(super) reason: String,
    /// Milliseconds since the epoch.
    #[prost(uint64, tag = "5")]
    pub(super) since: u64,
}

/// What a suspension covers.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Scope {
    #[prost(string, tag = "1")]
    Site(String),
    #[prost(string, tag = "2")]
    Domain(String),
    #[prost(string, tag = "3")]
    Account(String),
}

impl Progress {
    pub(super) fn new<'a>(
        id: MessageId,
        hand_overs: u32,
        statuses: impl IntoIterator<Item = (u32, &'a Status)>,
    ) -> Self {
        Self {
            message_id: id.as_bytes().to_vec(),
            hand_overs,
            recipients: statuses.into_iter().map(|(index, status)| Recipient::new(index, status)).collect(),
        }
    }
}

impl Accepted {
    /// The record's meta. See [`fitting`] for what it may leave out.
    pub(super) fn meta(&mut self) -> Bytes {
        fitting(self, |accepted| {
            let settled = accepted.settles.iter_mut().flat_map(|settles| &mut settles.recipients);
            accepted.recipients.iter_mut().chain(settled).for_each(Recipient::forget_what_was_said);
        })
    }
}

impl Progress {
    /// The record's meta. See [`fitting`] for what it may leave out.
    pub(super) fn meta(&mut self) -> Bytes {
        fitting(self, |progress| progress.recipients.iter_mut().for_each(Recipient::forget_what_was_said))
    }
}

/// Encodes a record. If the journal would not take it, for many recipients with much to say, `shorten` takes out what
/// was said to them: a state that cannot be written would be worse, and the events tell it too.
fn fitting<R: prost::Message>(record: &mut R, shorten: impl FnOnce(&mut R)) -> Bytes {
    if record.encoded_len() > MAX_META_BYTES {
        shorten(record);
    }
    record.encode_to_vec().into()
}

impl Recipient {
    fn forget_what_was_said(&mut self) {
        self.last_reply = None;
        self.last_peer.clear();
    }

    pub(super) fn new(index: u32, status: &Status) -> Self {
        Self {
            index,
            state: status.state as i32,
            attempts: status.attempts,
            next_attempt_at: status.next_attempt_at,
            last_reply: status.last_reply().cloned(),
            last_peer: status.last_peer().to_owned(),
            said_by_peer: status.last.as_ref().is_some_and(|said| said.by_peer),
            delay_reported: status.delay_reported,
            steering: status.steering.as_deref().map(Steering::new),
        }
    }

    pub(super) fn into_status(self) -> Status {
        Status {
            state: self.state(),
            attempts: self.attempts,
            next_attempt_at: self.next_attempt_at,
            last: self.last_reply.map(|reply| {
                Arc::new(Said { reply, peer: self.last_peer.into(), by_peer: self.said_by_peer })
            }),
            delay_reported: self.delay_reported,
            steering: self.steering.map(|steering| Box::new(steering.into_steering())),
        }
    }
}

impl Steering {
    fn new(steering: &steering::Steering) -> Self {
        Self {
            held: steering.held,
            held_revision: steering.held_revision,
            route: steering.route.as_deref().unwrap_or_default().to_owned(),
            route_revision: steering.route_revision,
            due_revision: steering.due_revision,
            handed_to: steering.hand_over.to.as_deref().unwrap_or_default().to_owned(),
            hand_over_number: steering.hand_over.number,
            hand_over_revision: steering.hand_over_revision,
        }
    }

    fn into_steering(self) -> steering::Steering {
        let named = |text: String| Some(text).filter(|text| !text.is_empty()).map(Arc::from);
        steering::Steering {
            held: self.held,
            held_revision: self.held_revision,
            route: named(self.route),
            route_revision: self.route_revision,
            hand_over: steering::HandOver { to: named(self.handed_to), number: self.hand_over_number },
            hand_over_revision: self.hand_over_revision,
            due_revision: self.due_revision,
        }
    }
}

impl Suspension {
    pub(super) fn new(suspension: &suspension::Suspension) -> Self {
        let scope = match &suspension.scope {
            suspension::Scope::Site(name) => Scope::Site(name.to_string()),
            suspension::Scope::Domain(name) => Scope::Domain(name.to_string()),
            suspension::Scope::Account(name) => Scope::Account(name.to_string()),
        };
        Self { scope: Some(scope), reason: suspension.reason.to_string(), since: suspension.since }
    }

    /// `None` if it covers what this program does not know.
    pub(super) fn into_suspension(self) -> Option<suspension::Suspension> {
        let scope = match self.scope? {
            Scope::Site(name) => suspension::Scope::Site(name.into()),
            Scope::Domain(name) => suspension::Scope::Domain(name.into()),
            Scope::Account(name) => suspension::Scope::Account(name.into()),
        };
        Some(suspension::Suspension { scope, reason: self.reason.into(), since: self.since })
    }
}

/// The parts of a record of kind [`ACCEPTED`]; `None` if it cannot be understood.
pub(super) fn decode_accepted(meta: &Bytes) -> Option<(MessageId, mail::Envelope, Accepted)> {
    let mut accepted = Accepted::decode(meta.clone()).ok()?;
    let envelope = accepted.envelope.take()?;
    let id = MessageId::parse(&envelope.message_id).ok()?;
    Some((id, envelope, accepted))
}

/// A message id from its 16 octets.
pub(super) fn decode_id(bytes: &[u8]) -> Option<MessageId> {
    MessageId::from_bytes(bytes.try_into().ok()?).ok()
}
