use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::{MOST, Rows};
use crate::store::StoreError;
use crate::store::failure::Failure;
use crate::store::tests::copy_dir;

/// What has not ended then does not end.
const LONG: Duration = Duration::from_mins(1);
/// Batches of the test of all at once.
const ROUNDS: u32 = 1_000;

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

/// Flips a bit.
fn flip(file: &Path, place: u64) {
    let mut octets = std::fs::read(file).unwrap();
    octets[place as usize] ^= 1;
    std::fs::write(file, octets).unwrap();
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
fn a_scan_ends_at_an_octet_of_sleds_that_is_damaged() {
    const COUNT: u32 = 200;
    let (dir, rows) = rows();
    let row = |number: u32| (number.to_be_bytes().to_vec(), Some(vec![b'r'; 4_000]));
    rows.apply((0..COUNT).map(row).collect()).unwrap();
    rows.flush().unwrap();
    drop(rows);
    // Without a snapshot, which the next start makes, it takes damage for the end of all that was written.
    drop(sled::open(dir.path()).unwrap());
    let octets = std::fs::metadata(dir.path().join("db")).unwrap().len();
    let mut failed = 0;
    for place in (0..octets).step_by(octets as usize / 20) {
        let damaged = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), damaged.path());
        flip(&damaged.path().join("db"), place);
        // What is met at once need not be read.
        let Ok(db) = sled::open(damaged.path()) else { continue };
        let rows = Rows::new(db.open_tree("rows").unwrap());
        let limit = COUNT as usize * 2;
        let forwards: Vec<_> = rows.iter().take(limit).collect();
        let backwards: Vec<_> = rows.iter().rev().take(limit).collect();
        for found in [forwards, backwards] {
            assert!(found.len() <= COUNT as usize, "{place}: {} items", found.len());
            failed += found.iter().filter(|pair| pair.is_err()).count();
        }
    }
    assert!(failed > 0, "no damage was met");
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
    let path = dir.path().to_owned();
    // sled's own threads may hold its lock for a moment more.
    let sled = in_time(move || (0..).find_map(|_: u64| sled::open(&path).ok()).unwrap());
    let rows = Rows::new(sled.open_tree("rows").unwrap());
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

/// sled keeps a large page in a file of its own. If that cannot be made, the page's place in the log stays empty, for
/// which a flush would wait for ever, and at its end sled flushes.
#[test]
fn rows_come_to_an_end_though_sled_has_broken_off_a_write() {
    let (dir, rows) = rows();
    drop(dir);
    rows.apply([(b"a".to_vec(), Some(vec![0; MOST]))].into()).unwrap();
    assert!(in_time(move || rows.flush().is_err() && rows.close().is_err()));
    // Nor do other rows wait for these.
    let (_dir, others) = mixed();
    in_time(move || others.flush()).unwrap();
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

/// What `work` gives, if it ends in time.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    ended.recv_timeout(LONG).expect("it has an end")
}

#[test]
fn nobody_waits_for_a_writer_that_has_ended() {
    let (_dir, rows) = rows();
    rows.handle.shared.refusing.store(true, Ordering::Relaxed);
    rows.apply(writes(&[("a", Some("1"))])).unwrap();
    assert!(rows.flush().is_err());
    // As whoever has just added much does, who did not know of it.
    let shared = Arc::clone(&rows.handle.shared);
    in_time(move || shared.ask(MOST));
}

#[test]
fn nobody_waits_for_a_writer_that_is_to_end() {
    let (_dir, rows) = rows();
    rows.handle.end();
    let shared = Arc::clone(&rows.handle.shared);
    in_time(move || shared.ask(MOST));
}

#[test]
fn a_write_that_does_not_end_is_told_of() {
    let (_dir, rows) = rows();
    let shared = Arc::clone(&rows.handle.shared);
    let stalled = shared.stalling.lock();
    rows.apply(writes(&[("a", Some("1"))])).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let told = async { tokio::time::timeout(LONG, shared.busy_for(Duration::from_millis(10))).await };
    runtime.block_on(told).unwrap();
    drop(stalled);
    in_time(move || rows.flush()).unwrap();
    assert!(shared.busy.lock().is_none());
}

/// What one store's end waits for must not hold up another store: sled has one lock for both.
#[test]
fn rows_that_come_and_go_beside_others_do_not_wait_for_ever() {
    let is_over = Arc::new(AtomicBool::new(false));
    let (done, ended) = mpsc::channel();
    for _ in 0..2 {
        let (is_over, done) = (Arc::clone(&is_over), done.clone());
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let (_dir, rows) = rows();
                rows.apply(writes(&[("a", Some("1")), ("b", Some("2"))])).unwrap();
            }
            done.send(())
        });
    }
    thread::spawn(move || {
        let (_dir, rows) = rows();
        for number in 0..ROUNDS {
            rows.apply([(number.to_be_bytes().to_vec(), Some(vec![0; 1_000]))].into()).unwrap();
            rows.flush().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        done.send(())
    });
    for _ in 0..3 {
        ended.recv_timeout(LONG).expect("nobody waits for ever");
    }
}

/// sled holds its lock for reading while it waits for what is not on the disk yet. A page falls out of a cache as small
/// as this one before it is there.
#[test]
fn batches_flushes_and_reads_beside_each_other_do_not_wait_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let config = sled::Config::new().path(dir.path()).cache_capacity(64 << 10).flush_every_ms(Some(20));
    let rows = Rows::new(config.open().unwrap().open_tree("rows").unwrap());
    let key = |number: u32| number.wrapping_mul(2_654_435_761).to_be_bytes().to_vec();
    let is_over = Arc::new(AtomicBool::new(false));
    let (done, ended) = mpsc::channel();
    let beside = |mut work: Box<dyn FnMut(u32) + Send>| {
        let (is_over, done) = (Arc::clone(&is_over), done.clone());
        thread::spawn(move || {
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) {
                work(number);
                number += 1;
            }
            done.send(())
        });
    };
    let reading = rows.clone();
    beside(Box::new(move |number| drop(reading.get(&key(number % 20_000)).unwrap())));
    let scanning = rows.clone();
    beside(Box::new(move |number| assert!(scanning.range(key(number)..).take(50).all(|row| row.is_ok()))));
    let flushing = rows.clone();
    beside(Box::new(move |_| flushing.flush().unwrap()));
    let writing = rows.clone();
    let over = Arc::clone(&is_over);
    thread::spawn(move || {
        for batch in 0..ROUNDS {
            let numbers = (0..100_u32).map(|number| (batch * 100 + number) % 20_000);
            writing
                .apply(numbers.map(|number| (key(number), Some(vec![batch as u8; 300]))).collect())
                .unwrap();
        }
        over.store(true, Ordering::Relaxed);
        done.send(())
    });
    for _ in 0..4 {
        ended.recv_timeout(LONG).expect("nobody waits for ever");
    }
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
