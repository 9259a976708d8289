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
    // Each delivery takes one modseq, the first 2.
    let mut told = *news.borrow_and_update();
    while told < 21 {
        news.changed().await.unwrap();
        told = *news.borrow_and_update();
        let rows = rows(&bed.store, inbox).await;
        assert!(rows.iter().any(|row| row.modseq == told), "{told} was told and cannot be seen");
    }
    writer.await.unwrap();
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
