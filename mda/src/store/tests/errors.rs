//! One access to the journal's files fails: what is answered with an error has not happened, what is not has, and only a
//! store that cannot know what is on the disk stops.

use journal::faults::{Access, Faults, Loss, Recording};

use super::*;

const ALL: [Access; 6] =
    [Access::Read, Access::Write, Access::Cut, Access::Sync, Access::Name, Access::SyncNames];
const MESSAGES: usize = 8;

/// What came of the messages that were delivered.
#[derive(Default)]
struct Delivered {
    taken: Vec<(Uid, String)>,
    refused: Vec<String>,
    /// The store had stopped: nobody can know.
    unknown: Vec<String>,
}

async fn deliver_all(store: &LocalStore, alice: AccountId) -> Delivered {
    let mut delivered = Delivered::default();
    for number in 0..MESSAGES {
        let text = format!("Subject: {number}\r\n\r\n{}\r\n", "text ".repeat(number * 100));
        let new = delivery(MessageId::new(), &text, vec![recipient(alice, "alice@example.test")]);
        let receipts = store.deliver(new).await;
        match receipts.map(|mut receipts| receipts.pop().unwrap()).and_then(|receipt| receipt) {
            Ok(receipt) => {
                assert!(delivered.unknown.is_empty(), "it had stopped");
                delivered.taken.push((receipt.placement.uid, text));
            }
            Err(StoreError::Closed(_)) => delivered.unknown.push(text),
            Err(error) => {
                assert!(error.is_temporary(), "{error}");
                delivered.refused.push(text);
            }
        }
    }
    delivered
}

/// Reads what was taken, again if it fails: a disk that cannot be read now is no damage.
async fn read_all(store: &LocalStore, alice: AccountId, taken: &[(Uid, String)]) {
    let inbox = inbox(store, alice).id;
    for (uid, text) in taken {
        let row = store.row(inbox, *uid).unwrap().unwrap();
        let read = match store.read(row.email, 0..u64::MAX).await {
            Err(StoreError::Io { .. }) => store.read(row.email, 0..u64::MAX).await,
            read => read,
        };
        assert_eq!(read.unwrap(), text.as_bytes());
    }
}

/// Lets one access fail while mail is delivered, read and moved to other segments, and then the power. False if there were
/// not so many accesses.
async fn fails(access: Access, count: u64) -> bool {
    let (dir, recording) = (TempDir::new().unwrap(), Recording::default());
    let faults = Faults::noted_in(recording.clone());
    let small = StoreConfig { segment_bytes: 4 << 10, ..config(dir.path()) };
    let (store, _) =
        LocalStore::open(StoreConfig { journal_faults: faults.clone(), ..small.clone() }).unwrap();
    let alice = create_account(&store, "alice@example.test").await;
    faults.fail_after(access, count);
    let delivered = deliver_all(&store, alice).await;
    read_all(&store, alice, &delivered.taken).await;
    let (reclaiming, oldest) = (store.clone(), store.segments()[0]);
    // A segment that cannot be reclaimed now stays.
    drop(tokio::task::spawn_blocking(move || reclaiming.reclaim_segment(oldest)).await.unwrap());
    let has_failed = faults.has_failed();
    drop(store.close().await);

    for mut loss in [Loss::All, Loss::Nothing, Loss::Sectors(fastrand::Rng::with_seed(count))] {
        let context = format!("{access:?} {count} failed, {loss:?}");
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("journal")).unwrap();
        recording.lost_after(recording.len(), &mut loss).write(&dir.path().join("journal")).unwrap();
        let (store, opened) =
            LocalStore::open(StoreConfig { dir: dir.path().into(), ..small.clone() }).unwrap();
        assert!(opened.damaged.is_empty(), "{context}: {opened:?}");
        read_all(&store, alice, &delivered.taken).await;
        for row in rows(&store, inbox(&store, alice).id).await {
            let text = text_of(&store, row.email).await;
            assert!(!delivered.refused.contains(&text), "{context}: {text} was refused");
        }
        assert_sound_aside(&store).await;
        store.close().await.unwrap();
    }
    has_failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_access_that_fails_costs_what_is_answered_with_an_error_and_nothing_else() {
    for access in ALL {
        let mut count = 0;
        while fails(access, count).await {
            count += 2;
        }
        assert!(count > 0, "{access:?}");
    }
}
