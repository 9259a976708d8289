//! What a service tells about itself: log lines on standard error, metrics and probes over HTTP.

mod http;
mod log;
mod process;

pub use self::http::{HttpServer, Readiness};
pub use log::{LogError, init};
pub use process::registry;

#[cfg(test)]
mod tests;
