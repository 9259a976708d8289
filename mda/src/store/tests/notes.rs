//! Annotations and rights.

use super::*;

fn note(entry: &str, value: &str) -> Annotation {
    Annotation { entry: entry.to_owned(), value: Some(Bytes::copy_from_slice(value.as_bytes())) }
}

fn lookup(grantee: Grantee, rights: &str) -> Grant {
    Grant { grantee, negative: false, rights: Rights::parse(rights).unwrap() }
}

#[tokio::test]
async fn they_outlive_a_restart_and_the_reclaim_of_their_records() {
    let (bed, alice) = Bed::with_account().await;
    let bob = create_account(&bed.store, "bob@example.test").await;
    let inbox = inbox(&bed.store, alice).id;
    let notes = vec![note("/private/a", "1"), note("/shared/b", "2")];
    let before = bed.store.status(inbox).unwrap().highest_modseq;
    bed.store.annotate(alice, Some(inbox), notes.clone()).await.unwrap();
    let after = bed.store.status(inbox).unwrap().highest_modseq;
    assert_eq!(after, before + 1, "the mailbox has changed");
    bed.store.annotate(bob, None, vec![note("/private/c", "3")]).await.unwrap();
    bed.store.grant(inbox, lookup(Grantee::Account(bob), "lr")).await.unwrap();
    for _ in 0..40 {
        deliver(&bed.store, alice, &"x".repeat(10_000)).await;
    }
    bed.store.expunge(inbox, UidSet::all(), false).await.unwrap();
    let store = bed.store.clone();
    let segments = store.segments();
    tokio::task::spawn_blocking(move || {
        assert!(segments.iter().any(|segment| store.reclaim_segment(*segment).unwrap()));
    })
    .await
    .unwrap();
    bed.store.close().await.unwrap();
    std::fs::remove_dir_all(bed.dir.path().join("state")).unwrap();
    let store = open(bed.dir.path());
    let mut found = store.annotations(alice, Some(inbox)).unwrap();
    found.sort_by(|one, other| one.entry.cmp(&other.entry));
    assert_eq!(found, notes);
    assert!(store.status(inbox).unwrap().highest_modseq > after);
    assert_eq!(store.annotations(bob, Some(inbox)).unwrap().len(), 1);
    assert_eq!(store.annotations(bob, None).unwrap(), [note("/private/c", "3")]);
    let shared = store.shared_with(bob).unwrap();
    assert!(shared.len() == 1 && shared[0].0.id == inbox && shared[0].1.to_string() == "lr");
}

#[tokio::test]
async fn they_go_with_the_mailbox_and_the_account() {
    let (bed, alice) = Bed::with_account().await;
    let bob = create_account(&bed.store, "bob@example.test").await;
    let folder = bed.store.create_mailbox(alice, name("folder"), None).await.unwrap().id;
    let inbox = inbox(&bed.store, alice).id;
    bed.store.grant(folder, lookup(Grantee::Anyone, "l")).await.unwrap();
    bed.store.grant(inbox, lookup(Grantee::Account(bob), "l")).await.unwrap();
    assert_eq!(bed.store.shared_with(bob).unwrap().len(), 2);
    assert!(bed.store.shared_with(alice).unwrap().is_empty(), "one's own mailboxes are not others'");
    bed.store.delete_mailbox(alice, name("folder")).await.unwrap();
    assert_eq!(bed.store.shared_with(bob).unwrap().len(), 1);
    bed.store.grant(inbox, lookup(Grantee::Account(bob), "")).await.unwrap();
    assert!(bed.store.shared_with(bob).unwrap().is_empty() && bed.store.grants(inbox).unwrap().is_empty());
    bed.store.grant(inbox, lookup(Grantee::Account(bob), "lrs")).await.unwrap();
    bed.store.remove_account(bob).await.unwrap();
    assert!(bed.store.grants(inbox).unwrap().is_empty());
    let gone = bed.store.grant(inbox, lookup(Grantee::Account(bob), "l")).await;
    assert!(matches!(gone, Err(StoreError::NoSuchAccount)));
}

