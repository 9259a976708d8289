//! Every way in which a crash can leave the last segment.

use std::{fs::OpenOptions, os::unix::fs::FileExt};

use proptest::prelude::*;

use super::*;
use crate::format::{RECORD_HEADER, SEGMENT_HEADER};

/// A journal that crashed, and what stood in it.
struct Crashed {
    bench: Bench,
    segment: SegmentId,
    /// The end of each record, and its meta and body.
    records: Vec<(u32, Bytes, Bytes)>,
}

/// Appends `bodies`, all in the first segment, and crashes without sealing it.
fn crashed(bodies: &[Bytes]) -> Crashed {
    let bench = Bench::with_segment_bytes(32 << 10);
    let (journal, follow, _) = bench.open();
    for (number, body) in bodies.iter().enumerate() {
        append(&journal, numbered(number), body.clone());
    }
    let seen = follow.seen();
    let ends = seen.iter().skip(1).map(|entry| entry.position.offset);
    let end = journal.log_end().offset;
    let records = ends.chain([end]).zip(bodies.iter().enumerate());
    let records = records.map(|(end, (number, body))| (end, numbered(number), body.clone())).collect();
    Crashed { bench: bench.crash(), segment: SegmentId(1), records }
}

impl Journal<u64> {
    /// Where the durable log ends.
    fn log_end(&self) -> Position {
        let mut last = Position::default();
        let visit = |entry: &Entry| {
            last = entry.position;
            Ok(())
        };
        self.scan(None, visit).unwrap();
        let entry = self.entry(last).unwrap();
        let meta_end = last.offset + RECORD_HEADER as u32 + entry.meta.len() as u32;
        let end = entry.body.extents().last().map_or(meta_end, |extent| extent.offset + extent.length);
        Position { offset: end.next_multiple_of(8), ..last }
    }
}

impl Crashed {
    fn file(&self) -> fs::File {
        let path = self.bench.segment_path(self.segment);
        OpenOptions::new().read(true).write(true).open(path).unwrap()
    }

    /// Opens it and checks that exactly the first `whole` records are there, readable, and that appending goes on.
    fn expect(&self, whole: usize, context: &str) -> Recovery {
        let (journal, follow, recovery) = self.bench.open();
        let metas: Vec<_> = self.records[..whole].iter().map(|(_, meta, _)| meta.clone()).collect();
        assert_eq!(follow.metas(), metas, "{context}");
        for (entry, (_, _, body)) in follow.seen().iter().zip(&self.records) {
            assert_eq!(read_all(&journal, &entry.body), body, "{context}");
        }
        append(&journal, "afterwards", "more");
        journal.close().unwrap();
        let (_, follow, again) = self.bench.open();
        assert_eq!(follow.metas().len(), whole + 1, "{context}");
        assert_eq!(again.torn, None, "{context}");
        recovery
    }

    /// How many records end at or before `offset`.
    fn whole_before(&self, offset: u32) -> usize {
        self.records.iter().filter(|(end, ..)| *end <= offset).count()
    }

    fn end(&self) -> u32 {
        self.records.last().map_or(SEGMENT_HEADER, |(end, ..)| *end)
    }

    /// The last record's begin: what was not acknowledged when a crash came during its sync.
    fn last_start(&self) -> u32 {
        self.records[self.records.len() - 2].0
    }
}

fn bodies() -> Vec<Bytes> {
    vec![noise(1, 40), noise(2, 150), noise(3, 77)]
}

/// Records as one interrupted batch leaves them: nothing behind the header was synced.
fn unsynced(bodies: &[Bytes]) -> Crashed {
    let bench = Bench::with_segment_bytes(32 << 10);
    let (journal, follow, _) = bench.open();
    // Nobody waits, so all of it is written before the first sync.
    for (number, body) in bodies.iter().enumerate() {
        journal.append_relaxed(record(numbered(number), body.clone())).unwrap();
    }
    append(&journal, numbered(bodies.len()), noise(9, 100));
    let mut all = bodies.to_vec();
    all.push(noise(9, 100));
    let seen = follow.seen();
    let ends = seen.iter().skip(1).map(|entry| entry.position.offset).chain([journal.log_end().offset]);
    let records =
        ends.zip(all).enumerate().map(|(number, (end, body))| (end, numbered(number), body)).collect();
    Crashed { bench: bench.crash(), segment: SegmentId(1), records }
}

#[test]
fn a_crash_without_damage_loses_nothing() {
    let crashed = crashed(&bodies());
    let recovery = crashed.expect(3, "no damage");
    assert_eq!(recovery, Recovery { segments: 1, replayed: 3, ..Recovery::default() });
}

