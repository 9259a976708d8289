//! What is got back of the disk, how fast, and what must not be tried again and again.

use std::time::Duration;

use super::*;
use crate::store::record::Nothing;

async fn reclaim_all(store: &LocalStore) {
    let store = store.clone();
    let reclaim = move || {
        for segment in store.segments() {
            store.reclaim_segment(segment).unwrap();
        }
    };
    tokio::task::spawn_blocking(reclaim).await.unwrap();
}

#[tokio::test]
async fn what_lives_is_not_copied_forward_again_and_again() {
    let (bed, alice) = Bed::with_account().await;
    let inbox = inbox(&bed.store, alice).id;
    // Small messages, of which the outline takes more than the text.
    for n in 0..150 {
        deliver(&bed.store, alice, &format!("Subject: {n} {}\r\n\r\nHi", "long ".repeat(200))).await;
    }
    assert!(bed.store.segments().len() > 3, "{:?}", bed.store.segments());
    assert_eq!(bed.store.candidates(), []);
    for n in 0..30 {
        let value = Some(Bytes::from(vec![b'x'; 10_000]));
        let note = Annotation { entry: format!("/private/{n}"), value };
        bed.store.annotate(alice, Some(inbox), vec![note]).await.unwrap();
    }
    assert_eq!(bed.store.candidates(), []);
    assert_sound_aside(&bed.store).await;
    // The weights are the same after a restart, and when all rows are made anew.
    let bed = bed.reopened().await;
    assert_eq!(bed.store.candidates(), []);
    bed.store.close().await.unwrap();
    LocalStore::rebuild(config(bed.dir.path()), |_| ()).unwrap();
    assert_eq!(open(bed.dir.path()).candidates(), []);
}

#[tokio::test]
async fn messages_that_got_many_keywords_are_carried_forward_all_the_same() {
    let (bed, alice) = Bed::with_account().await;
    let inbox = inbox(&bed.store, alice).id;
    for _ in 0..140 {
        deliver(&bed.store, alice, "text").await;
    }
    let copied = bed.store.copy(inbox, UidSet::all(), name("Archive")).await.unwrap();
    bed.store
        .store_flags(copied.mailbox, UidSet::all(), FlagChange::Add(many_keywords()), None)
        .await
        .unwrap();
    for _ in 0..10 {
        deliver(&bed.store, alice, &"x".repeat(10_000)).await;
    }
    let before = seen_by(&bed.store, alice).await;
    let first = bed.store.segments()[0];
    reclaim_all(&bed.store).await;
    assert!(!bed.store.segments().contains(&first));
    assert_eq!(seen_by(&bed.store, alice).await, before);
}

#[tokio::test]
async fn keywords_of_messages_that_live_are_not_copied_forward_again_and_again() {
    let (bed, alice) = Bed::with_account().await;
    let inbox = inbox(&bed.store, alice).id;
    // Keywords that came with their messages.
    for _ in 0..30 {
        append(&bed.store, alice, "INBOX", "text", many_keywords()).await;
    }
    assert_eq!(bed.store.candidates(), []);
    // Keywords that each of them got for itself.
    let own = bed.store.copy(inbox, UidSet::all(), name("Archive")).await.unwrap().mailbox;
    for uid in 1..=30 {
        let mut flags = Flags::none();
        for n in 1..Flags::MAX_KEYWORDS {
            flags.set_keyword(&format!("{uid}-{n:0100}"));
        }
        bed.store.store_flags(own, uids(&[uid]), FlagChange::Replace(flags), None).await.unwrap();
    }
    // Keywords that all have from one record.
    let shared = bed.store.copy(inbox, UidSet::all(), name("Junk")).await.unwrap().mailbox;
    for flags in [Flags::none(), many_keywords()] {
        bed.store.store_flags(shared, UidSet::all(), FlagChange::Replace(flags), None).await.unwrap();
    }
    let before = seen_by(&bed.store, alice).await;
    for _ in 0..3 {
        reclaim_all(&bed.store).await;
    }
    assert_eq!(bed.store.candidates(), []);
    assert_eq!(seen_by(&bed.store, alice).await, before);
    // The weights are the same after a restart, and when all rows are made anew.
    let bed = bed.reopened().await;
    assert_eq!(bed.store.candidates(), []);
    bed.store.close().await.unwrap();
    LocalStore::rebuild(config(bed.dir.path()), |_| ()).unwrap();
    let store = open(bed.dir.path());
    assert_eq!(store.candidates(), []);
    assert_eq!(seen_by(&store, alice).await, before);
    // What nobody has any more needs nothing.
    store.expunge(own, UidSet::all(), false).await.unwrap();
    assert_sound_aside(&store).await;
    assert_ne!(store.candidates(), []);
}

#[tokio::test]
async fn a_body_shown_many_times_with_many_keywords_is_carried_forward() {
    let (bed, alice) = Bed::with_account().await;
    let recipients = (0..200).map(|n| recipient(alice, &format!("alice{n}@example.test"))).collect();
    bed.store.deliver(delivery(MessageId::new(), "to all", recipients)).await.unwrap();
    let inbox = inbox(&bed.store, alice).id;
    bed.store.store_flags(inbox, UidSet::all(), FlagChange::Add(many_keywords()), None).await.unwrap();
    for _ in 0..10 {
        deliver(&bed.store, alice, &"x".repeat(10_000)).await;
    }
    let before = seen_by(&bed.store, alice).await;
    let first = bed.store.segments()[0];
    reclaim_all(&bed.store).await;
    assert!(!bed.store.segments().contains(&first));
    assert_eq!(seen_by(&bed.store, alice).await, before);
    bed.store.close().await.unwrap();
    LocalStore::rebuild(config(bed.dir.path()), |_| ()).unwrap();
    assert_eq!(seen_by(&open(bed.dir.path()), alice).await, before);
}

