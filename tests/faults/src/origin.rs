//! When, where and of what a result was made.

use std::fs;
use std::process::Command;
use std::thread;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a result comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The day, such as `2026-11-28`.
    pub date: String,
    /// The commit; `+` behind it if there were changes.
    pub commit: String,
    /// Cores, processor, memory, kernel.
    pub machine: String,
}

impl Origin {
    /// Of what runs here and now.
    pub(crate) fn of_now() -> Self {
        let date = Timestamp::now().strftime("%Y-%m-%d").to_string();
        Self { date, commit: commit(), machine: machine() }
    }
}

fn commit() -> String {
    let hash = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    // What is written of the runs before this one changes nothing that is tested.
    let changes = git(&["status", "--porcelain", "--", ":(top)", ":(top,exclude)docs"]);
    let is_changed = changes.is_some_and(|changes| !changes.is_empty());
    if is_changed { hash + "+" } else { hash }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn machine() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let processor = value_in("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory =
        value_in("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    let memory = memory.unwrap_or(0).div_ceil(1 << 20);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim();
    format!("{cores} cores ({processor}), {memory} GiB of memory, Linux {kernel}")
}

/// The first value of a key in one of the kernel's files.
fn value_in(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
