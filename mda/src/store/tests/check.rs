//! What a check finds, and that it finds nothing where nothing is wrong.

use journal::Position;

use super::*;
use crate::store::leaf::{FlagState, Leaf};
use crate::store::record::{
    AccountState, BodyRow, Counters, MailboxState, Number, Placed, SeenRun, SeenState,
};
use crate::store::table::{Pending, Value};

fn check(store: &LocalStore) -> CheckReport {
    store.check(CheckOptions { bodies: true, rebuild: true }, &mut |_| Ok(())).unwrap()
}

/// A store with something of everything.
async fn furnished() -> (Bed, AccountId) {
    let (bed, alice) = Bed::with_account().await;
    for n in 0..4 {
        deliver(&bed.store, alice, &format!("text {n}")).await;
    }
    let inbox = inbox(&bed.store, alice).id;
    bed.store.copy(inbox, uids(&[2, 3]), name("Archive")).await.unwrap();
    bed.store.store_flags(inbox, uids(&[2]), FlagChange::Add(seen()), None).await.unwrap();
    bed.store.expunge(inbox, uids(&[1, 4]), false).await.unwrap();
    bed.store.delete_mailbox(alice, name("Junk")).await.unwrap();
    let alias = Alias {
        address: "info@example.test".to_owned(),
        targets: vec!["alice@example.test".to_owned()],
        owner: None,
    };
    bed.store.put_alias(alias).await.unwrap();
    (bed, alice)
}

/// Writes rows behind the store's back, with good checksums.
fn change(store: &LocalStore, change: impl FnOnce(&mut Pending)) {
    let mut pending = Pending::new(store.table().clone());
    change(&mut pending);
    pending.commit().unwrap();
}

/// Changes one row that is there.
fn alter<T: Value>(store: &LocalStore, key: Vec<u8>, alter: impl FnOnce(&mut T)) {
    change(store, |rows| {
        let mut row = rows.get::<T>(&key).unwrap().unwrap();
        alter(&mut row.value);
        rows.put(key, row.at, &row.value);
    });
}

/// The damage is found, and named by words of which each stands in some problem.
async fn finds(damage: impl FnOnce(&LocalStore, Mailbox), words: &[&str]) {
    let (bed, alice) = furnished().await;
    let inbox = inbox(&bed.store, alice);
    let store = bed.store.clone();
    damage(&store, inbox);
    let report = tokio::task::spawn_blocking(move || check(&store)).await.unwrap();
    for word in words {
        assert!(report.problems.iter().any(|problem| problem.contains(word)), "{word}: {report:#?}");
    }
    assert_eq!(report.found, report.problems.len() as u64);
}

#[tokio::test]
async fn a_sound_store_has_nothing_to_find() {
    let (bed, _) = furnished().await;
    let store = bed.store.clone();
    let report = tokio::task::spawn_blocking(move || check(&store)).await.unwrap();
    assert!(report.is_sound(), "{report:#?}");
    assert_eq!((report.accounts, report.mailboxes, report.messages), (1, 5, 4));
    assert_eq!((report.bodies, report.octets), (2, 12));
    assert!(report.records >= 10, "{report:#?}");
    assert!(!bed.dir.path().join("check").exists());
}

#[tokio::test]
async fn rows_and_their_indexes_must_fit() {
    let row = |inbox: &Mailbox, uid| keys::row(inbox.id.0, uid);
    finds(|store, inbox| change(store, |rows| rows.delete(row(&inbox, 2))), &["in a leaf, and has no row"])
        .await;
    finds(
        |store, inbox| alter::<Placed>(store, row(&inbox, 3), |placed| placed.size += 1),
        &["its row and its leaf say different things", "not what the journal says"],
    )
    .await;
}

