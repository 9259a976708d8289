//! Notes the commit that is built: what is measured is told with it, whatever is checked out by then.

use std::process::Command;

fn main() {
    let commit = git(&["describe", "--always", "--dirty", "--exclude=*"]);
    println!("cargo::rustc-env=BENCH_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    // A commit, a checkout, and changes of what is built.
    if let Some(log) = git(&["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    for source in
        ["crates", "mda/src", "msa/src", "mta/src", "proto", "tests/bench", "tests/src", "Cargo.lock"]
    {
        println!("cargo::rerun-if-changed=../../{source}");
    }
}

/// What git prints; `None` without git, or outside of a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !printed.is_empty()).then_some(printed)
}
