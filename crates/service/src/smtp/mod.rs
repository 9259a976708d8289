//! SMTP over sockets: drivers around the state machines of the `smtp` crate.

use std::time::Duration;

pub mod client;
pub mod envelope;
pub mod server;
mod tls;

pub use tls::TlsFacts;

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}
