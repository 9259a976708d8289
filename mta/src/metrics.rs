//! What the MTA counts.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use proto::mta::RecipientState;

use crate::queue::Queue;

/// The MTA's metrics. Cheap to clone; the clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    accepted: Family<AcceptedLabels, Counter<u64, AtomicU64>>,
    outcomes: Family<OutcomeLabels, Counter<u64, AtomicU64>>,
    bytes: Counter<u64, AtomicU64>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AcceptedLabels {
    /// `direct` to the MDA, or `spool`.
    way: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// How a message was made safe before it was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// At the recipients' MDA.
    Direct,
    /// In this node's spool.
    Spool,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "mta_messages_accepted",
            "Messages acknowledged, by how they were made safe",
            metrics.accepted.clone(),
        );
        registry.register("mta_octets_accepted", "Octets of messages acknowledged", metrics.bytes.clone());
        registry.register(
            "mta_recipient_outcomes",
            "Attempts and hand-overs, by what they came to for a recipient",
            metrics.outcomes.clone(),
        );
        metrics
    }

    /// Registers what waits in `queue`, as seen when it is asked for.
    pub(crate) fn watch_queue(registry: &mut Registry, queue: &Arc<Queue>) {
        registry.register_collector(Box::new(Waiting(Arc::downgrade(queue))));
    }

    pub(crate) fn accepted(&self, way: Way, bytes: u64) {
        let way = match way {
            Way::Direct => "direct",
            Way::Spool => "spool",
        };
        self.accepted.get_or_create(&AcceptedLabels { way }).inc();
        self.bytes.inc_by(bytes);
    }

    /// A recipient came into a state.
    pub(crate) fn settled(&self, state: RecipientState) {
        let outcome = match state {
            RecipientState::Delivered => "delivered",
            RecipientState::Bounced => "bounced",
            RecipientState::Expired => "expired",
            RecipientState::Dropped => "dropped",
            RecipientState::Transferred => "transferred",
            RecipientState::Unspecified | RecipientState::Queued | RecipientState::InFlight => "deferred",
        };
        self.outcomes.get_or_create(&OutcomeLabels { outcome }).inc();
    }
}

/// What waits in the queue.
#[derive(Debug)]
struct Waiting(Weak<Queue>);

impl Collector for Waiting {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(queue) = self.0.upgrade() else { return Ok(()) };
        let gauges = [
            ("mta_spool_messages", "Messages in the spool", queue.messages()),
            ("mta_queue_units", "Attempts that wait or stand in line", queue.len()),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}
