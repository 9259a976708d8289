//! Backups: taken while the store serves, brought up to date, and made stores of again.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;

fn back_up(store: &LocalStore, folder: &Path, link: bool) -> BackupReport {
    store.backup(folder, link, &mut |_| Ok(())).unwrap()
}

async fn backed_up(store: &LocalStore, folder: &Path) -> BackupReport {
    let (store, folder) = (store.clone(), folder.to_owned());
    tokio::task::spawn_blocking(move || back_up(&store, &folder, false)).await.unwrap()
}

fn restored(folder: &Path) -> Bed {
    let dir = TempDir::new().unwrap();
    let to = config(&dir.path().join("mail"));
    let done = restore(folder, to.clone(), |_, _| ()).unwrap();
    assert!(done.opened.damaged.is_empty());
    Bed { store: LocalStore::open(to).unwrap().0, dir }
}

/// What a user sees of a restored store, the new UIDVALIDITY of each mailbox replaced by the one of before.
async fn seen_again(store: &LocalStore, account: AccountId, before: &Seen) -> Seen {
    let mut seen = seen_by(store, account).await;
    for (mailbox, old) in seen.mailboxes.iter_mut().zip(&before.mailboxes) {
        assert!(mailbox.uid_validity > old.uid_validity, "{mailbox:?} {old:?}");
        mailbox.uid_validity = old.uid_validity;
    }
    for (status, old) in seen.status.iter_mut().zip(&before.status) {
        status.uid_validity = old.uid_validity;
    }
    seen
}

#[tokio::test]
async fn a_restored_store_is_the_one_that_was_backed_up() {
    let (bed, alice) = Bed::with_account().await;
    for n in 0..30 {
        deliver(&bed.store, alice, &format!("{n} {}", "x".repeat(6_000))).await;
    }
    let inbox = inbox(&bed.store, alice).id;
    bed.store.store_flags(inbox, uids(&[5]), FlagChange::Add(seen()), None).await.unwrap();
    bed.store.expunge(inbox, uids(&[1, 2]), false).await.unwrap();
    let before = seen_by(&bed.store, alice).await;
    let folder = TempDir::new().unwrap();
    let report = backed_up(&bed.store, folder.path()).await;
    assert!(report.segments > 2 && report.added == report.octets && report.damaged.is_empty(), "{report:?}");
    deliver(&bed.store, alice, "later").await;
    assert_eq!(seen_again(&restored(folder.path()).store, alice, &before).await, before);
}

