//! The queue's own time, which no clock that is set can change.

use std::time::Instant;

use crate::clock;

/// The time as the order of the queue counts it: milliseconds that really pass. Points in time that come from the clock
/// are turned into waits when they come in; what the clock does after that makes no wait longer or shorter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace(Instant);

impl Pace {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> u64 {
        clock::millis(self.0.elapsed())
    }

    /// When the clock shows so many milliseconds since the epoch; what is past is now.
    pub(super) fn at_clock(self, at: u64) -> u64 {
        self.now().saturating_add(at.saturating_sub(clock::now()))
    }

    /// To milliseconds since the epoch.
    pub(super) fn to_clock(self, at: u64) -> u64 {
        clock::now().saturating_add(at.saturating_sub(self.now()))
    }
}
