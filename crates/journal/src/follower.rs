//! The state that follows the log.

use crate::{liveness::Liveness, position::Position, record::Entry};

/// What a follower reports when it cannot go on.
pub type FollowerError = Box<dyn std::error::Error + Send + Sync>;

/// The owner's state: the log is the truth, and the state is what applying it gives.
///
/// All calls come one after the other: `begin` and the replay on the thread that opens the journal, everything
/// later on threads of the journal's own. Entries come in log order, each only after it is durable, and each
/// append resolves only after its entry was applied (and [settled](Follower::settle)). While the follower
/// applies one batch the next is being synced, if one waits, unless applying is [little work](Follower::is_always_quick).
///
/// An error, or a panic, stops the journal for good ([`Error::Follower`](crate::Error::Follower)): the entry was
/// promised, so it cannot be skipped. Only opening the journal anew goes on, by replaying it.
///
/// A follower must not wait for an append to the journal it follows, nor for a piece of a [`BodyWriter`](crate::BodyWriter)'s
/// to be written, nor for who does: they would wait for the follower.
pub trait Follower: Send + 'static {
    /// What applying an entry gives to whoever appended it, e.g. the UID that was allotted.
    type Output: Send + 'static;

    /// Called once, first. Says how far the state has come: replay starts after the given position, or at the
    /// beginning of the log for `None`. The state may be *behind* what was once applied (its own durability
    /// may be lax); it must never be ahead.
    ///
    /// `liveness` is where the follower notes which records it needs; see [`Liveness`]. What lives at or before
    /// the returned position has to be noted here.
    fn begin(&mut self, liveness: &Liveness) -> Result<Option<Position>, FollowerError>;

    /// Applies one entry. The same call is made for an entry after its append and at replay, where it may come
    /// again although its effect is there already.
    fn apply(&mut self, entry: &Entry) -> Result<Self::Output, FollowerError>;

    /// Whether applying the entry is little work. What is not is never done by the thread that makes entries durable: it
    /// would hold up all that come after it.
    fn is_quick(&self, _entry: &Entry) -> bool {
        true
    }

    /// Whether applying an entry is a matter of microseconds, whichever it is. Then the thread that makes entries durable
    /// applies them itself also while others wait for it: that takes less time than to wake another thread.
    fn is_always_quick(&self) -> bool {
        false
    }

    /// Called after the last entry of each batch, before any of its appends resolves: the place to commit what
    /// `apply` has gathered in one transaction.
    fn settle(&mut self) -> Result<(), FollowerError> {
        Ok(())
    }

    /// Called before a segment is removed: makes everything applied so far durable, so that replay will never
    /// need the removed entries. A follower whose state is in memory only has nothing to do.
    fn checkpoint(&mut self) -> Result<(), FollowerError> {
        Ok(())
    }
}

/// Follows nothing: for logs that are only read back.
impl Follower for () {
    type Output = ();

    fn begin(&mut self, _: &Liveness) -> Result<Option<Position>, FollowerError> {
        Ok(None)
    }

    fn apply(&mut self, _: &Entry) -> Result<(), FollowerError> {
        Ok(())
    }
}
