//! When, where and of what a result was made.

use jiff::Timestamp;
use pipeline_tests::Machine;
use serde::{Deserialize, Serialize};

/// Where a result comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The day, such as `2026-11-28`.
    pub date: String,
    /// The commit that the program, and Waypost in it, was built from; marked if there were changes.
    pub commit: String,
    /// Cores, processor, memory, kernel.
    pub machine: String,
}

impl Origin {
    /// Of what runs here and now.
    pub(crate) fn of_now() -> Self {
        let date = Timestamp::now().strftime("%Y-%m-%d").to_string();
        Self { date, commit: env!("COMMIT").to_owned(), machine: Machine::this().to_string() }
    }
}
