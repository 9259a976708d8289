//! The list of mailboxes.

use super::*;

async fn create(store: &LocalStore, account: AccountId, text: &str) -> Mailbox {
    store.create_mailbox(account, name(text), None).await.unwrap()
}

#[tokio::test]
async fn creating_makes_the_superiors_that_are_missing() {
    let (bed, alice) = Bed::with_account().await;
    create(&bed.store, alice, "lists/rust/announce").await;
    assert!(names(&bed.store, alice).iter().any(|name| name == "lists/rust"));
    let again = bed.store.create_mailbox(alice, name("lists/rust"), None).await;
    assert!(matches!(again, Err(StoreError::AlreadyExists)));
    let inbox = bed.store.create_mailbox(alice, name("inbox"), None).await;
    assert!(matches!(inbox, Err(StoreError::AlreadyExists)));
}

#[tokio::test]
async fn only_one_of_two_concurrent_creations_succeeds() {
    let (bed, alice) = Bed::with_account().await;
    let make = || bed.store.create_mailbox(alice, name("x"), None);
    let (first, second) = tokio::join!(make(), make());
    assert!(first.is_ok() != second.is_ok());
}

#[tokio::test]
async fn uidvalidity_never_repeats_and_only_grows() {
    let (bed, alice) = Bed::with_account().await;
    let mut last = create(&bed.store, alice, "x").await.uid_validity;
    for _ in 0..3 {
        bed.store.delete_mailbox(alice, name("x")).await.unwrap();
        let new = create(&bed.store, alice, "x").await.uid_validity;
        assert!(new > last);
        last = new;
    }
    bed.store.delete_mailbox(alice, name("x")).await.unwrap();
    let bed = bed.reopened().await;
    assert!(create(&bed.store, alice, "x").await.uid_validity > last);
}

#[tokio::test]
async fn inbox_and_mailboxes_with_inferiors_are_not_deleted() {
    let (bed, alice) = Bed::with_account().await;
    create(&bed.store, alice, "a/b").await;
    let delete = |text| bed.store.delete_mailbox(alice, name(text));
    assert!(matches!(delete("a").await, Err(StoreError::HasChildren)));
    assert!(matches!(delete("INBOX").await, Err(StoreError::InboxIsPermanent)));
    assert!(matches!(delete("b").await, Err(StoreError::NoSuchMailbox)));
    delete("a/b").await.unwrap();
    delete("a").await.unwrap();
    assert!(!names(&bed.store, alice).iter().any(|name| name.starts_with('a')));
}

#[tokio::test]
async fn a_rename_takes_inferiors_along_and_keeps_messages_as_they_are() {
    let (bed, alice) = Bed::with_account().await;
    let child = create(&bed.store, alice, "foo/bar").await;
    let placed = append(&bed.store, alice, "foo/bar", "text", seen()).await;
    bed.store.rename_mailbox(alice, name("foo"), name("new/zap")).await.unwrap();

    let names = names(&bed.store, alice);
    assert!(["new", "new/zap", "new/zap/bar"].iter().all(|name| names.contains(&(*name).to_owned())));
    assert!(!names.iter().any(|name| name.starts_with("foo")));
    let moved = mailbox(&bed.store, alice, "new/zap/bar");
    assert_eq!((moved.id, moved.uid_validity), (child.id, child.uid_validity));
    assert_eq!(rows(&bed.store, moved.id).await[0].uid, placed.uid);
}

#[tokio::test]
async fn a_rename_that_cannot_be_changes_nothing() {
    let (bed, alice) = Bed::with_account().await;
    create(&bed.store, alice, "a/x").await;
    create(&bed.store, alice, "b/x").await;
    let before = names(&bed.store, alice);
    let rename = |from, to| bed.store.rename_mailbox(alice, name(from), name(to));
    assert!(matches!(rename("a", "b").await, Err(StoreError::AlreadyExists)));
    assert!(matches!(rename("nobody", "c").await, Err(StoreError::NoSuchMailbox)));
    assert!(matches!(rename("a", "a/below").await, Err(StoreError::InvalidName(NameError::BelowItself))));
    assert!(matches!(rename("a", "inbox").await, Err(StoreError::AlreadyExists)));
    assert_eq!(names(&bed.store, alice), before);
}

