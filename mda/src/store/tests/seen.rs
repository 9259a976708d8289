//! What others than its owner have seen of a mailbox.

use super::*;

/// Alice's INBOX with so many messages, and Bob.
async fn shared(messages: u32) -> (Bed, MailboxId, AccountId) {
    let (bed, alice) = Bed::with_account().await;
    let bob = create_account(&bed.store, "bob@example.test").await;
    let append = |n: u32| Append {
        mailbox: MailboxName::inbox(),
        message_id: MessageId::new(),
        flags: Flags::none(),
        internal_date: Timestamp::UNIX_EPOCH,
        body: body(&n.to_string()),
    };
    bed.store
        .append_together(alice, MailboxName::inbox(), (0..messages).map(append).collect())
        .await
        .unwrap();
    let inbox = inbox(&bed.store, alice).id;
    (bed, inbox, bob)
}

async fn mark(store: &LocalStore, mailbox: MailboxId, user: AccountId, marked: &[Uid]) {
    store.store_flags_as(mailbox, user, uids(marked), FlagChange::Add(seen()), None).await.unwrap();
}

async fn marked(store: &LocalStore, mailbox: MailboxId, user: AccountId) -> Vec<Uid> {
    let marks = store.seen(mailbox, user).await.unwrap();
    (0..1_000).filter(|uid| marks.of(*uid).is_some_and(|mark| mark.seen)).collect()
}

#[tokio::test]
async fn marking_one_message_forgets_no_other_though_the_mailbox_is_not_in_memory() {
    let (bed, inbox, bob) = shared(300).await;
    mark(&bed.store, inbox, bob, &[1, 200]).await;
    let bed = bed.reopened().await;
    mark(&bed.store, inbox, bob, &[130, 300]).await;
    assert_eq!(marked(&bed.store, inbox, bob).await, [1, 130, 200, 300]);
    let bed = bed.reopened().await;
    assert_eq!(marked(&bed.store, inbox, bob).await, [1, 130, 200, 300]);
}

#[tokio::test]
async fn marks_of_messages_that_are_gone_are_forgotten_and_others_stay() {
    let (bed, inbox, bob) = shared(4).await;
    mark(&bed.store, inbox, bob, &[1, 2, 3]).await;
    bed.store.expunge(inbox, uids(&[2]), false).await.unwrap();
    mark(&bed.store, inbox, bob, &[4]).await;
    assert_eq!(marked(&bed.store, inbox, bob).await, [1, 3, 4]);
    assert_sound_aside(&bed.store).await;
}

#[tokio::test]
async fn what_changed_since_is_left_alone_whoever_changed_it() {
    let (bed, inbox, bob) = shared(3).await;
    let since = bed.store.status(inbox).unwrap().highest_modseq;
    let flag = FlagChange::Add(Flags::none().with(SystemFlag::Flagged));
    bed.store.store_flags(inbox, uids(&[1]), flag, None).await.unwrap();
    mark(&bed.store, inbox, bob, &[2]).await;
    let replace = FlagChange::Replace(deleted());
    let all = uids(&[1, 2, 3]);
    let modified = bed.store.store_flags_as(inbox, bob, all, replace, Some(since)).await.unwrap();
    assert_eq!(modified, uids(&[1, 2]));
    assert_eq!(marked(&bed.store, inbox, bob).await, [2]);
    let flags: Vec<Flags> = rows(&bed.store, inbox).await.into_iter().map(|row| row.flags).collect();
    assert_eq!(flags, [Flags::none().with(SystemFlag::Flagged), Flags::none(), deleted()]);
}

#[tokio::test]
async fn flags_that_another_replaces_keep_the_owners_seen() {
    let (bed, inbox, bob) = shared(2).await;
    bed.store.store_flags(inbox, uids(&[1]), FlagChange::Add(seen()), None).await.unwrap();
    let replace = FlagChange::Replace(deleted());
    bed.store.store_flags_as(inbox, bob, uids(&[1, 2]), replace, None).await.unwrap();
    let flags: Vec<Flags> = rows(&bed.store, inbox).await.into_iter().map(|row| row.flags).collect();
    assert_eq!(flags, [deleted().with(SystemFlag::Seen), deleted()]);
    assert!(marked(&bed.store, inbox, bob).await.is_empty());
}
