//! What is counted of mail that was not taken.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The metrics of receiving. Cheap to clone; the clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    refused: Family<RefusalLabels, Counter<u64, AtomicU64>>,
    probes: Counter<u64, AtomicU64>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
}

/// Why a client, a sender or a recipient was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A limit of its network.
    Limit,
    /// Its score.
    Reputation,
    Greylist,
    /// The address does not exist at its next hop, or nobody knows.
    Verification,
    /// The recipient does not exist here.
    UnknownUser,
    /// The recipient's quota is used up.
    Quota,
    /// Neither ours nor to be relayed.
    Relay,
    /// The routing table refuses it.
    Route,
    /// The directory could not be asked.
    Directory,
    /// It spoke before it was greeted.
    EarlyTalker,
    /// It broke the protocol, or made too many errors in one session.
    Protocol,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "mta_refused",
            "Connections, senders and recipients refused at the SMTP port, by reason",
            metrics.refused.clone(),
        );
        registry.register(
            "mta_address_probes",
            "Addresses tried out at their next hop",
            metrics.probes.clone(),
        );
        metrics
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        let reason = match refusal {
            Refusal::Limit => "limit",
            Refusal::Reputation => "reputation",
            Refusal::Greylist => "greylist",
            Refusal::Verification => "verification",
            Refusal::UnknownUser => "unknown_user",
            Refusal::Quota => "quota",
            Refusal::Relay => "relay",
            Refusal::Route => "route",
            Refusal::Directory => "directory",
            Refusal::EarlyTalker => "early_talker",
            Refusal::Protocol => "protocol",
        };
        self.refused.get_or_create(&RefusalLabels { reason }).inc();
    }

    pub(super) fn probed(&self) {
        self.probes.inc();
    }
}
