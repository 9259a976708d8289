//! The harness of the scenarios: a pipeline of real processes, and the programs that people use with it.

pub mod clients;
mod peer;
mod pipeline;
mod wait;

pub use peer::{Program, program, python};
pub use pipeline::{Options, Pipeline, Service};
pub use wait::{eventually, eventually_within};
