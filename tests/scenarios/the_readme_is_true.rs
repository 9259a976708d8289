//! The commands in the README work as they stand there: only ports and the folder are those of the test's pipeline.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use pipeline_tests::{Options, Pipeline, program};

use crate::WAYPOST;

/// What `up` adds to each port unless it is told otherwise.
const DEFAULT_OFFSET: u16 = 10_000;

/// A block of commands with `<!-- tested with PROGRAM -->` or `<!-- tested -->` above it.
struct Block<'a> {
    /// The program that it needs beside ours.
    needs: Option<&'a str>,
    commands: &'a str,
}

#[test]
fn its_commands_work() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let blocks = tested_blocks(&readme);
    assert!(blocks.len() > 5, "the marks are still what this test looks for");
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let terminal = pipeline.path("terminal");
    fs::create_dir(&terminal).unwrap();
    symlink(pipeline.data(), terminal.join("waypost-data")).unwrap();
    symlink(WAYPOST, terminal.join("waypost")).unwrap();
    for Block { needs, commands } in blocks {
        if needs.is_some_and(|name| program(name).is_none()) {
            continue;
        }
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &with_ports_of(&pipeline, commands)])
            .current_dir(&terminal)
            .env("PATH", format!("{}:{}", terminal.display(), std::env::var("PATH").unwrap()))
            .envs([("ALICE", "secret"), ("BOB", "secret")])
            .stdin(Stdio::null())
            .output()
            .expect("bash starts");
        assert!(output.status.success(), "{commands}\n{output:?}");
    }
}

fn tested_blocks(readme: &str) -> Vec<Block<'_>> {
    let marked = readme.split("<!-- tested").skip(1);
    marked
        .map(|text| {
            let (mark, rest) = text.split_once(" -->\n```sh\n").expect("a block of commands below the mark");
            let (commands, _) = rest.split_once("```").expect("its end");
            Block { needs: mark.strip_prefix(" with "), commands }
        })
        .collect()
}

/// The commands with each default port made that of this pipeline.
fn with_ports_of(pipeline: &Pipeline, commands: &str) -> String {
    let offset = pipeline.address("mta", "smtp").port() - 25;
    let mut text = commands.to_owned();
    for port in [25, 465, 587, 993, 995, 8025] {
        text = text.replace(&(port + DEFAULT_OFFSET).to_string(), &(port + offset).to_string());
    }
    text
}
