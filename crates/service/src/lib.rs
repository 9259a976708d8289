//! What every Waypost service needs around its own idea: configuration, TLS identities, listening, gRPC server and
//! client, DNS, telemetry, draining, and the `main` that ties them together.
//!
//! It knows the contracts (`proto`) and the mail formats, and nothing of the services themselves.

#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod count;
pub mod directory;
pub mod dns;
pub mod drain;
pub mod grpc;
pub mod listen;
pub mod progress;
pub mod smtp;
pub mod status;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tls;
