//! Messages that are there: flags, copies, moves, expunges.

use super::*;

/// INBOX with three messages, `1`, `2` and `3`.
async fn three() -> (Bed, AccountId, MailboxId) {
    let (bed, alice) = Bed::with_account().await;
    for text in ["1", "2", "3"] {
        deliver(&bed.store, alice, text).await;
    }
    let inbox = inbox(&bed.store, alice).id;
    (bed, alice, inbox)
}

#[tokio::test]
async fn an_append_keeps_flags_and_date() {
    let (bed, alice) = Bed::with_account().await;
    let mut flags = seen();
    flags.set_keyword("$Forwarded");
    let placed = append(&bed.store, alice, "Sent", "text", flags.clone()).await;
    let row = bed.store.row(placed.mailbox, placed.uid).unwrap().unwrap();
    assert_eq!((row.flags, row.internal_date.as_second(), row.size), (flags, 1_600_000_000, 4));
    let status = bed.store.status(placed.mailbox).unwrap();
    assert_eq!((status.messages, status.unseen, status.octets), (1, 0, 4));
}

#[tokio::test]
async fn flags_change_with_counts_and_modseq() {
    let (bed, _, inbox) = three().await;
    let before = bed.store.status(inbox).unwrap().highest_modseq;
    bed.store.store_flags(inbox, uids(&[1, 3, 9]), FlagChange::Add(seen()), None).await.unwrap();
    let now: Vec<_> = rows(&bed.store, inbox).await.into_iter().map(|row| (row.flags, row.modseq)).collect();
    assert_eq!(now, [(seen(), before + 1), (Flags::none(), before - 1), (seen(), before + 1)]);
    let status = bed.store.status(inbox).unwrap();
    assert_eq!((status.unseen, status.highest_modseq), (1, before + 1));

    bed.store.store_flags(inbox, uids(&[1]), FlagChange::Add(seen()), None).await.unwrap();
    assert_eq!(rows(&bed.store, inbox).await[0].modseq, before + 1);
    assert_eq!(bed.store.status(inbox).unwrap().highest_modseq, before + 1);
}

#[tokio::test]
async fn unchangedsince_leaves_alone_what_has_changed() {
    let (bed, _, inbox) = three().await;
    let base = bed.store.status(inbox).unwrap().highest_modseq;
    bed.store.store_flags(inbox, uids(&[2]), FlagChange::Add(seen()), None).await.unwrap();
    let change = FlagChange::Replace(deleted());
    let modified = bed.store.store_flags(inbox, UidSet::all(), change, Some(base)).await.unwrap();
    assert_eq!(modified, uids(&[2]));
    assert_eq!(rows(&bed.store, inbox).await[1].flags, seen());
    assert_eq!(bed.store.status(inbox).unwrap().deleted, 2);
}

#[tokio::test]
async fn of_two_conditional_stores_at_once_one_is_refused() {
    let (bed, _, inbox) = three().await;
    let base = bed.store.status(inbox).unwrap().highest_modseq;
    let store = |flags| bed.store.store_flags(inbox, uids(&[1]), FlagChange::Add(flags), Some(base));
    let (first, second) = tokio::join!(store(seen()), store(deleted()));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.len() + second.len(), 1);
}

#[tokio::test]
async fn keywords_have_limits() {
    let (bed, _, inbox) = three().await;
    let mut many = Flags::none();
    (0..=Flags::MAX_KEYWORDS).for_each(|n| many.set_keyword(&format!("k{n}")));
    let over = bed.store.store_flags(inbox, UidSet::all(), FlagChange::Add(many), None).await;
    assert!(matches!(over, Err(StoreError::OverLimit { .. })));
    let mut long = Flags::none();
    long.set_keyword(&"k".repeat(Flags::MAX_KEYWORD_OCTETS + 1));
    let over = bed.store.store_flags(inbox, UidSet::all(), FlagChange::Add(long), None).await;
    assert!(matches!(over, Err(StoreError::OverLimit { .. })));
}

#[tokio::test]
async fn a_copy_shares_the_body_and_outlives_the_original() {
    let (bed, alice, inbox) = three().await;
    bed.store.store_flags(inbox, uids(&[2]), FlagChange::Add(seen()), None).await.unwrap();
    let copied = bed.store.copy(inbox, uids(&[2, 3]), name("Archive")).await.unwrap();
    assert_eq!(copied.uids, [(2, 1), (3, 2)]);
    assert_eq!(copied.uid_validity, mailbox(&bed.store, alice, "Archive").uid_validity);
    let originals = rows(&bed.store, inbox).await;
    let copies = rows(&bed.store, copied.mailbox).await;
    assert_eq!(copies[0].email, originals[1].email);
    assert_eq!(copies[0].flags, seen());

    bed.store.expunge(inbox, UidSet::all(), false).await.unwrap();
    assert_eq!(text_of(&bed.store, copies[0].email).await, "2");
    assert!(matches!(bed.store.read(originals[0].email, 0..9).await, Err(StoreError::Expunged)));
    let nowhere = bed.store.copy(inbox, uids(&[2]), name("nowhere")).await;
    assert!(matches!(nowhere, Err(StoreError::NoSuchMailbox)));
}

#[tokio::test]
async fn copies_and_moves_into_the_same_mailbox_get_new_uids() {
    let (bed, _, inbox) = three().await;
    let copied = bed.store.copy(inbox, uids(&[1]), name("INBOX")).await.unwrap();
    assert_eq!(copied.uids, [(1, 4)]);
    let moved = bed.store.move_messages(inbox, uids(&[2]), name("INBOX")).await.unwrap();
    assert_eq!(moved.uids, [(2, 5)]);
    let left: Vec<_> = rows(&bed.store, inbox).await.iter().map(|row| row.uid).collect();
    assert_eq!(left, [1, 3, 4, 5]);
}