#[tokio::test]
async fn leaves_must_fit_their_messages() {
    let leaf = |inbox: &Mailbox| keys::leaf(inbox.id.0, 0);
    finds(
        |store, inbox| change(store, |rows| rows.delete(leaf(&inbox))),
        &["message 2", "is in no leaf", "counting gives"],
    )
    .await;
    finds(
        |store, inbox| {
            alter::<Leaf>(store, leaf(&inbox), |leaf| {
                let (message, flags) = leaf.remove(2).unwrap();
                leaf.insert(message, FlagState { modseq: flags.modseq + 100, ..flags });
            });
        },
        &["its modseq", "not what the journal says"],
    )
    .await;
    finds(
        |store, inbox| {
            alter::<Leaf>(store, leaf(&inbox), |leaf| {
                let (mut message, flags) = leaf.remove(3).unwrap();
                message.size += 1;
                leaf.insert(message, flags);
            });
        },
        &["octets, its body", "say different things"],
    )
    .await;
    finds(
        |store, inbox| {
            alter::<Leaf>(store, leaf(&inbox), |leaf| {
                let (message, flags) = leaf.remove(2).unwrap();
                leaf.insert(message, FlagState { as_placed: true, ..flags });
            });
        },
        &["its flags are of", "octets are said to be needed"],
    )
    .await;
}

#[tokio::test]
async fn counters_must_be_what_counting_gives() {
    let counters = |inbox: &Mailbox| keys::counters(inbox.id.0);
    finds(
        |store, inbox| alter::<Counters>(store, counters(&inbox), |counters| counters.unseen += 1),
        &["counting gives"],
    )
    .await;
    finds(
        |store, inbox| alter::<Counters>(store, counters(&inbox), |counters| counters.uid_next = 3),
        &["message 3", "UIDNEXT 3", "expunged UIDs 4"],
    )
    .await;
    finds(
        |store, inbox| alter::<Counters>(store, counters(&inbox), |counters| counters.highest_modseq = 2),
        &["modseq", "what vanished"],
    )
    .await;
}

#[tokio::test]
async fn expunged_messages_must_be_gone_and_remembered() {
    finds(
        |store, inbox| change(store, |rows| rows.delete(keys::expunged(inbox.id.0, 1))),
        &["do not count as expunged"],
    )
    .await;
    finds(
        |store, inbox| {
            change(store, |rows| {
                rows.put(keys::expunged(inbox.id.0, 2), Position::default(), &Number { value: 3 });
            });
        },
        &["a message is there"],
    )
    .await;
}

#[tokio::test]
async fn bodies_must_be_there_counted_and_whole() {
    finds(
        |store, _| alter::<BodyRow>(store, keys::body(2), |body| body.references += 1),
        &["3 references, 2 messages show it"],
    )
    .await;
    finds(
        |store, _| change(store, |rows| rows.delete(keys::body(2))),
        &["body 2: is missing", "its body 2 is missing"],
    )
    .await;
    finds(
        |store, _| alter::<BodyRow>(store, keys::body(2), |body| *body.place.last_mut().unwrap() ^= 1),
        &["body 2: the body of message M2 is damaged"],
    )
    .await;
    finds(
        |store, _| {
            change(store, |rows| rows.put(keys::segment(1), Position::default(), &Number { value: 5 }));
        },
        &["5 octets are said to be needed"],
    )
    .await;
}

#[tokio::test]
async fn accounts_aliases_and_mailboxes_must_be_found_by_their_names() {
    finds(
        |store, _| change(store, |rows| rows.delete(keys::address("alice@example.test", 1))),
        &["does not lead to it"],
    )
    .await;
    finds(
        |store, _| alter::<AccountState>(store, keys::account(1), |account| account.addresses.clear()),
        &["its name is none of its addresses", "which does not have it"],
    )
    .await;
    finds(
        |store, _| {
            change(store, |rows| rows.delete(keys::alias_target("alice@example.test", "info@example.test")));
        },
        &["is not found by its target"],
    )
    .await;
    finds(
        |store, inbox| {
            alter::<MailboxState>(store, keys::mailbox(inbox.id.0), |mailbox| mailbox.name = "Other".into());
        },
        &["has no place in the list", "a name that is not its own"],
    )
    .await;
    finds(
        |store, _| change(store, |rows| rows.put(keys::row(77, 1), Position::default(), &Placed::default())),
        &["there never was one"],
    )
    .await;
}

