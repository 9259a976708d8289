//! The story of a message: what every MTA node and the MDA know of it, in order of time.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proto::mail::Reply;
use proto::mda::Located;
use proto::mta::{Event, EventKind};
use serde::Serialize;

use crate::console::clean;
use crate::{replies, times};

/// The peer of what was found out without one.
const LOCAL: &str = "local";

/// All that is known of one message.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Story {
    message_id: String,
    events: Vec<Chapter>,
    located: Vec<Place>,
}

/// One thing that happened.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Chapter {
    at: Option<String>,
    node: String,
    kind: &'static str,
    recipient: String,
    peer: String,
    tls: String,
    reply: Option<Said>,
    next_attempt_at: Option<String>,
    detail: String,
    #[serde(skip)]
    moment: Option<Timestamp>,
    #[serde(skip)]
    next_attempt: Option<Timestamp>,
}

/// What a peer replied.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Said {
    code: u32,
    enhanced: String,
    text: String,
    /// All of it, for people.
    #[serde(skip)]
    line: String,
}

/// Where a copy of the message lies.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Place {
    recipient: String,
    account: String,
    mailbox: String,
    uid_validity: u32,
    uid: u32,
    expunged: bool,
}

impl Story {
    /// Puts together what the nodes tell, each with its name, and where the MDA has the message.
    pub(super) fn new(message_id: String, told: Vec<(String, Vec<Event>)>, located: Vec<Located>) -> Self {
        let mut events: Vec<Chapter> = told
            .into_iter()
            .flat_map(|(node, events)| events.into_iter().map(move |event| Chapter::new(node.clone(), event)))
            .collect();
        // Stable: what a node tells of one moment keeps the node's order.
        events.sort_by_key(|chapter| chapter.moment);
        Self { message_id, events, located: located.into_iter().map(Place::from).collect() }
    }

    /// Whether some node tells how the message came: the story is not only its end.
    pub(super) fn has_beginning(&self) -> bool {
        self.events.iter().any(|chapter| chapter.kind == "received")
    }

    /// Whether nobody knows the message.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.located.is_empty()
    }

    /// The story for people, a line for each thing that happened.
    pub(super) fn lines(&self, zone: &TimeZone) -> Vec<String> {
        let width = self.events.iter().map(|chapter| chapter.node.len()).max().unwrap_or(0).max("mda".len());
        let blank = " ".repeat("2026-11-24 01:36:47.123".len());
        let events = self.events.iter().map(|chapter| {
            let at = chapter.moment.map_or_else(|| blank.clone(), |moment| times::local(moment, zone));
            format!("{at}  {:<width$}  {}", chapter.node, chapter.tell(zone))
        });
        let places = self.located.iter().map(|place| format!("{blank}  {:<width$}  {}", "mda", place.tell()));
        events.chain(places).map(|line| clean(&line)).collect()
    }
}

impl Chapter {
    fn new(node: String, event: Event) -> Self {
        let moment = times::moment(event.at.as_ref());
        let next_attempt = times::moment(event.next_attempt_at.as_ref());
        Self {
            at: moment.map(times::utc),
            node,
            kind: kind_name(event.kind()),
            recipient: event.recipient,
            peer: event.peer,
            tls: event.tls,
            reply: event.reply.map(Said::from),
            next_attempt_at: next_attempt.map(times::utc),
            detail: event.detail,
            moment,
            next_attempt,
        }
    }

    /// A sentence: whom it concerns, what happened, what the peer said.
    fn tell(&self, zone: &TimeZone) -> String {
        let recipient =
            if self.recipient.is_empty() { String::new() } else { format!("{}: ", self.recipient) };
        let tls = if self.tls.is_empty() { String::new() } else { format!(" [{}]", self.tls) };
        let reply = self.reply.as_ref().map_or_else(String::new, |reply| format!(": {}", reply.line));
        format!("{recipient}{}{tls}{reply}", self.happening(zone))
    }

    fn happening(&self, zone: &TimeZone) -> String {
        let peer = |preposition: &str| match self.peer.as_str() {
            "" | LOCAL => String::new(),
            peer => format!(" {preposition} {peer}"),
        };
        match self.kind {
            "received" => format!("received{} with sender <{}>", peer("from"), self.detail),
            "attempt" => format!("trying{}", peer("at")),
            "delivered" => format!("delivered{}", peer("to")),
            "deferred" => {
                let until = self.next_attempt.map(|next| times::local(next, zone));
                let until = until.map_or_else(String::new, |next| format!(" until {next}"));
                format!("deferred{until}{}", peer("by"))
            }
            "bounced" if self.peer == LOCAL => "failed for good".to_owned(),
            "bounced" => format!("refused for good{}", peer("by")),
            "expired" => "given up: its time in the queue has ended".to_owned(),
            "reported" => format!("a report went to the sender: message {}", self.detail),
            "quarantined" => {
                format!("set aside, its record cannot be read {}", self.detail).trim_end().to_owned()
            }
            other => format!("{other} {}", self.detail).trim_end().to_owned(),
        }
    }
}

impl From<Reply> for Said {
    fn from(reply: Reply) -> Self {
        Self { line: replies::line(&reply), code: reply.code, enhanced: reply.enhanced, text: reply.text }
    }
}

impl Place {
    fn tell(&self) -> String {
        if self.expunged {
            return format!(
                "{}: was in an account's mailbox and has since been removed or moved",
                self.recipient
            );
        }
        format!("{}: lies in mailbox {} of {}, UID {}", self.recipient, self.mailbox, self.account, self.uid)
    }
}

impl From<Located> for Place {
    fn from(located: Located) -> Self {
        let placement = located.placement.unwrap_or_default();
        Self {
            recipient: located.recipient,
            account: placement.account,
            mailbox: placement.mailbox,
            uid_validity: placement.uid_validity,
            uid: placement.uid,
            expunged: located.expunged,
        }
    }
}

fn kind_name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Unspecified => "unknown",
        EventKind::Received => "received",
        EventKind::Attempt => "attempt",
        EventKind::Delivered => "delivered",
        EventKind::Deferred => "deferred",
        EventKind::Bounced => "bounced",
        EventKind::Expired => "expired",
        EventKind::Reported => "reported",
        EventKind::Quarantined => "quarantined",
        EventKind::Queued => "queued",
        EventKind::Held => "held",
        EventKind::Released => "released",
        EventKind::Removed => "removed",
        EventKind::Steered => "steered",
        EventKind::Transferred => "transferred",
    }
}

#[cfg(test)]
mod tests;
