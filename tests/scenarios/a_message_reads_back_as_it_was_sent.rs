//! Whatever program sends a message and whatever program reads it, it is the same message.

use std::fs;
use std::path::{Path, PathBuf};

use pipeline_tests::clients::{self, Read, Submit};
use pipeline_tests::{Options, Pipeline, Program, eventually, program, python};

use crate::WAYPOST;

/// Complete, so that the MSA has nothing to add; with what has broken mail systems: dots, long lines, no ASCII.
const MESSAGE: &str = "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nFrom: Alice <alice@example.test>\r\n\
    To: bob@example.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <ID@example.test>\r\n\
    MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
    Grüße\r\n.\r\n..two dots\r\n. \r\nFrom here on\r\n\r\n\tlast line\r\n";

#[test]
fn every_program_sends_and_every_program_reads_the_same() {
    let senders: [(Option<Program>, Submit, &str); 3] = [
        (program("swaks"), clients::swaks, "swaks"),
        (program("curl"), clients::curl, "curl"),
        (python("smtplib"), clients::smtplib, "smtplib"),
    ];
    let readers: [(Option<Program>, Read, &str); 5] = [
        (program("curl"), clients::curl_imap, "curl"),
        (python("imaplib"), clients::imaplib, "imaplib"),
        (python("poplib"), clients::poplib, "poplib"),
        (program("fetchmail"), clients::fetchmail, "fetchmail"),
        (program("mbsync"), clients::mbsync, "mbsync"),
    ];
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let mut sent = Vec::new();
    for (program, submit, name) in senders {
        let Some(program) = program else { continue };
        let message = MESSAGE.replace("ID@", &format!("{name}@"));
        let file = pipeline.path(name);
        fs::write(&file, &message).unwrap();
        let output = submit(&program, &pipeline, "bob@example.test", &file);
        assert!(output.status.success(), "{name}: {output:?}");
        sent.push(message);
    }
    for (program, read, name) in readers {
        let Some(program) = program else { continue };
        let mut found = read(&program, &pipeline);
        assert_eq!(found.len(), sent.len(), "{name}");
        for message in &sent {
            let at = found.iter().position(|found| is_the_same(found, message.as_bytes()));
            let Some(at) = at else {
                panic!("{name} read no message like this:\n{message}\nbut\n{}", text(&found.concat()))
            };
            found.remove(at);
        }
    }
}

#[test]
fn every_message_of_the_corpus_comes_out_as_it_went_in() {
    let Some(python) = python("smtplib") else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let mut sent = Vec::new();
    for file in corpus() {
        let message = with_crlf(&fs::read(&file).unwrap());
        let path = pipeline.path("message.eml");
        fs::write(&path, &message).unwrap();
        let output = clients::smtplib(&python, &pipeline, "bob@example.test", &path);
        assert!(output.status.success(), "{}: {output:?}", file.display());
        sent.push((file, message));
    }
    for read in [clients::imaplib as Read, clients::poplib] {
        let found = eventually("all messages", || {
            let found = read(&python, &pipeline);
            (found.len() == sent.len()).then_some(found)
        });
        for ((file, message), found) in sent.iter().zip(found) {
            assert!(
                is_the_same(&found, message),
                "{}\n== sent\n{}\n== read\n{}",
                file.display(),
                text(message),
                text(&found)
            );
        }
    }
}

/// Whether `found` is `sent` but for trace fields before it, fields that the MSA adds where they are missing, and what
/// a client does to line ends and adds itself when it writes a file.
fn is_the_same(found: &[u8], sent: &[u8]) -> bool {
    let (found, sent) = (lines(found), lines(sent));
    let mut expected = sent.iter().peekable();
    let mut in_header = true;
    let mut added = false;
    for line in &found {
        if in_header && line.is_empty() {
            in_header = false;
        }
        if expected.peek() == Some(&line) {
            expected.next();
            added = false;
            continue;
        }
        let is_fold = line.first().is_some_and(|byte| b" \t".contains(byte));
        let fields = ["Return-Path:", "Received:", "Date:", "Message-ID:", "From:", "Sender:", "X-TUID:"];
        let is_addition = fields.iter().any(|field| line.starts_with(field.as_bytes()));
        added = in_header && (is_addition || (added && is_fold)) || (!in_header && line.is_empty());
        if !added {
            return false;
        }
    }
    expected.next().is_none()
}

fn lines(message: &[u8]) -> Vec<Vec<u8>> {
    let text = message.strip_suffix(b"\n").unwrap_or(message);
    text.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec()).collect()
}

fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut files: Vec<PathBuf> = ["legacy", "rfc"]
        .iter()
        .flat_map(|name| fs::read_dir(folder.join(name)).expect("the corpus"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    files.sort();
    assert!(files.len() > 50, "the corpus is whole");
    files
}

/// As a sending client does.
fn with_crlf(message: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(message.len() + 100);
    for line in lines(message) {
        text.extend_from_slice(&line);
        text.extend_from_slice(b"\r\n");
    }
    text
}

fn text(message: &[u8]) -> String {
    String::from_utf8_lossy(message).into_owned()
}