#[tokio::test]
async fn a_row_with_a_bad_checksum_is_found() {
    let (bed, alice) = furnished().await;
    let inbox = inbox(&bed.store, alice).id;
    bed.store.close().await.unwrap();
    crash::damage_row(bed.dir.path(), &keys::row(inbox.0, 2));
    let report = tokio::task::spawn_blocking({
        let config = config(bed.dir.path());
        move || {
            let (store, _) = LocalStore::open_as_it_is(config).unwrap();
            let report = store.check(CheckOptions::default(), &mut |_| Ok(())).unwrap();
            store.close_blocking().unwrap();
            report
        }
    });
    let report = report.await.unwrap();
    assert!(report.problems.iter().any(|problem| problem.contains("checksum mismatch")), "{report:#?}");
}

#[tokio::test]
async fn an_octet_that_changed_on_the_disk_is_found() {
    let (bed, alice) = Bed::with_account().await;
    deliver(&bed.store, alice, "an unmistakable text").await;
    bed.store.close().await.unwrap();
    let segment = std::fs::read_dir(bed.dir.path().join("journal")).unwrap();
    for path in segment.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(20).position(|window| window == b"an unmistakable text") {
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let store = open(bed.dir.path());
    let report = tokio::task::spawn_blocking(move || check(&store)).await.unwrap();
    assert!(report.problems.iter().any(|problem| problem.contains("body 1")), "{report:#?}");
    assert!(report.problems.iter().any(|problem| problem.contains("segment")), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_serves_is_checked_as_well() {
    let (bed, alice) = Bed::with_account().await;
    let store = bed.store.clone();
    let inbox = inbox(&bed.store, alice).id;
    let changer = tokio::spawn(async move {
        for uid in 1..=60 {
            deliver(&store, alice, &format!("{uid} {}", "x".repeat(2_000))).await;
            store.store_flags(inbox, uids(&[uid]), FlagChange::Add(seen()), None).await.unwrap();
            if uid % 3 == 0 {
                store.expunge(inbox, uids(&[uid - 1]), false).await.unwrap();
            }
        }
    });
    while !changer.is_finished() {
        assert_sound_aside(&bed.store).await;
    }
    changer.await.unwrap();
    assert_sound_aside(&bed.store).await;
}

#[tokio::test]
async fn annotations_and_rights_must_be_of_what_is_there() {
    use crate::store::record::{AnnotationState, Nothing, RightsState};
    let annotation = AnnotationState { mailbox: 999, entry: "/shared/a".to_owned(), ..Default::default() };
    let private = AnnotationState { account: 1, entry: "/private/a".to_owned(), ..annotation.clone() };
    let rights = RightsState { mailbox: 999, account: 1, rights: "lr".to_owned(), ..Default::default() };
    let at = Position::default();
    let damage = move |store: &LocalStore, _: Mailbox| {
        change(store, |rows| {
            rows.put(keys::annotation(999, 0, "/shared/a"), at, &annotation);
            rows.put(keys::annotation(999, 1, "/private/a"), at, &private);
            rows.put(keys::noted_at(1, 998), at, &Nothing {});
            rows.put(keys::rights(999, 1, false), at, &rights);
            rows.put(keys::granted_at(1, 998), at, &Nothing {});
        });
    };
    let words = [
        "what it is noted at, or who noted it, does not exist",
        "annotation /private/a of mailbox 999 for account 1: is not found by the account",
        "annotations of account 1 at mailbox 998: are found and not there",
        "rights of account 1 at mailbox 999: no such mailbox",
        "are not found by the account as they should be",
        "rights of account 1 at mailbox 998: are found and not there",
        "its record at",
    ];
    finds(damage, &words).await;
}

#[tokio::test]
async fn what_others_have_seen_must_be_in_order() {
    let state = |inbox: &Mailbox, first, last, modseq| SeenState {
        mailbox: inbox.id.0,
        account: 1,
        block: 0,
        modseq,
        runs: vec![SeenRun { first, last, seen: true, modseq }],
    };
    for (first, last, modseq, found) in [
        (1, 300, 1, "its marks are in disorder"),
        (3, 2, 1, "its marks are in disorder"),
        (1, 2, 1_000_000, "is newer than the mailbox"),
    ] {
        finds(
            |store, inbox| {
                let state = state(&inbox, first, last, modseq);
                change(store, |rows| rows.put(keys::seen(inbox.id.0, 1, 0), Position::default(), &state));
            },
            &[found],
        )
        .await;
    }
}
