//! The build script of what measures and tests: notes the commit that is built, so that results are told with it, whatever is
//! checked out by the time that they are there.

// It speaks to cargo.
#![allow(clippy::print_stdout)]

use std::process::Command;

fn main() {
    println!("cargo::rustc-env=COMMIT={}", commit());
    // A commit, a checkout, and changes of what is built.
    if let Some(log) = git(&["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    for source in [
        "Cargo.lock",
        "crates",
        "deploy/src",
        "mda/src",
        "msa/src",
        "mta/src",
        "proto",
        "tests/bench",
        "tests/faults",
        "tests/src",
    ] {
        println!("cargo::rerun-if-changed=../../{source}");
    }
}

/// The commit, with `-dirty` if what is built was changed since; what is written of runs before this one, below `docs`, is
/// not.
fn commit() -> String {
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".to_owned() };
    let is_changed = git(&["status", "--porcelain", "--", ":(top)", ":(top,exclude)docs"]).is_some();
    if is_changed { commit + "-dirty" } else { commit }
}

/// What git prints; `None` without git, outside of a repository, or if it prints nothing.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !printed.is_empty()).then_some(printed)
}
