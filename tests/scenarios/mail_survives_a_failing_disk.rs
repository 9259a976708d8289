//! Whatever is wrong with the disk of an MTA's spool: mail that it has taken stays, and goes once, and it takes none that
//! it could not keep.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pipeline_tests::load::{Door, Fate, Load, Mix, REMOTE, Sent};
use pipeline_tests::{Disk, Options, Pipeline, Remote, Session, Tally, eventually, metric};
use serde_json::Value;

use crate::WAYPOST;

const MIB: u64 = 1 << 20;
/// The room on the disk, and how much of it has to stay free.
const ROOM: u64 = 48 * MIB;
const MIN_FREE: u64 = 8 * MIB;
/// Messages that show that something goes on.
const SOME: u64 = 10;
/// Nobody listens there.
const NOWHERE: &str = "1";

const OUTBOUND_PORT: &str = "WAYPOST_MTA__OUTBOUND__PORT";

/// A pipeline whose MTA has its spool on this disk, and tries again soon.
fn start(disk: &Disk, outbound_port: &str) -> Pipeline {
    let environment = vec![
        (OUTBOUND_PORT, outbound_port.to_owned()),
        ("WAYPOST_MTA__RETRY__FIRST", "500ms".to_owned()),
        ("WAYPOST_MTA__RETRY__LONGEST", "1s".to_owned()),
        ("WAYPOST_MTA__SPOOL__DIR", disk.folder().display().to_string()),
        ("WAYPOST_MTA__SPOOL__MIN_FREE", MIN_FREE.to_string()),
        ("WAYPOST_MTA__SPOOL__SEGMENT_SIZE", "1MiB".to_owned()),
    ];
    Pipeline::start(WAYPOST, &Options { environment, ..Options::default() })
}

const MIX: Mix = Mix { smtp: 1, submissions: 4, reports: false, remote: true };

fn some_are_taken(load: &Load, door: Door) {
    let before = load.acknowledged(door);
    eventually("mail to be taken", || (load.acknowledged(door) >= before + SOME).then_some(()));
}

fn some_are_refused(load: &Load) {
    let before = load.refused();
    eventually("mail to be refused", || (load.refused() >= before + SOME).then_some(()));
}

/// Everything that was promised has come, and nothing came again; what was refused, was so with this reply.
fn settle(pipeline: &Pipeline, load: Load, remote: &Remote, refusal: &str) {
    let outcome = load.stop();
    let tally = Tally::when_settled(pipeline);
    tally.check(&outcome.sent);
    assert_eq!(
        remote.check(&outcome.sent),
        0,
        "what was sent is known, whether or not it can be written down"
    );
    let mut refused = 0;
    for sent in &outcome.sent {
        match &sent.fate {
            Fate::Acknowledged => {}
            Fate::Refused(reply) => {
                assert!(reply.starts_with(refusal), "{reply}");
                refused += 1;
            }
            Fate::Unknown(error) => panic!("no answer: {error}"),
        }
    }
    println!("{} sent, {refused} of them refused with {refusal}; none lost, none twice", outcome.sent.len());
}

#[test]
fn that_is_full() {
    let Some(disk) = Disk::mount(ROOM) else { return };
    let remote = Remote::start();
    let pipeline = start(&disk, &remote.port().to_string());
    let load = Load::start(&pipeline, MIX);
    some_are_taken(&load, Door::Submissions);

    // With less than what has to stay free mail leaves, and none is taken but what goes straight to mailboxes.
    disk.fill(MIN_FREE - MIB);
    some_are_refused(&load);
    some_are_taken(&load, Door::Smtp);
    eventually("the spool to be empty", || (waiting(&pipeline).is_empty()).then_some(()));
    disk.empty();
    some_are_taken(&load, Door::Submissions);

    // Without any room not even an attempt can be written down, so none is made.
    disk.fill(0);
    some_are_refused(&load);
    some_are_taken(&load, Door::Smtp);
    disk.empty();
    some_are_taken(&load, Door::Submissions);
    settle(&pipeline, load, &remote, "452 4.3.1");
}

#[test]
fn that_is_read_only_from_some_moment_on() {
    let Some(disk) = Disk::mount(ROOM) else { return };
    let remote = Remote::start();
    let pipeline = start(&disk, &remote.port().to_string());
    let load = Load::start(&pipeline, MIX);
    some_are_taken(&load, Door::Submissions);
    // What is open can still be written. The next segment cannot be made.
    disk.protect();
    some_are_refused(&load);
    some_are_taken(&load, Door::Smtp);
    disk.unprotect();
    some_are_taken(&load, Door::Submissions);
    settle(&pipeline, load, &remote, "451 4.3.0");
}

