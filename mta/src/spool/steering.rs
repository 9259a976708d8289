//! What operators decide about a recipient that waits.

use std::sync::Arc;

/// Changes to how a recipient waits, for [`Spool::steer`](super::Spool::steer). What is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Change {
    /// Nothing is tried while it is held. Its deadline goes on.
    pub(crate) held: Option<bool>,
    /// A next hop in place of the routing table's, or that of the table again.
    #[expect(clippy::option_option, reason = "whether it changes, and whether there is one then")]
    pub(crate) route: Option<Option<Arc<str>>>,
    /// When the next attempt is due, in milliseconds since the epoch.
    pub(crate) next_attempt_at: Option<u64>,
    /// A hand-over to another node begins, or has come to nothing.
    pub(crate) hand_over: Option<HandOver>,
}

/// A hand-over of a message to another node. Between its beginning and its end nobody knows which of the two nodes has
/// to answer for the message, so this one neither tries it nor hands it to a third.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HandOver {
    /// The gRPC address of the node; `None`: it did not take the message.
    pub(crate) to: Option<Arc<str>>,
    /// The `hand_overs` that the message has there. Grows with each hand-over, whatever became of the one before: none is
    /// ever taken for another.
    pub(crate) number: u32,
}

/// A number that grows with each change, so that the later of two decisions is known from the records alone, whatever
/// their order in the log. 0 is that of what nobody has decided.
pub(crate) type Revision = u64;

/// What is in force, each part with the revision of the change that made it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Steering {
    pub(super) held: bool,
    pub(super) held_revision: Revision,
    pub(super) route: Option<Arc<str>>,
    pub(super) route_revision: Revision,
    pub(super) hand_over: HandOver,
    pub(super) hand_over_revision: Revision,
    /// Of the status' `next_attempt_at`, if it was changed since the attempt before.
    pub(super) due_revision: Revision,
}

impl Steering {
    /// Takes over each part that is newer, save the due time, which is part of the progress.
    pub(super) fn merge(&mut self, other: &Self) {
        if other.held_revision > self.held_revision {
            (self.held, self.held_revision) = (other.held, other.held_revision);
        }
        if other.route_revision > self.route_revision {
            (self.route, self.route_revision) = (other.route.clone(), other.route_revision);
        }
        if other.hand_over_revision > self.hand_over_revision {
            self.hand_over = other.hand_over.clone();
            self.hand_over_revision = other.hand_over_revision;
        }
    }

    /// The highest revision in it.
    pub(super) fn revision(&self) -> Revision {
        self.held_revision.max(self.route_revision).max(self.hand_over_revision).max(self.due_revision)
    }
}
