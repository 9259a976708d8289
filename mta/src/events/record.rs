//! Events as they stand in the journal.

use bytes::{BufMut as _, Bytes, BytesMut};
use journal::Entry;
use message::MessageId;
use prost::Message as _;
use proto::mail::Reply;
use proto::mta::{Event, EventKind};

use crate::clock;

/// A record's kind: 16 octets of message id, 8 of time (milliseconds since the epoch, big-endian), then the [`Event`]
/// less these two. Records of other kinds (2, an empty mark, was written once) are passed over.
pub(super) const EVENT: u8 = 1;

const ID: usize = 16;
const HEAD: usize = ID + 8;

/// What there is to say of an event beside its kind; the fields of [`Event`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Details<'a> {
    pub(crate) recipient: &'a str,
    pub(crate) reply: Option<&'a Reply>,
    /// The peer gave `reply`; else it is what was found out here.
    pub(crate) said_by_peer: bool,
    pub(crate) peer: &'a str,
    pub(crate) tls: &'a str,
    /// Milliseconds since the epoch.
    pub(crate) next_attempt_at: Option<u64>,
    pub(crate) detail: &'a str,
    pub(crate) site: &'a str,
    /// From 1; 0 where there was none.
    pub(crate) attempt: u32,
    pub(crate) account: &'a str,
}

/// The record of what happens `now`, in milliseconds since the epoch.
pub(super) fn encode(id: MessageId, now: u64, kind: EventKind, details: Details<'_>) -> Bytes {
    let event = Event {
        kind: kind.into(),
        recipient: details.recipient.into(),
        reply: details.reply.cloned(),
        said_by_peer: details.said_by_peer,
        peer: details.peer.into(),
        tls: details.tls.into(),
        next_attempt_at: details.next_attempt_at.map(clock::timestamp),
        detail: details.detail.into(),
        site: details.site.into(),
        attempt: details.attempt,
        account: details.account.into(),
        // These stand before it.
        at: None,
        message_id: String::new(),
    };
    let mut record = BytesMut::with_capacity(HEAD + event.encoded_len());
    record.put_slice(id.as_bytes());
    record.put_u64(now);
    event.encode_raw(&mut record);
    record.freeze()
}

/// Whose event it is, and when it happened, in milliseconds since the epoch. `None` for what is no event.
pub(super) fn head(entry: &Entry) -> Option<([u8; ID], u64)> {
    if entry.kind != EVENT {
        return None;
    }
    let (id, rest) = entry.meta.split_first_chunk::<ID>()?;
    Some((*id, u64::from_be_bytes(*rest.first_chunk()?)))
}

/// The event as the contract has it. `None` for what is none, or cannot be understood.
pub(super) fn decode(entry: &Entry) -> Option<Event> {
    let (id, at) = head(entry)?;
    let id = MessageId::from_bytes(id).ok()?;
    let event = Event::decode(entry.meta.get(HEAD..)?).ok()?;
    Some(Event { at: Some(clock::timestamp(at)), message_id: id.to_string(), ..event })
}