#[tokio::test]
async fn renaming_inbox_moves_its_messages_and_leaves_an_empty_inbox() {
    let (bed, alice) = Bed::with_account().await;
    create(&bed.store, alice, "INBOX/sub").await;
    let old = inbox(&bed.store, alice);
    deliver(&bed.store, alice, "text").await;
    bed.store.rename_mailbox(alice, name("INBOX"), name("old-mail")).await.unwrap();

    assert_eq!(rows(&bed.store, mailbox(&bed.store, alice, "old-mail").id).await.len(), 1);
    let new = inbox(&bed.store, alice);
    assert_eq!(bed.store.status(new.id).unwrap().messages, 0);
    assert!(new.uid_validity > old.uid_validity);
    assert!(names(&bed.store, alice).contains(&"INBOX/sub".to_owned()));
    assert_eq!(deliver(&bed.store, alice, "later").await.mailbox, new.id);
}

#[tokio::test]
async fn deliveries_beside_renames_of_inbox_all_arrive() {
    let (bed, alice) = Bed::with_account().await;
    let deliveries: Vec<_> = (0..20)
        .map(|n| {
            let store = bed.store.clone();
            tokio::spawn(async move { deliver(&store, alice, &n.to_string()).await })
        })
        .collect();
    for n in 0..5 {
        bed.store.rename_mailbox(alice, name("INBOX"), name(&format!("old-{n}"))).await.unwrap();
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    assert_eq!(bed.store.usage(alice).unwrap().messages, 20);
}

#[tokio::test]
async fn subscriptions_are_names_not_mailboxes() {
    let (bed, alice) = Bed::with_account().await;
    bed.store.set_subscribed(alice, name("not/there"), true).await.unwrap();
    bed.store.set_subscribed(alice, name("Junk"), false).await.unwrap();
    bed.store.delete_mailbox(alice, name("Trash")).await.unwrap();
    let bed = bed.reopened().await;
    let subscribed: Vec<_> =
        bed.store.subscriptions(alice).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(subscribed, ["Archive", "Drafts", "INBOX", "Sent", "Trash", "not/there"]);
    assert!(!mailbox(&bed.store, alice, "Junk").subscribed);
}

#[tokio::test]
async fn there_are_at_most_so_many_mailboxes() {
    let dir = TempDir::new().unwrap();
    let config = StoreConfig { max_mailboxes: 8, ..config(dir.path()) };
    let store = LocalStore::open(config).unwrap().0;
    let alice = create_account(&store, "alice@example.test").await;
    store.create_mailbox(alice, name("a/b"), None).await.unwrap();
    let over = store.create_mailbox(alice, name("c"), None).await;
    assert!(matches!(over, Err(StoreError::OverLimit { limit: 8, .. })));
}

#[tokio::test]
async fn subscriptions_that_were_ended_are_bounded_too() {
    let dir = TempDir::new().unwrap();
    let store = LocalStore::open(StoreConfig { max_mailboxes: 8, ..config(dir.path()) }).unwrap().0;
    let alice = create_account(&store, "alice@example.test").await;
    let mut over = Ok(());
    let mut taken = 0;
    for n in 0..20 {
        over = store.set_subscribed(alice, name(&n.to_string()), true).await;
        if over.is_err() {
            break;
        }
        taken += 1;
        store.set_subscribed(alice, name(&n.to_string()), false).await.unwrap();
    }
    assert!(matches!(over, Err(StoreError::OverLimit { limit: 16, .. })), "{over:?}");
    assert_eq!(taken, 10, "six came with the account");
    store.set_subscribed(alice, name("3"), true).await.unwrap();
}
