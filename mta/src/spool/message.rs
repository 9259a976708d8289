//! A message as the index holds it: what the queue's order needs, and nothing that can be read when it is needed.

use std::iter::repeat;
use std::sync::Arc;

use journal::{BodyRef, Extent, Position};
use message::MessageId;
use parking_lot::Mutex;
use proto::mail::DsnNotify;

use super::Status;
use super::recipient::Recipient;
use super::record::AcceptedSummary;
use crate::clock;

/// A message in the spool. Its envelope is read when it is needed: [`Spool::envelope`](super::Spool::envelope).
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    /// The account that submitted it; empty for mail from other MTAs. One allocation for all of an account's messages.
    pub(crate) account: Arc<str>,
    /// Octets of the body.
    pub(crate) size: u64,
    /// When the first edge accepted it, in milliseconds since the epoch.
    pub(crate) received_at: u64,
    /// How often one node had handed it over to another when it came here.
    pub(crate) hand_overs: u32,
    /// -9 to 9 (RFC 6710).
    pub(crate) priority: i8,
    /// Its reverse-path is `<>`: nobody is told what becomes of it.
    pub(crate) reverse_path_is_null: bool,
    /// It has come since this node started; else it was found in the log then.
    pub(super) is_new_here: bool,
    /// In the envelope's order.
    recipients: Box<[Recipient]>,
    /// Where it stands in the journal; changes when its segment is reclaimed.
    pub(super) place: Mutex<Place>,
}

/// Where a message's record stands in the journal. As small as it can be: there is one for each message that waits.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) position: Position,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    /// In the record itself; its length is the message's size.
    Inline { offset: u32, length: u32, crc: u32 },
    /// Empty, or in several pieces.
    Listed(Option<Box<BodyRef>>),
}

impl Place {
    pub(super) fn new(position: Position, body: &BodyRef) -> Self {
        let body = match *body.extents() {
            [Extent { segment, offset, length, crc }] if segment == position.segment => {
                Body::Inline { offset, length, crc }
            }
            [] => Body::Listed(None),
            _ => Body::Listed(Some(Box::new(body.clone()))),
        };
        Self { position, body }
    }

    pub(super) fn body(&self) -> BodyRef {
        match &self.body {
            &Body::Inline { offset, length, crc } => {
                Extent { segment: self.position.segment, offset, length, crc }.into()
            }
            Body::Listed(listed) => listed.as_deref().cloned().unwrap_or_default(),
        }
    }
}

impl Message {
    /// `None` if an address is not text.
    pub(super) fn new(
        id: MessageId,
        accepted: &AcceptedSummary,
        account: Arc<str>,
        statuses: Vec<Status>,
        place: Place,
        is_new_here: bool,
    ) -> Option<Self> {
        let envelope = accepted.envelope.as_ref()?;
        let deadlines = accepted.deadlines.iter().copied().chain(repeat(accepted.expires_at));
        let recipients = envelope.recipients.iter().zip(statuses).zip(deadlines);
        let recipients = recipients.map(|((recipient, status), deadline)| {
            let address = std::str::from_utf8(&recipient.address).ok()?.into();
            Some(Recipient::new(address, deadline, &recipient.notify, status))
        });
        Some(Self {
            id,
            account,
            size: accepted.size,
            received_at: envelope.received_at.as_ref().map_or(0, clock::from_timestamp),
            hand_overs: accepted.hand_overs,
            priority: envelope.priority.clamp(-9, 9) as i8,
            reverse_path_is_null: envelope.reverse_path.is_empty(),
            is_new_here,
            recipients: recipients.collect::<Option<_>>()?,
            place: Mutex::new(place),
        })
    }

    /// Recipients, those included that have come to their end.
    pub(crate) fn recipients(&self) -> usize {
        self.recipients.len()
    }

    /// How far each recipient has come, in the envelope's order.
    pub(crate) fn statuses(&self) -> Vec<Status> {
        self.recipients.iter().map(Recipient::status).collect()
    }

    /// How far one recipient has come.
    pub(crate) fn status(&self, index: u32) -> Option<Status> {
        self.recipients.get(index as usize).map(Recipient::status)
    }

    /// The recipient's address.
    pub(crate) fn address(&self, index: u32) -> &str {
        self.recipients.get(index as usize).map_or("", |recipient| &recipient.address)
    }

    /// When the recipient is given up if it still waits, in milliseconds since the epoch.
    pub(crate) fn deadline(&self, index: u32) -> u64 {
        self.recipients.get(index as usize).map_or(0, |recipient| recipient.deadline)
    }

    /// Whether the sender asked for this report about the recipient: in so many words, or by asking for nothing, which
    /// means failures and delays (RFC 3461 §4.1).
    pub(crate) fn wants(&self, index: u32, report: DsnNotify) -> bool {
        self.recipients.get(index as usize).is_some_and(|recipient| recipient.wants(report))
    }

    /// Whether this is the first attempt for each of these recipients since the message came, and it has come since this
    /// node started: it begins without a record of its own.
    pub(crate) fn is_first_attempt(&self, recipients: &[(u32, Status)]) -> bool {
        self.is_new_here && recipients.iter().all(|(_, status)| status.attempts == 1)
    }

    /// Takes over what is newer about a recipient.
    pub(super) fn merge(&self, index: u32, status: Status) {
        if let Some(recipient) = self.recipients.get(index as usize) {
            recipient.merge(status);
        }
    }

    /// Whether nothing more will happen to any recipient.
    pub(super) fn is_final(&self) -> bool {
        self.recipients.iter().all(Recipient::is_final)
    }
}
