//! Space of dead messages comes back, and nothing else goes.

use journal::{Position, SegmentId, faults::Faults};

use super::*;
use crate::store::record::{Placed, Removed};
use crate::store::table::Pending;

fn segments(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("journal")).unwrap().count()
}

/// Reclaims every segment that can be, whether or not it is worth it.
fn reclaim_all(store: &LocalStore) -> usize {
    let segments: Vec<SegmentId> = store.segments();
    segments.into_iter().filter(|segment| store.reclaim_segment(*segment).unwrap()).count()
}

async fn reclaim_aside(store: &LocalStore) -> usize {
    let store = store.clone();
    tokio::task::spawn_blocking(move || reclaim_all(&store)).await.unwrap()
}

#[tokio::test]
async fn reclaim_keeps_all_that_lives_and_frees_the_rest() {
    let (bed, alice) = Bed::with_account().await;
    let bob = create_account(&bed.store, "bob@example.test").await;
    let first = MessageId::new();
    let to_bob = || delivery(first, "for bob", vec![recipient(bob, "bob@example.test")]);
    let receipt = bed.store.deliver(to_bob()).await.unwrap()[0].clone().unwrap();
    for n in 0..60 {
        deliver(&bed.store, alice, &format!("{n} {}", "x".repeat(10_000))).await;
    }
    let inbox = inbox(&bed.store, alice).id;
    let keep = bed.store.copy(inbox, uids(&[7]), name("Archive")).await.unwrap();
    bed.store.store_flags(inbox, uids(&[50]), FlagChange::Add(seen()), None).await.unwrap();
    bed.store.expunge(inbox, (1..=49).collect(), false).await.unwrap();
    bed.store.create_mailbox(bob, name("x"), None).await.unwrap();
    bed.store.delete_mailbox(bob, name("x")).await.unwrap();
    let before = (seen_by(&bed.store, alice).await, seen_by(&bed.store, bob).await);
    let size = segments(bed.dir.path());

    for _ in 0..2 {
        assert!(reclaim_aside(&bed.store).await > 0);
        assert_eq!((seen_by(&bed.store, alice).await, seen_by(&bed.store, bob).await), before);
    }
    assert!(segments(bed.dir.path()) < size / 2, "{} of {size}", segments(bed.dir.path()));

    let bed = bed.reopened().await;
    assert_eq!((seen_by(&bed.store, alice).await, seen_by(&bed.store, bob).await), before);
    bed.store.close().await.unwrap();
    LocalStore::rebuild(config(bed.dir.path()), |_| ()).unwrap();
    let store = open(bed.dir.path());
    assert_eq!((seen_by(&store, alice).await, seen_by(&store, bob).await), before);
    assert_eq!(rows(&store, keep.mailbox).await.len(), 1);
    let again = store.deliver(to_bob()).await.unwrap()[0].clone().unwrap();
    assert_eq!(again, Receipt { duplicate: true, ..receipt });
}

#[tokio::test]
async fn however_small_they_are_dead_segments_go_in_one_go() {
    let (bed, alice) = Bed::with_account().await;
    for n in 0..60 {
        deliver(&bed.store, alice, &format!("{n} {}", "x".repeat(10_000))).await;
    }
    bed.store.expunge(inbox(&bed.store, alice).id, UidSet::all(), false).await.unwrap();
    let (dead, store) = (bed.store.candidates(), bed.store.clone());
    assert!(dead.len() > 5, "{dead:?}");
    tokio::task::spawn_blocking(move || store.reclaim().unwrap()).await.unwrap();
    let left = bed.store.segments();
    assert!(dead.iter().all(|segment| !left.contains(segment)), "{dead:?} of {left:?}");
}

