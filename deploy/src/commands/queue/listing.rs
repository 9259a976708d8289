//! The queue as a list, for people and for programs.

use jiff::Timestamp;
use proto::mta::{QueuedMessage, QueuedRecipient, RecipientState};
use serde::Serialize;

use crate::console::Table;
use crate::{replies, times};

/// A message that waits.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Waiting {
    message_id: String,
    node: String,
    sender: String,
    account: String,
    octets: u64,
    priority: i32,
    received_at: Option<String>,
    recipients: Vec<Recipient>,
    #[serde(skip)]
    received: Option<Timestamp>,
}

/// One of its recipients.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Recipient {
    address: String,
    state: &'static str,
    attempts: u32,
    next_attempt_at: Option<String>,
    expires_at: Option<String>,
    last_reply: String,
    last_peer: String,
    site: String,
    held: bool,
    route: String,
    #[serde(skip)]
    next_attempt: Option<Timestamp>,
}

/// The oldest of these messages, oldest first.
pub(super) fn oldest(messages: Vec<QueuedMessage>, limit: u32) -> Vec<Waiting> {
    let mut waiting: Vec<Waiting> = messages.into_iter().map(Waiting::from).collect();
    waiting.sort_by(|a, b| (a.received, &a.message_id).cmp(&(b.received, &b.message_id)));
    waiting.truncate(limit as usize);
    waiting
}

/// A row for each recipient; what concerns the whole message stands in its first one.
pub(super) fn table(messages: &[Waiting], now: Timestamp) -> Table {
    let mut table = Table::new([
        "MESSAGE",
        "NODE",
        "AGE",
        "OCTETS",
        "SENDER",
        "RECIPIENT",
        "STATE",
        "TRIES",
        "NEXT",
        "LAST REPLY",
    ]);
    for message in messages {
        let age = message.received.map(|received| times::span(received, now)).unwrap_or_default();
        let mut head = [
            message.message_id.clone(),
            message.node.clone(),
            age,
            message.octets.to_string(),
            format!("<{}>", message.sender),
        ];
        for recipient in &message.recipients {
            let [id, node, age, octets, sender] = std::mem::take(&mut head);
            table.row([
                id,
                node,
                age,
                octets,
                sender,
                recipient.address.clone(),
                recipient.standing(),
                recipient.attempts.to_string(),
                times::until(recipient.next_attempt, now),
                recipient.said(),
            ]);
        }
    }
    table
}

impl Recipient {
    /// Its state, with the next hop that an operator gave it.
    fn standing(&self) -> String {
        if self.route.is_empty() {
            self.state.to_owned()
        } else {
            format!("{} via {}", self.state, self.route)
        }
    }

    fn said(&self) -> String {
        match (self.last_reply.as_str(), self.last_peer.as_str()) {
            (reply, "" | "local") => reply.to_owned(),
            ("", _) => String::new(),
            (reply, peer) => format!("{reply} ({peer})"),
        }
    }
}

impl From<QueuedMessage> for Waiting {
    fn from(message: QueuedMessage) -> Self {
        let received = times::moment(message.received_at.as_ref());
        Self {
            message_id: message.message_id,
            node: message.node,
            sender: message.reverse_path,
            account: message.account,
            octets: message.size,
            priority: message.priority,
            received_at: received.map(times::utc),
            recipients: message.recipients.into_iter().map(Recipient::from).collect(),
            received,
        }
    }
}

impl From<QueuedRecipient> for Recipient {
    fn from(recipient: QueuedRecipient) -> Self {
        let next_attempt = times::moment(recipient.next_attempt_at.as_ref());
        let state = if recipient.held { "held" } else { state_name(recipient.state()) };
        Self {
            address: recipient.address,
            state,
            attempts: recipient.attempts,
            next_attempt_at: next_attempt.map(times::utc),
            expires_at: times::moment(recipient.expires_at.as_ref()).map(times::utc),
            last_reply: recipient.last_reply.as_ref().map(replies::line).unwrap_or_default(),
            last_peer: recipient.last_peer,
            site: recipient.site,
            held: recipient.held,
            route: recipient.route,
            next_attempt,
        }
    }
}

fn state_name(state: RecipientState) -> &'static str {
    match state {
        RecipientState::Unspecified => "unknown",
        RecipientState::Queued => "queued",
        RecipientState::InFlight => "in flight",
        RecipientState::Delivered => "delivered",
        RecipientState::Bounced => "bounced",
        RecipientState::Expired => "expired",
        RecipientState::Dropped => "dropped",
        RecipientState::Transferred => "transferred",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::mail::Reply;

    fn at(seconds: i64) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos: 0 }
    }

    fn recipient(address: &str, state: RecipientState) -> QueuedRecipient {
        QueuedRecipient { address: address.into(), state: state.into(), ..QueuedRecipient::default() }
    }

    fn message(id: &str, received: i64, recipients: Vec<QueuedRecipient>) -> QueuedMessage {
        QueuedMessage {
            message_id: id.into(),
            reverse_path: "alice@example.test".into(),
            size: 4096,
            received_at: Some(at(received)),
            recipients,
            node: "mta".into(),
            ..QueuedMessage::default()
        }
    }

    #[test]
    fn each_recipient_has_a_row_with_what_it_waits_for() {
        let deferred = QueuedRecipient {
            attempts: 3,
            next_attempt_at: Some(at(1_600)),
            last_reply: Some(Reply { code: 451, enhanced: "4.7.1".into(), text: "greylisted\nlater".into() }),
            last_peer: "mx.remote.test".into(),
            ..recipient("x@remote.test", RecipientState::Queued)
        };
        let done = recipient("bob@example.test", RecipientState::Delivered);
        let waiting = oldest(vec![message("id1", 1_000, vec![deferred, done])], 10);
        let text = table(&waiting, Timestamp::new(1_180, 0).unwrap()).render(false);
        let rows: Vec<Vec<&str>> = text
            .lines()
            .skip(1)
            .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
            .collect();
        assert_eq!(
            rows,
            [
                vec![
                    "id1",
                    "mta",
                    "3 min",
                    "4096",
                    "<alice@example.test>",
                    "x@remote.test",
                    "queued",
                    "3",
                    "in 7 min",
                    "451 4.7.1 greylisted / later (mx.remote.test)"
                ],
                vec!["bob@example.test", "delivered", "0"],
            ]
        );
    }

    #[test]
    fn messages_of_all_nodes_stand_oldest_first() {
        let messages = vec![message("c", 30, vec![]), message("a", 10, vec![]), message("b", 20, vec![])];
        let ids: Vec<_> = oldest(messages, 2).into_iter().map(|message| message.message_id).collect();
        assert_eq!(ids, ["a", "b"]);
    }

    #[test]
    fn programs_get_moments_in_utc() {
        let json = serde_json::to_value(oldest(
            vec![message("a", 0, vec![recipient("x@remote.test", RecipientState::InFlight)])],
            1,
        ))
        .unwrap();
        assert_eq!(json[0]["received_at"], "1970-01-01T00:00:00Z");
        assert_eq!(json[0]["recipients"][0]["state"], "in flight");
    }
}
