//! The story of a message: what every MTA node and the MDA know of it, in order of time.

use jiff::tz::TimeZone;
use proto::mda::Located;
use proto::mta::Event;
use serde::Serialize;

use crate::console::clean;
use crate::happenings::Happening;
use crate::times;

/// All that is known of one message.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Story {
    message_id: String,
    events: Vec<Happening>,
    /// Events left out, of a message with very many.
    left_out: u64,
    located: Vec<Place>,
}

/// What one node tells.
#[derive(Debug)]
pub(super) struct Told {
    /// Its name.
    pub(super) node: String,
    pub(super) events: Vec<Event>,
    /// Events that did not fit its answer.
    pub(super) left_out: u64,
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
    pub(super) fn new(message_id: String, told: Vec<Told>, located: Vec<Located>) -> Self {
        let left_out = told.iter().map(|told| told.left_out).sum();
        let mut events: Vec<Happening> = told
            .into_iter()
            .flat_map(|Told { node, events, .. }| {
                events.into_iter().map(move |event| Happening::new(node.clone(), event))
            })
            .collect();
        // Stable: what a node tells of one moment keeps the node's order.
        events.sort_by_key(Happening::moment);
        Self { message_id, events, left_out, located: located.into_iter().map(Place::from).collect() }
    }

    /// Whether some node tells how the message came: the story is not only its end.
    pub(super) fn has_beginning(&self) -> bool {
        self.events.iter().any(|event| event.kind() == "received")
    }

    /// Whether nobody knows the message.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.located.is_empty()
    }

    /// Events left out because there are too many.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The story for people, a line for each thing that happened.
    pub(super) fn lines(&self, zone: &TimeZone) -> Vec<String> {
        let width = self.events.iter().map(|event| event.node().len()).max().unwrap_or(0).max("mda".len());
        let blank = " ".repeat("2026-11-24 01:36:47.123".len());
        let events = self.events.iter().map(|event| {
            let at = event.moment().map_or_else(|| blank.clone(), |moment| times::local(moment, zone));
            format!("{at}  {:<width$}  {}", event.node(), event.tell(zone))
        });
        let places = self.located.iter().map(|place| format!("{blank}  {:<width$}  {}", "mda", place.tell()));
        events.chain(places).map(|line| clean(&line)).collect()
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

#[cfg(test)]
mod tests;
