use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::Ordering;

use super::{MOST, Rows};
use crate::store::StoreError;
use crate::store::failure::Failure;

type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn rows() -> (tempfile::TempDir, Rows) {
    let dir = tempfile::tempdir().unwrap();
    let rows = Rows::new(sled::open(dir.path()).unwrap().open_tree("rows").unwrap());
    (dir, rows)
}

fn writes(pairs: &[(&str, Option<&str>)]) -> Writes {
    pairs.iter().map(|(key, row)| (key.as_bytes().to_vec(), row.map(|row| row.as_bytes().to_vec()))).collect()
}

fn text(scan: impl Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>>) -> Vec<String> {
    let show = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    scan.map(|pair| pair.map(|(key, row)| format!("{}={}", show(&key), show(&row))).unwrap()).collect()
}

/// Some rows in sled, some in memory, some in both.
fn mixed() -> (tempfile::TempDir, Rows) {
    let (dir, rows) = rows();
    rows.apply(writes(&[("a", Some("1")), ("c", Some("1")), ("e", Some("1")), ("g", Some("1"))])).unwrap();
    rows.flush().unwrap();
    rows.apply(writes(&[("b", Some("2")), ("c", Some("2")), ("e", None), ("h", Some("2"))])).unwrap();
    (dir, rows)
}

#[test]
fn what_was_committed_last_is_read() {
    let (_dir, rows) = mixed();
    assert_eq!(rows.get(b"c").unwrap().unwrap(), b"2");
    assert_eq!(rows.get(b"g").unwrap().unwrap(), b"1");
    assert_eq!(rows.get(b"e").unwrap(), None);
    assert!(rows.contains_key(b"h").unwrap());
    assert!(!rows.contains_key(b"e").unwrap());
    assert_eq!(text(rows.iter()), ["a=1", "b=2", "c=2", "g=1", "h=2"]);
}

#[test]
fn a_scan_reads_from_both_ends_until_they_meet() {
    let (_dir, rows) = mixed();
    assert_eq!(text(rows.iter().rev()), ["h=2", "g=1", "c=2", "b=2", "a=1"]);
    for from_the_front in 0..=5 {
        let mut scan = rows.iter();
        let mut found = text(scan.by_ref().take(from_the_front));
        found.extend(text(scan.by_ref().rev()).into_iter().rev());
        assert_eq!(found, ["a=1", "b=2", "c=2", "g=1", "h=2"], "{from_the_front}");
        assert!(scan.next().is_none() && scan.next_back().is_none());
    }
}

#[test]
fn a_scan_keeps_to_its_bounds() {
    let (_dir, rows) = mixed();
    let key = |key: &str| key.as_bytes().to_vec();
    assert_eq!(text(rows.range(key("b")..key("g"))), ["b=2", "c=2"]);
    assert_eq!(text(rows.range(key("b")..=key("g")).rev()), ["g=1", "c=2", "b=2"]);
    assert_eq!(text(rows.range((Bound::Excluded(key("b")), Bound::Unbounded))), ["c=2", "g=1", "h=2"]);
    assert_eq!(text(rows.range((Bound::Included(key("g")), Bound::Excluded(key("b"))))), [""; 0]);
    assert_eq!(text(rows.range(key("b")..key("b"))), [""; 0]);
}

#[test]
fn a_scan_sees_all_that_was_there_although_it_leaves_memory_meanwhile() {
    let (_dir, rows) = mixed();
    let mut scan = rows.iter();
    assert_eq!(text(scan.by_ref().take(1)), ["a=1"]);
    rows.flush().unwrap();
    assert_eq!(text(scan), ["b=2", "c=2", "g=1", "h=2"]);
}

#[test]
fn with_the_last_handle_all_of_it_is_written() {
    let (dir, rows) = mixed();
    drop(rows);
    let rows = Rows::new(sled::open(dir.path()).unwrap().open_tree("rows").unwrap());
    assert_eq!(text(rows.iter()), ["a=1", "b=2", "c=2", "g=1", "h=2"]);
}

#[test]
fn no_more_gathers_than_has_room() {
    let (_dir, rows) = rows();
    for number in 0..200_u32 {
        rows.apply([(number.to_be_bytes().to_vec(), Some(vec![0; MOST / 20]))].into()).unwrap();
        let octets: usize =
            rows.handle.shared.layers.read().gathered.values().flatten().map(|row| row.len()).sum();
        assert!(octets <= MOST + MOST / 20, "{octets}");
    }
    assert_eq!(rows.iter().count(), 200);
}

/// All that can be asked of rows ends, though sled refuses what it is given.
#[test]
fn whoever_asks_is_told_once_sled_has_refused_a_write() {
    let (_dir, rows) = mixed();
    rows.handle.shared.refusing.store(true, Ordering::Relaxed);
    assert!(rows.flush().is_err() && rows.flush().is_err());
    assert!(rows.apply(writes(&[("z", Some("3"))])).is_err());
    // What was committed can still be read.
    assert_eq!(rows.get(b"h").unwrap().unwrap(), b"2");
    assert_eq!(text(rows.iter()), ["a=1", "b=2", "c=2", "g=1", "h=2"]);
    assert!(rows.close().is_err());
}

#[tokio::test]
async fn a_writer_that_fails_is_told_of_though_nobody_commits_any_more() {
    let (_dir, rows) = rows();
    let failure = Failure::none_yet();
    rows.fail_with(failure.clone());
    rows.handle.shared.refusing.store(true, Ordering::Relaxed);
    rows.apply(writes(&[("a", Some("1"))])).unwrap();
    assert!(matches!(failure.wait().await, StoreError::CorruptState { .. }));
}

#[test]
fn nobody_waits_for_a_writer_that_has_ended() {
    let (_dir, rows) = rows();
    rows.handle.shared.refusing.store(true, Ordering::Relaxed);
    let failed = (0..100_u32)
        .map(|number| rows.apply([(number.to_be_bytes().to_vec(), Some(vec![0; MOST / 4]))].into()))
        .any(|applied| applied.is_err());
    assert!(failed || rows.flush().is_err());
}

#[test]
fn what_is_committed_after_the_end_is_written_at_once() {
    let (dir, rows) = mixed();
    rows.close().unwrap();
    rows.apply(writes(&[("z", Some("3"))])).unwrap();
    rows.handle.shared.tree.flush().unwrap();
    assert_eq!(rows.handle.shared.tree.get(b"z").unwrap().unwrap(), b"3");
    drop((rows, dir));
}
