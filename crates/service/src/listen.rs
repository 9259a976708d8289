//! Listening: sockets bound with errors that name the address, and an accept loop that keeps its limits and outlives
//! a shortage of descriptors.

mod accept;
mod bind;
mod descriptors;
mod limit;
mod network;
pub mod proxy;

pub(crate) use accept::Acceptor;
pub use accept::{Listener, ListenerOptions};
pub use bind::{ListenError, bind};
pub use descriptors::raise_descriptor_limit;
pub use limit::{Limits, ListenMetrics, Permit};
pub use network::{Network, ParseNetworkError};

#[cfg(test)]
mod tests;
