//! The MSA: takes mail from people and programs, completes it and hands it to an MTA. It keeps nothing: its 250 is the
//! MTA's receipt.
//!
//! ```text
//! session (SMTP), submit_rpc (gRPC) → draft (check, complete) → hand_over (to an MTA, or another)
//! ```

#![forbid(unsafe_code)]

mod config;
mod draft;
mod exchanges;
mod hand_over;
mod metrics;
mod program;
mod sender;
mod server;
mod session;
mod submission;
mod submit_rpc;

pub use config::{CertificatesConfig, Config, Limits, SubmissionConfig, SubmissionsConfig};
pub use program::{main, main_from};
pub use server::{BuildError, Msa, build};
