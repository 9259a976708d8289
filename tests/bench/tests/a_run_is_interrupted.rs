//! A run that is asked to stop in the midst of a load stops what it has started, and leaves nothing behind.

// It fails by panicking, in its helpers too.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use pipeline_tests::mta::root;
use pipeline_tests::program;

#[test]
fn waypost_is_stopped_and_its_files_are_gone() {
    interrupted("waypost");
}

#[test]
fn postfix_and_dovecot_are_stopped_and_their_files_are_gone() {
    if program("postfix").is_some() && program("dovecot").is_some() && root().is_some() {
        interrupted("sdbox");
    }
}

fn interrupted(system: &str) {
    // On the disk, for the folder of temporary files may be in memory.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let (dir, out) = (tempfile::tempdir_in(target).unwrap(), tempfile::tempdir().unwrap());
    let mut bench = Command::new(env!("CARGO_BIN_EXE_bench"));
    bench.args(["run", "--only", "inbound", "--accounts", "8", "--systems", system]);
    bench.arg("--dir").arg(dir.path()).arg("--out").arg(out.path());
    // A group of its own, which is told as a whole, as a terminal does.
    let mut bench =
        bench.process_group(0).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("bench starts");
    let mut said = BufReader::new(bench.stderr.take().expect("its errors"));
    // The first point is told of; the next ones take many seconds.
    let mut line = String::new();
    while !line.starts_with("1/3 inbound") {
        line.clear();
        assert!(said.read_line(&mut line).expect("a line") > 0, "it ended early");
    }
    let asked = Command::new("kill").args(["-INT", "--"]).arg(format!("-{}", bench.id())).status();
    assert!(asked.is_ok_and(|status| status.success()), "it is asked to stop");
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("what it says then");
    assert_eq!(bench.wait().expect("its end").code(), Some(128 + 2), "{rest}");
    assert!(rest.ends_with("bench: interrupted; all that it had started is stopped\n"), "{rest}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "its folder is gone");
    assert_eq!(processes_in(dir.path()), [] as [String; 0]);
    let figures = fs::read_dir(out.path()).unwrap().next().unwrap().unwrap().path();
    let kept = fs::read_to_string(figures).unwrap();
    assert_eq!((kept.matches("\"measured\"").count(), kept.contains("\"failed\"")), (1, false), "{kept}");
}

/// The command lines of the processes that are told of a file in a folder, or work in one.
fn processes_in(dir: &Path) -> Vec<String> {
    let dir = dir.canonicalize().expect("the folder");
    let processes = fs::read_dir("/proc").expect("processes").flatten().map(|entry| entry.path());
    let found = processes.filter_map(|process| {
        let line = fs::read(process.join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let works_there = fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&dir));
        (works_there || line.contains(dir.to_str()?)).then_some(line)
    });
    found.collect()
}
