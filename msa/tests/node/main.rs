//! One MSA over real sockets: mutual TLS to a directory and MTAs that follow a script, and mail programs at its door.
#![cfg(test)]
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "tests, and what only they use")]

mod client;
mod directory;
mod mta;
mod node;

mod program;
mod session;
