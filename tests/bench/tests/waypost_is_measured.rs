//! The cases over Waypost by itself, in seconds: each of them fails if anything is refused, missing or too much.

use std::path::Path;
use std::process::Command;

#[test]
fn nothing_is_refused_or_missing_in_any_case() {
    // On the disk, for the folder of temporary files may be in memory.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let out = tempfile::tempdir().expect("a temporary folder");
    let mut bench = Command::new(env!("CARGO_BIN_EXE_bench"));
    bench.args(["run", "--quick", "--systems", "waypost", "--accounts", "8"]);
    bench.args(["--only", "submission,relay,imap-mailbox,imap-sync,imap-idle,pop3"]);
    let output = bench.arg("--dir").arg(target).arg("--out").arg(out.path()).output().expect("bench starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for case in ["submission", "relay", "imap-mailbox", "imap-sync", "imap-idle", "pop3"] {
        assert!(said.contains(case), "{said}");
    }
}
