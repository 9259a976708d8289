//! What an operator decides about the store.

use std::path::PathBuf;
use std::time::Duration;

use super::SpecialUse;

/// Settings of a [`super::LocalStore`].
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The folder of journal and rows; made if missing. One process at a time.
    pub dir: PathBuf,
    /// Memory that rows are cached in, in octets. Default 64 MiB.
    pub cache_bytes: u64,
    /// Memory for indexes of mailboxes, in octets; those in use stay whatever they take. Default 256 MiB.
    pub index_bytes: u64,
    /// Memory for what is known of messages without reading them, in octets. Default 128 MiB.
    pub outline_bytes: u64,
    /// Size of the journal's segments, in octets. Default 128 MiB.
    pub segment_bytes: u64,
    /// Free space that is left on the disk, in octets. Default 256 MiB.
    pub min_free_bytes: u64,
    /// A segment is reclaimed when at most this part of it is needed, 0 to 1. Default 0.5.
    pub reclaim_below: f64,
    /// How often the store looks for segments to reclaim. Default 60 s.
    pub reclaim_every: Duration,
    /// Octets that reclaiming reads and writes in a second; 0 for as many as it can. Default 32 MiB.
    pub reclaim_rate: u64,
    /// Octets by which deliveries may go beyond a quota. Default 10 MiB.
    pub quota_grace_bytes: u64,
    /// How long expunged messages can be brought back; zero for not at all. Default 7 days.
    pub keep_expunged: Duration,
    /// How long messages stay in mailboxes of these uses, unless the mailbox itself says; zero is for ever.
    pub retention: Vec<(SpecialUse, Duration)>,
    /// The most mailboxes of one account. Default 10,000.
    pub max_mailboxes: usize,
    /// What goes wrong with the journal's files.
    #[cfg(test)]
    pub(crate) journal_faults: journal::faults::Faults,
}

impl StoreConfig {
    /// The defaults for a store in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            cache_bytes: 64 << 20,
            index_bytes: 256 << 20,
            outline_bytes: 128 << 20,
            segment_bytes: 128 << 20,
            min_free_bytes: 256 << 20,
            reclaim_below: 0.5,
            reclaim_every: Duration::from_mins(1),
            reclaim_rate: 32 << 20,
            quota_grace_bytes: 10 << 20,
            keep_expunged: Duration::from_hours(7 * 24),
            retention: Vec::new(),
            max_mailboxes: 10_000,
            #[cfg(test)]
            journal_faults: journal::faults::Faults::default(),
        }
    }
}
