use super::*;
use crate::format::MAX_EXTENT_BYTES;

/// Streams `body` in steps of `step` bytes.
async fn stream(journal: &Journal<u64>, meta: &'static str, body: &Bytes, step: usize) -> Appended<u64> {
    let mut writer = journal.body_writer();
    for start in (0..body.len()).step_by(step) {
        writer.write(body.slice(start..body.len().min(start + step))).await.unwrap();
    }
    assert_eq!(writer.written(), body.len() as u64);
    writer.commit(7, Bytes::from_static(meta.as_bytes())).await.unwrap()
}

#[test]
fn streamed_bodies_of_any_size_and_step_read_back() {
    let bench = Bench::with_segment_bytes(1 << 20);
    let (journal, _, _) = bench.open();
    for length in [0, 1, 65_535, 65_536, 65_537, 262_144, 700_001] {
        for step in [999, 65_536, 262_144, 1 << 20] {
            let body = noise(length as u64, length);
            let appended = block_on(stream(&journal, "streamed", &body, step));
            assert_eq!(read_all(&journal, &appended.body), body, "{length} in steps of {step}");
            assert_eq!(BodyRef::from_bytes(&appended.body.to_bytes()).unwrap(), appended.body);
        }
    }
}

#[test]
fn short_bodies_lie_with_their_record() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    let appended = block_on(stream(&journal, "short", &noise(1, 12_000), 1_000));
    assert_eq!(appended.body.extents().len(), 1);
    assert_eq!(follow.seen()[0].body, appended.body);
}

#[test]
fn one_sync_covers_a_streamed_body() {
    let bench = Bench::with_segment_bytes(8 << 20);
    let (journal, _, _) = bench.open();
    append(&journal, "first", "");
    let before = bench.config.faults.syncs();
    block_on(stream(&journal, "large", &noise(2, 3 << 20), 65_536));
    assert_eq!(bench.config.faults.syncs() - before, 1);
}

#[test]
fn large_appends_are_split_and_read_by_range() {
    let bench = Bench::with_segment_bytes(1 << 20);
    let (journal, _, _) = bench.open();
    let body = noise(3, 3 * MAX_EXTENT_BYTES + 17);
    let appended = append(&journal, "large", body.clone());
    assert!(appended.body.extents().len() > 3);
    let length = body.len() as u64;
    for range in [0..0, 0..1, 262_143..262_145, 262_144..524_288, 5..length - 5, 0..length, length..length] {
        let expected = body.slice(range.start as usize..range.end as usize);
        assert_eq!(journal.read(&appended.body, range).unwrap(), expected);
    }
    let over = journal.read(&appended.body, 0..length + 1);
    assert!(matches!(over, Err(Error::OutOfRange { .. })));
}

#[test]
fn streamed_bodies_survive_a_restart() {
    let bench = Bench::with_segment_bytes(300_000);
    let (journal, _, _) = bench.open();
    let body = noise(4, 1_000_000);
    block_on(stream(&journal, "streamed", &body, 100_000));
    let crashed = bench.crash();
    let (journal, follow, recovery) = crashed.open();
    assert_eq!(recovery.replayed, 1);
    assert_eq!(read_all(&journal, &follow.seen()[0].body), body);
}

#[test]
fn a_writer_without_a_commit_leaves_no_record() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    let mut writer = journal.body_writer();
    block_on(writer.write(noise(5, 200_000))).unwrap();
    drop(writer);
    append(&journal, "after", "");
    assert_eq!(follow.metas(), ["after"]);
    journal.close().unwrap();
    let (_, follow, recovery) = bench.open();
    assert_eq!(follow.metas(), ["after"]);
    assert_eq!(recovery.torn, None);
}

#[test]
fn writers_wait_when_too_much_is_on_its_way() {
    let mut bench = Bench::with_segment_bytes(64 << 20);
    bench.config.max_streaming_bytes = 512 << 10;
    let (journal, _, _) = bench.open();
    append(&journal, "first", "");
    let held = bench.config.faults.hold_syncs();
    // The committer is held in this sync, so pieces only queue up.
    let blocker = journal.append(record("blocker", ""));
    let mut writer = journal.body_writer();
    let written = block_on(async {
        let mut written = 0;
        let piece = noise(6, 256 << 10);
        // Polled once each: a write that has to wait would wait for ever.
        loop {
            let write = writer.write(piece.clone());
            let done = tokio::select! { biased; done = write => Some(done), () = async {} => None };
            match done {
                Some(done) => done.unwrap(),
                None => return written,
            }
            written += piece.len();
            assert!(written < 64 << 20);
        }
    });
    assert!(written >= 256 << 10);
    drop(held);
    blocker.wait().unwrap();
}

#[test]
fn references_refuse_bytes_that_are_none() {
    assert_eq!(BodyRef::from_bytes(&[]), Some(BodyRef::default()));
    assert_eq!(BodyRef::from_bytes(&[1; 19]), None);
    assert_eq!(BodyRef::from_bytes(&[0; 20]), None, "an empty extent");
    assert_eq!(BodyRef::from_bytes(&[0xff; 20]), None, "an extent over the limit");
}