#[tokio::test]
async fn the_key_that_salts_are_made_of_goes_with_the_store() {
    let (bed, _) = Bed::with_account().await;
    let folder = TempDir::new().unwrap();
    backed_up(&bed.store, folder.path()).await;
    assert!(!restored(folder.path()).dir.path().join("mail/decoy.key").exists(), "there was none");
    std::fs::write(bed.dir.path().join("decoy.key"), [7; 32]).unwrap();
    // What a backup of before had of it, and one that broke off, to be read by everybody.
    std::fs::write(folder.path().join("decoy.key"), [8; 32]).unwrap();
    backed_up(&bed.store, folder.path()).await;
    let key = file_of(folder.path(), "key");
    let unfinished = key.with_extension("key.new");
    std::fs::write(&unfinished, "").unwrap();
    backed_up(&bed.store, folder.path()).await;
    assert!(!unfinished.exists() && !folder.path().join("decoy.key").exists());
    let restored = restored(folder.path());
    for key in [&key, &restored.dir.path().join("mail/decoy.key")] {
        assert_eq!(std::fs::read(key).unwrap(), [7; 32]);
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(key).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    // Another is another file, which leaves the backup that is there whole until the list names it.
    std::fs::write(bed.dir.path().join("decoy.key"), [9; 32]).unwrap();
    backed_up(&bed.store, folder.path()).await;
    assert!(!key.exists());
    assert_eq!(std::fs::read(file_of(folder.path(), "key")).unwrap(), [9; 32]);
}

#[tokio::test]
async fn a_backup_whose_list_names_no_key_is_restored_with_the_one_beside_it() {
    let (bed, _) = Bed::with_account().await;
    let folder = TempDir::new().unwrap();
    backed_up(&bed.store, folder.path()).await;
    let list = folder.path().join("BACKUP");
    let first = std::fs::read_to_string(&list).unwrap().replace("mail store backup 2", "mail store backup 1");
    assert!(first.starts_with("waypost mail store backup 1\n"));
    std::fs::write(&list, first).unwrap();
    std::fs::write(folder.path().join("decoy.key"), [7; 32]).unwrap();
    let restored = restored(folder.path());
    assert_eq!(std::fs::read(restored.dir.path().join("mail/decoy.key")).unwrap(), [7; 32]);
}

/// The file of a backup whose name ends so.
fn file_of(folder: &Path, extension: &str) -> PathBuf {
    let files = std::fs::read_dir(folder.join("journal")).unwrap().map(|file| file.unwrap().path());
    files.into_iter().find(|path| path.extension().is_some_and(|found| found == extension)).unwrap()
}

#[tokio::test]
async fn a_second_backup_adds_what_is_new_and_drops_what_is_gone() {
    let (bed, alice) = Bed::with_account().await;
    for n in 0..30 {
        deliver(&bed.store, alice, &format!("{n} {}", "x".repeat(6_000))).await;
    }
    let folder = TempDir::new().unwrap();
    let first = backed_up(&bed.store, folder.path()).await;
    let same = backed_up(&bed.store, folder.path()).await;
    assert_eq!((same.octets, same.added), (first.octets, 0));

    let inbox = inbox(&bed.store, alice).id;
    bed.store.expunge(inbox, (1..=25).collect(), false).await.unwrap();
    deliver(&bed.store, alice, &"y".repeat(60_000)).await;
    let (store, segments) = (bed.store.clone(), bed.store.segments());
    let reclaim =
        move || segments.into_iter().filter(|segment| store.reclaim_segment(*segment).unwrap()).count();
    assert!(tokio::task::spawn_blocking(reclaim).await.unwrap() > 1);
    let second = backed_up(&bed.store, folder.path()).await;
    assert!(second.octets < first.octets, "{first:?} {second:?}");
    let files = std::fs::read_dir(folder.path().join("journal")).unwrap().count();
    assert_eq!(files as u64, second.segments);
    let before = seen_by(&bed.store, alice).await;
    assert_eq!(seen_again(&restored(folder.path()).store, alice, &before).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_was_promised_before_is_in_a_backup_that_is_taken_meanwhile() {
    let (bed, alice) = Bed::with_account().await;
    let inbox = inbox(&bed.store, alice).id;
    let promised = Arc::new(Mutex::new(BTreeSet::new()));
    let changer = tokio::spawn({
        let (store, promised) = (bed.store.clone(), Arc::clone(&promised));
        async move {
            for uid in 1..=120 {
                deliver(&store, alice, &format!("{uid} {}", "x".repeat(3_000))).await;
                store.store_flags(inbox, uids(&[uid]), FlagChange::Add(seen()), None).await.unwrap();
                promised.lock().insert(uid);
                if uid % 4 == 0 {
                    promised.lock().remove(&(uid - 2));
                    store.expunge(inbox, uids(&[uid - 2]), false).await.unwrap();
                }
            }
        }
    });
    let folder = TempDir::new().unwrap();
    while !changer.is_finished() {
        let before = promised.lock().clone();
        backed_up(&bed.store, folder.path()).await;
        let restored = restored(folder.path());
        assert_sound_aside(&restored.store).await;
        let rows = rows(&restored.store, inbox).await;
        let there: BTreeSet<Uid> =
            rows.iter().filter(|row| row.flags.has(SystemFlag::Seen)).map(|row| row.uid).collect();
        let after = promised.lock().clone();
        // What was expunged meanwhile may be there or not.
        assert!(before.intersection(&after).all(|uid| there.contains(uid)), "{before:?} {there:?}");
        for row in rows {
            assert_eq!(text_of(&restored.store, row.email).await.len() as u64, row.size);
        }
    }
    changer.await.unwrap();
}

#[tokio::test]
async fn no_number_that_was_given_since_the_backup_is_given_again() {
    let (bed, alice) = Bed::with_account().await;
    let folder = TempDir::new().unwrap();
    backed_up(&bed.store, folder.path()).await;
    let lost = deliver(&bed.store, alice, "came after the backup").await;
    let lost_email = bed.store.row(lost.mailbox, lost.uid).unwrap().unwrap().email;
    let lost_mailbox = bed.store.create_mailbox(alice, name("lost"), None).await.unwrap();

    let bed = restored(folder.path());
    let new = deliver(&bed.store, alice, "came after the restore").await;
    assert_eq!((new.mailbox, new.uid), (lost.mailbox, lost.uid));
    assert!(new.uid_validity > lost.uid_validity);
    assert!(bed.store.row(new.mailbox, new.uid).unwrap().unwrap().email > lost_email);
    let mailbox = bed.store.create_mailbox(alice, name("new"), None).await.unwrap();
    assert!(mailbox.id > lost_mailbox.id && mailbox.uid_validity > lost_mailbox.uid_validity);
    // Each mailbox has one of its own, and it stays when all rows are made anew.
    let validities = |store: &LocalStore| {
        let mailboxes = store.mailboxes(alice).unwrap();
        mailboxes.iter().map(|mailbox| mailbox.uid_validity).collect::<BTreeSet<_>>()
    };
    let all = validities(&bed.store);
    assert_eq!(all.len(), bed.store.mailboxes(alice).unwrap().len());
    bed.store.close().await.unwrap();
    let to = config(&bed.dir.path().join("mail"));
    LocalStore::rebuild(to.clone(), |_| ()).unwrap();
    let store = LocalStore::open(to).unwrap().0;
    assert_eq!(validities(&store), all);
    assert_sound_aside(&store).await;
}

#[tokio::test]
async fn a_first_backup_that_was_interrupted_is_gone_on_with() {
    let (bed, alice) = Bed::with_account().await;
    deliver(&bed.store, alice, "text").await;
    let folder = TempDir::new().unwrap();
    let (store, into) = (bed.store.clone(), folder.path().to_owned());
    let stop = || StoreError::Closed("the operator has pressed Ctrl-C".to_owned());
    let interrupted = move || store.backup(&into, false, &mut |_| Err(stop())).unwrap_err();
    tokio::task::spawn_blocking(interrupted).await.unwrap();
    let refused = restore(folder.path(), config(&bed.dir.path().join("no")), |_, _| ()).unwrap_err();
    assert!(refused.to_string().contains("no backup"), "{refused}");
    let before = seen_by(&bed.store, alice).await;
    backed_up(&bed.store, folder.path()).await;
    assert_eq!(seen_again(&restored(folder.path()).store, alice, &before).await, before);
}

#[tokio::test]
async fn what_was_changed_in_a_backup_is_not_restored() {
    let (bed, alice) = Bed::with_account().await;
    deliver(&bed.store, alice, "an unmistakable text").await;
    std::fs::write(bed.dir.path().join("decoy.key"), [7; 32]).unwrap();
    let folder = TempDir::new().unwrap();
    backed_up(&bed.store, folder.path()).await;
    let to = TempDir::new().unwrap();
    for file in ["part", "key"].map(|extension| file_of(folder.path(), extension)) {
        let before = std::fs::read(&file).unwrap();
        let mut octets = before.clone();
        *octets.last_mut().unwrap() ^= 1;
        std::fs::write(&file, octets).unwrap();
        let refused =
            restore(folder.path(), config(&to.path().join("mail")), |_, _| ()).unwrap_err().to_string();
        assert!(refused.contains("checksum"), "{refused}");
        assert!(!to.path().join("mail").exists());
        std::fs::write(&file, before).unwrap();
    }
}

#[tokio::test]
async fn nothing_is_replaced_and_stores_are_not_mixed() {
    let (bed, alice) = Bed::with_account().await;
    deliver(&bed.store, alice, "text").await;
    let folder = TempDir::new().unwrap();
    backed_up(&bed.store, folder.path()).await;
    let refused = restore(folder.path(), config(bed.dir.path()), |_, _| ()).unwrap_err().to_string();
    assert!(refused.contains("not empty"), "{refused}");
    let refused = bed.store.backup(bed.dir.path(), false, &mut |_| Ok(())).unwrap_err().to_string();
    assert!(refused.contains("no backup"), "{refused}");

    let bed = bed.reopened().await;
    backed_up(&bed.store, folder.path()).await;
    let (other, bob) = Bed::with_account().await;
    deliver(&other.store, bob, "text").await;
    let other = other.reopened().await;
    let refused = other.store.clone();
    let into = folder.path().to_owned();
    let refused = tokio::task::spawn_blocking(move || refused.backup(&into, false, &mut |_| Ok(())));
    let refused = refused.await.unwrap().unwrap_err().to_string();
    assert!(refused.contains("another store"), "{refused}");
}

#[tokio::test]
async fn sealed_segments_are_linked_if_asked_for() {
    use std::os::unix::fs::MetadataExt as _;
    let (bed, alice) = Bed::with_account().await;
    for n in 0..20 {
        deliver(&bed.store, alice, &format!("{n} {}", "x".repeat(6_000))).await;
    }
    let before = seen_by(&bed.store, alice).await;
    let folder = TempDir::new_in(bed.dir.path().parent().unwrap()).unwrap();
    let (store, into) = (bed.store.clone(), folder.path().to_owned());
    tokio::task::spawn_blocking(move || back_up(&store, &into, true)).await.unwrap();
    let links = std::fs::read_dir(folder.path().join("journal")).unwrap();
    let linked = links.filter(|file| file.as_ref().unwrap().metadata().unwrap().nlink() == 2).count();
    assert!(linked > 0);
    assert_eq!(seen_again(&restored(folder.path()).store, alice, &before).await, before);
}
