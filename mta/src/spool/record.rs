//! The spool's records, as they stand in the journal. A field's number and meaning never change once released.

use std::sync::Arc;

use bytes::Bytes;
use journal::MAX_META_BYTES;
use message::MessageId;
use proto::mail;
use proto::mta::RecipientState;

use super::status::{Said, Status};

/// A message was accepted; its body stands beside this record. Also written anew, with the state so far, when the
/// segment it stood in is reclaimed.
pub(super) const ACCEPTED: u8 = 1;
/// Recipients of a message came further.
pub(super) const PROGRESS: u8 = 2;

/// The record of kind [`ACCEPTED`].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Accepted {
    #[prost(message, optional, tag = "1")]
    pub(super) envelope: Option<mail::Envelope>,
    /// Octets of the body.
    #[prost(uint64, tag = "2")]
    pub(super) size: u64,
    /// When the first recipients are given up, in milliseconds since the epoch.
    #[prost(uint64, tag = "3")]
    pub(super) expires_at: u64,
    /// How far recipients had come when this record was written. Those not listed had not begun.
    #[prost(message, repeated, tag = "4")]
    pub(super) recipients: Vec<Recipient>,
    /// For a report: the recipients whose failure it reports. One record holds both, so that no crash can part a
    /// failure from its report.
    #[prost(message, optional, tag = "5")]
    pub(super) settles: Option<Progress>,
}

/// The record of kind [`PROGRESS`].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Progress {
    /// The message id's 16 octets.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) message_id: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub(super) recipients: Vec<Recipient>,
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
}

impl Progress {
    pub(super) fn new<'a>(id: MessageId, statuses: impl IntoIterator<Item = (u32, &'a Status)>) -> Self {
        Self {
            message_id: id.as_bytes().to_vec(),
            recipients: statuses.into_iter().map(|(index, status)| Recipient::new(index, status)).collect(),
        }
    }
}

impl Accepted {
    /// The record's meta. See [`fitting`] for what it may leave out.
    pub(super) fn into_meta(self) -> Bytes {
        fitting(self, |accepted| {
            let settled = accepted.settles.iter_mut().flat_map(|settles| &mut settles.recipients);
            accepted.recipients.iter_mut().chain(settled).for_each(Recipient::forget_what_was_said);
        })
    }
}

impl Progress {
    /// The record's meta. See [`fitting`] for what it may leave out.
    pub(super) fn into_meta(self) -> Bytes {
        fitting(self, |progress| progress.recipients.iter_mut().for_each(Recipient::forget_what_was_said))
    }
}

/// Encodes a record. If the journal would not take it, for many recipients with much to say, `shorten` takes out what
/// was said to them: a state that cannot be written would be worse, and the events tell it too.
fn fitting<R: prost::Message>(mut record: R, shorten: impl FnOnce(&mut R)) -> Bytes {
    if record.encoded_len() > MAX_META_BYTES {
        shorten(&mut record);
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
        }
    }
}
