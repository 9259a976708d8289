//! Mail to a list goes on under the list's own name (RFC 5321 §3.9.2), as messages of their own: for the one that was
//! sent to the list, this is delivery. Mail to an address that turned out to be an alias only now goes on likewise,
//! under its sender's name.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use message::received::{self, Protocol, Received};
use message::{MessageId, header};
use proto::mail::{DsnReturn, Envelope, Origin, Recipient, Reply};
use proto::mta::EventKind;
use service::directory::Expansion;

use super::Queue;
use super::settle::{Outcome, Verdict};
use crate::clock;
use crate::deliver::Stalled;
use crate::events::Details;
use crate::intake::targets_of;
use crate::reply::{self, reply};
use crate::spool::{self, Accepted, Message, NewMessage, SpoolError};

/// Recipients of one message that goes out to a list: a larger list gets several. Also with the longest addresses their
/// envelope [fits](crate::spool::fits).
const RECIPIENTS: usize = 500;
/// How much of a message is read for its header.
const HEADER: u64 = header::MAX_HEADER as u64;

impl Queue {
    /// Sends a message on to those that stand behind one of its recipients, an alias or a list. Doing it again, after a
    /// crash, adds nothing.
    pub(super) async fn redistribute(&self, message: &Arc<Message>, index: u32) -> Result<Outcome, Stalled> {
        let attempts = message.status(index).map_or(0, |status| status.attempts) + 1;
        let address = message.address(index);
        let asked = self.parts.hops.directory.expand(address).await;
        let expansion = asked
            .map_err(|error| Stalled(error.message().into()))?
            .ok_or_else(|| Stalled("the address has just become another".into()))?;
        if let Err(refused) = self.check_loop(message, address, &expansion).await? {
            return Ok(Outcome::local(index, attempts, Verdict::Failed(refused)));
        }
        let envelope = self.parts.spool.envelope(message).await.map_err(|error| stalled(&error))?;
        let mut ids = Vec::new();
        for (part, targets) in expansion.targets.chunks(RECIPIENTS).enumerate() {
            let id = message.id.derived(format!("{part} {address}").as_bytes());
            let onward = onward(id, &envelope, index, &expansion, targets);
            self.send_on(message, address, onward).await.map_err(|error| stalled(&error))?;
            ids.push(id.to_string());
        }
        let number = expansion.targets.len();
        let (said, ids) = (reply(250, "2.1.5", format!("sent on to {number} recipients")), ids.join(" "));
        let verdict = match expansion.owner {
            Some(_) => Verdict::Delivered(said),
            None if number > 1 => Verdict::Expanded(said),
            // Its sender hears of the delivery behind it.
            None => Verdict::Relayed { reply: said, reports: true },
        };
        Ok(Outcome { detail: format!("sent on as {ids}"), ..Outcome::local(index, attempts, verdict) })
    }

    /// Whether the message has been here before, or has nowhere to go.
    async fn check_loop(
        &self,
        message: &Message,
        address: &str,
        expansion: &Expansion,
    ) -> Result<Result<(), Reply>, Stalled> {
        if expansion.targets.is_empty() {
            return Ok(Err(reply::leads_nowhere()));
        }
        let start = self.parts.spool.read(message, 0..message.size.min(HEADER)).await;
        let start = start.map_err(|error| stalled(&error))?;
        let been_here = header::fields(&start)
            .filter(|field| field.is("Delivered-To"))
            .any(|field| header::unfold(field.value).trim_ascii().eq_ignore_ascii_case(address.as_bytes()));
        if been_here || received::hops(&start) >= received::MAX_HOPS {
            return Ok(Err(reply(554, "5.4.6", "this message is going in circles")));
        }
        Ok(Ok(()))
    }

    /// Puts a message with this envelope and the body of another into the spool and in line.
    async fn send_on(
        &self,
        original: &Arc<Message>,
        address: &str,
        envelope: Envelope,
    ) -> Result<(), SpoolError> {
        let id = MessageId::parse(&envelope.message_id).map_err(|_| SpoolError::NotUnderstood)?;
        let mut staging = self.parts.spool.stage();
        staging.write(Bytes::from(self.trace(id, address))).await?;
        let pieces = spool::pieces(Arc::clone(&self.parts.spool), Arc::clone(original));
        let mut pieces = std::pin::pin!(pieces);
        while let Some(piece) = pieces.try_next().await? {
            staging.write(piece).await?;
        }
        let deadlines = self.parts.retry.deadlines(&envelope);
        let from = envelope.reverse_path.clone();
        let new =
            NewMessage { id, envelope, deadlines, recipients: Vec::new(), settles: None, hand_overs: 0 };
        if let Accepted::New(message) = staging.commit(new).await? {
            let detail = format!("{from}, from {address} of {}", original.id);
            self.parts.events.record(
                id,
                EventKind::Received,
                Details { detail: &detail, ..Details::default() },
            );
            self.admit(&message);
        }
        Ok(())
    }

    /// What stands before a message that is sent on: how it came, and where it has been, so that it is known again.
    fn trace(&self, id: MessageId, address: &str) -> String {
        let received = Received {
            helo: &self.parts.hostname,
            client: None,
            by: &self.parts.hostname,
            protocol: Protocol::Local,
            tls: None,
            id,
            only_recipient: None,
            at: jiff::Timestamp::now(),
        };
        format!("{received}Delivered-To: {address}\r\n")
    }
}

/// The envelope for some of those behind a recipient.
fn onward(
    id: MessageId,
    envelope: &Envelope,
    index: u32,
    expansion: &Expansion,
    targets: &[String],
) -> Envelope {
    let now = clock::timestamp(clock::now());
    let origin = Some(Origin { protocol: "local".into(), ..Origin::default() });
    let onward = Envelope { message_id: id.to_string(), received_at: Some(now), origin, ..envelope.clone() };
    match &expansion.owner {
        Some(owner) => Envelope {
            // A report that reaches a list must not be reported on again: its owner might be behind the list.
            reverse_path: if envelope.reverse_path.is_empty() { String::new() } else { owner.clone() },
            recipients: targets.iter().map(|target| plain(target)).collect(),
            // RFC 3461 §5.2.7.1: nothing of what the sender asked for goes on.
            dsn_return: DsnReturn::Unspecified.into(),
            envelope_id: String::new(),
            ..onward
        },
        None => {
            let recipients = envelope.recipients.get(index as usize);
            let recipients = recipients.map(|recipient| targets_of(recipient, targets)).unwrap_or_default();
            Envelope { recipients, ..onward }
        }
    }
}

/// A recipient of whom nothing is asked.
fn plain(address: &str) -> Recipient {
    Recipient { address: address.into(), ..Recipient::default() }
}

fn stalled(error: &SpoolError) -> Stalled {
    Stalled(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_fits_into_the_spool_however_long_its_addresses_are() {
        let target = format!("{}@{}", "l".repeat(64), "d".repeat(255));
        let alias = Recipient { original_recipient: "o".repeat(600), ..plain(&target) };
        let recipients = targets_of(&alias, &vec![target; RECIPIENTS]);
        assert!(spool::fits(&Envelope { recipients, ..Envelope::default() }));
    }
}
