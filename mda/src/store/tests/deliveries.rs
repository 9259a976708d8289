//! Messages on their way in.

use std::collections::BTreeSet;

use super::*;

#[tokio::test]
async fn a_message_for_two_is_stored_once_and_each_gets_a_result() {
    let (bed, alice) = Bed::with_account().await;
    let bob = create_account(&bed.store, "bob@example.test").await;
    let nobody = AccountId(99);
    let mut missing = recipient(bob, "bob+lists@example.test");
    missing.mailbox = name("no/such");
    let recipients = vec![
        recipient(alice, "alice@example.test"),
        recipient(nobody, "nobody@example.test"),
        recipient(bob, "bob@example.test"),
        missing,
    ];
    let id = MessageId::new();
    let receipts = bed.store.deliver(delivery(id, "text", recipients)).await.unwrap();

    let [Ok(to_alice), Err(StoreError::NoSuchAccount), Ok(to_bob), Err(StoreError::NoSuchMailbox)] =
        &receipts[..]
    else {
        panic!("{receipts:?}");
    };
    let row =
        |receipt: &Receipt| bed.store.row(receipt.placement.mailbox, receipt.placement.uid).unwrap().unwrap();
    assert_eq!(row(to_alice).email, row(to_bob).email);
    assert_eq!(text_of(&bed.store, row(to_bob).email).await, "text");
    let located = bed.store.locate(id).unwrap();
    let recipients: Vec<_> = located.iter().map(|place| place.recipient.as_str()).collect();
    assert_eq!(recipients, ["alice@example.test", "bob@example.test"]);
    assert!(located.iter().all(|place| !place.gone));
}

#[tokio::test]
async fn a_repeated_delivery_gives_the_first_receipt_and_adds_nothing() {
    let (bed, alice) = Bed::with_account().await;
    let bob = create_account(&bed.store, "bob@example.test").await;
    let id = MessageId::new();
    let to_alice = || recipient(alice, "alice@example.test");
    let first = bed.store.deliver(delivery(id, "text", vec![to_alice()])).await.unwrap();
    let first = first[0].clone().unwrap();
    assert!(!first.duplicate);

    let bed = bed.reopened().await;
    let both = vec![to_alice(), recipient(bob, "bob@example.test"), to_alice()];
    let again = bed.store.deliver(delivery(id, "text", both)).await.unwrap();
    let again: Vec<_> = again.into_iter().map(Result::unwrap).collect();
    assert_eq!(again[0], Receipt { duplicate: true, ..first.clone() });
    assert!(!again[1].duplicate);
    assert_eq!(again[2], again[0]);
    assert_eq!(bed.store.status(first.placement.mailbox).unwrap().messages, 1);
}

#[tokio::test]
async fn an_expunged_message_is_not_delivered_again() {
    let (bed, alice) = Bed::with_account().await;
    let id = MessageId::new();
    let again = || delivery(id, "text", vec![recipient(alice, "alice@example.test")]);
    let first = bed.store.deliver(again()).await.unwrap()[0].clone().unwrap().placement;
    bed.store.expunge(first.mailbox, UidSet::all(), false).await.unwrap();
    let second = bed.store.deliver(again()).await.unwrap()[0].clone().unwrap();
    assert_eq!(second, Receipt { placement: first.clone(), duplicate: true });
    assert_eq!(bed.store.status(first.mailbox).unwrap().messages, 0);
    assert!(bed.store.locate(id).unwrap()[0].gone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_message_delivered_many_times_at_once_is_there_once() {
    let (bed, alice) = Bed::with_account().await;
    let id = MessageId::new();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let store = bed.store.clone();
            let delivery = delivery(id, "text", vec![recipient(alice, "alice@example.test")]);
            tokio::spawn(async move { store.deliver(delivery).await.unwrap()[0].clone().unwrap() })
        })
        .collect();
    let mut receipts = Vec::new();
    for task in tasks {
        receipts.push(task.await.unwrap());
    }
    assert_eq!(receipts.iter().filter(|receipt| !receipt.duplicate).count(), 1);
    assert!(receipts.iter().all(|receipt| receipt.placement == receipts[0].placement));
    assert_eq!(rows(&bed.store, receipts[0].placement.mailbox).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_deliveries_to_one_mailbox_get_ascending_uids_without_gaps() {
    let (bed, alice) = Bed::with_account().await;
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let store = bed.store.clone();
            tokio::spawn(async move {
                let mut uids = Vec::new();
                for n in 0..10 {
                    uids.push(deliver(&store, alice, &format!("{writer} {n}")).await.uid);
                }
                uids
            })
        })
        .collect();
    let mut all = BTreeSet::new();
    for task in tasks {
        let uids = task.await.unwrap();
        assert!(uids.is_sorted_by(|a, b| a < b), "{uids:?}");
        all.extend(uids);
    }
    assert!(all.into_iter().eq(1..=80));
    let status = bed.store.status(inbox(&bed.store, alice).id).unwrap();
    assert_eq!((status.uid_next, status.messages, status.unseen), (81, 80, 80));
    let modseqs: BTreeSet<_> =
        rows(&bed.store, inbox(&bed.store, alice).id).await.iter().map(|row| row.modseq).collect();
    assert_eq!(modseqs.len(), 80);
}

