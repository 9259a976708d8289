use super::*;
use crate::Verdict;

/// Keeps what the owner's view points at.
fn decide(follow: &Follow, wanted: impl Fn(&Bytes) -> bool) -> impl FnMut(&Entry) -> Verdict {
    let current = follow.current();
    move |entry| {
        let here = current.get(&entry.meta).is_some_and(|now| now.position == entry.position);
        if here && wanted(&entry.meta) { Verdict::Keep } else { Verdict::Drop }
    }
}

fn filled(bench: &Bench) -> (Journal<u64>, Follow) {
    let (journal, follow, _) = bench.open();
    for number in 0..20 {
        append(&journal, numbered(number), noise(number as u64, 1000));
    }
    (journal, follow)
}

#[test]
fn kept_records_move_forward_and_the_segment_goes() {
    let bench = Bench::with_segment_bytes(8000);
    let (journal, follow) = filled(&bench);
    let first = journal.segments()[0];
    let old = follow.seen()[0].clone();
    let reclaimed = journal.reclaim(first, decide(&follow, |meta| meta != &numbered(1))).unwrap();
    assert_eq!((reclaimed.kept, reclaimed.dropped, reclaimed.copied), (6, 1, 6000));
    assert!(!journal.segment_exists(first) && !bench.segment_path(first).exists());
    assert!(matches!(journal.read(&old.body, 0..1), Err(Error::Gone { segment }) if segment == first));
    let current = follow.current();
    let copy = &current[&numbered(0)];
    assert_eq!(copy.copied_from, Some(old.position));
    assert!(copy.position > follow.seen()[19].position);
    assert_eq!(read_all(&journal, &copy.body), noise(0, 1000));
    assert_eq!(follow.state.lock().checkpoints, 1);
}

#[test]
fn the_owner_may_rewrite_a_meta() {
    let bench = Bench::with_segment_bytes(8000);
    let (journal, follow) = filled(&bench);
    journal.reclaim(journal.segments()[0], |_| Verdict::Rewrite("rewritten".into())).unwrap();
    let copies: Vec<_> = follow.seen().into_iter().filter(|entry| entry.copied_from.is_some()).collect();
    assert_eq!(copies.len(), 7);
    assert!(copies.iter().all(|copy| copy.meta == "rewritten"));
    assert_eq!(read_all(&journal, &copies[3].body), noise(3, 1000));
}

#[test]
fn every_crash_during_reclaim_keeps_every_record() {
    let bench = Bench::with_segment_bytes(8000);
    let (journal, follow) = filled(&bench);
    let first = journal.segments()[0];
    let mut crashes = vec![bench.crash()];
    let mut keep = decide(&follow, |_| true);
    // `decide` is called between the copies.
    journal
        .reclaim(first, |entry| {
            crashes.push(bench.crash());
            keep(entry)
        })
        .unwrap();
    crashes.push(bench.crash());
    // The last: all copies are written and the file is not unlinked yet.
    let unlinked = bench.crash();
    fs::copy(crashes[0].segment_path(first), unlinked.segment_path(first)).unwrap();
    crashes.push(unlinked);
    for (number, crashed) in crashes.iter().enumerate() {
        let (journal, follow, _) = crashed.open();
        let current = follow.current();
        assert_eq!(current.len(), 20, "crash {number}");
        for number in 0..20 {
            assert_eq!(read_all(&journal, &current[&numbered(number)].body), noise(number as u64, 1000));
        }
        // And reclaiming it again is possible, with nothing copied twice.
        if journal.segment_exists(first) {
            let before = follow.current().values().filter(|entry| entry.position.segment == first).count();
            let reclaimed = journal.reclaim(first, decide(&follow, |_| true)).unwrap();
            assert_eq!(reclaimed.kept, before as u64);
        }
        assert_eq!(follow.current().len(), 20);
    }
}

#[test]
fn bodies_in_pieces_are_copied_from_every_segment_they_lie_in() {
    let bench = Bench::with_segment_bytes(600_000);
    let (journal, follow, _) = bench.open();
    append(&journal, "small", noise(1, 100));
    append(&journal, "large", noise(2, 2_000_000));
    append(&journal, "unwanted", noise(3, 1_500_000));
    append(&journal, "last", noise(4, 500_000));
    let segments = journal.segments();
    assert!(segments.len() > 5);
    for &segment in &segments[..segments.len() - 1] {
        if journal.segment_exists(segment) {
            journal.reclaim(segment, decide(&follow, |meta| meta != "unwanted")).unwrap();
        }
        let current = follow.current();
        for (meta, body) in
            [("small", noise(1, 100)), ("large", noise(2, 2_000_000)), ("last", noise(4, 500_000))]
        {
            assert_eq!(read_all(&journal, &current[meta.as_bytes()].body), body);
        }
    }
    journal.close().unwrap();
    let (journal, follow, _) = bench.open();
    assert_eq!(read_all(&journal, &follow.current()[&b"large"[..]].body), noise(2, 2_000_000));
    let newest = *journal.segments().last().unwrap();
    assert!(journal.segments().iter().all(|&id| id >= segments[segments.len() - 1] && id <= newest));
}

