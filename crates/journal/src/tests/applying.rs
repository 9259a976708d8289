//! Who applies what is durable, and that it makes no difference.

use std::thread;

use super::*;

const COMMITTER: &str = "journal-commit";
const APPLIER: &str = "journal-apply";

impl Follow {
    /// The threads that applied the entries, in order.
    fn threads(&self) -> Vec<String> {
        self.state.lock().threads.iter().map(|name| name.clone().unwrap_or_default()).collect()
    }
}

/// Appends so many records that are synced together.
fn append_together(bench: &Bench, journal: &Journal<u64>, records: usize, name: &str) -> Vec<Appended<u64>> {
    let appends: Vec<_> = {
        let _held = bench.config.faults.hold_syncs();
        let one = |number| journal.append(record(format!("{name} {number}"), ""));
        (0..records).map(one).collect()
    };
    appends.into_iter().map(|append| append.wait().unwrap()).collect()
}

#[test]
fn a_lone_writers_appends_are_applied_without_another_thread() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    for number in 0..10 {
        append(&journal, numbered(number), "");
    }
    assert_eq!(follow.threads(), [COMMITTER; 10]);
}

#[test]
fn what_is_long_is_applied_by_the_thread_so_that_what_comes_next_is_synced_meanwhile() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    append(&journal, "short", "");
    journal.append(Record { kind: LONG, meta: "little".into(), body: Bytes::new() }).wait().unwrap();
    append(&journal, vec![b'm'; 17 << 10], "");
    assert_eq!(follow.threads(), [COMMITTER, APPLIER, APPLIER]);
}

#[test]
fn a_follower_that_is_always_quick_is_not_worth_another_thread_for_a_batch() {
    let bench = Bench::new();
    let follow = Follow { is_always_quick: true, ..Follow::default() };
    let (journal, _) = Journal::open(bench.config.clone(), follow.clone()).unwrap();
    append_together(&bench, &journal, 50, "together");
    assert_eq!(follow.threads(), [COMMITTER; 50]);
}

#[test]
fn order_holds_whoever_applies() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    let mut outputs = Vec::new();
    for round in 0..20 {
        outputs.push(append(&journal, format!("lone {round}"), "").output);
        let together = append_together(&bench, &journal, 30, &format!("together {round}"));
        outputs.extend(together.iter().map(|appended| appended.output));
    }
    assert_eq!(outputs, (1..=20 * 31).collect::<Vec<_>>());
    let threads = follow.threads();
    assert!([COMMITTER, APPLIER].iter().all(|name| threads.iter().any(|thread| thread == name)));
    let sequences: Vec<_> = follow.seen().iter().map(|entry| entry.sequence).collect();
    assert!(sequences.is_sorted_by(|a, b| a < b));
}

#[test]
fn many_lone_writers_each_see_their_own_order() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    thread::scope(|scope| {
        for writer in 0..6u8 {
            let journal = &journal;
            scope.spawn(move || {
                let mut last = 0;
                for number in 0..100 {
                    let appended = append(journal, vec![writer, number], "");
                    assert!(appended.output > last);
                    last = appended.output;
                }
            });
        }
    });
    let sequences: Vec<_> = follow.seen().iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences.len(), 600);
    assert!(sequences.is_sorted_by(|a, b| a < b));
}

#[test]
fn while_the_thread_is_busy_syncs_go_on_and_nothing_overtakes() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    append(&journal, "first", "");
    let gate = follow.gate.lock();
    let synced = |append: &dyn Fn() -> crate::Append<u64>| {
        let before = bench.config.faults.syncs();
        let append = append();
        while bench.config.faults.syncs() == before {
            thread::yield_now();
        }
        append
    };
    // The thread is at the first of these, and the second waits in its line.
    let long = || journal.append(Record { kind: LONG, meta: "long".into(), body: Bytes::new() });
    let long = [synced(&long), synced(&long)];
    // The committer would apply these itself if it looked at nothing but them.
    let lone = [0; 2].map(|_| synced(&|| journal.append(record("lone", ""))));
    drop(gate);
    let outputs = long.into_iter().chain(lone).map(|append| append.wait().unwrap().output);
    assert_eq!(outputs.collect::<Vec<_>>(), [2, 3, 4, 5]);
}

#[test]
fn what_cannot_be_applied_stops_the_journal_whoever_applies() {
    for (panics, together) in [(false, 1), (true, 1), (false, 40), (true, 40)] {
        let bench = Bench::new();
        let (journal, follow, _) = bench.open();
        follow.state.lock().poison = Some((66, panics));
        let held = bench.config.faults.hold_syncs();
        let before: Vec<_> = (1..together).map(|n| journal.append(record(numbered(n), ""))).collect();
        let poison = journal.append(Record { kind: 66, meta: "poison".into(), body: Bytes::new() });
        drop(held);
        assert!(matches!(poison.wait(), Err(Error::Follower(_))));
        // Those of an earlier batch may have been applied.
        let fine = |append: crate::Append<u64>| matches!(append.wait(), Ok(_) | Err(Error::Follower(_)));
        assert!(before.into_iter().all(fine));
        assert!(matches!(journal.append(record("late", "")).wait(), Err(Error::Follower(_))));
        assert!(matches!(journal.sync(), Err(Error::Follower(_))));
        assert!(matches!(journal.close(), Err(Error::Follower(_))));
        let (_journal, follow, _) = bench.open();
        assert_eq!(follow.metas().len(), together, "all of them were promised");
    }
}

#[test]
fn where_the_writing_thread_panics_nobody_waits_for_it() {
    let bench = Bench::new();
    let (journal, _, _) = bench.open();
    let fatal = journal.append(Record { kind: UNASKED, meta: "fatal".into(), body: Bytes::new() });
    assert!(fatal.wait().is_err());
    assert!(matches!(journal.append(record("late", "")).wait(), Err(Error::Follower(_))));
    assert!(matches!(journal.close(), Err(Error::Follower(_))));
    let (_journal, follow, _) = bench.open();
    assert_eq!(follow.metas(), ["fatal"], "it was durable");
}

#[test]
fn a_journal_that_is_closed_while_an_entry_is_applied_finishes_it() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    let gate = follow.gate.lock();
    let lone = journal.append(record("lone", ""));
    let clone = journal.clone();
    let closing = thread::spawn(move || journal.close());
    while !matches!(clone.room_for(1), Err(Error::Closed)) {
        thread::yield_now();
    }
    drop(gate);
    assert_eq!(lone.wait().unwrap().output, 1);
    closing.join().unwrap().unwrap();
}

#[test]
fn a_directory_is_held_until_the_last_entry_is_applied() {
    let bench = Bench::new();
    let (journal, follow, _) = bench.open();
    let gate = follow.gate.lock();
    let lone = journal.append(record("lone", ""));
    drop(journal);
    assert!(matches!(bench.open_error(), Error::Locked { .. }));
    drop(gate);
    assert_eq!(lone.wait().unwrap().output, 1);
    let follow = loop {
        match Journal::open(bench.config.clone(), Follow::default()) {
            Ok((_journal, _)) => break follow,
            Err(Error::Locked { .. }) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(follow.metas(), ["lone"]);
    assert_eq!(Arc::strong_count(&follow.state), 1, "nobody follows any more");
}
