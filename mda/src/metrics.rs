//! What the MDA counts. Connections are counted by their listeners.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::auth::AuthError;

/// The MDA's counters. Clones count the same.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Recipients of deliveries, by what became of them.
    pub deliveries: Family<DeliveryLabels, Counter>,
    /// Octets of messages that were stored for at least one recipient.
    pub delivered_octets: Counter,
    /// Deliveries that stream now.
    pub deliveries_open: Gauge,
    /// Logins, by protocol and outcome.
    pub logins: Family<LoginLabels, Counter>,
    /// Requests that the mail store failed at.
    pub store_errors: Counter,
}

impl Metrics {
    /// Makes the counters and shows them in the registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("mda");
        registry.register(
            "deliveries",
            "Recipients of deliveries, by what became of them",
            metrics.deliveries.clone(),
        );
        registry.register(
            "delivered_octets",
            "Octets of messages stored for at least one recipient",
            metrics.delivered_octets.clone(),
        );
        registry.register("deliveries_open", "Deliveries that stream now", metrics.deliveries_open.clone());
        registry.register("logins", "Logins, by protocol and outcome", metrics.logins.clone());
        registry.register(
            "store_errors",
            "Requests that the mail store failed at",
            metrics.store_errors.clone(),
        );
        metrics
    }

    /// Counts a recipient of a delivery.
    pub(crate) fn delivery(&self, outcome: DeliveryOutcome) {
        self.deliveries.get_or_create(&DeliveryLabels { outcome }).inc();
    }

    /// Counts a login.
    pub fn login(&self, protocol: Protocol, outcome: LoginOutcome) {
        self.logins.get_or_create(&LoginLabels { protocol, outcome }).inc();
    }
}

/// How a client speaks to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Protocol {
    /// IMAP, both ports.
    Imap,
    /// POP3, both ports.
    Pop3,
    /// `Directory.Authenticate`, on behalf of the MSA's clients.
    Grpc,
}

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum LoginOutcome {
    /// Let in.
    Ok,
    /// Wrong name or password.
    Wrong,
    /// Refused unseen.
    Throttled,
    /// Could not be checked.
    Unavailable,
}

/// What became of one recipient of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum DeliveryOutcome {
    /// Stored.
    Delivered,
    /// Was stored before.
    Duplicate,
    /// For good.
    Refused,
    /// For now.
    Deferred,
}

/// Labels of [`Metrics::deliveries`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeliveryLabels {
    outcome: DeliveryOutcome,
}

/// Labels of [`Metrics::logins`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LoginLabels {
    protocol: Protocol,
    outcome: LoginOutcome,
}

impl<T> From<&Result<T, AuthError>> for LoginOutcome {
    fn from(login: &Result<T, AuthError>) -> Self {
        match login {
            Ok(_) => Self::Ok,
            Err(AuthError::Wrong) => Self::Wrong,
            Err(AuthError::Throttled { .. }) => Self::Throttled,
            Err(AuthError::Unavailable(_)) => Self::Unavailable,
        }
    }
}
