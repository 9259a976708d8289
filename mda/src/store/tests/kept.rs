//! Expunged messages come back if somebody wants them, and go when their time is over; so do old messages.

use std::time::Duration;

use super::*;

const DAY: Duration = Duration::from_hours(24);

async fn keeping() -> (Bed, AccountId) {
    let dir = TempDir::new().unwrap();
    let config = StoreConfig {
        keep_expunged: 7 * DAY,
        retention: vec![(SpecialUse::Junk, 30 * DAY)],
        ..config(dir.path())
    };
    let store = LocalStore::open(config).unwrap().0;
    let alice = create_account(&store, "alice@example.test").await;
    (Bed { store, dir }, alice)
}

async fn kept(store: &LocalStore, account: AccountId) -> Vec<Kept> {
    store.kept(account, KeptFilter::default()).await.unwrap()
}

async fn sweep_in(store: &LocalStore, time: Duration) -> Swept {
    let now = Timestamp::now().checked_add(jiff::SignedDuration::try_from(time).unwrap()).unwrap();
    store.sweep(now, MailboxId(0), 1_000).await.unwrap()
}

#[tokio::test]
async fn an_expunged_message_comes_back_as_it_was() {
    let (bed, alice) = keeping().await;
    for n in 0..4 {
        append(&bed.store, alice, "Archive", &format!("text {n}"), seen()).await;
    }
    let archive = mailbox(&bed.store, alice, "Archive").id;
    let before = rows(&bed.store, archive).await;
    bed.store.expunge(archive, uids(&[2, 3]), false).await.unwrap();
    assert_eq!(bed.store.usage(alice).unwrap().messages, 2);
    let found = kept(&bed.store, alice).await;
    assert_eq!(found.iter().map(|kept| kept.mailbox.as_str()).collect::<Vec<_>>(), ["Archive", "Archive"]);
    // Also after a crash, and when all rows are made anew.
    let bed = bed.crashed();
    assert_sound_aside(&bed.store).await;
    assert_eq!(kept(&bed.store, alice).await, found);

    bed.store.undelete(alice, KeptFilter::default(), None).await.unwrap();
    let after = rows(&bed.store, archive).await;
    assert_eq!(after.iter().map(|row| row.uid).collect::<Vec<_>>(), [1, 4, 5, 6]);
    for (row, old) in [(&after[2], &before[1]), (&after[3], &before[2])] {
        assert_eq!((row.email, &row.flags, row.internal_date), (old.email, &old.flags, old.internal_date));
        assert!(text_of(&bed.store, row.email).await.starts_with("text"));
    }
    assert!(kept(&bed.store, alice).await.is_empty());
    assert_sound_aside(&bed.store).await;
}

#[tokio::test]
async fn a_deleted_mailbox_comes_back_under_its_name_or_another() {
    let (bed, alice) = keeping().await;
    bed.store.create_mailbox(alice, name("work/old"), None).await.unwrap();
    append(&bed.store, alice, "work/old", "one", seen()).await;
    append(&bed.store, alice, "work/old", "two", seen()).await;
    bed.store.delete_mailbox(alice, name("work/old")).await.unwrap();
    let filter = KeptFilter { mailbox: Some(name("work/old")), ..KeptFilter::default() };
    let numbers = bed.store.kept(alice, filter.clone()).await.unwrap();
    assert_eq!(numbers.len(), 2);
    let one = KeptFilter { numbers: Some(uids(&[numbers[0].number])), ..KeptFilter::default() };
    assert_eq!(bed.store.undelete(alice, one, Some(name("found"))).await.unwrap(), 1);
    assert_eq!(bed.store.undelete(alice, filter, None).await.unwrap(), 1);
    for mailbox_name in ["found", "work/old"] {
        let id = mailbox(&bed.store, alice, mailbox_name).id;
        assert_eq!(rows(&bed.store, id).await.len(), 1, "{mailbox_name}");
    }
    assert_sound_aside(&bed.store).await;
}

#[tokio::test]
async fn kept_messages_go_when_their_time_is_over_and_with_their_account() {
    let (bed, alice) = keeping().await;
    deliver(&bed.store, alice, "one").await;
    deliver(&bed.store, alice, "two").await;
    let inbox = inbox(&bed.store, alice).id;
    bed.store.expunge(inbox, uids(&[1]), false).await.unwrap();
    assert_eq!(sweep_in(&bed.store, 6 * DAY).await.ended, 0);
    assert_eq!(kept(&bed.store, alice).await.len(), 1);
    assert_eq!(sweep_in(&bed.store, 8 * DAY).await.ended, 1);
    assert!(kept(&bed.store, alice).await.is_empty());
    assert!(matches!(bed.store.read(EmailId(1), 0..9).await, Err(StoreError::Expunged)));
    bed.store.expunge(inbox, uids(&[2]), false).await.unwrap();
    bed.store.remove_account(alice).await.unwrap();
    assert_sound_aside(&bed.store).await;
    assert!(matches!(bed.store.read(EmailId(2), 0..9).await, Err(StoreError::Expunged)));
}