#[tokio::test]
async fn what_a_removed_account_noted_at_mailboxes_of_others_goes_for_good() {
    let (bed, alice) = Bed::with_account().await;
    let bob = create_account(&bed.store, "bob@example.test").await;
    let inbox = inbox(&bed.store, alice).id;
    let folder = bed.store.create_mailbox(alice, name("folder"), None).await.unwrap().id;
    for mailbox in [inbox, folder] {
        bed.store.grant(mailbox, lookup(Grantee::Account(bob), "lr")).await.unwrap();
        let notes = vec![note("/private/x", "1"), note("/shared/y", "2")];
        bed.store.annotate(bob, Some(mailbox), notes).await.unwrap();
        bed.store.annotate(alice, Some(mailbox), vec![note("/private/x", "3")]).await.unwrap();
    }
    bed.store.remove_account(bob).await.unwrap();
    let left = [note("/shared/y", "2"), note("/private/x", "3")];
    assert_eq!(bed.store.annotations(bob, Some(inbox)).unwrap(), left[..1]);
    assert_sound_aside(&bed.store).await;
    for _ in 0..3 {
        for _ in 0..10 {
            let uid = deliver(&bed.store, alice, &"x".repeat(10_000)).await.uid;
            bed.store.expunge(inbox, uids(&[uid]), false).await.unwrap();
        }
        let store = bed.store.clone();
        let reclaim = move || {
            store.segments().into_iter().filter(|segment| store.reclaim_segment(*segment).unwrap()).count()
        };
        assert!(tokio::task::spawn_blocking(reclaim).await.unwrap() > 0);
        assert_sound_aside(&bed.store).await;
    }
    bed.store.close().await.unwrap();
    LocalStore::rebuild(config(bed.dir.path()), |_| ()).unwrap();
    let store = open(bed.dir.path());
    for mailbox in [inbox, folder] {
        assert_eq!(store.annotations(bob, Some(mailbox)).unwrap(), left[..1]);
        assert_eq!(store.annotations(alice, Some(mailbox)).unwrap(), left);
    }
}

#[tokio::test]
async fn an_account_is_removed_at_the_same_cost_however_much_others_have_noted() {
    let (bed, alice) = Bed::with_account().await;
    // What is purged in the background reads, too.
    bed.store.stop_housekeeping();
    let cost = async |address: &str| {
        let account = create_account(&bed.store, address).await;
        bed.store.annotate(account, None, vec![note("/private/x", "1")]).await.unwrap();
        let before = bed.store.rows_read();
        bed.store.remove_account(account).await.unwrap();
        bed.store.rows_read() - before
    };
    let alone = cost("bob@example.test").await;
    for n in 0..50 {
        let mailbox = bed.store.create_mailbox(alice, name(&n.to_string()), None).await.unwrap();
        bed.store.annotate(alice, Some(mailbox.id), vec![note("/private/x", "1")]).await.unwrap();
    }
    let among_others = cost("carol@example.test").await;
    assert!(among_others < alone + 20, "{among_others}, alone {alone}");
    assert_sound_aside(&bed.store).await;
}

#[tokio::test]
async fn all_that_is_noted_at_an_accounts_mailboxes_has_a_limit() {
    let (bed, alice) = Bed::with_account().await;
    let value = Some(Bytes::from(vec![b'x'; 16 << 10]));
    let notes: Vec<Annotation> =
        (0..50).map(|n| Annotation { entry: format!("/private/{n}"), value: value.clone() }).collect();
    let mut refused = None;
    for n in 0..20 {
        let mailbox = bed.store.create_mailbox(alice, name(&n.to_string()), None).await.unwrap();
        if let Err(error) = bed.store.annotate(alice, Some(mailbox.id), notes.clone()).await {
            refused = Some((n, error, mailbox));
            break;
        }
    }
    let (n, error, mailbox) = refused.unwrap();
    assert!(n > 10 && matches!(error, StoreError::OverLimit { .. }), "{n}: {error}");
    // It is the same after a restart, and what goes makes room.
    let bed = bed.reopened().await;
    assert!(bed.store.annotate(alice, Some(mailbox.id), notes.clone()).await.is_err());
    bed.store.delete_mailbox(alice, name("0")).await.unwrap();
    bed.store.annotate(alice, Some(mailbox.id), notes).await.unwrap();
    assert_sound_aside(&bed.store).await;
}

#[tokio::test]
async fn what_somebody_notes_for_himself_takes_room_of_nobody_else() {
    let (bed, alice) = Bed::with_account().await;
    let bob = create_account(&bed.store, "bob@example.test").await;
    let value = "x".repeat(16 << 10);
    let notes: Vec<Annotation> = (0..50).map(|n| note(&format!("/private/{n}"), &value)).collect();
    let mut refused = None;
    for n in 0..20 {
        let mailbox = bed.store.create_mailbox(alice, name(&n.to_string()), None).await.unwrap().id;
        bed.store.grant(mailbox, lookup(Grantee::Account(bob), "lrs")).await.unwrap();
        if bed.store.annotate(bob, Some(mailbox), notes.clone()).await.is_err() {
            refused = Some(mailbox);
            break;
        }
    }
    let last = refused.expect("there is a limit for Bob");
    let bed = bed.reopened().await;
    assert!(bed.store.annotate(bob, Some(last), notes.clone()).await.is_err());
    bed.store.annotate(alice, Some(last), notes).await.unwrap();
    // What is for all is its owner's.
    bed.store.annotate(bob, Some(last), vec![note("/shared/x", &value)]).await.unwrap();
    assert_sound_aside(&bed.store).await;
}
