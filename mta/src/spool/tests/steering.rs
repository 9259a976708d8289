//! What operators decide outlives restarts, reclaiming and attempts.

use super::*;

fn suspension(scope: Scope) -> Suspension {
    Suspension { scope, reason: "maintenance".into(), since: 5 }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_about_a_recipient_holds_after_a_restart_and_a_reclaim() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let message = new_message(3);
    accept(&spool, &message, &Bytes::from_static(b"x")).await;
    let hold = Change { held: Some(true), ..Change::default() };
    let route = Change { route: Some(Some("smart.test:25".into())), ..Change::default() };
    let soon = Change { next_attempt_at: Some(3), ..Change::default() };
    spool.progress(message.id, vec![(2, status(RecipientState::Queued, 1))]).await.unwrap();
    spool.steer(message.id, vec![(0, hold), (1, route.clone()), (2, soon)]).await.unwrap();
    spool.steer(message.id, vec![(0, route)]).await.unwrap();
    fill_a_segment(&spool).await;
    let reclaiming = spool.clone();
    let first = spool.journal.segments()[0];
    tokio::task::spawn_blocking(move || reclaiming.empty(first)).await.unwrap().unwrap();
    spool.close().unwrap();

    let spool = open(dir.path());
    let found = spool.get(message.id).unwrap().statuses();
    assert!(found[0].is_held() && !found[1].is_held());
    let routes: Vec<Option<&str>> = found.iter().map(|status| status.route().map(AsRef::as_ref)).collect();
    assert_eq!(routes, [Some("smart.test:25"), Some("smart.test:25"), None]);
    assert_eq!((found[2].next_attempt_at, found[2].attempts), (3, 1));

    // Decisions after the restart are later than those before it.
    let release = Change { held: Some(false), route: Some(None), ..Change::default() };
    spool.steer(message.id, vec![(0, release)]).await.unwrap();
    spool.close().unwrap();
    let found = open(dir.path()).get(message.id).unwrap().status(0).unwrap();
    assert!(!found.is_held() && found.route().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn suspensions_hold_until_they_are_lifted_and_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let scopes =
        [Scope::Site("mx.test".into()), Scope::Domain("a.test".into()), Scope::Account("bob".into())];
    let all = scopes.clone().map(|scope| spool.suspend(suspension(scope)));
    for suspended in futures_util::future::join_all(all).await {
        suspended.unwrap();
    }
    assert_eq!(spool.suspensions().len(), 3);
    assert!(spool.resume(scopes[1].clone()).await.unwrap());
    assert!(!spool.resume(scopes[1].clone()).await.unwrap());
    fill_a_segment(&spool).await;
    reclaim(&spool).await;
    spool.close().unwrap();

    let spool = open(dir.path());
    let mut found: Vec<Suspension> = spool.suspensions().to_vec();
    found.sort_by(|a, b| a.scope.cmp(&b.scope));
    assert_eq!(found, [suspension(scopes[0].clone()), suspension(scopes[2].clone())]);
    for scope in [&scopes[0], &scopes[2]] {
        assert!(spool.resume(scope.clone()).await.unwrap());
    }
    fill_a_segment(&spool).await;
    reclaim(&spool).await;
    spool.close().unwrap();
    assert!(open(dir.path()).suspensions().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn suspensions_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    for n in 0..suspension::MAX_SUSPENSIONS {
        spool.suspend(suspension(Scope::Domain(n.to_string().into()))).await.unwrap();
    }
    let refused = spool.suspend(suspension(Scope::Domain("one more".into()))).await;
    assert!(matches!(refused, Err(SpoolError::TooManySuspensions)), "{refused:?}");
    // In place of one that is there, there is room.
    spool.suspend(suspension(Scope::Domain("7".into()))).await.unwrap();
}
