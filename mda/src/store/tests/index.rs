//! Mailboxes in memory: at every moment what the rows say.

use std::sync::Arc;

use super::*;

/// All that an index says of its messages.
fn listed(index: &Index) -> Vec<Row> {
    index.iter().map(|entry| index.row(entry)).collect()
}

async fn now(store: &LocalStore, mailbox: MailboxId) -> Arc<Index> {
    let index = store.index(mailbox).await.unwrap();
    Arc::clone(&index.borrow())
}

#[tokio::test]
async fn an_index_has_all_of_its_messages() {
    let (bed, alice) = Bed::with_account().await;
    let mut flags = seen();
    flags.set_keyword("$Forwarded");
    append(&bed.store, alice, "INBOX", "one", flags.clone()).await;
    let inbox = inbox(&bed.store, alice).id;
    let mut index = bed.store.index(inbox).await.unwrap();
    append(&bed.store, alice, "INBOX", "two", flags).await;
    bed.store.store_flags(inbox, uids(&[1]), FlagChange::Add(deleted()), None).await.unwrap();
    assert!(index.has_changed().unwrap());
    let index = Arc::clone(&index.borrow_and_update());
    assert_eq!(listed(&index), rows(&bed.store, inbox).await);
    assert_eq!(*index.status(), bed.store.status(inbox).unwrap());
    assert!(index.iter().all(|entry| entry.saved_at().is_some()));
}

#[tokio::test]
async fn all_who_ask_share_one_index() {
    let (bed, alice) = Bed::with_account().await;
    let inbox = inbox(&bed.store, alice).id;
    let (one, other) = tokio::join!(bed.store.index(inbox), bed.store.index(inbox));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(Arc::ptr_eq(&one.borrow(), &other.borrow()));
    drop((one, other));
    // Kept for the next.
    deliver(&bed.store, alice, "while nobody looks").await;
    assert_eq!(now(&bed.store, inbox).await.len(), 1);
}

#[tokio::test]
async fn what_nobody_watches_goes_when_there_is_no_room() {
    let dir = TempDir::new().unwrap();
    let config = StoreConfig { index_bytes: 0, ..config(dir.path()) };
    let bed = Bed { store: LocalStore::open(config).unwrap().0, dir };
    let alice = create_account(&bed.store, "alice@example.test").await;
    let (inbox, trash) = (inbox(&bed.store, alice).id, mailbox(&bed.store, alice, "Trash").id);
    let watched = bed.store.index(inbox).await.unwrap();
    let unwatched = now(&bed.store, trash).await;
    // Whoever comes pushes out what nobody watches.
    now(&bed.store, mailbox(&bed.store, alice, "Archive").id).await;
    assert!(Arc::ptr_eq(&watched.borrow(), &now(&bed.store, inbox).await));
    assert!(!Arc::ptr_eq(&unwatched, &now(&bed.store, trash).await));
}

#[tokio::test]
async fn the_index_of_a_deleted_mailbox_ends() {
    let (bed, alice) = Bed::with_account().await;
    let mut index = bed.store.index(mailbox(&bed.store, alice, "Trash").id).await.unwrap();
    bed.store.delete_mailbox(alice, name("Trash")).await.unwrap();
    assert!(index.changed().await.is_err());
}

/// Changes mailboxes at random, several at a time, while others come to look, and indexes come and go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_is_what_the_rows_say() {
    let dir = TempDir::new().unwrap();
    // No room: whoever loads one index pushes out the others that nobody watches.
    let config = StoreConfig { index_bytes: 0, ..config(dir.path()) };
    let bed = Bed { store: LocalStore::open(config).unwrap().0, dir };
    let alice = create_account(&bed.store, "alice@example.test").await;
    let places = ["INBOX", "Trash", "Archive"].map(|place| mailbox(&bed.store, alice, place).id);
    let watched = bed.store.index(places[0]).await.unwrap();
    let writers = (0..4_u64).map(|seed| {
        let store = bed.store.clone();
        tokio::spawn(async move { change_at_random(&store, alice, places, seed).await })
    });
    let readers = (0..2_usize).map(|reader| {
        let store = bed.store.clone();
        tokio::spawn(async move {
            for turn in 0..60 {
                let index = now(&store, places[(turn + reader) % places.len()]).await;
                assert!(index.iter().zip(index.iter().skip(1)).all(|(one, next)| one.uid() < next.uid()));
                tokio::task::yield_now().await;
            }
        })
    });
    for task in writers.chain(readers).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(listed(&watched.borrow()), rows(&bed.store, places[0]).await);
    for place in places {
        let index = now(&bed.store, place).await;
        assert_eq!(listed(&index), rows(&bed.store, place).await);
        assert_eq!(*index.status(), bed.store.status(place).unwrap());
    }
}

async fn change_at_random(store: &LocalStore, account: AccountId, places: [MailboxId; 3], seed: u64) {
    const NAMES: [&str; 3] = ["INBOX", "Trash", "Archive"];
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..40 {
        let (at, to) = (random.usize(..3), random.usize(..3));
        let first = random.u32(1..40);
        let some: UidSet = [first..=first + random.u32(0..6)].into_iter().collect();
        match random.u8(..8) {
            0..3 => drop(append(store, account, NAMES[at], "text", Flags::none()).await),
            3 => drop(store.store_flags(places[at], some, FlagChange::Add(seen()), None).await.unwrap()),
            4 => {
                let mut flags = Flags::none();
                flags.set_keyword(&format!("k{first}"));
                store.store_flags(places[at], some, FlagChange::Add(flags), None).await.unwrap();
            }
            5 => drop(store.copy(places[at], some, name(NAMES[to])).await.unwrap()),
            6 => drop(store.move_messages(places[at], some, name(NAMES[to])).await.unwrap()),
            _ => drop(store.expunge(places[at], some, false).await.unwrap()),
        }
    }
}
