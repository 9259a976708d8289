//! Faults that Waypost has to survive, as scenarios over real processes: what was acknowledged, delivered, duplicated
//! and lost is counted.
//!
//! A [`Scenario`] is run in a [`Form`], short or long, and gives an [`Outcome`]. The program `faults` runs them, prints
//! a table and writes `docs/reliability.md`; `cargo test` runs each one's short form. A new scenario is a file in
//! `scenarios`, a line in its list and one in `tests/short_forms.rs`.

// Scenarios fail by panicking, in their helpers too; the program prints, for people.
#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod command;
mod origin;
mod outcome;
mod report;
mod results;
mod run;
mod scenario;
mod scenarios;
mod table;

pub use command::{AS_WAYPOST, main};
pub use outcome::{Figure, Outcome};
pub use run::run;
pub use scenario::{Form, Promise, Scenario};
pub use scenarios::{SCENARIOS, scenario};
