//! Mail from other MTAs: what stands between port 25 and the intake.
//!
//! ```text
//! connected: limits of its network, DNS lists (while it waits for its greeting)
//! MAIL:      limits, priority, sender verified
//! RCPT:      limits, score, who exists, greylist, recipient verified at its next hop
//! message:   intake
//! ```

mod config;
mod greylist;
mod limits;
mod metrics;
mod policy;
mod recent;
mod reputation;
mod session;
mod verify;

pub use config::{
    DnsList, EarlyTalkers, GreylistConfig, NetworkLimitsConfig, ReceivingConfig, RelayDomainError,
    ReputationConfig, VerifyConfig,
};
pub(crate) use metrics::Metrics;
pub(crate) use policy::Policy;
pub(crate) use session::{Inbound, Session};
pub(crate) use verify::Prober;