/// Candidates that are left once so much was spent on reclaiming, of segments that are dead but for one message in so many.
async fn left_of_those_that_live(one_in: Option<u32>, most: u64) -> (usize, usize) {
    let dir = TempDir::new().unwrap();
    let large = StoreConfig { segment_bytes: 8 << 20, reclaim_rate: 0, ..config(dir.path()) };
    let store = LocalStore::open(large).unwrap().0;
    let alice = create_account(&store, "alice@example.test").await;
    for n in 0..30 {
        deliver(&store, alice, &format!("{n} {}", "x".repeat(1 << 20))).await;
    }
    let dead = (1..=30).filter(|uid| one_in.is_none_or(|one_in| uid % one_in != 0));
    store.expunge(inbox(&store, alice).id, dead.collect(), false).await.unwrap();
    let (before, reclaiming) = (store.candidates(), store.clone());
    tokio::task::spawn_blocking(move || reclaiming.reclaim_for(most).unwrap()).await.unwrap();
    let left = store.segments();
    (before.len(), before.into_iter().filter(|segment| left.contains(segment)).count())
}

#[tokio::test]
async fn what_reclaim_does_in_one_go_is_bounded_by_its_cost_and_not_by_what_it_frees() {
    let (dead, left) = left_of_those_that_live(None, 3 << 20).await;
    assert!(dead > 2 && left == 0, "{left} of {dead} dead segments are left");
    let (living, left) = left_of_those_that_live(Some(3), 3 << 20).await;
    assert!(living > left && left > 0, "{left} of {living} segments with living messages are left");
}

#[tokio::test]
async fn dead_segments_go_even_if_nothing_at_all_is_free_for_others() {
    let (dir, faults) = (TempDir::new().unwrap(), Faults::default());
    faults.set_free(4 << 20);
    let store =
        LocalStore::open(StoreConfig { journal_faults: faults.clone(), ..config(dir.path()) }).unwrap().0;
    let alice = create_account(&store, "alice@example.test").await;
    for n in 0..60 {
        deliver(&store, alice, &format!("{n} {}", "x".repeat(10_000))).await;
    }
    let inbox = inbox(&store, alice).id;
    store.expunge(inbox, (1..=59).collect(), false).await.unwrap();
    let dead = store.candidates();
    assert!(dead.len() > 5, "{dead:?}");
    faults.set_free(0);
    // More than was free at the last look.
    let large =
        delivery(MessageId::new(), &"x".repeat(5 << 20), vec![recipient(alice, "alice@example.test")]);
    let refused = store.deliver(large).await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    let refused = store.expunge(inbox, uids(&[60]), false).await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");

    let reclaiming = store.clone();
    tokio::task::spawn_blocking(move || reclaiming.reclaim().unwrap()).await.unwrap();
    let left = store.segments();
    assert!(dead.iter().all(|segment| !left.contains(segment)), "{dead:?} of {left:?}");
    faults.set_free(4 << 20);
    store.expunge(inbox, uids(&[60]), false).await.unwrap();
    assert_sound_aside(&store).await;
}

#[tokio::test]
async fn reclaim_gives_up_for_now_once_its_disk_takes_nothing() {
    let (dir, faults) = (TempDir::new().unwrap(), Faults::default());
    let store =
        LocalStore::open(StoreConfig { journal_faults: faults.clone(), ..config(dir.path()) }).unwrap().0;
    let alice = create_account(&store, "alice@example.test").await;
    for n in 0..60 {
        deliver(&store, alice, &format!("{n} {}", "x".repeat(10_000))).await;
    }
    store.expunge(inbox(&store, alice).id, UidSet::all(), false).await.unwrap();
    let before = store.candidates();
    faults.limit_writes(Some(0));
    let reclaiming = store.clone();
    let reclaimed = tokio::task::spawn_blocking(move || reclaiming.reclaim()).await.unwrap();
    assert!(matches!(reclaimed, Err(StoreError::Full)), "{reclaimed:?}");
    assert_eq!(store.candidates(), before);
    faults.limit_writes(None);
    let reclaiming = store.clone();
    tokio::task::spawn_blocking(move || reclaiming.reclaim().unwrap()).await.unwrap();
    assert!(store.segments().iter().all(|segment| !before.contains(segment)));
}