#[tokio::test]
async fn where_more_is_over_than_goes_at_once_the_next_sweep_goes_on() {
    let (bed, alice) = keeping().await;
    deliver(&bed.store, alice, "one").await;
    let inbox = inbox(&bed.store, alice).id;
    for _ in 0..12 {
        bed.store.copy(inbox, UidSet::all(), name("INBOX")).await.unwrap();
    }
    let first: Vec<u32> = (1..=4_096).collect();
    for _ in 0..4 {
        bed.store.copy(inbox, uids(&first), name("INBOX")).await.unwrap();
    }
    bed.store.expunge(inbox, UidSet::all(), false).await.unwrap();
    let swept = [sweep_in(&bed.store, 8 * DAY).await, sweep_in(&bed.store, 8 * DAY).await];
    assert_eq!(swept[0], Swept { ended: 20_000, has_more: true, ..Swept::default() });
    assert_eq!(swept[1], Swept { ended: 480, ..Swept::default() });
}

#[tokio::test]
async fn what_is_over_goes_although_another_mailbox_is_damaged() {
    let (bed, alice) = keeping().await;
    for name in ["Drafts", "Archive"] {
        append(&bed.store, alice, name, "text", Flags::none()).await;
        bed.store.set_retention(mailbox(&bed.store, alice, name).id, Some(DAY)).await.unwrap();
    }
    let [drafts, archive] = ["Drafts", "Archive"].map(|name| mailbox(&bed.store, alice, name).id);
    bed.store.spoil_leaves(drafts.min(archive));
    assert_eq!(sweep_in(&bed.store, 2 * DAY).await.retired, 1);
    assert_eq!(bed.store.status(drafts.max(archive)).unwrap().messages, 0);
}

#[tokio::test]
async fn moves_keep_nothing_behind_and_what_comes_back_needs_room() {
    let (bed, alice) = keeping().await;
    deliver(&bed.store, alice, "one").await;
    let inbox = inbox(&bed.store, alice).id;
    bed.store.move_messages(inbox, uids(&[1]), name("Archive")).await.unwrap();
    assert!(kept(&bed.store, alice).await.is_empty());
    bed.store.expunge(mailbox(&bed.store, alice, "Archive").id, UidSet::all(), false).await.unwrap();
    bed.store.set_quota(alice, Quota { messages: Some(1), octets: None }).await.unwrap();
    deliver(&bed.store, alice, "two").await;
    let refused = bed.store.undelete(alice, KeptFilter::default(), None).await;
    assert!(matches!(refused, Err(StoreError::OverQuota { .. })), "{refused:?}");
    assert_eq!(kept(&bed.store, alice).await.len(), 1);
}

#[tokio::test]
async fn mailboxes_let_old_messages_go_as_their_use_or_they_themselves_say() {
    let (bed, alice) = keeping().await;
    for mailbox in ["Junk", "Archive", "INBOX"] {
        append(&bed.store, alice, mailbox, "text", Flags::none()).await;
    }
    bed.store.set_retention(mailbox(&bed.store, alice, "Archive").id, Some(10 * DAY)).await.unwrap();
    let left = |names: &[&str]| {
        let messages = |name: &&str| bed.store.status(mailbox(&bed.store, alice, name).id).unwrap().messages;
        names.iter().map(messages).collect::<Vec<_>>()
    };
    let all = ["Junk", "Archive", "INBOX"];
    assert_eq!(sweep_in(&bed.store, 9 * DAY).await.retired, 0);
    assert_eq!(sweep_in(&bed.store, 11 * DAY).await.retired, 1);
    assert_eq!(left(&all), [1, 0, 1]);
    bed.store.set_retention(mailbox(&bed.store, alice, "Junk").id, Some(Duration::ZERO)).await.unwrap();
    assert_eq!(sweep_in(&bed.store, 40 * DAY).await.retired, 0);
    bed.store.set_retention(mailbox(&bed.store, alice, "Junk").id, None).await.unwrap();
    assert_eq!(sweep_in(&bed.store, 40 * DAY).await.retired, 1);
    assert_eq!(left(&all), [0, 0, 1]);
    assert_sound_aside(&bed.store).await;
}

#[tokio::test]
async fn messages_with_many_keywords_come_back_in_as_many_records_as_it_takes() {
    let (bed, alice) = keeping().await;
    for _ in 0..140 {
        deliver(&bed.store, alice, "text").await;
    }
    let inbox = inbox(&bed.store, alice).id;
    bed.store.store_flags(inbox, UidSet::all(), FlagChange::Add(many_keywords()), None).await.unwrap();
    bed.store.expunge(inbox, UidSet::all(), false).await.unwrap();
    assert_eq!(bed.store.undelete(alice, KeptFilter::default(), None).await.unwrap(), 140);
    let rows = rows(&bed.store, inbox).await;
    assert_eq!(rows.len(), 140);
    assert!(rows.iter().all(|row| row.flags == many_keywords()));
}
