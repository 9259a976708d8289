//! Whom mail may be given to, and how: the TLS policies that domains publish for the mail they receive.
//!
//! - [`mta_sts`]: policies over HTTPS, for domains without DNSSEC (RFC 8461);
//! - [`dane`]: certificates named in signed DNS (RFC 7672);
//! - [`tls_rpt`]: what is counted for the reports that such domains ask for (RFC 8460);
//! - [`verifier`]: the judgement on a server's certificate that either of them, or an operator, asks for.
//!
//! No sockets and no clock: lookups and time come from the caller. It knows nothing of queues, sessions or services.

#![forbid(unsafe_code)]

pub mod dane;
pub mod mta_sts;
pub mod snapshot;
pub mod tls_rpt;
pub mod verifier;
