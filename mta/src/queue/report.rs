//! Delivery status notifications (RFC 3464): what senders are told.

mod due;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use jiff::Timestamp;
use message::dsn::{self, Action, Report, Returned};
use message::{Address, Domain, MessageId, header, words};
use proto::mail::{BodyType, DsnReturn, Envelope, Origin, Recipient, Reply};

use super::Parts;
use crate::clock;
use crate::deliver::MDA;
use crate::spool::{Message, NewMessage, Status};

pub(super) use due::due;

/// The largest message that a report returns whole; of a larger one it returns the header.
const RETURNED_WHOLE: u64 = 256 << 10;
/// How much of a message is read for its header.
const HEADER: u64 = header::MAX_HEADER as u64;

/// A recipient that is reported on.
pub(super) struct Reported<'a> {
    /// Its place in the envelope.
    pub(super) index: u32,
    pub(super) action: Action,
    pub(super) status: &'a Status,
    /// It was given up because its time in the queue was over.
    pub(super) expired: bool,
}

/// Makes the report to the sender of `message`. `None` if there is nobody to send it to, or nobody knows who it is.
pub(super) async fn compose(
    parts: &Parts,
    message: &Message,
    reported: &[Reported<'_>],
) -> Option<(NewMessage, Bytes)> {
    let about = match parts.spool.envelope(message).await {
        Ok(envelope) => envelope,
        Err(error) => {
            tracing::error!(id = %message.id, %error, "nobody can be told what became of a message");
            return None;
        }
    };
    let to = Address::parse(&about.reverse_path).ok()?;
    let (returned, original) = original(parts, message, &about, reported).await;
    let block = &original[..header::length(&original)];
    let subject = header::first(block, "Subject").map(|value| words::decode(&header::unfold(value)));
    let message_id = header::first(block, "Message-ID").map(header::unfold);
    let message_id = message_id.map(|value| String::from_utf8_lossy(&value).trim().to_owned());
    let lines: Vec<(&Recipient, &Reported<'_>, Lines<'_>)> = reported
        .iter()
        .filter_map(|one| Some((about.recipients.get(one.index as usize)?, one, Lines::new(one))))
        .collect();
    let recipients: Vec<dsn::Recipient<'_>> = lines
        .iter()
        .map(|(recipient, one, lines)| {
            lines.recipient(recipient, one, timestamp(message.deadline(one.index)))
        })
        .collect();
    let (id, now) = (MessageId::new(), Timestamp::now());
    let received = about.received_at.unwrap_or_default();
    let report = Report {
        id,
        at: now,
        reporting_mta: &parts.hostname,
        to: &to,
        recipients: &recipients,
        original_id: message.id,
        envelope_id: &about.envelope_id,
        arrived_at: Timestamp::new(received.seconds, received.nanos).unwrap_or(now),
        subject: subject.as_deref(),
        message_id: message_id.as_deref(),
        returned,
        smtputf8: about.smtputf8,
        eight_bit: !original.is_ascii(),
    };
    let built = report.build();
    let body: Bytes = [built.prefix, original.to_vec(), built.suffix].concat().into();
    let body_type = if body.is_ascii() { BodyType::BodyType7bit } else { BodyType::BodyType8bitmime };
    let envelope = Envelope {
        message_id: id.to_string(),
        // Null, so that no report is ever made about it.
        reverse_path: String::new(),
        recipients: vec![Recipient { address: to.to_string(), ..Recipient::default() }],
        body_type: body_type.into(),
        smtputf8: built.smtputf8,
        // RFC 8689 §5: what is told of the message is protected as the message was.
        require_tls: about.require_tls,
        received_at: Some(clock::timestamp(clock::now())),
        origin: Some(Origin { protocol: "local".into(), ..Origin::default() }),
        size_hint: body.len() as u64,
        ..Envelope::default()
    };
    let deadlines = parts.retry.deadlines(&envelope);
    Some((NewMessage { id, envelope, deadlines, recipients: Vec::new(), settles: None, hand_overs: 0 }, body))
}

/// What is returned of the message: all of it only if it failed, the sender asked for that, it is small, and it did not
/// ask for REQUIRETLS (RFC 8689 §5).
async fn original(
    parts: &Parts,
    message: &Message,
    envelope: &Envelope,
    reported: &[Reported<'_>],
) -> (Returned, Bytes) {
    let failed = reported.iter().any(|reported| reported.action == Action::Failed);
    let asked = envelope.dsn_return() == DsnReturn::Full && !envelope.require_tls;
    let full = asked && failed && message.size <= RETURNED_WHOLE;
    let wanted = if full { message.size } else { message.size.min(HEADER) };
    match parts.spool.read(message, 0..wanted).await {
        Ok(whole) if full => (Returned::Message, whole),
        Ok(start) => {
            let length = header::length(&start);
            (Returned::Header, start.slice(..length))
        }
        Err(error) => {
            tracing::error!(id = %message.id, %error, "a report goes out without the header it should return");
            (Returned::Header, Bytes::new())
        }
    }
}

/// Milliseconds since the epoch as a time; none if it is out of range.
fn timestamp(millis: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(millis).ok()?).ok()
}

/// Texts that a report's recipient refers to.
struct Lines<'a> {
    status: &'a str,
    remote: Option<&'a str>,
    diagnostic: Option<String>,
}

impl<'a> Lines<'a> {
    fn new(reported: &Reported<'a>) -> Self {
        let reply = reported.status.last_reply();
        let said_by_peer = reported.status.last.as_ref().is_some_and(|said| said.by_peer);
        let enhanced = reply.map_or("", |reply| reply.enhanced.as_str());
        let status = if enhanced.is_empty() && reported.expired { "4.4.7" } else { enhanced };
        // `mx.remote.test 192.0.2.1:25`: the name. One that could not be reached has reported nothing (RFC 3464 §2.3.5),
        // and our own MDA is no remote MTA.
        let remote = reported.status.last_peer().split(' ').next();
        let remote = remote.filter(|name| said_by_peer && *name != MDA && Domain::parse(name).is_ok());
        let diagnostic = reply.map(|Reply { code, enhanced, text }| {
            if remote.is_some() {
                format!("{code} {enhanced} {text}").replace("  ", " ")
            } else {
                text.clone()
            }
        });
        Self { status, remote, diagnostic }
    }

    /// `until` is when the recipient is given up.
    fn recipient(
        &'a self,
        recipient: &'a Recipient,
        reported: &Reported<'_>,
        until: Option<Timestamp>,
    ) -> dsn::Recipient<'a> {
        dsn::Recipient {
            address: &recipient.address,
            original: &recipient.original_recipient,
            action: reported.action,
            status: self.status,
            remote_mta: self.remote,
            diagnostic: self.diagnostic.as_deref(),
            last_attempt: Some(Timestamp::now()),
            will_retry_until: until.filter(|_| reported.action == Action::Delayed),
            expired: reported.expired,
        }
    }
}
