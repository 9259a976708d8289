//! How far each recipient of a message has come.

use std::sync::Arc;

use proto::mail::Reply;
use proto::mta::RecipientState;

use super::steering::{Change, Revision, Steering};

#[cfg(test)]
mod tests;

/// How far one recipient has come. Lives in the spool's index, in its records, and is what `Queue` shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Status {
    pub(crate) state: RecipientState,
    /// Attempts begun.
    pub(crate) attempts: u32,
    /// When the next attempt is due, in milliseconds since the epoch. While an attempt is under way: when the next one
    /// is due should this node die before it learns the outcome, but for a first one, which is then made again at once.
    pub(crate) next_attempt_at: u64,
    /// What was said last. Shared by all who were told the same.
    pub(crate) last: Option<Arc<Said>>,
    /// The sender has been told of the delay.
    pub(crate) delay_reported: bool,
    /// `None`: no operator has had anything to do with it, as is the rule.
    pub(crate) steering: Option<Box<Steering>>,
}

/// What was said about a recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Said {
    pub(crate) reply: Reply,
    /// Who said it: a host name and address, or `local`.
    pub(crate) peer: Box<str>,
    /// Another mail system said it; else it is what was found out here, about `peer` if one is named.
    pub(crate) by_peer: bool,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            state: RecipientState::Queued,
            attempts: 0,
            next_attempt_at: 0,
            last: None,
            delay_reported: false,
            steering: None,
        }
    }
}

impl Status {
    /// Whether nothing more will happen to this recipient.
    pub(crate) fn is_final(&self) -> bool {
        !matches!(self.state, RecipientState::Unspecified | RecipientState::Queued | RecipientState::InFlight)
    }

    /// What was said last.
    pub(crate) fn last_reply(&self) -> Option<&Reply> {
        self.last.as_deref().map(|said| &said.reply)
    }

    /// Who said it; empty if nobody has said anything.
    pub(crate) fn last_peer(&self) -> &str {
        self.last.as_deref().map_or("", |said| &said.peer)
    }

    /// Held by an operator: nothing is tried until it is released. Its deadline goes on.
    pub(crate) fn is_held(&self) -> bool {
        self.steering.as_ref().is_some_and(|steering| steering.held)
    }

    /// An operator's own next hop in place of the routing table's.
    pub(crate) fn route(&self) -> Option<&Arc<str>> {
        self.steering.as_ref().and_then(|steering| steering.route.as_ref())
    }

    /// The hand-over to another node that has begun and not come to an end.
    pub(crate) fn handed_to(&self) -> Option<&Arc<str>> {
        self.steering.as_ref().and_then(|steering| steering.hand_over.to.as_ref())
    }

    /// The number of the last hand-over that was begun; 0 if none was.
    pub(crate) fn hand_over_number(&self) -> u32 {
        self.steering.as_ref().map_or(0, |steering| steering.hand_over.number)
    }

    /// Whether it is not to be tried, although it waits.
    pub(crate) fn is_kept_back(&self) -> bool {
        self.is_held() || self.handed_to().is_some()
    }

    /// The same for a message that comes from another node, as operators steered it there.
    pub(crate) fn steered(self, held: bool, route: Option<Arc<str>>) -> Self {
        if !held && route.is_none() {
            return self;
        }
        let change = Change { held: Some(held), route: Some(route), ..Change::default() };
        self.changed(&change, 1)
    }

    /// The status after a change.
    pub(super) fn changed(mut self, change: &Change, revision: Revision) -> Self {
        let mut steering = self.steering.take().unwrap_or_default();
        if let Some(held) = change.held {
            (steering.held, steering.held_revision) = (held, revision);
        }
        if let Some(route) = &change.route {
            (steering.route, steering.route_revision) = (route.clone(), revision);
        }
        if let Some(hand_over) = &change.hand_over {
            (steering.hand_over, steering.hand_over_revision) = (hand_over.clone(), revision);
        }
        if let Some(due) = change.next_attempt_at {
            (self.next_attempt_at, steering.due_revision) = (due, revision);
        }
        self.steering = Some(steering);
        self
    }

    /// Takes over what is newer.
    ///
    /// A status is made of parts, and each part of two statuses that has the greater key wins. So it does not matter in
    /// which order the records of a log are merged, or how often:
    /// - state, attempts and what was said: by final after not, more attempts after fewer, an outcome after its attempt;
    /// - the time of the next attempt: by the same, then by the revision of the change that set it, because an operator
    ///   can change it without an attempt and an attempt makes it anew;
    /// - held, route and hand-over: each by its revision; `delay_reported` once true stays so.
    pub(crate) fn merge(&mut self, other: Status) {
        let (mine, others) = ((self.rank(), self.due_revision()), (other.rank(), other.due_revision()));
        let due_revision = if others > mine { others.1 } else { mine.1 };
        if others.0 > mine.0 {
            (self.state, self.attempts, self.last) = (other.state, other.attempts, other.last);
        }
        if others > mine {
            self.next_attempt_at = other.next_attempt_at;
        }
        self.delay_reported |= other.delay_reported;
        if let Some(theirs) = other.steering {
            self.steering.get_or_insert_default().merge(&theirs);
        }
        if let Some(steering) = &mut self.steering {
            steering.due_revision = due_revision;
        }
    }

    /// The state's own order stands last: no two outcomes of one attempt are ever equal.
    fn rank(&self) -> (bool, u32, bool, i32) {
        (self.is_final(), self.attempts, self.state != RecipientState::InFlight, self.state as i32)
    }

    fn due_revision(&self) -> Revision {
        self.steering.as_ref().map_or(0, |steering| steering.due_revision)
    }
}
