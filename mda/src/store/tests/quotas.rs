//! What an account may hold.

use super::*;

async fn limited(messages: Option<u64>, octets: Option<u64>) -> (Bed, AccountId) {
    let (bed, alice) = Bed::with_account().await;
    bed.store.set_quota(alice, Quota { messages, octets }).await.unwrap();
    (bed, alice)
}

async fn try_deliver(store: &LocalStore, account: AccountId, text: &str) -> Result<Receipt> {
    let to_alice = recipient(account, "alice@example.test");
    let results = store.deliver(delivery(MessageId::new(), text, vec![to_alice])).await.unwrap();
    results.into_iter().next().unwrap()
}

fn is_over<T: std::fmt::Debug>(result: &Result<T>) {
    assert!(matches!(result, Err(StoreError::OverQuota { .. })), "{result:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deliveries_at_the_same_time_come_to_the_quota_and_no_further() {
    let (bed, alice) = limited(Some(10), None).await;
    let tries: Vec<_> = (0..40)
        .map(|n| {
            let store = bed.store.clone();
            tokio::spawn(async move { try_deliver(&store, alice, &format!("text {n}")).await })
        })
        .collect();
    let mut taken = 0;
    for one in tries {
        match one.await.unwrap() {
            Ok(_) => taken += 1,
            refused => is_over(&refused),
        }
    }
    assert_eq!((taken, bed.store.usage(alice).unwrap().messages), (10, 10));
    assert!(bed.store.is_full(alice).unwrap());
    let inbox = inbox(&bed.store, alice).id;
    bed.store.expunge(inbox, uids(&[3, 4]), false).await.unwrap();
    assert!(!bed.store.is_full(alice).unwrap());
    for _ in 0..2 {
        try_deliver(&bed.store, alice, "again").await.unwrap();
    }
    is_over(&try_deliver(&bed.store, alice, "one too many").await);
    assert_sound_aside(&bed.store).await;
}

#[tokio::test]
async fn octets_count_each_copy_and_moves_count_nothing() {
    let (bed, alice) = limited(None, Some(100)).await;
    deliver(&bed.store, alice, &"x".repeat(40)).await;
    let inbox = inbox(&bed.store, alice).id;
    bed.store.copy(inbox, uids(&[1]), name("Archive")).await.unwrap();
    is_over(&bed.store.copy(inbox, uids(&[1]), name("Archive")).await);
    bed.store.move_messages(inbox, uids(&[1]), name("Archive")).await.unwrap();
    is_over(&try_deliver(&bed.store, alice, &"x".repeat(21)).await);
    try_deliver(&bed.store, alice, &"x".repeat(20)).await.unwrap();
    // A mailbox takes with it what was in it.
    bed.store.delete_mailbox(alice, name("Archive")).await.unwrap();
    try_deliver(&bed.store, alice, &"x".repeat(80)).await.unwrap();
    is_over(&try_deliver(&bed.store, alice, "x").await);
}

#[tokio::test]
async fn what_takes_the_place_of_another_needs_only_the_difference() {
    let (bed, alice) = limited(Some(1), None).await;
    deliver(&bed.store, alice, "old").await;
    let inbox = inbox(&bed.store, alice).id;
    for uid in 1..4 {
        let new = Append {
            mailbox: MailboxName::inbox(),
            message_id: MessageId::new(),
            flags: Flags::none(),
            internal_date: Timestamp::UNIX_EPOCH,
            body: body("new"),
        };
        bed.store.replace(alice, new, inbox, uid).await.unwrap();
    }
    is_over(&try_deliver(&bed.store, alice, "x").await);
}

#[tokio::test]
async fn deliveries_have_grace_and_clients_have_none() {
    let dir = TempDir::new().unwrap();
    let store = LocalStore::open(StoreConfig { quota_grace_bytes: 50, ..config(dir.path()) }).unwrap().0;
    let alice = create_account(&store, "alice@example.test").await;
    store.set_quota(alice, Quota { messages: None, octets: Some(100) }).await.unwrap();
    try_deliver(&store, alice, &"x".repeat(140)).await.unwrap();
    assert!(!store.is_full(alice).unwrap());
    is_over(&store.copy(inbox(&store, alice).id, uids(&[1]), name("Archive")).await);
    try_deliver(&store, alice, &"x".repeat(10)).await.unwrap();
    assert!(store.is_full(alice).unwrap());
}

#[tokio::test]
async fn an_accounts_own_quota_goes_before_its_domains() {
    let (bed, alice) = Bed::with_account().await;
    let quota = |messages| Quota { messages, octets: None };
    bed.store.set_domain_quota("example.test".to_owned(), quota(Some(1))).await.unwrap();
    deliver(&bed.store, alice, "one").await;
    is_over(&try_deliver(&bed.store, alice, "two").await);
    bed.store.set_quota(alice, quota(Some(2))).await.unwrap();
    try_deliver(&bed.store, alice, "two").await.unwrap();
    is_over(&try_deliver(&bed.store, alice, "three").await);
    bed.store.set_quota(alice, quota(Some(0))).await.unwrap();
    try_deliver(&bed.store, alice, "three").await.unwrap();
    bed.store.set_quota(alice, Quota::default()).await.unwrap();
    let refused = bed.store.set_domain_quota("elsewhere.test".to_owned(), quota(None)).await;
    assert!(matches!(refused, Err(StoreError::NoSuchDomain)));

    let bed = bed.reopened().await;
    let status = bed.store.quota(alice).unwrap();
    assert_eq!((status.own, status.limits), (Quota::default(), quota(Some(1))));
    assert_eq!(status.usage.messages, 3);
    is_over(&try_deliver(&bed.store, alice, "four").await);
    assert_sound_aside(&bed.store).await;
}

#[tokio::test]
async fn what_the_disk_refuses_is_not_counted() {
    let (bed, alice) = limited(Some(3), None).await;
    deliver(&bed.store, alice, "one").await;
    let Bed { store, dir } = bed;
    store.close().await.unwrap();
    let full = LocalStore::open(StoreConfig { min_free_bytes: u64::MAX, ..config(dir.path()) }).unwrap().0;
    for _ in 0..4 {
        let to_alice = recipient(alice, "alice@example.test");
        let refused = full.deliver(delivery(MessageId::new(), "x", vec![to_alice])).await;
        assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    }
    assert!(!full.is_full(alice).unwrap());
}