#[tokio::test]
async fn messages_with_many_keywords_move_in_as_many_records_as_it_takes() {
    let (bed, alice) = Bed::with_account().await;
    for _ in 0..140 {
        deliver(&bed.store, alice, "text").await;
    }
    let inbox = inbox(&bed.store, alice).id;
    bed.store.store_flags(inbox, UidSet::all(), FlagChange::Add(many_keywords()), None).await.unwrap();
    let moved = bed.store.move_messages(inbox, UidSet::all(), name("Archive")).await.unwrap();
    assert_eq!(moved.uids.len(), 140);
    assert_eq!(rows(&bed.store, moved.mailbox).await.len(), 140);
}

#[tokio::test]
async fn what_would_not_fit_into_one_record_is_refused_before_any_of_it_is_stored() {
    let (bed, alice) = Bed::with_account().await;
    let append = || Append {
        mailbox: MailboxName::inbox(),
        message_id: MessageId::new(),
        flags: many_keywords(),
        internal_date: Timestamp::UNIX_EPOCH,
        body: body("text"),
    };
    let before = bed.store.state().lock().applied();
    let appends = (0..130).map(|_| append()).collect();
    let refused = bed.store.append_together(alice, MailboxName::inbox(), appends).await;
    assert!(matches!(refused, Err(StoreError::OverLimit { .. })), "{refused:?}");
    assert_eq!(bed.store.state().lock().applied(), before);
}

#[tokio::test]
async fn removals_are_forgotten_once_nothing_in_the_journal_needs_them() {
    let (bed, alice) = Bed::with_account().await;
    let inbox = inbox(&bed.store, alice).id;
    let removals = |store: &LocalStore| {
        let rows = store.table().scan::<Nothing>(keys::within(keys::REMOVED)).map(Result::unwrap);
        rows.count()
    };
    for _ in 0..5 {
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
    assert!(removals(&bed.store) >= 5);
    bed.store.expunge(inbox, UidSet::all(), false).await.unwrap();
    for _ in 0..3 {
        for _ in 0..10 {
            deliver(&bed.store, alice, &"x".repeat(10_000)).await;
        }
        reclaim_all(&bed.store).await;
    }
    assert_eq!(removals(&bed.store), 0);
    let before = seen_by(&bed.store, alice).await;
    bed.store.close().await.unwrap();
    LocalStore::rebuild(config(bed.dir.path()), |_| ()).unwrap();
    assert_eq!(seen_by(&open(bed.dir.path()), alice).await, before);
}

#[tokio::test]
async fn nothing_is_gathered_while_the_journal_is_being_copied() {
    let (bed, alice) = Bed::with_account().await;
    for _ in 0..20 {
        deliver(&bed.store, alice, &"x".repeat(10_000)).await;
    }
    bed.store.expunge(inbox(&bed.store, alice).id, UidSet::all(), false).await.unwrap();
    let store = bed.store.clone();
    let reclaim = move || {
        let held = store.journal().hold().unwrap();
        let before = store.state().lock().applied();
        store.reclaim().unwrap();
        assert_eq!(store.state().lock().applied(), before);
        drop(held);
        store.reclaim().unwrap();
        assert_ne!(store.state().lock().applied(), before);
    };
    tokio::task::spawn_blocking(reclaim).await.unwrap();
}

#[tokio::test]
async fn a_store_closes_however_slowly_it_reclaims() {
    let dir = TempDir::new().unwrap();
    let slow = StoreConfig { reclaim_every: Duration::from_millis(1), reclaim_rate: 1, ..config(dir.path()) };
    let store = LocalStore::open(slow).unwrap().0;
    let alice = create_account(&store, "alice@example.test").await;
    for _ in 0..20 {
        deliver(&store, alice, &"x".repeat(10_000)).await;
    }
    store.expunge(inbox(&store, alice).id, UidSet::all(), false).await.unwrap();
    let before = store.segments().len();
    assert!(!store.candidates().is_empty());
    deliver(&store, alice, "others need not wait").await;
    assert_eq!(store.segments().len(), before, "an octet a second is not enough for any of them");
    // It would take days.
    tokio::time::timeout(Duration::from_mins(1), store.close()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_start_does_not_look_at_outlines_that_it_did_not_replay() {
    let (bed, alice) = Bed::with_account().await;
    for _ in 0..30 {
        let mut large = delivery(MessageId::new(), "", vec![recipient(alice, "alice@example.test")]);
        large.body = staged(&bed.store, "Subject: large\r\n\r\n").await;
        let placement = bed.store.deliver(large).await.unwrap()[0].clone().unwrap().placement;
        let email = bed.store.row(placement.mailbox, placement.uid).unwrap().unwrap().email;
        outline_of(&bed.store, email).await;
    }
    let bed = bed.reopened().await;
    assert!(bed.store.rows_read() < 30, "{}", bed.store.rows_read());
}