#[tokio::test]
async fn a_delivery_goes_on_when_nobody_waits_for_it() {
    let (bed, alice) = Bed::with_account().await;
    let id = MessageId::new();
    let again = || delivery(id, "text", vec![recipient(alice, "alice@example.test")]);
    let store = bed.store.clone();
    let first = again();
    let dropped = tokio::spawn(async move {
        drop(tokio::time::timeout(std::time::Duration::ZERO, store.deliver(first)).await);
    });
    dropped.await.unwrap();
    bed.store.deliver(again()).await.unwrap();
    assert_eq!(bed.store.usage(alice).unwrap().messages, 1);
}

#[tokio::test]
async fn a_large_body_is_staged_and_reads_back_in_pieces() {
    let (bed, alice) = Bed::with_account().await;
    let mut staged = bed.store.stage().await.unwrap();
    let chunk: Bytes = (0..70_001_u32).map(|n| n as u8).collect();
    for _ in 0..5 {
        staged.write(chunk.clone()).await.unwrap();
    }
    assert_eq!(staged.octets(), 350_005);
    let mut large = delivery(MessageId::new(), "", vec![recipient(alice, "alice@example.test")]);
    large.body = BodySource::Staged(staged);
    let placement = bed.store.deliver(large).await.unwrap()[0].clone().unwrap().placement;
    let bed = bed.reopened().await;
    let row = bed.store.row(placement.mailbox, placement.uid).unwrap().unwrap();
    assert_eq!(row.size, 350_005);
    let expected = chunk.repeat(5);
    for range in [0..10, 69_990..140_010, 349_000..400_000, 350_005..350_006] {
        let piece = bed.store.read(row.email, range.clone()).await.unwrap();
        let end = usize::try_from(range.end).unwrap().min(expected.len());
        assert_eq!(piece, expected[usize::try_from(range.start).unwrap()..end]);
    }
}

#[tokio::test]
async fn an_empty_body_is_a_body() {
    let (bed, alice) = Bed::with_account().await;
    let placement = deliver(&bed.store, alice, "").await;
    let email = bed.store.row(placement.mailbox, placement.uid).unwrap().unwrap().email;
    assert_eq!(text_of(&bed.store, email).await, "");
}

#[tokio::test]
async fn a_full_disk_is_a_temporary_refusal_and_mail_stays_readable() {
    let (bed, alice) = Bed::with_account().await;
    let placement = deliver(&bed.store, alice, "text").await;
    bed.store.close().await.unwrap();
    let full = StoreConfig { min_free_bytes: u64::MAX, ..config(bed.dir.path()) };
    let store = LocalStore::open(full).unwrap().0;
    let refused =
        store.deliver(delivery(MessageId::new(), "x", vec![recipient(alice, "a@example.test")])).await;
    assert!(matches!(&refused, Err(error @ StoreError::Full) if error.is_temporary()), "{refused:?}");
    let email = store.row(placement.mailbox, placement.uid).unwrap().unwrap().email;
    assert_eq!(text_of(&store, email).await, "text");
}
