//! Damage to what was once durable.

use std::{fs::OpenOptions, os::unix::fs::FileExt};

use super::*;
use crate::{OnCorruption, Stretch};

/// Three segments of three records each, closed.
fn three_segments() -> (Bench, Vec<Entry>) {
    let bench = Bench::with_segment_bytes(3500);
    let (journal, follow, _) = bench.open();
    for number in 0..9 {
        append(&journal, numbered(number), noise(number as u64, 1000));
    }
    assert_eq!(journal.segments().len(), 3);
    journal.close().unwrap();
    let seen = follow.seen();
    (bench, seen)
}

fn damage(bench: &Bench, position: Position, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(bench.segment_path(position.segment)).unwrap();
    file.write_all_at(bytes, u64::from(position.offset)).unwrap();
}

fn quarantine(bench: &Bench) -> (Journal<u64>, Follow, Recovery) {
    let config = Config { on_corruption: OnCorruption::Quarantine, ..bench.config.clone() };
    let follow = Follow::default();
    let (journal, recovery) = Journal::open(config, follow.clone()).unwrap();
    (journal, follow, recovery)
}

#[test]
fn damage_in_a_sealed_segment_is_refused_by_name() {
    for victim in 0..9 {
        let (bench, seen) = three_segments();
        let Position { segment, offset } = seen[victim].position;
        // A byte of the meta.
        damage(&bench, Position { segment, offset: offset + 34 }, b"?");
        let error = bench.open_error();
        let Error::Corrupt { segment: named, offset: at, .. } = error else { panic!("{error}") };
        assert_eq!((named, at), (segment, u64::from(offset)));
    }
}

#[test]
fn quarantine_goes_on_behind_the_damage_and_keeps_the_segment() {
    for victim in 0..9 {
        let (bench, seen) = three_segments();
        let position = seen[victim].position;
        damage(&bench, position, &[0xff; 40]);
        let (journal, follow, recovery) = quarantine(&bench);
        let expected: Vec<_> = (0..9).filter(|&number| number != victim).map(numbered).collect();
        assert_eq!(follow.metas(), expected);
        let [Stretch { start, bytes, .. }] = recovery.quarantined[..] else { panic!("{recovery:?}") };
        assert_eq!((start, bytes), (position, 1048));
        append(&journal, "goes on", noise(1, 3000));
        assert!(
            journal.reclaim_candidates(1.0).iter().all(|candidate| candidate.segment != position.segment)
        );
        let reclaimed = journal.reclaim(position.segment, |_| crate::Verdict::Drop);
        assert!(matches!(reclaimed, Err(Error::Busy { .. })));
    }
}

#[test]
fn damage_before_the_last_sync_of_an_unsealed_segment_is_no_torn_tail() {
    let bench = Bench::with_segment_bytes(1 << 20);
    let (journal, follow, _) = bench.open();
    for number in 0..5 {
        append(&journal, numbered(number), noise(number as u64, 1000));
    }
    let crashed = bench.crash();
    let position = follow.seen()[1].position;
    damage(&crashed, position, &[0; 32]);
    assert!(
        matches!(crashed.open_error(), Error::Corrupt { offset, .. } if offset == u64::from(position.offset))
    );
    let (_, follow, recovery) = quarantine(&crashed);
    assert_eq!(follow.metas(), [0, 2, 3, 4].map(numbered));
    assert_eq!((recovery.quarantined.len(), recovery.torn), (1, None));
}

