use std::{ops::ControlFlow, thread, time::Duration};

use super::*;

#[test]
fn what_is_appended_is_read_back_and_applied() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    let first = append(&journal, "one", "body of one");
    let second = append(&journal, "two", "");
    assert_eq!(read_all(&journal, &first.body), "body of one");
    assert_eq!(journal.read(&first.body, 5..7).unwrap(), "of");
    assert!(second.body.is_empty());
    assert!(first.position < second.position);
    assert_eq!((first.output, second.output), (1, 2));
    assert_eq!(follow.metas(), ["one", "two"]);
    let entry = journal.entry(second.position).unwrap();
    assert_eq!((entry.kind, &entry.meta[..], entry.copied_from), (7, &b"two"[..], None));
}

#[test]
fn order_is_that_of_the_calls_not_of_the_polls() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    let appends: Vec<_> =
        (0..100).map(|number| journal.append(record(numbered(number), noise(1, 900)))).collect();
    let positions: Vec<_> = appends.into_iter().rev().map(|append| append.wait().unwrap().position).collect();
    assert!(positions.is_sorted_by(|a, b| a > b));
    assert_eq!(follow.metas(), (0..100).map(numbered).collect::<Vec<_>>());
}

#[test]
fn a_dropped_append_still_happens() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    drop(journal.append(record("dropped", "")));
    append(&journal, "kept", "");
    assert_eq!(follow.metas(), ["dropped", "kept"]);
}

#[test]
fn an_append_resolves_after_its_batch_was_settled() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    for number in 0..50 {
        let appended = append(&journal, numbered(number), "");
        assert!(follow.state.lock().settled as u64 >= appended.output);
    }
}

#[test]
fn concurrent_appenders_share_syncs_and_keep_their_own_order() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    let before = bench.config.faults.syncs();
    thread::scope(|scope| {
        for writer in 0..8u8 {
            let journal = &journal;
            scope.spawn(move || {
                let appends: Vec<_> = (0..100)
                    .map(|number| {
                        journal.append(record(vec![writer, number], noise(u64::from(number), 3000)))
                    })
                    .collect();
                for (number, append) in appends.into_iter().enumerate() {
                    let appended = append.wait().unwrap();
                    assert_eq!(read_all(journal, &appended.body), noise(number as u64, 3000));
                }
            });
        }
    });
    let syncs = bench.config.faults.syncs() - before;
    assert!(syncs < 800, "{syncs} syncs for 800 appends");
    let seen = follow.metas();
    assert_eq!(seen.len(), 800);
    for writer in 0..8 {
        let numbers: Vec<_> = seen.iter().filter(|meta| meta[0] == writer).map(|meta| meta[1]).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }
    let sequences: Vec<_> = follow.seen().iter().map(|entry| entry.sequence).collect();
    assert!(sequences.is_sorted_by(|a, b| a < b));
}

#[test]
fn nothing_resolves_before_the_sync() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    append(&journal, "first", "");
    let held = bench.config.faults.hold_syncs();
    let mut append = Box::pin(journal.append(record("held", "")));
    // Written, and its sync begun or about to be: the file already holds it.
    let segment = bench.segment_path(SegmentId(1));
    while !fs::read(&segment).unwrap().windows(4).any(|window| window == b"held") {
        thread::yield_now();
    }
    assert!(block_on(async {
        tokio::select! { biased; _ = &mut append => false, () = async {} => true }
    }));
    assert_eq!(follow.metas(), ["first"]);
    drop(held);
    block_on(append).unwrap();
    assert_eq!(follow.metas(), ["first", "held"]);
}

#[test]
fn relaxed_appends_ride_on_the_next_sync() {
    let mut bench = Bench::new();
    bench.config.relaxed_sync_after = Duration::from_hours(1);
    let (journal, follow, _) = bench.open();
    append(&journal, "synced", "");
    let before = bench.config.faults.syncs();
    for number in 0..10 {
        journal.append_relaxed(record(numbered(number), "event")).unwrap();
    }
    let last = append(&journal, "synced too", "");
    assert_eq!(last.output, 12);
    assert_eq!(bench.config.faults.syncs() - before, 1);
    assert_eq!(follow.metas()[1..11], (0..10).map(numbered).collect::<Vec<_>>());
}

#[test]
fn relaxed_appends_are_synced_by_the_timer() {
    let mut bench = Bench::new();
    bench.config.relaxed_sync_after = Duration::from_millis(1);
    let (journal, follow, _) = bench.open();
    journal.append_relaxed(record("event", "")).unwrap();
    while follow.metas().is_empty() {
        thread::yield_now();
    }
    assert!(bench.config.faults.syncs() > 0);
}

#[test]
fn relaxed_appends_are_synced_by_close() {
    let mut bench = Bench::new();
    bench.config.relaxed_sync_after = Duration::from_hours(1);
    let (journal, follow, _) = bench.open();
    journal.append_relaxed(record("event", "")).unwrap();
    journal.close().unwrap();
    assert_eq!(follow.metas(), ["event"]);
}

#[test]
fn relaxed_appends_make_room_for_more() {
    let mut bench = Bench::new();
    bench.config.relaxed_sync_after = Duration::from_hours(1);
    bench.config.max_queued_records = 4;
    let (journal, ..) = bench.open();
    for _ in 0..100 {
        while let Err(Error::Overloaded { .. }) = journal.append_relaxed(record("event", "")) {
            thread::yield_now();
        }
    }
    journal.close().unwrap();
}

