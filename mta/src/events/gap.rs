//! Events that could not be kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use message::MessageId;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// What that means.
const GAPS: &str = "the stories of messages have gaps";

/// Counts them, and tells the operator once when it begins and once when it is over. Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Gap {
    total: Counter<u64, AtomicU64>,
    in_a_row: Arc<AtomicU64>,
    /// Those that the log had taken and then lost, as far as they are counted here.
    taken_back: Arc<AtomicU64>,
}

impl Gap {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "mta_events_lost",
            "Events that the log of events did not take",
            self.total.clone(),
        );
    }

    /// An event was lost.
    pub(super) fn lost(&self, id: MessageId, error: &journal::Error) {
        self.count(1, || tracing::warn!(%id, %error, "events are lost from here on: {GAPS}"));
    }

    /// The log has lost so many in all that it had taken. Says whether that is more than were counted before.
    pub(super) fn taken_back(&self, all: u64) -> bool {
        let before = self.taken_back.fetch_max(all, Ordering::Relaxed);
        let lost = all.saturating_sub(before);
        if lost > 0 {
            self.count(lost, || tracing::warn!("events could not be written and are lost: {GAPS}"));
        }
        lost > 0
    }

    fn count(&self, lost: u64, tell: impl FnOnce()) {
        self.total.inc_by(lost);
        if self.in_a_row.fetch_add(lost, Ordering::Relaxed) == 0 {
            tell();
        }
    }

    /// An event was taken.
    pub(super) fn kept(&self) {
        if self.in_a_row.load(Ordering::Relaxed) == 0 {
            return;
        }
        let lost = self.in_a_row.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "events are kept again");
        }
    }
}