#[test]
fn of_bodies_that_are_read_together_only_the_damaged_one_fails() {
    let (bench, seen) = three_segments();
    let extent = seen[4].body.extents()[0];
    damage(&bench, Position { segment: extent.segment, offset: extent.offset + 999 }, b"?");
    let (journal, _, _) = bench.open();
    // In another order than on the disk, and one of them twice.
    let places = [8, 4, 0, 1, 5, 3, 2, 7, 6, 0];
    let wanted: Vec<_> = places.iter().map(|place| (seen[*place].body.clone(), 1..1_000)).collect();
    for (place, read) in places.into_iter().zip(journal.read_many(&wanted)) {
        match read {
            Ok(bytes) => {
                assert!(place != 4 && bytes == read_all(&journal, &seen[place].body).slice(1..1_000));
            }
            Err(error) => assert!(place == 4 && matches!(error, Error::Corrupt { .. }), "{place}: {error}"),
        }
    }
    let beyond = journal.read_many(&[(seen[0].body.clone(), 0..1_001), (seen[1].body.clone(), 0..1_000)]);
    assert!(matches!(beyond[..], [Err(Error::OutOfRange { .. }), Ok(_)]));
}

#[test]
fn a_damaged_body_is_found_by_reading_and_by_verifying() {
    let (bench, seen) = three_segments();
    let extent = seen[1].body.extents()[0];
    damage(&bench, Position { segment: extent.segment, offset: extent.offset + 999 }, b"?");
    let (journal, follow, _) = bench.open();
    assert_eq!(follow.metas().len(), 9);
    let read = journal.read(&seen[1].body, 0..10);
    assert!(matches!(read, Err(Error::Corrupt { segment, .. }) if segment == extent.segment));
    assert!(matches!(journal.verify(extent.segment), Err(Error::Corrupt { .. })));
    assert_eq!(read_all(&journal, &seen[2].body), noise(2, 1000));
    // A copy would be as bad, so nothing is removed.
    assert!(matches!(journal.reclaim(extent.segment, |_| crate::Verdict::Keep), Err(Error::Corrupt { .. })));
    assert!(journal.segment_exists(extent.segment));
}

#[test]
fn a_sealed_segment_that_was_cut_short_is_noticed() {
    for cut in [1, 40, 41, 1500] {
        let (bench, seen) = three_segments();
        let path = bench.segment_path(SegmentId(2));
        let length = fs::metadata(&path).unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length - cut).unwrap();
        assert!(matches!(bench.open_error(), Error::Corrupt { segment: SegmentId(2), .. }));
        let (_, follow, recovery) = quarantine(&bench);
        assert!(!recovery.quarantined.is_empty());
        assert!(follow.metas().len() >= seen.len() - 2);
    }
}

#[test]
fn a_damaged_segment_holds_back_only_what_it_may_refer_to() {
    let bench = Bench::with_segment_bytes(300_000);
    let (journal, _, _) = bench.open();
    append(&journal, "plain", noise(1, 240_000));
    append(&journal, "in pieces", noise(2, 1_500_000));
    append(&journal, "between", noise(3, 200_000));
    append(&journal, "damaged", noise(4, 200_000));
    append(&journal, "last", noise(5, 200_000));
    let segments = journal.segments();
    journal.close().unwrap();
    let damaged = segments[segments.len() - 2];
    let path = bench.segment_path(damaged);
    let length = fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
    let (journal, follow, _) = quarantine(&bench);
    let in_pieces = follow.current()[&b"in pieces"[..]].body.clone();
    let plain = follow.current()[&b"plain"[..]].position.segment;
    let first_piece = in_pieces.extents()[0].segment;
    assert!(plain < first_piece && first_piece < damaged);

    // Nothing that cannot be read refers to a body that is no piece.
    let candidates: Vec<_> = journal.reclaim_candidates(2.0).iter().map(|it| it.segment).collect();
    assert!(candidates.contains(&plain) && !candidates.contains(&first_piece), "{candidates:?}");
    let before = follow.seen().len();
    let keep = |_: &Entry| crate::Verdict::Keep;
    assert!(matches!(journal.reclaim(first_piece, keep), Err(Error::Busy { .. })));
    assert_eq!(follow.seen().len(), before, "nothing was copied in vain");
    journal.reclaim(plain, keep).unwrap();
    assert_eq!(read_all(&journal, &in_pieces), noise(2, 1_500_000));
}

