//! What the MDA counts. Connections are counted by their listeners.

use prometheus_client::{
    encoding::EncodeLabelSet,
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
    /// Octets that searches take whose results IMAP clients follow.
    pub imap_context_octets: Gauge,
    /// Requests that the mail store failed at.
    pub store_errors: Counter,
    /// Messages that their mailboxes no longer kept.
    pub retired: Counter,
    /// Expunged messages whose time to be brought back was over.
    pub ended: Counter,
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
            "imap_context_octets",
            "Octets that searches take whose results IMAP clients follow",
            metrics.imap_context_octets.clone(),
        );
        registry.register(
            "store_errors",
            "Requests that the mail store failed at",
            metrics.store_errors.clone(),
        );
        registry.register("retired", "Messages that their mailboxes no longer kept", metrics.retired.clone());
        registry.register(
            "ended",
            "Expunged messages whose time to be brought back was over",
            metrics.ended.clone(),
        );
        metrics
    }

    /// Counts a recipient of a delivery.
    pub(crate) fn delivery(&self, outcome: DeliveryOutcome) {
        self.deliveries.get_or_create(&DeliveryLabels { outcome: outcome.as_str() }).inc();
    }

    /// Counts a login.
    pub fn login(&self, protocol: Protocol, outcome: LoginOutcome) {
        self.logins
            .get_or_create(&LoginLabels { protocol: protocol.as_str(), outcome: outcome.as_str() })
            .inc();
    }
}

/// How a client speaks to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// IMAP, both ports.
    Imap,
    /// POP3, both ports.
    Pop3,
    /// `Directory`, on behalf of the MSA's clients.
    Grpc,
}

impl Protocol {
    /// Its name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Grpc => "grpc",
        }
    }
}

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl LoginOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Wrong => "wrong",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What became of one recipient of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl DeliveryOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
            Self::Deferred => "deferred",
        }
    }
}

/// Labels of [`Metrics::deliveries`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeliveryLabels {
    outcome: &'static str,
}

/// Labels of [`Metrics::logins`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LoginLabels {
    protocol: &'static str,
    outcome: &'static str,
}

impl<T> From<&Result<T, AuthError>> for LoginOutcome {
    fn from(login: &Result<T, AuthError>) -> Self {
        login.as_ref().map_or_else(Self::from, |_| Self::Ok)
    }
}

impl From<&AuthError> for LoginOutcome {
    fn from(error: &AuthError) -> Self {
        match error {
            AuthError::Wrong => Self::Wrong,
            AuthError::Throttled { .. } => Self::Throttled,
            AuthError::Unavailable(_) => Self::Unavailable,
        }
    }
}
