//! One MTA over real sockets: mutual TLS to a directory and an MDA that follow a script, DNS from a server on loopback,
//! and scripted MX hosts on loopback addresses of their own.
#![cfg(test)]
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "tests, and what only they use")]

mod client;
mod exchange;
mod host;
mod mda;
mod names;
mod node;
mod policies;
mod stranger;
mod taker;

mod conversion;
mod draining;
mod events;
mod fairness;
mod inbound;
mod misbehaviour;
mod outbound;
mod protection;
mod receiving;
mod reports;
mod retries;
mod routing;
mod silence;
mod sites;
mod steering;
mod suspending;
mod transfer;