#[tokio::test]
async fn flags_of_messages_in_several_leaves_survive_reclaim_and_rebuild() {
    let (bed, alice) = Bed::with_account().await;
    for n in 0..135 {
        deliver(&bed.store, alice, &format!("{n} {}", "x".repeat(400))).await;
    }
    let inbox = inbox(&bed.store, alice).id;
    let keyword = || {
        let mut flags = Flags::none();
        flags.set_keyword("kept");
        FlagChange::Add(flags)
    };
    bed.store
        .store_flags(inbox, (1..=135).filter(|uid| uid % 2 == 0).collect(), keyword(), None)
        .await
        .unwrap();
    bed.store.store_flags(inbox, UidSet::all(), FlagChange::Add(seen()), None).await.unwrap();
    bed.store.store_flags(inbox, uids(&[63, 64, 128]), FlagChange::Remove(seen()), None).await.unwrap();
    bed.store.expunge(inbox, (20..=65).filter(|uid| *uid != 63).collect(), false).await.unwrap();
    let before = seen_by(&bed.store, alice).await;
    let rows_before = rows(&bed.store, inbox).await;
    assert_eq!(rows_before.len(), 90);
    let unseen = rows_before.iter().filter(|row| !row.flags.has(SystemFlag::Seen)).map(|row| row.uid);
    assert!(unseen.eq([63, 128]));
    assert!(reclaim_aside(&bed.store).await > 0);
    assert_eq!(seen_by(&bed.store, alice).await, before);
    bed.store.close().await.unwrap();
    LocalStore::rebuild(config(bed.dir.path()), |_| ()).unwrap();
    assert_eq!(seen_by(&open(bed.dir.path()), alice).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn space_comes_back_however_much_else_there_is_to_do() {
    let dir = TempDir::new().unwrap();
    let often = StoreConfig { reclaim_every: std::time::Duration::from_millis(20), ..config(dir.path()) };
    let store = LocalStore::open(often).unwrap().0;
    let alice = create_account(&store, "alice@example.test").await;
    for n in 0..40 {
        deliver(&store, alice, &format!("{n} {}", "x".repeat(10_000))).await;
    }
    let size = segments(dir.path());
    let inbox = inbox(&store, alice).id;
    store.expunge(inbox, (1..=40).collect(), false).await.unwrap();
    // A mailbox that comes and goes gives the housekeeping something to do each time.
    while segments(dir.path()) >= size {
        store.create_mailbox(alice, name("x"), None).await.unwrap();
        store.delete_mailbox(alice, name("x")).await.unwrap();
    }
}

/// A minimum of free space that this disk is under, but not under half of it.
fn more_than_is_free() -> u64 {
    let dir = TempDir::new().unwrap();
    let config = journal::Config { min_free_bytes: u64::MAX, ..journal::Config::new(dir.path()) };
    let (journal, _) = journal::Journal::open(config, ()).unwrap();
    match std::thread::spawn(move || journal.append(journal::Record::default()).wait()).join().unwrap() {
        Err(journal::Error::DiskFull { free, .. }) => free / 2 * 3,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_full_disk_is_freed_by_expunging() {
    let (bed, alice) = Bed::with_account().await;
    for n in 0..30 {
        deliver(&bed.store, alice, &format!("{n} {}", "x".repeat(10_000))).await;
    }
    let Bed { store, dir } = bed;
    store.close().await.unwrap();
    let full = StoreConfig { min_free_bytes: more_than_is_free(), ..config(dir.path()) };
    let store = LocalStore::open(full).unwrap().0;
    let inbox = inbox(&store, alice).id;
    let refused = store.copy(inbox, uids(&[30]), name("Archive")).await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");

    store.move_messages(inbox, uids(&[30]), name("Archive")).await.unwrap();
    store.store_flags(inbox, (1..=28).collect(), FlagChange::Add(deleted()), None).await.unwrap();
    let gone = store.expunge(inbox, (1..=29).collect(), true).await.unwrap();
    assert_eq!(gone, (1..=28).collect());
    let before = segments(dir.path());
    assert!(reclaim_aside(&store).await > 0);
    assert!(segments(dir.path()) < before);
    store.close().await.unwrap();

    let store = open(dir.path());
    deliver(&store, alice, "fits again").await;
    assert_eq!(rows(&store, inbox).await.len(), 2);
}

#[tokio::test]
async fn numbers_stay_taken_when_their_records_are_reclaimed() {
    let dir = TempDir::new().unwrap();
    let store = LocalStore::open(StoreConfig { segment_bytes: 4 << 10, ..config(dir.path()) }).unwrap().0;
    let alice = create_account(&store, "alice@example.test").await;
    deliver(&store, alice, "text").await;
    let gone = store.create_mailbox(alice, name("x"), None).await.unwrap();
    store.delete_mailbox(alice, name("x")).await.unwrap();
    // Changes that take no numbers, until those that did are in sealed segments.
    let inbox = inbox(&store, alice).id;
    for n in 0..200 {
        let change = if n % 2 == 0 { FlagChange::Add(seen()) } else { FlagChange::Remove(seen()) };
        store.store_flags(inbox, UidSet::all(), change, None).await.unwrap();
    }
    let reclaimed = reclaim_aside(&store).await;
    assert!(reclaimed > 1, "{reclaimed} of {:?}", store.segments());
    store.close().await.unwrap();
    LocalStore::rebuild(config(dir.path()), |_| ()).unwrap();
    let store = open(dir.path());
    let new = store.create_mailbox(alice, name("x"), None).await.unwrap();
    assert!(new.id > gone.id && new.uid_validity > gone.uid_validity);
}

#[tokio::test]
async fn what_was_removed_does_not_come_back() {
    let (bed, alice) = Bed::with_account().await;
    let bob = create_account(&bed.store, "bob@example.test").await;
    for n in 0..20 {
        let text = format!("{n} {}", "x".repeat(10_000));
        let recipients = vec![recipient(alice, "alice@example.test"), recipient(bob, "bob@example.test")];
        bed.store.deliver(delivery(MessageId::new(), &text, recipients)).await.unwrap();
    }
    bed.store.delete_mailbox(alice, name("Junk")).await.unwrap();
    bed.store.remove_account(bob).await.unwrap();
    for _ in 0..8 {
        append(&bed.store, alice, "Sent", &"x".repeat(10_000), Flags::none()).await;
    }
    let before = seen_by(&bed.store, alice).await;
    // The newest segments go first: the removals are carried forward, away from what they made void.
    let mut reclaimed = 0;
    for segment in bed.store.segments().into_iter().rev() {
        let store = bed.store.clone();
        let reclaim = move || store.reclaim_segment(segment).unwrap();
        reclaimed += usize::from(tokio::task::spawn_blocking(reclaim).await.unwrap());
        let crashed = bed.crashed();
        crashed.store.close().await.unwrap();
        LocalStore::rebuild(config(crashed.dir.path()), |_| ()).unwrap();
        let store = open(crashed.dir.path());
        assert!(matches!(store.account(bob), Err(StoreError::NoSuchAccount)));
        assert_eq!(store.account_by_address("bob@example.test").unwrap(), None);
        assert_eq!(store.mailbox(alice, &name("Junk")).unwrap(), None);
        assert_eq!(seen_by(&store, alice).await, before);
    }
    assert!(reclaimed > 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reclaim_beside_changes_loses_none_in_a_crash() {
    let (bed, alice) = Bed::with_account().await;
    let inbox = inbox(&bed.store, alice).id;
    for n in 0..30 {
        deliver(&bed.store, alice, &format!("{n} {}", "x".repeat(6_000))).await;
    }
    let store = bed.store.clone();
    let changer = tokio::spawn(async move {
        for uid in 1..=30 {
            store.store_flags(inbox, uids(&[uid]), FlagChange::Add(seen()), None).await.unwrap();
            if uid % 3 == 0 {
                store.expunge(inbox, uids(&[uid]), false).await.unwrap();
            }
            deliver(&store, alice, &"y".repeat(6_000)).await;
        }
    });
    while !changer.is_finished() {
        reclaim_aside(&bed.store).await;
    }
    changer.await.unwrap();
    let live = seen_by(&bed.store, alice).await;
    bed.store.close().await.unwrap();
    LocalStore::rebuild(config(bed.dir.path()), |_| ()).unwrap();
    assert_eq!(seen_by(&open(bed.dir.path()), alice).await, live);
}

#[tokio::test]
async fn what_was_gathered_does_not_come_back_however_late_it_is_purged() {
    let (bed, alice) = Bed::with_account().await;
    // Only reclaim itself purges from now on.
    bed.store.stop_housekeeping();
    for _ in 0..10 {
        let append = || Append {
            mailbox: MailboxName::inbox(),
            message_id: MessageId::new(),
            flags: seen(),
            internal_date: Timestamp::UNIX_EPOCH,
            body: body(&"x".repeat(10_000)),
        };
        let appends = vec![append(), append()];
        bed.store.append_together(alice, MailboxName::inbox(), appends).await.unwrap();
    }
    let before = seen_by(&bed.crashed().store, alice).await;
    for _ in 0..2 {
        for segment in bed.store.segments() {
            let store = bed.store.clone();
            tokio::task::spawn_blocking(move || store.reclaim_segment(segment).unwrap()).await.unwrap();
            assert_eq!(seen_by(&bed.crashed().store, alice).await, before);
        }
    }
    bed.store.close().await.unwrap();
    LocalStore::rebuild(config(bed.dir.path()), |_| ()).unwrap();
    assert_eq!(seen_by(&open(bed.dir.path()), alice).await, before);
}

#[tokio::test]
async fn nothing_of_what_was_just_removed_is_carried_forward_though_its_rows_are_still_there() {
    let (bed, alice) = Bed::with_account().await;
    bed.store.stop_housekeeping();
    let bob = create_account(&bed.store, "bob@example.test").await;
    let junk = mailbox(&bed.store, alice, "Junk").id;
    for n in 0..4 {
        append(&bed.store, alice, "Junk", &n.to_string(), Flags::none()).await;
    }
    bed.store.store_flags(junk, uids(&[1, 3]), FlagChange::Add(seen()), None).await.unwrap();
    bed.store.expunge(junk, uids(&[2]), false).await.unwrap();
    bed.store.delete_mailbox(alice, name("Junk")).await.unwrap();
    bed.store.remove_account(bob).await.unwrap();
    let rows = bed.store.table().scan::<Placed>(keys::within(&keys::rows(junk.0))).count();
    assert_eq!(rows, 3, "they are purged later");
    for change in bed.store.segments().into_iter().flat_map(|segment| bed.store.carried_of(segment)) {
        assert!(change.placed.iter().all(|placed| placed.mailbox != junk.0), "{change:?}");
        assert!(change.flagged.iter().all(|flagged| flagged.mailbox != junk.0), "{change:?}");
        assert!(change.expunged.iter().all(|expunged| expunged.mailbox != junk.0), "{change:?}");
    }
}

#[tokio::test]
async fn removals_whose_segment_went_in_a_crash_are_forgotten_at_the_next_start() {
    let (bed, alice) = Bed::with_account().await;
    let junk = mailbox(&bed.store, alice, "Junk").id;
    bed.store.delete_mailbox(alice, name("Junk")).await.unwrap();
    let void = keys::removed_mailbox(junk.0 + 100);
    let mut rows = Pending::new(bed.store.table().clone());
    rows.put(void.clone(), Position::default(), &Removed { id: junk.0 + 100, ..Removed::default() });
    let lost = Placed { mailbox: junk.0 + 100, uid: 1, ..Placed::default() };
    rows.put(keys::row(junk.0 + 100, 1), Position::default(), &lost);
    rows.commit().unwrap();
    drop(rows);
    let bed = bed.reopened().await;
    assert!(!bed.store.table().contains(&void).unwrap());
    assert!(!bed.store.table().contains(&keys::row(junk.0 + 100, 1)).unwrap());
    assert!(bed.store.table().contains(&keys::removed_mailbox(junk.0)).unwrap());
}
