//! The MTA: takes messages from MSAs and other MTAs, queues them and hands them on.
//!
//! ```text
//! receiving, transfer → intake ─┬─ straight to the MDA ─────────────────────┐
//!                             └─ spool → queue → route → deliver → settle ┴→ events
//! ```

#![forbid(unsafe_code)]

mod clock;
mod config;
mod deliver;
mod emptying;
mod events;
mod housekeeping;
mod intake;
mod metrics;
mod program;
mod queue;
mod queue_rpc;
mod receiving;
mod reply;
mod routing;
mod server;
mod site;
mod spool;
mod tls;
mod transfer;

pub use config::{Config, ConfigError, EventsConfig, Limits, OutboundConfig, SmtpConfig};
pub use program::{main, main_from};
pub use queue::{RateConfig, RetryConfig, RetryError, RetryRuleConfig, SitesConfig};
pub use receiving::{
    DnsList, EarlyTalkers, GreylistConfig, NetworkLimitsConfig, ReceivingConfig, RelayDomainError,
    ReputationConfig, VerifyConfig,
};
pub use routing::{RouteConfig, RouteError, RouteTls, RouteTo};
pub use server::{BuildError, Mta, build};
pub use spool::SpoolConfig;
pub use tls::{DaneConfig, MtaStsConfig, TlsReportConfig, TlsSetupError};
