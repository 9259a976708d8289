//! Days of UTC, which reports are about (RFC 8460 §4.1).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const SECONDS: u64 = 24 * 60 * 60;

/// A day of UTC, counted from the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(u32);

impl Day {
    /// The day of a time.
    pub fn of(time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self(u32::try_from(seconds / SECONDS).unwrap_or(u32::MAX))
    }

    /// The day so many days before.
    pub fn before(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// Its first instant.
    pub fn start(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::from(self.0) * SECONDS)
    }

    /// The first instant after it.
    pub fn end(self) -> SystemTime {
        self.start() + Duration::from_secs(SECONDS)
    }

    /// Its first and its last second.
    pub fn range(self) -> (Timestamp, Timestamp) {
        let start = i64::from(self.0) * SECONDS.cast_signed();
        let at = |second| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
        (at(start), at(start + SECONDS.cast_signed() - 1))
    }
}
