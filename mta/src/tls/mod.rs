//! TLS towards other MTAs: what each host has to show before it gets mail, and what it did show.
//!
//! Three have a say. The **route** of the operator; the **recipient's domain**, by DANE (RFC 7672) or MTA-STS (RFC 8461);
//! the **sender**, by REQUIRETLS or `TLS-Required: No` (RFC 8689). [`TlsPolicies::decide`] makes one [`Decision`] of them
//! for each host. What policies apply is a matter of the domain, and not of the host: two domains at one host may ask for
//! different things, so a session is used for another domain only if it [meets](Decision::check) that one's decision.
//!
//! Whatever is weaker than what could have been is told: [`Decision::notes`] stands in the trace.

mod config;
mod connectors;
mod dane;
mod decide;
mod decision;
mod https;
mod published;
mod reporting;
mod results;
mod setup;
mod source;
mod upkeep;
mod wish;

pub use config::{DaneConfig, MtaStsConfig, TlsReportConfig};
pub(crate) use decide::TlsPolicies;
pub(crate) use decision::{Decision, Ended, Ends, Refusal};
pub use setup::TlsSetupError;
pub(crate) use wish::{Wish, has_opted_out};
