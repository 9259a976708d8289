//! The time, as the spool and the queue keep it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since the epoch. 0 if the clock stands before it.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// A duration in whole milliseconds, at most `u64::MAX`.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The protobuf form of milliseconds since the epoch.
pub(crate) fn timestamp(millis: u64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(millis / 1_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(millis % 1_000 * 1_000_000).unwrap_or(0),
    }
}

/// Milliseconds since the epoch; 0 if the timestamp stands before it.
pub(crate) fn from_timestamp(timestamp: &prost_types::Timestamp) -> u64 {
    let seconds = u64::try_from(timestamp.seconds).unwrap_or(0);
    seconds.saturating_mul(1_000).saturating_add(u64::try_from(timestamp.nanos).unwrap_or(0) / 1_000_000)
}
