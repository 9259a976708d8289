//! The harness of the scenarios: a pipeline of real processes, and the programs that people use with it.

// All of it runs in tests, which fail by panicking and tell why on standard error.
#![allow(clippy::expect_used, clippy::print_stderr)]

mod certificate;
pub mod clients;
mod disk;
mod dns;
pub mod load;
mod machine;
mod mailbox;
mod metrics;
pub mod mta;
mod peer;
mod pipeline;
mod policy_host;
mod ports;
mod process;
mod provoke;
mod proxy;
mod quietly;
mod remote;
mod session;
mod table;
mod tally;
mod verdict;
mod wait;
mod wall_clock;
mod wire;

pub use certificate::{Authority, Certificate};
pub use disk::Disk;
pub use dns::{Dns, Zone};
pub use machine::Machine;
pub use mailbox::{Stored, churn, read_by_pop3, read_inbox};
pub use metrics::metric;
pub use peer::{Program, program, python};
pub use pipeline::{Options, Pipeline, Service};
pub use policy_host::PolicyHost;
pub use ports::free_port;
pub use process::{Usage, usage};
pub use provoke::{Ended, Leave, client_hello, provoke};
pub use proxy::{Network, Proxy, Way};
pub use quietly::run_quietly;
pub use remote::Remote;
pub use session::{Failure, Session};
pub use table::{Table, grouped};
pub use tally::Tally;
pub use verdict::Verdict;
pub use wait::{eventually, eventually_within, within};
pub use wall_clock::WallClock;
pub use wire::{Tls, trust};
