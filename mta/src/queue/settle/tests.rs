use std::sync::atomic::Ordering;
use std::time::Duration;

use message::dsn::Action;
use proto::mail::{DsnNotify, Recipient};
use tokio::task::spawn_blocking;

use super::super::tests::{Faulty, new_message, parts};
use super::*;

fn said(code: u32) -> Reply {
    Reply { code, enhanced: String::new(), text: "so".into() }
}

async fn accept(spool: &dyn crate::spool::Spool, message: NewMessage) -> Arc<Message> {
    match spool.accept(message, Bytes::from_static(b"Subject: x\r\n\r\n")).await.unwrap() {
        Accepted::New(message) => message,
        Accepted::Known => panic!("known"),
    }
}

/// Each combination of what a sender may ask for, with what is reported of success, relaying, delay and failure.
#[tokio::test]
async fn senders_are_told_what_they_asked_for() {
    use DsnNotify::{Delay, Failure, Never, Success};
    let table: [(&[DsnNotify], [bool; 4]); 9] = [
        // Delivered, relayed to a host that does not report, late, failed.
        (&[], [false, false, true, true]),
        (&[Never], [false; 4]),
        (&[Success], [true, true, false, false]),
        (&[Failure], [false, false, false, true]),
        (&[Delay], [false, false, true, false]),
        (&[Success, Failure], [true, true, false, true]),
        (&[Success, Delay], [true, true, true, false]),
        (&[Failure, Delay], [false, false, true, true]),
        (&[Success, Failure, Delay], [true, true, true, true]),
    ];
    let folder = tempfile::tempdir().unwrap();
    let spool = Faulty::open(folder.path()).spool;
    let recipients = table.iter().zip(0..).map(|((asked, _), number)| Recipient {
        address: format!("{number}@remote.test"),
        notify: asked.iter().map(|asked| i32::from(*asked)).collect(),
        ..Recipient::default()
    });
    let asked_for = new_message(recipients.collect());
    let mut null = new_message(asked_for.envelope.recipients.clone());
    null.envelope.reverse_path.clear();
    let mut bulk = new_message(asked_for.envelope.recipients.clone());
    bulk.envelope.priority = -1;
    let (message, null, bulk) =
        (accept(&spool, asked_for).await, accept(&spool, null).await, accept(&spool, bulk).await);

    let hour = Duration::from_hours(1);
    let due = |message: &Message, index, verdict: &Verdict, state, now| {
        let outcome = Outcome::local(index, 1, verdict.clone());
        let mut status = message.status(index).unwrap();
        status.state = state;
        report::due(message, &outcome, &status, hour, now)
    };
    let late = clock::millis(hour);
    let delivered = Verdict::Delivered(said(250));
    let relayed = |reports| Verdict::Relayed { reply: said(250), reports };
    let expanded = Verdict::Expanded(said(250));
    let (deferred, failed) = (Verdict::Deferred(said(450)), Verdict::Failed(said(550)));
    let fates = [
        (&delivered, RecipientState::Delivered, Action::Delivered),
        (&relayed(false), RecipientState::Delivered, Action::Relayed),
        (&deferred, RecipientState::Queued, Action::Delayed),
        (&failed, RecipientState::Bounced, Action::Failed),
    ];
    for ((asked, expected), index) in table.iter().zip(0..) {
        for ((verdict, state, action), expected) in fates.iter().zip(expected) {
            let told = due(&message, index, verdict, *state, message.received_at + late);
            assert_eq!(told, expected.then_some(*action), "{asked:?} {action:?}");
            assert_eq!(due(&null, index, verdict, *state, null.received_at + late), None);
        }
        let sent_on = due(&message, index, &expanded, RecipientState::Delivered, message.received_at);
        assert_eq!(sent_on, expected[1].then_some(Action::Expanded), "{asked:?} expanded");
        let expired = due(&message, index, &deferred, RecipientState::Expired, message.received_at);
        assert_eq!(expired, expected[3].then_some(Action::Failed), "{asked:?} expired");
        assert_eq!(due(&message, index, &relayed(true), RecipientState::Delivered, u64::MAX), None);
        let early = message.received_at + late - 1;
        assert_eq!(due(&message, index, &deferred, RecipientState::Queued, early), None);
        assert_eq!(due(&bulk, index, &deferred, RecipientState::Queued, u64::MAX), None);
    }
    let mut told_before = message.status(0).unwrap();
    told_before.delay_reported = true;
    let outcome = Outcome::local(0, 2, deferred);
    assert_eq!(report::due(&message, &outcome, &told_before, hour, u64::MAX), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_spool_does_not_take_holds_no_worker_and_is_not_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Faulty::open(folder.path());
    let (is_full, mut refusals) = (Arc::clone(&spool.is_full), spool.refusals.subscribe());
    let queue = Queue::new(parts(folder.path(), spool));
    let recipient = Recipient { address: "bob@remote.test".into(), ..Recipient::default() };
    let message = accept(&*queue.parts.spool, new_message(vec![recipient])).await;
    let story = || {
        let (events, id) = (queue.parts.events.clone(), message.id);
        async move { spawn_blocking(move || events.of(id).unwrap().events).await.unwrap() }
    };

    is_full.store(true, Ordering::SeqCst);
    queue.settle(&message, "mx", vec![Outcome::local(0, 1, Verdict::Deferred(said(450)))]).await;
    let writing = tokio::spawn(Arc::clone(&queue).write_late());
    refusals.wait_for(|refusals| *refusals >= 2).await.unwrap();
    assert_eq!(message.status(0).unwrap().attempts, 0);
    assert_eq!(queue.len(), 0, "nobody tries it before its result is written");
    assert!(story().await.is_empty());

    is_full.store(false, Ordering::SeqCst);
    queue.late.close();
    writing.await.unwrap();
    assert_eq!(message.status(0).unwrap().attempts, 1);
    assert_eq!(queue.len(), 1);
    let story = story().await;
    assert_eq!(story.iter().map(proto::mta::Event::kind).collect::<Vec<_>>(), [EventKind::Deferred]);
    assert_eq!((story[0].site.as_str(), story[0].attempt), ("mx", 1));
}

/// One after the other, each with a sync of its own, they would take longer than a drain has.
#[tokio::test(flavor = "multi_thread")]
async fn late_results_are_written_together() {
    const RESULTS: u32 = 100;
    /// A node that writes the next before it hears of the one before needs a second, and this one is given more.
    const LONG: Duration = Duration::from_secs(20);
    let folder = tempfile::tempdir().unwrap();
    let spool = Faulty::open(folder.path());
    let (is_full, held, mut given) =
        (Arc::clone(&spool.is_full), Arc::clone(&spool.held), spool.given.subscribe());
    let queue = Queue::new(parts(folder.path(), spool));
    let recipient = |n| Recipient { address: format!("{n}@remote.test"), ..Recipient::default() };
    let message = accept(&*queue.parts.spool, new_message((0..RESULTS).map(recipient).collect())).await;
    is_full.store(true, Ordering::SeqCst);
    for index in 0..RESULTS {
        let delivered = Outcome::local(index, 1, Verdict::Delivered(said(250)));
        queue.settle(&message, "mx", vec![delivered]).await;
    }

    is_full.store(false, Ordering::SeqCst);
    let unheard = held.write().await;
    queue.late.close();
    let writing = tokio::spawn(Arc::clone(&queue).write_late());
    let together = tokio::time::timeout(LONG, given.wait_for(|given| *given > 1)).await.is_ok();
    assert!(together, "the next waits until the one before is written");
    drop(unheard);
    writing.await.unwrap();
    assert!(message.statuses().iter().all(Status::is_final));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_spool_never_takes_leaves_nobody_outside_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Faulty { is_confused: true, ..Faulty::open(folder.path()) };
    let queue = Queue::new(parts(folder.path(), spool));
    let recipient = Recipient { address: "bob@remote.test".into(), ..Recipient::default() };
    let message = accept(&*queue.parts.spool, new_message(vec![recipient])).await;
    queue.settle(&message, "mx", vec![Outcome::local(0, 1, Verdict::Deferred(said(450)))]).await;
    assert_eq!(queue.len(), 1);
}
