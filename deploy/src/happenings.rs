//! Events of MTA nodes, for people and for programs.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proto::mail::Reply;
use proto::mta::{Event, EventKind};
use serde::Serialize;

use crate::{replies, times};

#[cfg(test)]
mod tests;

/// The peer of what was found out without one.
const LOCAL: &str = "local";

/// The kinds of events, by the names that users see.
const KINDS: [(&str, EventKind); 14] = [
    ("received", EventKind::Received),
    ("queued", EventKind::Queued),
    ("attempt", EventKind::Attempt),
    ("delivered", EventKind::Delivered),
    ("deferred", EventKind::Deferred),
    ("bounced", EventKind::Bounced),
    ("expired", EventKind::Expired),
    ("reported", EventKind::Reported),
    ("held", EventKind::Held),
    ("released", EventKind::Released),
    ("removed", EventKind::Removed),
    ("steered", EventKind::Steered),
    ("transferred", EventKind::Transferred),
    ("quarantined", EventKind::Quarantined),
];

/// One thing that happened, and the node that tells of it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Happening {
    at: Option<String>,
    node: String,
    kind: &'static str,
    message_id: String,
    recipient: String,
    account: String,
    site: String,
    peer: String,
    tls: String,
    attempt: u32,
    reply: Option<Said>,
    said_by_peer: bool,
    next_attempt_at: Option<String>,
    detail: String,
    #[serde(skip)]
    moment: Option<Timestamp>,
    #[serde(skip)]
    next_attempt: Option<Timestamp>,
}

/// What a peer replied, or what failed.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Said {
    code: u32,
    enhanced: String,
    text: String,
    /// All of it, for people.
    #[serde(skip)]
    line: String,
}

impl Happening {
    /// What `node` tells.
    pub(crate) fn new(node: String, event: Event) -> Self {
        let moment = times::moment(event.at.as_ref());
        let next_attempt = times::moment(event.next_attempt_at.as_ref());
        Self {
            at: moment.map(times::utc),
            node,
            kind: name(event.kind()),
            message_id: event.message_id,
            recipient: event.recipient,
            account: event.account,
            site: event.site,
            peer: event.peer,
            tls: event.tls,
            attempt: event.attempt,
            reply: event.reply.map(Said::from),
            said_by_peer: event.said_by_peer,
            next_attempt_at: next_attempt.map(times::utc),
            detail: event.detail,
            moment,
            next_attempt,
        }
    }

    /// When it happened.
    pub(crate) fn moment(&self) -> Option<Timestamp> {
        self.moment
    }

    /// The node that tells.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// The name of its kind.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    /// The message it is about.
    pub(crate) fn message_id(&self) -> &str {
        &self.message_id
    }

    /// A sentence: whom it concerns, what happened, how, who said what.
    pub(crate) fn tell(&self, zone: &TimeZone) -> String {
        let some = |told: bool, text: String| if told { text } else { String::new() };
        let who = if self.said_by_peer { "" } else { "found here: " };
        let reply = self.reply.as_ref().map(|reply| format!(": {who}{}", reply.line));
        [
            some(!self.recipient.is_empty(), format!("{}: ", self.recipient)),
            self.happening(zone),
            some(self.attempt > 1 && self.kind != "attempt", format!(" at attempt {}", self.attempt)),
            some(!self.tls.is_empty(), format!(" [{}]", self.tls)),
            some(self.has_remark(), format!(" ({})", self.detail)),
            reply.unwrap_or_default(),
        ]
        .concat()
    }

    fn happening(&self, zone: &TimeZone) -> String {
        let peer = |preposition: &str| match self.peer.as_str() {
            "" | LOCAL => String::new(),
            peer => format!(" {preposition} {peer}"),
        };
        let because = || if self.detail.is_empty() { String::new() } else { format!(": {}", self.detail) };
        match self.kind {
            "received" if self.account.is_empty() => {
                format!("received{} with sender <{}>", peer("from"), self.detail)
            }
            "received" => {
                format!("received{} with sender <{}> of account {}", peer("from"), self.detail, self.account)
            }
            "queued" => "queued".to_owned(),
            "attempt" => match (self.attempt, self.site.as_str()) {
                (0, _) => format!("trying{}", peer("at")),
                (number, "") => format!("attempt {number}{}", peer("at")),
                (number, site) => format!("attempt {number} at {site}"),
            },
            "delivered" => format!("delivered{}", peer("to")),
            "deferred" => {
                let until = self.next_attempt.map(|next| times::local(next, zone));
                let until = until.map_or_else(String::new, |next| format!(" until {next}"));
                format!("deferred{until}{}", peer("by"))
            }
            "bounced" if self.said_by_peer => format!("refused for good{}", peer("by")),
            "bounced" => format!("failed for good{}", peer("with")),
            "expired" => "given up: its time in the queue has ended".to_owned(),
            "reported" => format!("a report went to the sender: message {}", self.detail),
            "held" => format!("held by an operator{}", because()),
            "released" => format!("released by an operator{}", because()),
            "removed" => format!("removed by an operator, without a report{}", because()),
            "steered" => format!("steered by an operator{}", because()),
            "transferred" => format!("handed over{}", peer("to")),
            "quarantined" => format!("set aside, its record cannot be read{}", because()),
            other => format!("{other}{}", because()),
        }
    }

    /// Whether there is a detail that is not told with the event itself: where the message lies, why a session was not
    /// encrypted.
    fn has_remark(&self) -> bool {
        !self.detail.is_empty()
            && matches!(self.kind, "delivered" | "deferred" | "bounced" | "expired" | "attempt")
    }
}

impl From<Reply> for Said {
    fn from(reply: Reply) -> Self {
        Self { line: replies::line(&reply), code: reply.code, enhanced: reply.enhanced, text: reply.text }
    }
}

/// The kind with this name, as a command line gives it.
pub(crate) fn parse_kind(text: &str) -> Result<EventKind, String> {
    let kind = KINDS.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
    kind.ok_or_else(|| {
        let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
        format!("this is none of {}", names.join(", "))
    })
}

fn name(kind: EventKind) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or("unknown", |(name, _)| name)
}