#[test]
fn damage_in_the_newest_segment_holds_back_what_it_may_refer_to() {
    let bench = Bench::with_segment_bytes(300_000);
    let (journal, _, _) = bench.open();
    append(&journal, "plain", noise(1, 240_000));
    append(&journal, "in pieces", noise(2, 1_500_000));
    append(&journal, "damaged", noise(3, 200_000));
    append(&journal, "last", "");
    let crashed = bench.crash();
    let (journal, follow, _) = crashed.open();
    let damaged = follow.current()[&b"damaged"[..]].position;
    let first_piece = follow.current()[&b"in pieces"[..]].body.extents()[0].segment;
    drop(journal);
    // As the crash left it, its end not sealed.
    let crashed = bench.crash();
    damage(&crashed, damaged, &[0xff; 40]);
    for turn in ["recovered", "opened again"] {
        let (journal, _, _) = quarantine(&crashed);
        let candidates: Vec<_> = journal.reclaim_candidates(2.0).iter().map(|it| it.segment).collect();
        assert!(candidates.contains(&SegmentId(1)), "{turn}: {candidates:?}");
        assert!(!candidates.contains(&first_piece), "{turn}: {candidates:?}");
        journal.close().unwrap();
    }
}

#[test]
fn damage_met_in_a_later_segment_holds_the_healthy_one_back_without_blame() {
    let bench = Bench::with_segment_bytes(300_000);
    let (journal, follow, _) = bench.open();
    append(&journal, "in pieces", noise(1, 1_500_000));
    append(&journal, "last", noise(2, 290_000));
    let entry = follow.current()[&b"in pieces"[..]].clone();
    let first = entry.body.extents()[0].segment;
    assert!(first < entry.position.segment);
    damage(&bench, entry.position, &[0xff; 40]);
    let reclaimed = journal.reclaim(first, |_| crate::Verdict::Keep);
    let named = entry.position.segment;
    assert!(matches!(reclaimed, Err(Error::Corrupt { segment, .. }) if segment == named), "{reclaimed:?}");
    let again = journal.reclaim(first, |_| crate::Verdict::Keep);
    let Err(Error::Busy { reason, .. }) = again else { panic!("{again:?}") };
    assert_eq!(reason, "a damaged segment may refer to it");
    assert!(journal.reclaim_candidates(2.0).iter().all(|candidate| candidate.segment != first));
    assert_eq!(read_all(&journal, &entry.body), noise(1, 1_500_000));
}

#[test]
fn a_position_that_names_no_record_is_refused() {
    let (bench, seen) = three_segments();
    let (journal, _, _) = bench.open();
    let Position { segment, offset } = seen[4].position;
    assert_eq!(journal.entry(seen[4].position).unwrap(), seen[4]);
    for offset in [0, 3, offset + 8, offset + 1, u32::MAX] {
        assert!(
            matches!(journal.entry(Position { segment, offset }), Err(Error::Corrupt { .. })),
            "{offset}"
        );
    }
    let gone = Position { segment: SegmentId(77), offset };
    assert!(matches!(journal.entry(gone), Err(Error::Gone { .. })));
}

#[test]
fn a_segment_without_its_header_is_refused_or_quarantined_whole() {
    for victim in 1..=3 {
        let (bench, seen) = three_segments();
        let segment = SegmentId(victim);
        damage(&bench, Position { segment, offset: 9 }, &[0xff; 40]);
        // The version field is part of it: take the magic too, or it looks like a newer format.
        damage(&bench, Position { segment, offset: 0 }, b"?");
        assert!(
            matches!(bench.open_error(), Error::Corrupt { segment: named, offset: 0, .. } if named == segment)
        );
        let damaged = fs::read(bench.segment_path(segment)).unwrap();
        let (journal, follow, recovery) = quarantine(&bench);
        assert_eq!(follow.seen().len(), 6);
        assert_eq!(recovery.quarantined[0].start, Position { segment, offset: 0 });
        assert!(append(&journal, "goes on", "").position > seen[8].position);
        assert_eq!(fs::read(bench.segment_path(segment)).unwrap(), damaged);
    }
}
