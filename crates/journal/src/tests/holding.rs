//! Copies of a journal that is written to.

use std::fs;

use super::*;
use crate::{HeldSegment, Verdict};

#[test]
fn what_is_held_can_be_copied_and_opened_while_appends_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { segment_bytes: 4096, min_free_bytes: 0, ..Config::new(dir.path()) };
    let (journal, _) = Journal::open(config, ()).unwrap();
    let append = |n: usize| {
        let record = Record { kind: 1, meta: format!("record {n}").into(), body: vec![b'x'; 500].into() };
        journal.append(record).wait().unwrap();
    };
    (0..20).for_each(append);
    let held = journal.hold().unwrap();
    let newest = held.segments().last().unwrap();
    assert!(held.segments().len() > 2 && !newest.sealed);
    let first = held.segments()[0].segment;
    (20..40).for_each(append);
    let refused = journal.reclaim(first, |_| Verdict::Drop);
    assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");

    let copy = tempfile::tempdir().unwrap();
    for HeldSegment { path, bytes, .. } in held.segments() {
        let octets = fs::read(path).unwrap();
        let to = copy.path().join(path.file_name().unwrap());
        fs::write(to, &octets[..usize::try_from(*bytes).unwrap()]).unwrap();
    }
    drop(held);
    journal.reclaim(first, |_| Verdict::Drop).unwrap();
    let (_, recovery) = Journal::open(Config::new(copy.path()), ()).unwrap();
    assert_eq!(recovery.replayed, 20);
}
