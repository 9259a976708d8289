//! The whole way of a comparison, with very little load: both systems are started and measured, and the figures become a
//! page of documentation.

use std::fs;
use std::path::Path;
use std::process::Command;

use pipeline_tests::mta::root;
use pipeline_tests::program;

#[test]
fn from_systems_to_documentation() {
    if program("postfix").is_none() || program("dovecot").is_none() || root().is_none() {
        return;
    }
    // On the disk, for the folder of temporary files may be in memory.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let out = tempfile::tempdir_in(target).unwrap();
    bench(&["run", "--quick", "--only", "inbound,imap-login", "--systems", "waypost,sdbox"], |command| {
        command.arg("--dir").arg(target).arg("--out").arg(out.path())
    });
    let kept = fs::read_dir(out.path()).unwrap().next().unwrap().unwrap().path();
    let figures = fs::read_to_string(&kept).unwrap();
    assert!(!figures.contains(r#"{"failed":"#), "{figures}");
    bench(&["report"], |command| command.arg(&kept).arg("--docs").arg(out.path().join("docs")));
    let page = fs::read_to_string(out.path().join("docs/performance.md")).unwrap();
    for part in ["| Waypost |", "| Postfix+Dovecot sdbox |", "inbound of 4 KiB: rate at least"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

fn bench(arguments: &[&str], more: impl FnOnce(&mut Command) -> &mut Command) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    let output = more(command.args(arguments)).output();
    let output = output.unwrap_or_else(|error| panic!("bench does not start: {error}"));
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
