//! Full disks and full queues.

use super::*;
use crate::MAX_META_BYTES;

#[test]
fn appends_are_refused_before_the_disk_is_full_and_go_on_after() {
    let mut bench = Bench::new();
    bench.config.min_free_bytes = 1 << 30;
    let faults = bench.config.faults.clone();
    faults.set_free((1 << 30) - 1);
    let (journal, follow, _) = bench.open();
    let refused = journal.append(record("refused", "body")).wait();
    assert!(matches!(refused, Err(Error::DiskFull { min_free, .. }) if min_free == 1 << 30));
    assert!(matches!(journal.append_relaxed(record("refused", "body")), Err(Error::DiskFull { .. })));
    let mut writer = journal.body_writer();
    let piece = block_on(writer.write(noise(1, 100_000)));
    assert!(matches!(piece, Err(Error::DiskFull { .. })));
    assert!(block_on(writer.write("more".into())).is_err());
    assert!(matches!(writer.commit(7, "refused".into()).wait(), Err(Error::DiskFull { .. })));
    faults.set_free(2 << 30);
    append(&journal, "accepted", "body");
    assert_eq!(follow.metas(), ["accepted"]);
}

#[test]
fn whether_there_is_room_can_be_asked_and_takes_none() {
    let mut bench = Bench::new();
    bench.config.min_free_bytes = 1 << 30;
    bench.config.max_queued_bytes = 100_000;
    let faults = bench.config.faults.clone();
    faults.set_free((1 << 30) + 50_000);
    let (journal, _, _) = bench.open();
    for _ in 0..10 {
        journal.room_for(40_000).unwrap();
    }
    assert!(matches!(journal.room_for(60_000), Err(Error::DiskFull { .. })));
    assert!(matches!(journal.room_for(100_001), Err(Error::Overloaded { .. })));
    faults.set_free(2 << 30);
    journal.room_for(60_000).unwrap();
}

#[test]
fn a_full_disk_leaves_room_for_the_records_that_free_it() {
    let mut bench = Bench::new();
    bench.config.min_free_bytes = 1 << 30;
    let faults = bench.config.faults.clone();
    let (journal, follow, _) = bench.open();
    for free in [(1 << 30) - 1, (1 << 29) + 10_000] {
        faults.set_free(free);
        // A body that is more than what an earlier look may have left.
        let refused = journal.append(record("refused", noise(1, 5000))).wait();
        assert!(matches!(refused, Err(Error::DiskFull { min_free, .. }) if min_free == 1 << 30));
        journal.append_bookkeeping(record("bookkeeping", "")).wait().unwrap();
    }
    faults.set_free((1 << 29) - 1);
    let look_anew = noise(2, 20_000);
    let refused = journal.append_bookkeeping(record("refused", look_anew)).wait();
    assert!(matches!(refused, Err(Error::DiskFull { min_free, .. }) if min_free == 1 << 29), "{refused:?}");
    faults.set_free(0);
    journal.append_carried(record("carried", "")).wait().unwrap();
    assert_eq!(follow.metas(), ["bookkeeping", "bookkeeping", "carried"]);
}

#[test]
fn reserving_space_never_goes_under_the_minimum() {
    let mut bench = Bench::with_segment_bytes(1 << 20);
    bench.config.min_free_bytes = 1 << 30;
    bench.config.faults.set_free((1 << 30) + 100_000);
    let (journal, _, _) = bench.open();
    append(&journal, "accepted", "body");
    assert!(fs::metadata(bench.segment_path(SegmentId(1))).unwrap().len() <= 100_000);
}

#[test]
fn a_write_that_finds_the_disk_full_leaves_no_trace() {
    for budget in [0, 1, 31, 100, 600, 3000] {
        let bench = Bench::new();
        let (journal, follow, _) = bench.open();
        append(&journal, "before", noise(1, 500));
        bench.config.faults.limit_writes(Some(budget));
        let refused: Vec<_> =
            (0..5).map(|number| journal.append(record(numbered(number), noise(2, 5000)))).collect();
        for refused in refused {
            assert!(matches!(refused.wait(), Err(Error::DiskFull { .. })), "budget {budget}");
        }
        bench.config.faults.limit_writes(None);
        let after = append(&journal, "after", noise(3, 400));
        assert_eq!(read_all(&journal, &after.body), noise(3, 400));
        assert_eq!(follow.metas(), ["before", "after"]);
        let crashed = bench.crash();
        let (_, follow, recovery) = crashed.open();
        assert_eq!(follow.metas(), ["before", "after"]);
        assert_eq!(recovery.torn, None);
    }
}

#[test]
fn a_segment_that_cannot_be_made_for_lack_of_space_is_made_later() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    bench.config.faults.limit_writes(Some(10));
    assert!(matches!(journal.append(record("refused", "")).wait(), Err(Error::DiskFull { .. })));
    assert!(journal.segments().is_empty());
    bench.config.faults.limit_writes(None);
    append(&journal, "accepted", "");
    journal.close().unwrap();
    assert_eq!(bench.open().1.metas(), follow.metas());
}

#[test]
fn a_streamed_body_that_could_not_be_written_cannot_be_committed() {
    let bench = Bench::with_segment_bytes(8 << 20);
    let (journal, follow, _) = bench.open();
    append(&journal, "before", "");
    bench.config.faults.limit_writes(Some(100_000));
    let mut writer = journal.body_writer();
    block_on(writer.write(noise(1, 256 << 10))).unwrap();
    // Behind the piece in the queue: the piece has failed by then.
    let _ = journal.append(record("other", "")).wait();
    bench.config.faults.limit_writes(None);
    assert!(matches!(writer.commit(7, "refused".into()).wait(), Err(Error::DiskFull { .. })));
    append(&journal, "after", "");
    assert!(!follow.metas().contains(&"refused".into()));
}

#[test]
fn a_full_queue_refuses_and_drains() {
    let mut bench = Bench::new();
    bench.config.max_queued_records = 10;
    bench.config.max_queued_bytes = 100_000;
    let (journal, follow, _) = bench.open();
    let held = bench.config.faults.hold_syncs();
    let mut appends: Vec<_> = (0..100).map(|number| journal.append(record(numbered(number), ""))).collect();
    let last = appends.pop().unwrap();
    assert!(matches!(last.wait(), Err(Error::Overloaded { .. })));
    drop(held);
    let accepted = appends.into_iter().filter_map(|append| append.wait().ok()).count();
    assert!((10..100).contains(&accepted));
    assert_eq!(follow.metas().len(), accepted);
    append(&journal, "goes on", noise(1, 90_000));
}

#[test]
fn what_is_too_large_is_refused() {
    let mut bench = Bench::new();
    bench.config.max_queued_bytes = 100_000;
    let (journal, _, _) = bench.open();
    let meta = journal.append(record(noise(1, MAX_META_BYTES + 1), "")).wait();
    assert!(matches!(meta, Err(Error::TooLarge { part: "meta", .. })));
    let body = journal.append(record("", noise(1, 100_001))).wait();
    assert!(matches!(body, Err(Error::TooLarge { part: "body", limit: 100_000, .. })));
    append(&journal, "fits", noise(1, 99_000));
}
