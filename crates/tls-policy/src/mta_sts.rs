//! SMTP MTA Strict Transport Security (RFC 8461): a domain says over HTTPS which hosts take its mail, and that these
//! prove who they are.

mod cache;
mod policy;
mod record;

pub use cache::{Applied, Cache, CacheLimits, FetchError, Source, Trouble};
pub use policy::{MAX_AGE, MAX_PATTERNS, MAX_POLICY_SIZE, Mode, MxPattern, Policy, PolicyError};
pub use record::{Record, RecordError, select};
pub(crate) use record::{is_extension_name, is_extension_value};

/// Where a domain's record stands in DNS (RFC 8461 §3.1).
pub fn record_name(domain: &str) -> String {
    format!("_mta-sts.{domain}")
}

/// The host that serves a domain's policy (RFC 8461 §3.3).
pub fn policy_host(domain: &str) -> String {
    format!("mta-sts.{domain}")
}

/// The path of the policy on that host (RFC 8461 §3.3).
pub const POLICY_PATH: &str = "/.well-known/mta-sts.txt";