#[test]
fn relaxed_appends_that_a_full_disk_refuses_later_are_counted() {
    let mut bench = Bench::new();
    bench.config.relaxed_sync_after = Duration::from_hours(1);
    let (journal, ..) = bench.open();
    append(&journal, "first", "");
    bench.config.faults.limit_writes(Some(0));
    for number in 0..3 {
        journal.append_relaxed(record(numbered(number), "event")).unwrap();
    }
    assert!(journal.append(record("refused with them", "")).wait().is_err());
    assert_eq!(journal.lost(), 3);
    bench.config.faults.limit_writes(None);
    append(&journal, "goes on", "");
    assert_eq!(journal.lost(), 3);
}

#[test]
fn close_finishes_what_waits_and_refuses_what_comes() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    let clone = journal.clone();
    let waiting: Vec<_> = (0..20).map(|number| journal.append(record(numbered(number), ""))).collect();
    journal.close().unwrap();
    for append in waiting {
        append.wait().unwrap();
    }
    assert_eq!(follow.metas().len(), 20);
    assert!(matches!(clone.append(record("late", "")).wait(), Err(Error::Closed)));
    assert!(matches!(clone.append_relaxed(record("late", "")), Err(Error::Closed)));
}

#[test]
fn a_follower_that_fails_or_panics_stops_the_journal() {
    for panics in [false, true] {
        let bench = Bench::new();
        let (journal, follow, _) = bench.open();
        follow.state.lock().poison = Some((66, panics));
        append(&journal, "fine", "");
        let poison = journal.append(Record { kind: 66, meta: "poison".into(), body: Bytes::new() });
        assert!(matches!(poison.wait(), Err(Error::Follower(_))));
        assert!(matches!(journal.append(record("late", "")).wait(), Err(Error::Follower(_))));
        assert!(matches!(journal.close(), Err(Error::Follower(_))));
        // The entry was promised: the next open applies it.
        let (journal, follow, recovery) = bench.open();
        assert_eq!(follow.metas(), ["fine", "poison"]);
        assert_eq!(recovery.torn, None);
        drop(journal);
    }
}

#[test]
fn a_failed_sync_is_never_taken_back() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    append(&journal, "fine", "");
    bench.config.faults.fail_syncs(true);
    assert!(matches!(journal.append(record("lost?", "")).wait(), Err(Error::SyncFailed(_))));
    bench.config.faults.fail_syncs(false);
    assert!(matches!(journal.append(record("late", "")).wait(), Err(Error::SyncFailed(_))));
    assert_eq!(follow.metas(), ["fine"]);
    assert!(matches!(journal.close(), Err(Error::SyncFailed(_))));
}

#[test]
fn positions_keep_their_order_as_bytes() {
    let position = |segment, offset| Position { segment: SegmentId(segment), offset };
    let ordered =
        [position(0, 9), position(1, 64), position(1, 300), position(256, 64), position(u64::MAX, 0)];
    assert!(ordered.is_sorted());
    assert!(ordered.map(Position::to_bytes).is_sorted());
    assert_eq!(ordered.map(|position| Position::from_bytes(position.to_bytes())), ordered);
}

#[test]
fn a_segment_that_is_full_is_followed_by_the_next() {
    let bench = Bench::with_segment_bytes(4096);
    let (journal, follow, _) = bench.open();
    let appended: Vec<_> =
        (0..50).map(|number| append(&journal, numbered(number), noise(number as u64, 500))).collect();
    let segments = journal.segments();
    assert!(segments.len() > 5);
    for &segment in &segments[..segments.len() - 1] {
        assert!(fs::metadata(bench.segment_path(segment)).unwrap().len() <= 4096);
    }
    for (number, appended) in appended.iter().enumerate() {
        assert_eq!(read_all(&journal, &appended.body), noise(number as u64, 500));
    }
    let mut scanned = Vec::new();
    let visit = |entry: &Entry| {
        scanned.push(entry.clone());
        Ok(())
    };
    journal.scan(Some(appended[9].position), visit).unwrap();
    assert_eq!(scanned, follow.seen()[10..]);
    for segment in segments {
        journal.verify(segment).unwrap();
    }
}

#[test]
fn a_scan_of_a_segment_begins_behind_any_record_and_stops_where_it_is_told() {
    let bench = Bench::with_segment_bytes(4096);
    let (journal, follow, _) = bench.open();
    let appended: Vec<_> =
        (0..20).map(|number| append(&journal, numbered(number), noise(number as u64, 500))).collect();
    for (number, after) in appended.iter().enumerate() {
        let segment = after.position.segment;
        let of_segment = |entry: &&Entry| entry.position.segment == segment;
        let behind: Vec<_> = follow.seen()[number + 1..].iter().filter(of_segment).cloned().collect();
        for limit in 0..=behind.len() {
            let mut scanned = Vec::new();
            let visit = |entry: &Entry| {
                if scanned.len() == limit {
                    return ControlFlow::Break(());
                }
                scanned.push(entry.clone());
                ControlFlow::Continue(())
            };
            journal.scan_segment(segment, Some(after.position), visit).unwrap();
            assert_eq!(scanned, behind[..limit]);
        }
    }
}

#[test]
fn a_sync_waits_for_what_nobody_else_waits_for() {
    let mut bench = Bench::new();
    bench.config.relaxed_sync_after = Duration::from_hours(1);
    let (journal, follow, _) = bench.open();
    journal.append_relaxed(record("relaxed", "")).unwrap();
    journal.sync().unwrap();
    assert_eq!(follow.seen().len(), 1);
}
