//! What the MSA counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The MSA's metrics. Cheap to clone; the clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    messages: Family<Result, Counter>,
    logins: Family<Result, Counter>,
    bytes: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Result {
    result: &'static str,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "msa_messages",
            "Messages submitted, by what became of them",
            metrics.messages.clone(),
        );
        registry.register("msa_logins", "Attempts to log in", metrics.logins.clone());
        registry.register("msa_octets_accepted", "Octets of messages accepted", metrics.bytes.clone());
        metrics
    }

    pub(crate) fn accepted(&self, bytes: u64) {
        self.messages.get_or_create(&Result { result: "accepted" }).inc();
        self.bytes.inc_by(bytes);
    }

    pub(crate) fn refused(&self) {
        self.messages.get_or_create(&Result { result: "refused" }).inc();
    }

    pub(crate) fn login(&self, succeeded: bool) {
        let result = if succeeded { "succeeded" } else { "failed" };
        self.logins.get_or_create(&Result { result }).inc();
    }
}