#[tokio::test]
async fn a_move_is_one_step() {
    let (bed, alice, inbox) = three().await;
    let moved = bed.store.move_messages(inbox, uids(&[1, 3]), name("Trash")).await.unwrap();
    assert_eq!(moved.uids, [(1, 1), (3, 2)]);
    assert_eq!(rows(&bed.store, inbox).await.len(), 1);
    assert_eq!(bed.store.usage(alice).unwrap().messages, 3);
    assert_eq!(bed.store.vanished_since(inbox, 0).await.unwrap(), uids(&[1, 3]));
}

#[tokio::test]
async fn expunge_takes_what_is_asked_for_and_remembers_it_compactly() {
    let (bed, _, inbox) = three().await;
    bed.store.store_flags(inbox, uids(&[1, 2]), FlagChange::Add(deleted()), None).await.unwrap();
    let gone = bed.store.expunge(inbox, uids(&[2, 3]), true).await.unwrap();
    assert_eq!(gone, uids(&[2]));
    let since = bed.store.status(inbox).unwrap().highest_modseq;
    assert_eq!(bed.store.expunge(inbox, UidSet::all(), true).await.unwrap(), uids(&[1]));

    assert_eq!(bed.store.vanished_since(inbox, since).await.unwrap(), uids(&[1]));
    assert_eq!(bed.store.vanished_since(inbox, 0).await.unwrap().ranges(), [1..=2]);
    let status = bed.store.status(inbox).unwrap();
    assert_eq!((status.messages, status.deleted, status.uid_next), (1, 0, 4));
}

#[tokio::test]
async fn uids_are_not_used_again_after_the_last_message_went() {
    let (bed, alice, inbox) = three().await;
    bed.store.expunge(inbox, UidSet::all(), false).await.unwrap();
    let bed = bed.reopened().await;
    assert_eq!(deliver(&bed.store, alice, "4").await.uid, 4);
}

#[tokio::test]
async fn changes_name_each_changed_message_once() {
    let (bed, alice, inbox) = three().await;
    let since = bed.store.status(inbox).unwrap().highest_modseq;
    bed.store.store_flags(inbox, uids(&[2]), FlagChange::Add(seen()), None).await.unwrap();
    bed.store.store_flags(inbox, uids(&[2]), FlagChange::Add(deleted()), None).await.unwrap();
    deliver(&bed.store, alice, "4").await;
    let index = bed.store.index(inbox).await.unwrap();
    let index = index.borrow();
    assert_eq!(index.changed_since(since).map(Entry::uid).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(index.changed_since(index.status().highest_modseq).count(), 0);
}

#[tokio::test]
async fn a_mailbox_that_is_gone_is_an_error_for_all_that_is_asked_of_it() {
    let (bed, alice, _) = three().await;
    let trash = mailbox(&bed.store, alice, "Trash").id;
    bed.store.delete_mailbox(alice, name("Trash")).await.unwrap();
    let is_gone = |error: Option<StoreError>| matches!(error, Some(StoreError::NoSuchMailbox));
    assert!(is_gone(bed.store.row(trash, 1).err()));
    assert!(is_gone(bed.store.vanished_since(trash, 0).await.err()));
    assert!(is_gone(bed.store.expunge(trash, UidSet::all(), false).await.err()));
    assert!(is_gone(bed.store.store_flags(trash, UidSet::all(), FlagChange::Add(seen()), None).await.err()));
    assert!(is_gone(bed.store.watch(trash).err()));
    assert!(is_gone(bed.store.index(trash).await.err()));
}

#[tokio::test]
async fn a_damaged_body_is_one_messages_error() {
    let (bed, _, inbox) = three().await;
    let emails: Vec<_> = rows(&bed.store, inbox).await.iter().map(|row| row.email).collect();
    let needle = "needle in the journal";
    let alice = bed.store.mailbox_by_id(inbox).unwrap().unwrap().account;
    let placed = deliver(&bed.store, alice, needle).await;
    let email = bed.store.row(inbox, placed.uid).unwrap().unwrap().email;
    for entry in std::fs::read_dir(bed.dir.path().join("journal")).unwrap() {
        use std::os::unix::fs::FileExt as _;
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle.as_bytes()) {
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.write_all_at(b"N", at as u64).unwrap();
        }
    }
    let damaged = bed.store.read(email, 0..u64::MAX).await;
    assert!(matches!(damaged, Err(StoreError::CorruptBody { email: found, .. }) if found == email));
    assert_eq!(text_of(&bed.store, emails[0]).await, "1");
    assert_eq!(deliver(&bed.store, alice, "next").await.uid, 5);
}

#[tokio::test]
async fn a_copy_that_is_too_large_is_refused_before_its_messages_are_read() {
    let (bed, alice) = Bed::with_account().await;
    for _ in 0..6 {
        let recipients = (0..1_000).map(|n| recipient(alice, &n.to_string())).collect();
        bed.store.deliver(delivery(MessageId::new(), "text", recipients)).await.unwrap();
    }
    let inbox = inbox(&bed.store, alice).id;
    let index = bed.store.index(inbox).await.unwrap();
    let before = bed.store.rows_read();
    let to = Destination { account: alice, mailbox: name("Archive"), rights: Rights::all() };
    let copied = bed.store.copy(inbox, UidSet::all(), name("Archive")).await;
    assert!(matches!(copied, Err(StoreError::OverLimit { .. })), "{copied:?}");
    let copied = bed.store.transfer(inbox, UidSet::all(), to, false).await;
    assert!(matches!(copied, Err(StoreError::OverLimit { .. })), "{copied:?}");
    assert!(bed.store.rows_read() < before + 50);
    drop(index);
}
