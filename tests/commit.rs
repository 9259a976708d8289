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
    for source in SOURCES {
        println!("cargo::rerun-if-changed=../../{source}");
    }
}

/// What is built.
const SOURCES: [&str; 13] = [
    "Cargo.lock",
    "Cargo.toml",
    "crates",
    "deploy",
    "mda",
    "msa",
    "mta",
    "proto",
    "tests/Cargo.toml",
    "tests/bench",
    "tests/commit.rs",
    "tests/faults",
    "tests/src",
];

/// The commit, with `-dirty` if what is built was changed since; `unknown` without git or outside of a repository.
fn commit() -> String {
    let sources = SOURCES.map(|source| format!(":(top){source}"));
    let status = ["--no-optional-locks", "status", "--porcelain", "--"];
    let status: Vec<&str> = status.into_iter().chain(sources.iter().map(String::as_str)).collect();
    match (git(&["rev-parse", "--short", "HEAD"]), git(&status)) {
        (Some(commit), Some(changes)) if changes.is_empty() => commit,
        (Some(commit), Some(_)) => commit + "-dirty",
        _ => "unknown".to_owned(),
    }
}

/// What git prints; `None` if it fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
