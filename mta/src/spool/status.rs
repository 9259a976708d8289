//! How far each recipient of a message has come.

use std::sync::Arc;

use proto::mail::Reply;
use proto::mta::RecipientState;

/// How far one recipient has come. Lives in the spool's index, in its records, and is what `Queue` shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Status {
    pub(crate) state: RecipientState,
    /// Attempts begun.
    pub(crate) attempts: u32,
    /// When the next attempt is due, in milliseconds since the epoch. While an attempt is under way: when the next one
    /// is due should this node die before it learns the outcome.
    pub(crate) next_attempt_at: u64,
    /// What was said last. Shared by all who were told the same.
    pub(crate) last: Option<Arc<Said>>,
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
        Self { state: RecipientState::Queued, attempts: 0, next_attempt_at: 0, last: None }
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

    /// Takes over what is newer.
    ///
    /// States are ordered (final after not, more attempts after fewer, an outcome after its attempt) and this keeps the
    /// greater, so that it does not matter in which order the records of a log are merged, or how often.
    pub(crate) fn merge(&mut self, other: Status) {
        if other.rank() > self.rank() {
            *self = other;
        }
    }

    fn rank(&self) -> (bool, u32, bool) {
        (self.is_final(), self.attempts, self.state != RecipientState::InFlight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: RecipientState, attempts: u32) -> Status {
        Status { state, attempts, ..Status::default() }
    }

    #[test]
    fn merging_gives_the_same_in_any_order() {
        let history = [
            Status::default(),
            status(RecipientState::InFlight, 1),
            status(RecipientState::Queued, 1),
            status(RecipientState::InFlight, 2),
            status(RecipientState::Delivered, 2),
        ];
        for end in 1..=history.len() {
            let known = &history[..end];
            for rotation in 0..known.len() {
                let mut merged = Status::default();
                for status in known[rotation..].iter().chain(&known[..rotation]).chain(known).rev() {
                    merged.merge(status.clone());
                }
                assert_eq!(merged, known[end - 1]);
            }
        }
    }
}