#[test]
fn that_is_read_only_at_the_start() {
    let Some(disk) = Disk::mount(ROOM) else { return };
    let remote = Remote::start();
    let mut pipeline = start(&disk, NOWHERE);
    let sent = leave_some(&pipeline, 3);
    pipeline.down();
    let before = contents(&disk.folder());

    disk.protect();
    let said = pipeline.cannot_come_up();
    assert!(said.contains("waypost: cannot start mta: "), "{said}");
    assert!(said.contains("cannot open the spool in ") && said.contains("Read-only file system"), "{said}");
    disk.unprotect();
    assert!(contents(&disk.folder()) == before, "it has changed");

    pipeline.set(OUTBOUND_PORT, remote.port().to_string());
    pipeline.up();
    Tally::when_settled(&pipeline).check(&sent);
    assert_eq!(remote.check(&sent), 0);
}

#[test]
fn that_gives_back_other_octets() {
    let Some(disk) = Disk::mount(ROOM) else { return };
    let remote = Remote::start();
    let mut pipeline = start(&disk, NOWHERE);
    let mut sent = leave_some(&pipeline, 5);
    let ids = waiting(&pipeline);
    assert_eq!(ids.len(), sent.len());
    pipeline.down();
    // The first message's envelope, and another one's text.
    damage(&disk.folder(), &ids[0]);
    damage(&disk.folder(), &format!("{} 000000", sent[2].token));

    pipeline.set(OUTBOUND_PORT, remote.port().to_string());
    pipeline.up();
    // What cannot be read stays where people can look at it, and holds up nothing.
    assert_eq!(metric(&pipeline, "mta", "waypost_mta_spool_set_aside_total").expect("the metrics"), 1);
    let log = fs::read_to_string(pipeline.data().join("log/mta.log")).expect("the log");
    assert!(log.contains("a part of the spool cannot be read and is set aside"), "{log}");
    // Whose text is damaged is known still, so the sender hears of it.
    let story = eventually("the end of the message", || {
        let story = pipeline.waypost(&["trace", &ids[2]]);
        let story = String::from_utf8_lossy(&story.stdout).into_owned();
        story.contains("damaged in storage").then_some(story)
    });
    assert!(story.contains("failed for good"), "{story}");
    eventually("the report", || {
        let mut reports = 0;
        let read = pipeline_tests::read_inbox(&pipeline, "alice@example.test", 1, "BODY.PEEK[]", |stored| {
            reports += usize::from(String::from_utf8_lossy(&stored.octets).contains("damaged in storage"));
        });
        (read.is_ok() && reports == 1).then_some(())
    });
    for lost in [2, 0] {
        sent.remove(lost);
    }
    eventually("the spool to be empty", || waiting(&pipeline).is_empty().then_some(()));
    assert_eq!(remote.check(&sent), 0);
    // Nor does that change with the next start.
    pipeline.down();
    pipeline.up();
    assert_eq!(metric(&pipeline, "mta", "waypost_mta_spool_set_aside_total").expect("the metrics"), 1);
    assert!(waiting(&pipeline).is_empty());
}

/// Hands over messages to people elsewhere, who cannot be reached.
fn leave_some(pipeline: &Pipeline, count: usize) -> Vec<Sent> {
    let mut session = Session::submission(pipeline).expect("a session");
    let sent = (0..count).map(|number| {
        let message = Sent {
            token: format!("load-{number}-left-9"),
            door: Door::Submissions,
            recipients: vec![REMOTE[number % 2]],
            wants_report: false,
            fate: Fate::Acknowledged,
        };
        session.send(&message).expect("its 250");
        message
    });
    sent.collect()
}

/// The ids of messages that wait, oldest first.
fn waiting(pipeline: &Pipeline) -> Vec<String> {
    let list = pipeline.waypost_ok(&["queue", "list", "--json"]);
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let list = list.as_array().expect("a list");
    list.iter().map(|message| message["message_id"].as_str().expect("an id").to_owned()).collect()
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

fn contents(folder: &Path) -> Vec<Vec<u8>> {
    files(folder).expect("the spool").iter().map(|file| fs::read(file).expect("a file")).collect()
}

/// Changes an octet of the first place in a spool where this text stands.
fn damage(folder: &Path, text: &str) {
    for file in files(folder).expect("the spool") {
        let mut octets = fs::read(&file).expect("a file");
        if let Some(place) = octets.windows(text.len()).position(|window| window == text.as_bytes()) {
            octets[place + 1] ^= 1;
            return fs::write(file, octets).expect("a file that can be written");
        }
    }
    panic!("{text} is nowhere in the spool");
}
