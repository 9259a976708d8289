//! What is left after a crash, and after damage.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_was_promised_is_there_after_a_crash_at_any_moment() {
    let (bed, alice) = Bed::with_account().await;
    let promised = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (store, promised) = (bed.store.clone(), Arc::clone(&promised));
            tokio::spawn(async move {
                for n in 0..40 {
                    deliver(&store, alice, &format!("{writer} {n} {}", "x".repeat(3_000))).await;
                    promised.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for _ in 0..6 {
        tokio::task::yield_now().await;
        let before = promised.load(Ordering::SeqCst);
        let crashed = bed.crashed();
        let inbox = inbox(&crashed.store, alice).id;
        let rows = rows(&crashed.store, inbox).await;
        assert!(rows.len() >= before, "{} of {before}", rows.len());
        assert!(rows.iter().map(|row| row.uid).eq(1..=u32::try_from(rows.len()).unwrap()));
        for row in &rows {
            assert_eq!(text_of(&crashed.store, row.email).await.len() as u64, row.size);
        }
        assert_eq!(crashed.store.status(inbox).unwrap().messages as usize, rows.len());
        deliver(&crashed.store, alice, "and life goes on").await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_known_of_a_segment_goes_although_a_crash_came_when_it_was_removed() {
    let (bed, alice) = Bed::with_account().await;
    deliver(&bed.store, alice, "text").await;
    bed.store.expunge(inbox(&bed.store, alice).id, UidSet::all(), false).await.unwrap();
    let bed = bed.reopened().await;
    bed.store.set_subscribed(alice, name("x"), true).await.unwrap();
    // As after the crash: the rows of before, and the segment is gone.
    let before = TempDir::new().unwrap();
    copy_dir(&bed.dir.path().join("state"), before.path());
    let (store, segment) = (bed.store.clone(), bed.store.segments()[0]);
    assert!(tokio::task::spawn_blocking(move || store.reclaim_segment(segment).unwrap()).await.unwrap());
    bed.store.close().await.unwrap();
    std::fs::remove_dir_all(bed.dir.path().join("state")).unwrap();
    copy_dir(before.path(), &bed.dir.path().join("state"));

    let store = open(bed.dir.path());
    assert_sound_aside(&store).await;
    assert!(!store.table().contains(&keys::body(1)).unwrap());
}

#[tokio::test]
async fn rows_that_are_lost_are_made_anew_from_the_journal() {
    let (bed, alice) = Bed::with_account().await;
    deliver(&bed.store, alice, "text").await;
    let before = seen_by(&bed.store, alice).await;
    bed.store.close().await.unwrap();
    std::fs::remove_dir_all(bed.dir.path().join("state")).unwrap();
    let (store, opened) = LocalStore::open(config(bed.dir.path())).unwrap();
    assert!(opened.replayed >= 2);
    assert_eq!(seen_by(&store, alice).await, before);
}

#[tokio::test]
async fn rows_that_sled_cannot_read_are_made_anew() {
    let (bed, alice) = Bed::with_account().await;
    deliver(&bed.store, alice, "text").await;
    let before = seen_by(&bed.store, alice).await;
    bed.store.close().await.unwrap();
    let rows = bed.dir.path().join("state");
    std::fs::write(rows.join("conf"), "not sled's").unwrap();
    let (store, opened) = LocalStore::open(config(bed.dir.path())).unwrap();
    assert!(opened.rebuilt);
    assert_eq!(seen_by(&store, alice).await, before);
    assert!(bed.dir.path().join("state.damaged").is_dir());
}

#[tokio::test]
async fn a_damaged_row_is_noticed_and_healed_by_the_next_start() {
    let (bed, alice) = Bed::with_account().await;
    let placed = deliver(&bed.store, alice, "text").await;
    let before = seen_by(&bed.store, alice).await;
    bed.store.close().await.unwrap();
    damage_row(bed.dir.path(), &keys::leaf(placed.mailbox.0, 0));

    let store = open(bed.dir.path());
    assert!(matches!(store.row(placed.mailbox, placed.uid), Err(StoreError::CorruptState { .. })));
    store.close().await.unwrap();
    let (store, opened) = LocalStore::open(config(bed.dir.path())).unwrap();
    assert!(opened.rebuilt);
    assert_eq!(seen_by(&store, alice).await, before);
    store.close().await.unwrap();
    assert!(!LocalStore::open(config(bed.dir.path())).unwrap().1.rebuilt);
}

/// Damages what the rows say of a body.
pub(crate) fn damage_body(dir: &Path, email: EmailId) {
    damage_row(dir, &keys::body(email.0));
}

/// sled's own threads may hold its lock for a moment more when a store was just closed.
fn sled_of(dir: &Path) -> sled::Db {
    loop {
        match sled::open(dir.join("state")) {
            Err(sled::Error::Io(error)) if error.to_string().contains("acquire lock") => {
                std::thread::yield_now();
            }
            opened => return opened.unwrap(),
        }
    }
}

/// Changes one bit of a row behind the store's back.
pub(crate) fn damage_row(dir: &Path, key: &[u8]) {
    let tree = sled_of(dir).open_tree("rows").unwrap();
    let mut bytes = tree.get(key).unwrap().unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    tree.insert(key, bytes).unwrap();
    tree.flush().unwrap();
}

#[tokio::test]
async fn a_rebuild_gives_what_was_there() {
    let (bed, alice) = Bed::with_account().await;
    for n in 0..5 {
        deliver(&bed.store, alice, &n.to_string()).await;
    }
    let inbox = inbox(&bed.store, alice).id;
    bed.store.move_messages(inbox, uids(&[2]), name("Trash")).await.unwrap();
    bed.store.store_flags(inbox, uids(&[3]), FlagChange::Add(seen()), None).await.unwrap();
    bed.store.rename_mailbox(alice, name("Archive"), name("A/B")).await.unwrap();
    let before = seen_by(&bed.store, alice).await;
    bed.store.close().await.unwrap();
    let opened = LocalStore::rebuild(config(bed.dir.path()), |_| ()).unwrap();
    assert!(opened.rebuilt);
    assert_eq!(seen_by(&open(bed.dir.path()), alice).await, before);
}

#[tokio::test]
async fn a_rebuild_leaves_a_store_alone_that_is_open() {
    let (bed, alice) = Bed::with_account().await;
    assert!(LocalStore::rebuild(config(bed.dir.path()), |_| ()).is_err());
    assert!(!bed.dir.path().join("state.damaged").exists());
    deliver(&bed.store, alice, "undisturbed").await;
    assert_eq!(rows(&bed.store, inbox(&bed.store, alice).id).await.len(), 1);
}

#[tokio::test]
async fn a_store_whose_rows_cannot_follow_says_so_and_is_healed_by_the_next_start() {
    let (bed, alice) = Bed::with_account().await;
    let placed = deliver(&bed.store, alice, "text").await;
    let email = bed.store.row(placed.mailbox, placed.uid).unwrap().unwrap().email;
    bed.store.close().await.unwrap();
    damage_body(bed.dir.path(), email);

    let store = open(bed.dir.path());
    // An expunge meets the body's row when it is applied, and not before.
    store.expunge(placed.mailbox, uids(&[placed.uid]), false).await.unwrap_err();
    assert!(matches!(store.failed().await, StoreError::CorruptState { .. }));
    let refused = store.expunge(placed.mailbox, uids(&[placed.uid]), false).await.unwrap_err();
    assert!(matches!(refused, StoreError::Closed(_)), "{refused}");
    store.close().await.unwrap_err();

    let (store, opened) = LocalStore::open(config(bed.dir.path())).unwrap();
    assert!(opened.rebuilt);
    assert!(rows(&store, placed.mailbox).await.is_empty(), "the expunge is in the journal");
}

#[tokio::test]
async fn a_journal_that_was_restored_from_an_older_copy_is_not_gone_on_with_unasked() {
    let (bed, alice) = Bed::with_account().await;
    deliver(&bed.store, alice, "in the copy").await;
    let copy = TempDir::new().unwrap();
    copy_dir(&bed.dir.path().join("journal"), copy.path());
    for n in 0..5 {
        deliver(&bed.store, alice, &format!("not in the copy {n}")).await;
    }
    bed.store.close().await.unwrap();
    let journal = bed.dir.path().join("journal");
    std::fs::remove_dir_all(&journal).unwrap();
    copy_dir(copy.path(), &journal);

    let refused = LocalStore::open(config(bed.dir.path())).unwrap_err().to_string();
    assert!(refused.contains("mda rebuild"), "{refused}");
    LocalStore::rebuild(config(bed.dir.path()), |_| ()).unwrap();
    let store = open(bed.dir.path());
    assert_eq!(rows(&store, inbox(&store, alice).id).await.len(), 1);
}

#[tokio::test]
async fn a_newer_format_is_refused_untouched() {
    let (bed, _) = Bed::with_account().await;
    bed.store.close().await.unwrap();
    let mut format = std::fs::File::create(bed.dir.path().join("FORMAT")).unwrap();
    writeln!(format, "2").unwrap();
    let refused = LocalStore::open(config(bed.dir.path())).unwrap_err();
    assert!(matches!(refused, StoreError::NewerFormat { found: 2, known: 1 }));
    assert!(matches!(
        LocalStore::rebuild(config(bed.dir.path()), |_| ()),
        Err(StoreError::NewerFormat { .. })
    ));
    assert!(bed.dir.path().join("state").is_dir());
}

#[tokio::test]
async fn a_folder_is_one_stores() {
    let (bed, alice) = Bed::with_account().await;
    assert!(LocalStore::open(config(bed.dir.path())).is_err());
    deliver(&bed.store, alice, "undisturbed").await;
    assert!(!bed.dir.path().join("state.damaged").exists());
}
