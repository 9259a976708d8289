//! gRPC between the services: mutual TLS with roles, health, reflection, client-side balancing, deadlines.

pub mod client;
pub mod metadata;
pub mod server;

mod stream;

/// HTTP/2 flow-control windows, in octets. The defaults of 64 KiB would cap a stream at one window per round trip.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// A connection on which nothing arrives for this long is probed …
const KEEPALIVE_INTERVAL: std::time::Duration = std::time::Duration::from_secs(10);
/// … and closed when the probe is not answered within this time.
const KEEPALIVE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

#[cfg(test)]
mod tests;
