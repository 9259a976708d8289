//! Settings of the spool.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use service::config::{ByteSize, HumanDuration};

/// Where and how the spool is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// Its directory; made if missing. One node, one directory.
    pub dir: PathBuf,
    /// Mail is refused with a temporary error before less than this stays free on the disk; what lets mail leave may use
    /// half of it. Default 256 MiB.
    pub min_free: ByteSize,
    /// Size of a segment file, the unit in which space is given back. Default 128 MiB.
    pub segment_size: ByteSize,
    /// How often space is given back: that of messages that have left, and of old events. Default 15s.
    pub reclaim_every: HumanDuration,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            dir: "/var/lib/waypost/mta/spool".into(),
            min_free: ByteSize::mib(256),
            segment_size: ByteSize::mib(128),
            reclaim_every: HumanDuration::from_secs(15),
        }
    }
}
