//! One unit as it lies in memory.

use message::MessageId;

use crate::{Millis, Recipients};

/// Stands for no index.
pub(crate) const NONE: u32 = u32::MAX;

/// A unit for the queue.
#[derive(Clone, Debug)]
pub struct NewUnit<'a> {
    /// The message that it is of.
    pub message: MessageId,
    /// Its recipients; at least one.
    pub recipients: Recipients,
    /// The account (tenant) in whose turn it goes.
    pub account: &'a str,
    /// The domain of its recipients, in lower case; empty while it may have several or is not known.
    pub domain: &'a str,
    /// -9 to 9 (RFC 6710); the greater goes first.
    pub priority: i8,
    /// If it still waits in line then, it comes out of [`Scheduler::next_overdue`](crate::Scheduler::next_overdue).
    pub deadline: Millis,
    /// The caller's own.
    pub tag: u8,
}

/// A unit that was started. Of no use once it was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnitId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// Where a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nowhere: the slot is free.
    Vacant,
    /// Waits for its time.
    Scheduled,
    /// In its site's line.
    InLine,
    /// Kept aside because its account is suspended.
    AsideAccount,
    /// Kept aside because its domain is suspended.
    AsideDomain,
    /// Its deadline has passed; nobody has asked for it yet.
    Overdue,
    /// In somebody's hands.
    InFlight,
}

/// A place for a unit. 80 octets.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Of a unit; free slots have none.
    pub(crate) message: Option<MessageId>,
    pub(crate) recipients: Recipients,
    pub(crate) deadline: Millis,
    pub(crate) account: u32,
    pub(crate) domain: u32,
    /// Where it stands, or stood last; `NONE` if it never stood anywhere.
    pub(crate) site: u32,
    /// Its neighbours in the list that it is in. `next` also links free slots.
    pub(crate) previous: u32,
    pub(crate) next: u32,
    /// Other units of the same message.
    pub(crate) sibling_before: u32,
    pub(crate) sibling_after: u32,
    /// Its place among the timers.
    pub(crate) timer: u32,
    /// Grows whenever the slot is given free.
    pub(crate) generation: u32,
    pub(crate) priority: i8,
    pub(crate) tag: u8,
    pub(crate) state: State,
}

impl Slot {
    pub(crate) fn vacant(next: u32) -> Self {
        Self {
            message: None,
            recipients: Recipients::NONE,
            deadline: 0,
            account: NONE,
            domain: NONE,
            site: NONE,
            previous: NONE,
            next,
            sibling_before: NONE,
            sibling_after: NONE,
            timer: NONE,
            generation: 0,
            priority: 0,
            tag: 0,
            state: State::Vacant,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_unit_is_small() {
        assert!(size_of::<super::Slot>() <= 96, "{}", size_of::<super::Slot>());
    }
}
