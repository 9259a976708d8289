use std::{fs::OpenOptions, os::unix::fs::FileExt};

use super::*;

#[test]
fn a_directory_is_made_and_opened_again() {
    let mut bench = Bench::new();
    bench.config.dir = bench.path().join("a/b");
    let (journal, _, recovery) = bench.open();
    assert_eq!(recovery, Recovery::default());
    append(&journal, "first", "body");
    journal.close().unwrap();
    let (journal, follow, recovery) = bench.open();
    assert_eq!((follow.metas(), recovery.replayed), (vec!["first".into()], 1));
    assert!(append(&journal, "second", "").position > follow.seen()[0].position);
}

#[test]
fn opening_alone_makes_no_segment() {
    let bench = Bench::new();
    for _ in 0..3 {
        let (journal, _, _) = bench.open();
        assert!(journal.segments().is_empty());
        journal.close().unwrap();
    }
}

#[test]
fn two_journals_never_share_a_directory() {
    let bench = Bench::new();
    let (journal, _, _) = bench.open();
    assert!(matches!(bench.open_error(), Error::Locked { dir } if dir == bench.path()));
    journal.close().unwrap();
    bench.open();
}

#[test]
fn a_newer_format_is_refused_untouched() {
    let bench = Bench::new();
    let (journal, _, _) = bench.open();
    append(&journal, "kept", "body");
    let crashed = bench.crash();
    let path = crashed.segment_path(SegmentId(1));
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&2u32.to_le_bytes(), 8).unwrap();
    let before = fs::read(&path).unwrap();
    let error = crashed.open_error();
    assert!(
        matches!(&error, Error::NewerFormat { found: 2, known: 1, path: named } if *named == path),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn replay_begins_where_the_follower_stands() {
    let bench = Bench::with_segment_bytes(3000);
    let (journal, follow, _) = bench.open();
    for number in 0..12 {
        append(&journal, numbered(number), noise(1, 700));
    }
    journal.close().unwrap();
    let seen = follow.seen();
    for applied in 0..12 {
        let follow = Follow::default();
        follow.state.lock().start_after = Some(seen[applied].position);
        let (journal, recovery) = Journal::open(bench.config.clone(), follow.clone()).unwrap();
        assert_eq!(follow.seen(), seen[applied + 1..]);
        assert_eq!(recovery.replayed, 11 - applied as u64);
        journal.close().unwrap();
    }
}

#[test]
fn a_follower_ahead_of_the_log_is_refused() {
    let bench = Bench::new();
    let (journal, _, _) = bench.open();
    let last = append(&journal, "last", "").position;
    journal.close().unwrap();
    for ahead in
        [Position { offset: last.offset + 4000, ..last }, Position { segment: SegmentId(9), offset: 64 }]
    {
        let follow = Follow::default();
        follow.state.lock().start_after = Some(ahead);
        let error = Journal::open(bench.config.clone(), follow).unwrap_err();
        assert!(matches!(error, Error::FollowerAhead { applied, .. } if applied == ahead), "{error}");
    }
}

#[test]
fn other_files_are_left_alone() {
    let bench = Bench::new();
    for name in ["README", "1.seg", "000000000000000g.seg", "0000000000000001.seg.bak"] {
        fs::write(bench.path().join(name), "mine").unwrap();
    }
    let (journal, _, _) = bench.open();
    append(&journal, "first", "");
    journal.close().unwrap();
    assert_eq!(fs::read(bench.path().join("1.seg")).unwrap(), b"mine");
    assert_eq!(bench.open().1.metas(), ["first"]);
}

#[test]
fn a_clean_close_leaves_no_reserved_space() {
    let bench = Bench::with_segment_bytes(1 << 20);
    let (journal, _, _) = bench.open();
    append(&journal, "small", "body");
    journal.close().unwrap();
    assert!(fs::metadata(bench.segment_path(SegmentId(1))).unwrap().len() < 200);
}
