//! Messages that go to another node, and come back.

use super::*;

fn come_back(message: &NewMessage, hand_overs: u32) -> NewMessage {
    let status = Status { attempts: 4, next_attempt_at: 77, ..Status::default() };
    let status = status.steered(true, Some("smart.test:25".into()));
    NewMessage { hand_overs, recipients: vec![(0, status)], ..message.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_handed_over_leaves_and_may_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let (message, body) = (new_message(1), Bytes::from(vec![b'x'; 4_000]));
    accept(&spool, &message, &body).await;
    fill_a_segment(&spool).await;
    let early = spool.accept(come_back(&message, 2), body.clone()).await;
    assert!(matches!(early, Err(SpoolError::NotGoneYet(_))), "{early:?}");

    let away = || vec![(0, status(RecipientState::Transferred, 1))];
    spool.progress(message.id, away()).await.unwrap();
    assert_eq!(spool.len(), 0);
    // A late retry of the hand-over that brought it here first.
    assert!(matches!(accept(&spool, &message, &body).await, Accepted::Known));
    let back = come_back(&message, 2);
    assert!(matches!(accept(&spool, &back, &body).await, Accepted::New(_)));
    assert!(matches!(accept(&spool, &back, &body).await, Accepted::Known));
    assert!(matches!(accept(&spool, &come_back(&message, 1), &body).await, Accepted::Known));

    // Whatever is moved about in the log, and however often it is read: what ended is the earlier one.
    spool.close().unwrap();
    for _ in 0..4 {
        let spool = open(dir.path());
        let found = spool.get(message.id).unwrap();
        let status = found.status(0).unwrap();
        assert_eq!((found.hand_overs, status.attempts, status.next_attempt_at), (2, 4, 77));
        assert!(status.is_held() && status.route().is_some());
        assert_eq!(body_of(&spool, message.id).await, body);
        fill_a_segment(&spool).await;
        let (emptying, oldest) = (spool.clone(), spool.journal.segments()[0]);
        tokio::task::spawn_blocking(move || emptying.empty(oldest)).await.unwrap().unwrap();
        spool.close().unwrap();
    }
    let spool = open(dir.path());
    spool.progress(message.id, away()).await.unwrap();
    spool.close().unwrap();
    let spool = open(dir.path());
    assert_eq!(spool.len(), 0);
    assert!(matches!(accept(&spool, &back, &body).await, Accepted::Known));
    assert!(matches!(accept(&spool, &come_back(&message, 4), &body).await, Accepted::New(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn that_a_hand_over_has_begun_is_known_after_a_restart_and_a_reclaim() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let message = new_message(2);
    accept(&spool, &message, &Bytes::from(vec![b'x'; 4_000])).await;
    let begun = HandOver { to: Some("b.test:7025".into()), number: 3 };
    let change = Change { hand_over: Some(begun), ..Change::default() };
    spool.steer(message.id, vec![(1, change)]).await.unwrap();
    for _ in 0..2 {
        fill_a_segment(&spool).await;
        let (emptying, oldest) = (spool.clone(), spool.journal.segments()[0]);
        tokio::task::spawn_blocking(move || emptying.empty(oldest)).await.unwrap().unwrap();
    }
    spool.close().unwrap();
    let spool = open(dir.path());
    let found = spool.get(message.id).unwrap().statuses();
    assert_eq!(found[1].handed_to().map(AsRef::as_ref), Some("b.test:7025"));
    assert_eq!((found[1].hand_over_number(), found[0].handed_to()), (3, None));
    assert!(spool.knows(message.id, 0) && !spool.knows(message.id, 1));
}
