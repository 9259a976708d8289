//! How many connections there may be, in all and from one network, and the metrics of it.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::network::Network;

/// What is counted at the listeners of a service, by the listener's name.
#[derive(Clone, Debug, Default)]
pub struct ListenMetrics {
    pub(super) accepted: Family<ListenerLabel, Counter>,
    pub(super) refused: Family<ListenerLabel, Counter>,
    pub(super) errors: Family<ListenerLabel, Counter>,
    pub(super) open: Family<ListenerLabel, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ListenerLabel {
    listener: &'static str,
}

impl ListenerLabel {
    pub(super) fn new(listener: &'static str) -> Self {
        Self { listener }
    }
}

impl ListenMetrics {
    /// Registers the metrics, once per registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("connections_accepted", "Connections accepted", metrics.accepted.clone());
        registry.register("connections_refused", "Connections closed at a limit", metrics.refused.clone());
        registry.register("accept_errors", "Failures to accept a connection", metrics.errors.clone());
        registry.register("connections_open", "Connections open now", metrics.open.clone());
        metrics
    }
}

/// The limits of one listener.
#[derive(Clone, Debug)]
pub struct Limits {
    total: Arc<Semaphore>,
    sources: Option<Arc<Sources>>,
}

/// A connection's share of the limits; dropping it gives the share back.
#[derive(Debug)]
pub struct Permit {
    _total: OwnedSemaphorePermit,
    _source: Option<SourcePermit>,
}

impl Limits {
    /// At most so many at a time, and so many of them from one /24 (IPv4) or /64 (IPv6).
    pub fn new(total: usize, per_network: Option<usize>) -> Self {
        Self {
            total: Arc::new(Semaphore::new(total.min(Semaphore::MAX_PERMITS))),
            sources: per_network.map(|limit| Arc::new(Sources { limit, open: Mutex::default() })),
        }
    }

    /// A permit for a connection from `source`, if neither limit is reached.
    pub fn admit(&self, source: IpAddr) -> Option<Permit> {
        let total = self.total.clone().try_acquire_owned().ok()?;
        let source = match &self.sources {
            Some(sources) => Some(sources.admit(Network::of_client(source))?),
            None => None,
        };
        Some(Permit { _total: total, _source: source })
    }
}

#[derive(Debug)]
struct Sources {
    limit: usize,
    /// Open connections by network; a network without any has no entry, so the map is bounded by the total limit.
    open: Mutex<HashMap<Network, usize>>,
}

#[derive(Debug)]
struct SourcePermit {
    sources: Arc<Sources>,
    network: Network,
}

impl Sources {
    fn admit(self: &Arc<Self>, network: Network) -> Option<SourcePermit> {
        let mut open = self.open.lock();
        let count = open.get(&network).copied().unwrap_or(0);
        if count >= self.limit {
            return None;
        }
        open.insert(network, count + 1);
        Some(SourcePermit { sources: self.clone(), network })
    }
}

impl Drop for SourcePermit {
    fn drop(&mut self) {
        let mut open = self.sources.open.lock();
        if let Some(count) = open.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.network);
            }
        }
    }
}
