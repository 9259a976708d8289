//! News of changes.

use super::*;

#[tokio::test]
async fn news_comes_when_the_change_can_be_seen() {
    let (bed, alice) = Bed::with_account().await;
    let inbox = inbox(&bed.store, alice).id;
    let mut news = bed.store.watch(inbox).unwrap();
    let store = bed.store.clone();
    let writer = tokio::spawn(async move {
        for n in 0..20 {
            deliver(&store, alice, &n.to_string()).await;
        }
    });
    let mut known = *news.borrow_and_update();
    let mut messages = 0;
    while messages < 20 {
        news.changed().await.unwrap();
        let told = *news.borrow_and_update();
        let changes = bed.store.changes_since(inbox, known).await.unwrap();
        assert!(changes.highest_modseq >= told);
        messages += changes.changed.len();
        assert!(changes.changed.iter().any(|row| row.modseq == told) || told < changes.highest_modseq);
        known = changes.highest_modseq;
        // What was read ahead of the status is read again.
        messages = messages.min(rows(&bed.store, inbox).await.len());
    }
    writer.await.unwrap();
    assert_eq!(rows(&bed.store, inbox).await.len(), 20);
}

#[tokio::test]
async fn a_deleted_mailbox_ends_its_news() {
    let (bed, alice) = Bed::with_account().await;
    let mut news = bed.store.watch(mailbox(&bed.store, alice, "Trash").id).unwrap();
    bed.store.delete_mailbox(alice, name("Trash")).await.unwrap();
    assert!(news.changed().await.is_err());
}

#[tokio::test]
async fn the_list_of_mailboxes_has_news_of_its_own() {
    let (bed, alice) = Bed::with_account().await;
    let mut news = bed.store.watch_account(alice).unwrap();
    deliver(&bed.store, alice, "no news for the list").await;
    assert!(!news.has_changed().unwrap());
    bed.store.create_mailbox(alice, name("new"), None).await.unwrap();
    assert!(news.has_changed().unwrap());
    news.mark_unchanged();
    bed.store.set_subscribed(alice, name("new"), true).await.unwrap();
    assert!(news.has_changed().unwrap());
    bed.store.remove_account(alice).await.unwrap();
    while news.changed().await.is_ok() {}
    assert!(matches!(bed.store.watch_account(alice), Err(StoreError::NoSuchAccount)));
}
