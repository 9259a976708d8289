//! Messages that are appended together, and one that takes another's place.

use super::*;

fn appends(texts: &[&str]) -> Vec<Append> {
    let append = |text: &&str| Append {
        mailbox: MailboxName::inbox(),
        message_id: MessageId::new(),
        flags: seen(),
        internal_date: Timestamp::UNIX_EPOCH,
        body: BodySource::Bytes(Bytes::copy_from_slice(text.as_bytes())),
    };
    texts.iter().map(append).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_moment_leaves_all_of_them_or_none() {
    let (bed, alice) = Bed::with_account().await;
    let store = bed.store.clone();
    let writer = tokio::spawn(async move {
        for _ in 0..20 {
            store.append_together(alice, MailboxName::inbox(), appends(&["a", "b", "c"])).await.unwrap();
        }
    });
    while !writer.is_finished() {
        let crashed = bed.crashed();
        let rows = rows(&crashed.store, inbox(&crashed.store, alice).id).await;
        assert_eq!(rows.len() % 3, 0);
        assert!(crashed.store.gatherings().unwrap().is_empty());
        for (row, text) in rows.iter().zip(["a", "b", "c"].into_iter().cycle()) {
            assert_eq!(text_of(&crashed.store, row.email).await, text);
        }
    }
    writer.await.unwrap();
    let bed = bed.reopened().await;
    assert_eq!(rows(&bed.store, inbox(&bed.store, alice).id).await.len(), 60);
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_takes_none_of_them() {
    let (bed, alice) = Bed::with_account().await;
    let refused = bed.store.append_together(alice, name("nowhere"), appends(&["a", "b"])).await;
    assert!(matches!(refused, Err(StoreError::NoSuchMailbox)));
    assert!(bed.store.gatherings().unwrap().is_empty());
    let placed = bed.store.append_together(alice, MailboxName::inbox(), appends(&["a", "b"])).await.unwrap();
    assert_eq!(placed.iter().map(|placement| placement.uid).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn a_message_and_what_it_replaces_change_places_in_one_step() {
    let (bed, alice) = Bed::with_account().await;
    let old = inbox(&bed.store, alice).id;
    let mut two = appends(&["old", "new"]).into_iter();
    bed.store.append(alice, two.next().unwrap()).await.unwrap();
    let placed = bed.store.replace(alice, two.next().unwrap(), old, 1).await.unwrap();
    assert_eq!(placed.uid, 2);
    let again = bed.store.replace(alice, appends(&["newer"]).remove(0), old, 1).await;
    assert!(matches!(again, Err(StoreError::Expunged)));
    let bed = bed.reopened().await;
    let left: Vec<Uid> = rows(&bed.store, old).await.iter().map(|row| row.uid).collect();
    assert_eq!(left, [2]);
}

#[tokio::test]
async fn they_cost_the_same_however_many_accounts_there_are() {
    let dir = TempDir::new().unwrap();
    let keep_expunged = std::time::Duration::from_hours(24);
    let store = LocalStore::open(StoreConfig { keep_expunged, ..config(dir.path()) }).unwrap().0;
    // What is purged in the background reads, too.
    store.stop_housekeeping();
    let alice = create_account(&store, "alice@example.test").await;
    let cost = async || {
        let before = store.rows_read();
        store.append_together(alice, MailboxName::inbox(), appends(&["a", "b"])).await.unwrap();
        store.rows_read() - before
    };
    let alone = cost().await;
    for n in 0..30 {
        let account = create_account(&store, &format!("{n}@example.test")).await;
        append(&store, account, "INBOX", "text", seen()).await;
        store.expunge(inbox(&store, account).id, UidSet::all(), false).await.unwrap();
    }
    let among_others = cost().await;
    assert!(among_others < alone + 20, "{among_others}, alone {alone}");
}
