//! What is fuzzed: functions that take any octets, return if all is well, and panic if not. `main.rs` gives them what
//! libFuzzer makes up, `scenarios/fuzzing_finds_nothing_new.rs` what was kept of that.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use journal::{Config, Journal, OnCorruption, Record};
use message::envelope::Envelope;
use message::mime::{Decoder, Encoding, Structure};

/// A target's name, and what it does with octets.
type Target = (&'static str, fn(&[u8]));

/// All of them.
pub(super) const TARGETS: [Target; 5] = [
    ("imap", mda::fuzzing::imap),
    ("journal", journal),
    ("mime", mime),
    ("pop3", mda::fuzzing::pop3),
    ("rows", mda::fuzzing::rows),
];

/// A message: its structure lies within it, and can be kept.
fn mime(message: &[u8]) {
    let structure = Structure::parse(message);
    for path in [&[1][..], &[2], &[1, 1], &[2, 1, 1]] {
        if let Some(part) = structure.part(path) {
            assert!(part.body.start <= part.body.end && part.body.end <= message.len());
            let mut decoded = Vec::new();
            let mut decoder = Decoder::new(&part.encoding);
            decoder.push(&message[part.body.clone()], &mut decoded);
            decoder.finish(&mut decoded);
        }
    }
    Envelope::parse(message);
    let mut decoded = Vec::new();
    let mut decoder = Decoder::new(&Encoding::QuotedPrintable);
    message.chunks(3).for_each(|piece| decoder.push(piece, &mut decoded));
    decoder.finish(&mut decoded);
    mda::fuzzing::outline(message);
}

/// A segment of a journal that some octets were changed in, or that ends early: it opens, or says why not, and what it
/// still has can be read or is refused.
fn journal(input: &[u8]) {
    static WHOLE: LazyLock<(String, Vec<u8>)> = LazyLock::new(segment);
    let (name, whole) = &*WHOLE;
    let Some((kind, changes)) = input.split_first() else { return };
    let mut octets = whole.clone();
    if kind % 2 == 0 {
        for change in changes.chunks_exact(3) {
            let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % octets.len();
            octets[at] ^= change[2];
        }
    } else {
        octets.truncate(usize::from(*kind) * octets.len() / 255);
        octets.extend_from_slice(changes);
    }
    let folder = folder();
    fs::write(folder.path().join(name), octets).expect("a file in memory");
    if let Ok((journal, _)) = Journal::open(config(folder.path()), ()) {
        let mut bodies = Vec::new();
        journal
            .scan(None, |entry| {
                bodies.push(entry.body.clone());
                Ok(())
            })
            .ok();
        for body in bodies {
            journal.read(&body, 0..u64::MAX).ok();
        }
        let record = Record { kind: 1, meta: "goes on".into(), body: "more".into() };
        if let Ok(appended) = journal.append(record).wait() {
            assert_eq!(journal.read(&appended.body, 0..4).expect("what was written"), "more");
        }
        journal.close().ok();
    }
}

/// A segment with a few records, and its file's name.
fn segment() -> (String, Vec<u8>) {
    let folder = folder();
    let (journal, _) = Journal::open(config(folder.path()), ()).expect("a new journal");
    for n in 0_u8..4 {
        let body = vec![n; usize::from(n) * 300];
        journal.append(Record { kind: n, meta: "meta".into(), body: body.into() }).wait().expect("room");
    }
    journal.close().expect("a journal that works");
    let files = fs::read_dir(folder.path()).expect("the journal").flatten();
    let mut segments = files.filter(|file| file.path().extension().is_some_and(|end| end == "seg"));
    let segment = segments.next().expect("a segment");
    (segment.file_name().to_string_lossy().into_owned(), fs::read(segment.path()).expect("the segment"))
}

fn config(folder: &Path) -> Config {
    let on_corruption = OnCorruption::Quarantine;
    Config { segment_bytes: 64 << 10, min_free_bytes: 0, on_corruption, ..Config::new(folder) }
}

/// In memory where that is possible: fuzzing syncs very often.
fn folder() -> tempfile::TempDir {
    let in_memory = Path::new("/dev/shm");
    let folder = if in_memory.is_dir() { tempfile::tempdir_in(in_memory) } else { tempfile::tempdir() };
    folder.expect("a temporary folder")
}