#[test]
fn a_large_body_is_copied_a_bounded_part_at_a_time() {
    let bench = Bench::with_segment_bytes(64 << 20);
    let (journal, _, _) = bench.open();
    append(&journal, "large", noise(1, 26 << 20));
    journal.close().unwrap();
    let (journal, follow, _) = bench.open();
    append(&journal, "small", "");
    let before = bench.config.faults.syncs();
    journal.reclaim(SegmentId(1), decide(&follow, |_| true)).unwrap();
    // One for every 8 MiB, which is what may wait at once, and one for the record.
    assert_eq!(bench.config.faults.syncs() - before, 4);
    assert_eq!(read_all(&journal, &follow.current()[&b"large"[..]].body), noise(1, 26 << 20));
}

#[test]
fn a_segment_with_a_body_that_is_being_written_stays() {
    let bench = Bench::with_segment_bytes(300_000);
    let (journal, follow, _) = bench.open();
    let mut writer = journal.body_writer();
    let body = noise(1, 400_000);
    block_on(async {
        for start in (0..body.len()).step_by(100_000) {
            writer.write(body.slice(start..start + 100_000)).await.unwrap();
        }
    });
    // Behind it in the queue, so the pieces are written.
    append(&journal, "other", noise(2, 250_000));
    append(&journal, "another", noise(3, 250_000));
    let first = journal.segments()[0];
    assert!(matches!(journal.reclaim(first, |_| Verdict::Drop), Err(Error::Busy { .. })));
    assert!(journal.reclaim_candidates(1.0).iter().all(|candidate| candidate.segment != first));
    let appended = block_on(writer.commit(7, "streamed".into())).unwrap();
    assert_eq!(read_all(&journal, &appended.body), body);
    journal.reclaim(first, decide(&follow, |_| true)).unwrap();
    assert_eq!(read_all(&journal, &follow.current()[&b"streamed"[..]].body), body);
}

#[test]
fn candidates_are_what_is_dead_enough_deadest_first() {
    let bench = Bench::with_segment_bytes(8000);
    let (journal, follow) = filled(&bench);
    assert!(journal.reclaim_candidates(0.5).is_empty());
    let [first, second, newest] = journal.segments()[..] else { panic!() };
    for entry in follow.seen() {
        if entry.position.segment == second || entry.position.segment == newest {
            journal.liveness().note_dead(entry.position, &entry.body);
        }
    }
    for entry in &follow.seen()[..4] {
        journal.liveness().note_dead(entry.position, &entry.body);
    }
    let candidates: Vec<_> = journal.reclaim_candidates(0.6).iter().map(|it| (it.segment, it.live)).collect();
    assert_eq!(candidates, [(second, 0), (first, 3 * 1128)]);
    assert_eq!(journal.reclaim_candidates(0.1).len(), 1);
    assert!(matches!(journal.reclaim(newest, |_| Verdict::Drop), Err(Error::Busy { .. })));
    assert!(matches!(journal.reclaim(SegmentId(99), |_| Verdict::Drop), Err(Error::Gone { .. })));
}

#[test]
fn numbers_of_segments_are_never_used_again() {
    let bench = Bench::with_segment_bytes(3000);
    let (journal, _) = filled(&bench);
    let newest = *journal.segments().last().unwrap();
    for segment in journal.segments() {
        if segment != newest {
            journal.reclaim(segment, |_| Verdict::Drop).unwrap();
        }
    }
    journal.close().unwrap();
    let (journal, _, _) = bench.open();
    assert!(append(&journal, "next", "").position.segment > newest);
}

#[test]
fn reads_go_on_while_a_segment_is_removed() {
    let bench = Bench::with_segment_bytes(8000);
    let (journal, follow) = filled(&bench);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for number in (0..2000).map(|turn| turn % 20) {
                        // What an owner does: look up, read, and look up again if it has moved meanwhile.
                        let read = || {
                            let entry = follow.current()[&numbered(number)].clone();
                            journal.read(&entry.body, 0..entry.body.len())
                        };
                        let bytes = read().or_else(|error| match error {
                            Error::Gone { .. } => read(),
                            error => Err(error),
                        });
                        assert_eq!(bytes.unwrap(), noise(number as u64, 1000));
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            let first = journal.segments()[0];
            journal.reclaim(first, decide(&follow, |_| true)).unwrap();
        }
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn few_files_are_kept_open() {
    let mut bench = Bench::with_segment_bytes(3000);
    bench.config.max_open_segments = 2;
    let (journal, follow) = filled(&bench);
    assert!(journal.segments().len() > 5);
    for (number, entry) in follow.seen().iter().enumerate() {
        assert_eq!(read_all(&journal, &entry.body), noise(number as u64, 1000));
    }
    let open = fs::read_dir("/proc/self/fd").unwrap().filter(|fd| {
        let target = fs::read_link(fd.as_ref().unwrap().path());
        target.is_ok_and(|target| target.starts_with(bench.path()) && target.extension().is_some())
    });
    // And one that the committer holds.
    assert!(open.count() <= 3);
}
