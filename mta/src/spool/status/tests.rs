use super::*;
use crate::spool::HandOver;

fn status(state: RecipientState, attempts: u32) -> Status {
    Status { state, attempts, next_attempt_at: u64::from(attempts) * 100, ..Status::default() }
}

/// What a recipient may go through: each status is the one before it, some time later.
fn history() -> Vec<Status> {
    let mut now = Status::default();
    let mut history = vec![now.clone()];
    let mut revision = 0;
    let mut steps: Vec<Box<dyn FnMut(Status) -> Status>> = Vec::new();
    let attempt = |state, attempts| {
        Box::new(move |before: Status| {
            let mut next = status(state, attempts);
            next.delay_reported = attempts == 2;
            next.steering = None;
            let mut after = before;
            after.merge(next);
            after
        }) as Box<dyn FnMut(Status) -> Status>
    };
    let mut change = |change: Change| {
        revision += 1;
        Box::new(move |before: Status| before.changed(&change, revision)) as Box<dyn FnMut(Status) -> Status>
    };
    steps.push(attempt(RecipientState::InFlight, 1));
    steps.push(attempt(RecipientState::Queued, 1));
    steps.push(change(Change { held: Some(true), ..Change::default() }));
    steps.push(change(Change { route: Some(Some("smart.test:25".into())), ..Change::default() }));
    steps.push(change(Change { held: Some(false), next_attempt_at: Some(7), ..Change::default() }));
    steps.push(attempt(RecipientState::InFlight, 2));
    steps.push(change(Change { next_attempt_at: Some(9), ..Change::default() }));
    steps.push(attempt(RecipientState::Queued, 2));
    steps.push(change(Change { route: Some(None), next_attempt_at: Some(11), ..Change::default() }));
    steps.push(attempt(RecipientState::Delivered, 3));
    for mut step in steps {
        now = step(now);
        history.push(now.clone());
    }
    history
}

#[test]
fn merging_gives_the_same_in_any_order_and_however_often() {
    let history = history();
    let mut random = fastrand::Rng::with_seed(7);
    for end in 1..=history.len() {
        let known = &history[..end];
        for _ in 0..200 {
            let mut records: Vec<&Status> = known.iter().chain(known).collect();
            random.shuffle(&mut records);
            let merged = records.into_iter().fold(Status::default(), |mut merged, status| {
                merged.merge(status.clone());
                merged
            });
            assert_eq!(merged, known[end - 1]);
        }
    }
}

/// Two changes that were decided at once, neither knowing of the other.
#[test]
fn changes_of_different_parts_do_not_undo_each_other() {
    let before = status(RecipientState::Queued, 1);
    let held = before.clone().changed(&Change { held: Some(true), ..Change::default() }, 1);
    let routed =
        before.clone().changed(&Change { route: Some(Some("a.test:25".into())), ..Change::default() }, 2);
    for (first, second) in [(&held, &routed), (&routed, &held)] {
        let mut merged = before.clone();
        merged.merge(first.clone());
        merged.merge(second.clone());
        assert!(merged.is_held());
        assert_eq!(merged.route().map(AsRef::as_ref), Some("a.test:25"));
        assert_eq!(merged.next_attempt_at, 100);
    }
}

#[test]
fn an_attempt_makes_the_time_of_the_next_anew_and_keeps_what_was_decided() {
    let change = Change {
        held: Some(false),
        route: Some(Some("a.test:25".into())),
        next_attempt_at: Some(1),
        ..Change::default()
    };
    let mut merged = status(RecipientState::Queued, 1).changed(&change, 5);
    assert_eq!(merged.next_attempt_at, 1);
    merged.merge(status(RecipientState::Queued, 2));
    assert_eq!((merged.next_attempt_at, merged.attempts), (200, 2));
    assert_eq!(merged.route().map(AsRef::as_ref), Some("a.test:25"));
}

/// A hand-over that came to nothing leaves its number: the next one must be another.
#[test]
fn a_hand_over_ends_and_its_number_stays() {
    let handed = |to: Option<&str>, number| Change {
        hand_over: Some(HandOver { to: to.map(Into::into), number }),
        ..Change::default()
    };
    let before = status(RecipientState::Queued, 1);
    let begun = before.clone().changed(&handed(Some("b.test:7025"), 3), 1);
    let ended = begun.clone().changed(&handed(None, 3), 2);
    for (first, second) in [(&begun, &ended), (&ended, &begun)] {
        let mut merged = before.clone();
        merged.merge(first.clone());
        merged.merge(second.clone());
        assert!(merged.handed_to().is_none() && !merged.is_kept_back());
        assert_eq!(merged.hand_over_number(), 3);
    }
    assert!(begun.is_kept_back() && !begun.is_held());
}
