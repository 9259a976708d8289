//! Events that could not be kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use message::MessageId;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Counts them, and tells the operator once when it begins and once when it is over. Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Gap {
    total: Counter<u64, AtomicU64>,
    in_a_row: Arc<AtomicU64>,
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
        self.total.inc();
        if self.in_a_row.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(%id, %error, "events are lost from here on: the stories of messages have gaps");
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
