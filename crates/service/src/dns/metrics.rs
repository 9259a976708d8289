//! What is counted of the DNS.

use std::sync::atomic::AtomicU64;

use hickory_resolver::proto::rr::RecordType;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::answer::Outcome;

/// Answers, by type, source and what they said.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    answers: Family<Labels, Counter<u64, AtomicU64>>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    kind: &'static str,
    source: &'static str,
    outcome: &'static str,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A name server.
    Server,
    /// The cache, within its time.
    Cache,
    /// The cache, behind its time, because no server answered.
    Stale,
}

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "dns_answers",
            "Answers about names, by the type of record, who gave them (server, cache, stale: the cache in place of \
             servers that do not answer) and what they said",
            self.answers.clone(),
        );
    }

    pub(super) fn answered(&self, kind: RecordType, source: Source, outcome: &Outcome) {
        let source = match source {
            Source::Server => "server",
            Source::Cache => "cache",
            Source::Stale => "stale",
        };
        let outcome = match outcome {
            Outcome::Found { .. } => "found",
            Outcome::NoSuchDomain | Outcome::NoData => "none",
            Outcome::Bogus => "bogus",
            Outcome::Failed { .. } => "failed",
        };
        self.answers.get_or_create(&Labels { kind: kind.into(), source, outcome }).inc();
    }
}