#[test]
fn sequences_grow_over_a_crash_before_the_first_record_of_a_segment() {
    let bench = Bench::with_segment_bytes(3500);
    let (journal, follow, _) = bench.open();
    for number in 0..4 {
        append(&journal, numbered(number), noise(number as u64, 1000));
    }
    let last = follow.seen()[3].position;
    assert_eq!(last, Position { segment: SegmentId(2), offset: SEGMENT_HEADER });
    let crashed = bench.crash();
    let file = OpenOptions::new().write(true).open(crashed.segment_path(last.segment)).unwrap();
    file.set_len(u64::from(SEGMENT_HEADER)).unwrap();
    let (journal, follow, _) = crashed.open();
    append(&journal, "afterwards", "");
    let sequences: Vec<_> = follow.seen().iter().map(|entry| entry.sequence).collect();
    assert!(sequences.len() == 4 && sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
}

#[test]
fn cut_at_every_byte_the_last_segment_keeps_its_whole_records() {
    let whole = unsynced(&bodies());
    for cut in SEGMENT_HEADER..whole.end() {
        let crashed = Crashed { bench: whole.bench.crash(), records: whole.records.clone(), ..whole };
        crashed.file().set_len(u64::from(cut)).unwrap();
        crashed.expect(crashed.whole_before(cut), &format!("cut at {cut}"));
    }
}

#[test]
fn zeros_or_garbage_from_every_byte_on_keep_the_whole_records_before() {
    let whole = unsynced(&bodies());
    for from in SEGMENT_HEADER..whole.end() {
        let length = (whole.end() - from) as usize;
        for filler in [Bytes::from(vec![0; length]), noise(u64::from(from), length + 500)] {
            let crashed = Crashed { bench: whole.bench.crash(), records: whole.records.clone(), ..whole };
            let mut before = vec![0; length];
            crashed.file().read_exact_at(&mut before, u64::from(from)).unwrap();
            crashed.file().write_all_at(&filler, u64::from(from)).unwrap();
            // Padding and zeros that were there already are no damage.
            let same = before.iter().zip(&filler).take_while(|(a, b)| a == b).count() as u32;
            let padding = padding_before(&whole, from + same);
            crashed.expect(crashed.whole_before(from + same + padding), &format!("filled from {from}"));
        }
    }
}

/// Bytes between `offset` and the end of its record, if they are nothing but padding.
fn padding_before(crashed: &Crashed, offset: u32) -> u32 {
    let seen = crashed.records.iter().find(|(end, ..)| *end >= offset);
    let Some((end, meta, body)) = seen else { return 0 };
    let unpadded = (32 + meta.len() + body.len()) as u32;
    let padding = unpadded.next_multiple_of(8) - unpadded;
    if end - offset <= padding { end - offset } else { 0 }
}

#[test]
fn a_block_that_is_missing_in_the_unsynced_part_ends_the_log_there() {
    let whole = unsynced(&bodies());
    for (number, (end, _, body)) in whole.records.iter().enumerate() {
        let crashed = Crashed { bench: whole.bench.crash(), records: whole.records.clone(), ..whole };
        // In the middle of the body: meta and everything behind are intact.
        let middle = u64::from(end - body.len().next_multiple_of(8) as u32 / 2 - 8);
        crashed.file().write_all_at(&[0; 8], middle).unwrap();
        let recovery = crashed.expect(number, &format!("torn body of {number}"));
        let torn = recovery.torn.unwrap();
        assert_eq!((torn.start.segment, torn.reason), (SegmentId(1), "checksum of a body"));
    }
}

#[test]
fn the_last_record_torn_in_its_body_is_cut_off() {
    let crashed = crashed(&bodies());
    crashed.file().write_all_at(&[0; 16], u64::from(crashed.end() - 24)).unwrap();
    let recovery = crashed.expect(2, "torn body");
    assert_eq!(recovery.torn.unwrap().start.offset, crashed.last_start());
}

#[test]
fn a_piece_of_a_streamed_body_that_is_missing_takes_its_record_with_it() {
    let bench = Bench::with_segment_bytes(1 << 20);
    let (journal, _, _) = bench.open();
    append(&journal, "before", "");
    let streamed = append(&journal, "streamed", noise(1, (1 << 20) - 1000));
    let large = append(&journal, "large", noise(2, 3 << 20));
    assert!(large.body.extents().len() > 1 && streamed.body.extents().len() == 1);
    let crashed = bench.crash();
    let last = large.body.extents().iter().rev().find(|extent| extent.segment == large.position.segment);
    let piece = last.expect("a piece in the record's own segment");
    let file = OpenOptions::new().write(true).open(crashed.segment_path(piece.segment)).unwrap();
    file.write_all_at(&[0xaa; 64], u64::from(piece.offset) + 1000).unwrap();
    let (_, follow, recovery) = crashed.open();
    assert_eq!(follow.metas(), ["before", "streamed"]);
    assert!(recovery.torn.is_some());
}

#[test]
fn a_crash_while_a_segment_is_made_leaves_nothing_to_repair() {
    for content in [&b""[..], &[0; 4096], &b"WAYPOSTJ"[..], &[7; 64]] {
        let bench = Bench::new();
        let (journal, _, _) = bench.open();
        append(&journal, "kept", "");
        journal.close().unwrap();
        fs::write(bench.segment_path(SegmentId(2)), content).unwrap();
        let (journal, follow, recovery) = bench.open();
        assert_eq!((follow.metas(), recovery.segments), (vec!["kept".into()], 1));
        append(&journal, "goes on", "");
        assert_eq!(journal.segments(), [SegmentId(1), SegmentId(2)]);
    }
}

#[test]
fn a_crash_between_sealing_and_cutting_is_finished() {
    let bench = Bench::new();
    let (journal, _, _) = bench.open();
    append(&journal, "kept", "body");
    journal.close().unwrap();
    let path = bench.segment_path(SegmentId(1));
    let sealed = fs::read(&path).unwrap();
    for junk in [vec![0; 5000], noise(1, 5000).to_vec()] {
        fs::write(&path, [sealed.clone(), junk].concat()).unwrap();
        let (journal, follow, _) = bench.open();
        assert_eq!(follow.metas(), ["kept"]);
        drop(journal.close());
        assert_eq!(fs::read(&path).unwrap(), sealed);
    }
}

#[test]
fn bytes_that_look_like_a_record_are_none() {
    let bench = Bench::with_segment_bytes(1 << 20);
    let (journal, _, _) = bench.open();
    append(&journal, "first", "");
    let end = journal.log_end().offset;
    // A whole segment, records and all, as the body of a message.
    let forged = fs::read(bench.segment_path(SegmentId(1))).unwrap()[..end as usize].to_vec();
    append(&journal, "carrier", forged);
    append(&journal, "last", "");
    let crashed = bench.crash();
    // The carrier's own header is lost: the search for the next record goes through its body.
    let file = OpenOptions::new().write(true).open(crashed.segment_path(SegmentId(1))).unwrap();
    file.write_all_at(&[0xff; 32], u64::from(end)).unwrap();
    let config = Config { on_corruption: crate::OnCorruption::Quarantine, ..crashed.config.clone() };
    let follow = Follow::default();
    let (_, recovery) = Journal::open(config, follow.clone()).unwrap();
    assert_eq!(follow.metas(), ["first", "last"]);
    assert_eq!(recovery.quarantined.len(), 1);
}

/// What happens to the bytes behind the synced part in a power loss.
#[derive(Clone, Debug)]
enum Loss {
    Cut(u32),
    Zero(u32, u32),
    Noise(u32, u32, u64),
}

fn loss() -> impl Strategy<Value = Loss> {
    prop_oneof![
        any::<u32>().prop_map(Loss::Cut),
        (any::<u32>(), 1..4096u32).prop_map(|(at, length)| Loss::Zero(at, length)),
        (any::<u32>(), 1..4096u32, any::<u64>()).prop_map(|(at, length, seed)| Loss::Noise(at, length, seed)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever a crash does behind the last completed sync: everything before it stays, and nothing appears
    /// that was not appended.
    #[test]
    fn the_synced_prefix_survives_any_loss_behind_it(
        synced in prop::collection::vec(0..3000usize, 1..6),
        behind in prop::collection::vec(0..3000usize, 1..6),
        losses in prop::collection::vec(loss(), 1..4),
    ) {
        let bench = Bench::with_segment_bytes(1 << 20);
        let (journal, follow, _) = bench.open();
        for (number, &length) in synced.iter().enumerate() {
            append(&journal, numbered(number), noise(number as u64, length));
        }
        for (number, &length) in behind.iter().enumerate() {
            let number = number + synced.len();
            journal.append_relaxed(record(numbered(number), noise(number as u64, length))).unwrap();
        }
        let total = synced.len() + behind.len();
        append(&journal, numbered(total), noise(total as u64, 10));
        let start = u64::from(follow.seen()[synced.len()].position.offset);
        let end = u64::from(journal.log_end().offset);
        let crashed = bench.crash();
        let path = crashed.segment_path(SegmentId(1));
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let place = |at: u32| start + u64::from(at) % (end - start);
        for loss in losses {
            match loss {
                Loss::Cut(at) => file.set_len(place(at)).unwrap(),
                Loss::Zero(at, length) => file.write_all_at(&vec![0; length as usize], place(at)).unwrap(),
                Loss::Noise(at, length, seed) => {
                    file.write_all_at(&noise(seed, length as usize), place(at)).unwrap();
                }
            }
        }
        let (journal, follow, _) = crashed.open();
        let seen = follow.seen();
        prop_assert!(seen.len() >= synced.len());
        for (number, entry) in seen.iter().enumerate() {
            let length = synced.iter().chain(&behind).copied().chain([10]).nth(number).unwrap();
            prop_assert_eq!(&entry.meta, &numbered(number));
            prop_assert_eq!(read_all(&journal, &entry.body), noise(number as u64, length));
        }
    }
}
