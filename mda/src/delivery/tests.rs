use bytes::Bytes;
use message::MessageId;
use proto::mail::{self, Recipient};
use tonic::Code;

use super::*;
use crate::testing::{LocalStore, TestStore};

const ALICE: &str = "alice@example.test";
const BOB: &str = "bob@example.test";
const MESSAGE: &[u8] = b"Subject: hello\r\n\r\n.\r\nbody\r\n";

struct Setup {
    store: TestStore,
    delivery: DeliveryService<LocalStore>,
}

impl Setup {
    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        let store = TestStore::open();
        store.create_account(ALICE).await;
        store.create_account(BOB).await;
        let recipients = Recipients::new(store.store.clone(), "").unwrap();
        let delivery = DeliveryService::new(store.store.clone(), recipients, &limits, Metrics::default());
        Self { store, delivery }
    }

    async fn deliver(
        &self,
        envelope: mail::Envelope,
        pieces: &[&[u8]],
    ) -> Result<Vec<RecipientResult>, Status> {
        let mut requests = vec![DeliverRequest { envelope: Some(envelope), data: Bytes::new() }];
        requests.extend(pieces.iter().map(|piece| data(piece)));
        self.send(requests).await
    }

    async fn send(&self, requests: Vec<DeliverRequest>) -> Result<Vec<RecipientResult>, Status> {
        let requests = tokio_stream::iter(requests.into_iter().map(Ok));
        self.delivery.receive(requests).await.map(|receipt| receipt.results)
    }

    /// What lies in someone's INBOX.
    async fn inbox(&self, name: &str) -> Vec<Bytes> {
        let store = &self.store.store;
        let account = store.account_by_address(name).unwrap().unwrap();
        let inbox = store.mailbox(account.id, &MailboxName::inbox()).unwrap().unwrap();
        let mut messages = Vec::new();
        for row in store.rows(inbox.id).await.unwrap() {
            messages.push(store.read(row.email, 0..u64::MAX).await.unwrap());
        }
        messages
    }
}

fn envelope(recipients: &[&str]) -> mail::Envelope {
    let recipient = |address: &&str| Recipient { address: (*address).to_owned(), ..Recipient::default() };
    mail::Envelope {
        message_id: MessageId::new().to_string(),
        reverse_path: "sender@elsewhere.test".to_owned(),
        recipients: recipients.iter().map(recipient).collect(),
        ..mail::Envelope::default()
    }
}

fn data(piece: &[u8]) -> DeliverRequest {
    DeliverRequest { envelope: None, data: Bytes::copy_from_slice(piece) }
}

fn codes(results: &[RecipientResult]) -> Vec<(u32, &str)> {
    results
        .iter()
        .map(|result| {
            let reply = result.reply.as_ref().unwrap();
            (reply.code, reply.enhanced.as_str())
        })
        .collect()
}

#[tokio::test]
async fn a_message_arrives_unchanged_below_its_return_path() {
    let setup = Setup::new().await;
    let results = setup.deliver(envelope(&[ALICE]), &[MESSAGE]).await.unwrap();
    assert_eq!(codes(&results), [(250, "2.0.0")]);
    let placement = results[0].placement.as_ref().unwrap();
    assert_eq!((placement.account.as_str(), placement.mailbox.as_str(), placement.uid), (ALICE, "INBOX", 1));
    assert!(placement.uid_validity > 0);
    let expected = [b"Return-Path: <sender@elsewhere.test>\r\n", MESSAGE].concat();
    assert_eq!(setup.inbox(ALICE).await, [Bytes::from(expected)]);
}

#[tokio::test]
async fn the_null_reverse_path_is_noted_as_such() {
    let setup = Setup::new().await;
    let envelope = mail::Envelope { reverse_path: String::new(), ..envelope(&[ALICE]) };
    setup.deliver(envelope, &[MESSAGE]).await.unwrap();
    assert_eq!(setup.inbox(ALICE).await, [[b"Return-Path: <>\r\n", MESSAGE].concat()]);
}

#[tokio::test]
async fn no_return_path_stays_that_a_message_had_before() {
    let setup = Setup::new().await;
    let text = "a line of text\r\n".repeat(20_000);
    for body in ["Return-Path: <in-the@body.test>\r\n", &text] {
        let message = format!(
            "RETURN-PATH : <old@x.test>\r\nReceived: from a\r\n by b\r\nReturn-Path:\r\n <older@x.test>\r\n\
             Subject: hello\r\n\r\n{body}"
        );
        setup
            .deliver(envelope(&[BOB]), &[&message.as_bytes()[..20], &message.as_bytes()[20..]])
            .await
            .unwrap();
        let found = setup.inbox(BOB).await.pop().unwrap();
        let expected = format!(
            "Return-Path: <sender@elsewhere.test>\r\nReceived: from a\r\n by b\r\nSubject: hello\r\n\r\n{body}"
        );
        assert!(found == expected.as_bytes(), "{}", found[..200.min(found.len())].escape_ascii());
    }
}

#[tokio::test]
async fn each_recipient_has_a_result_of_its_own() {
    let setup = Setup::new().await;
    let to = ["BOB@Example.Test", "eve@example.test", "carl@elsewhere.test", "not an address", ALICE];
    let results = setup.deliver(envelope(&to), &[MESSAGE]).await.unwrap();
    assert_eq!(
        codes(&results),
        [(250, "2.0.0"), (550, "5.1.1"), (550, "5.1.2"), (553, "5.1.3"), (250, "2.0.0")]
    );
    let named: Vec<&str> = results.iter().map(|result| result.recipient.as_str()).collect();
    assert_eq!(named, to);
    assert_eq!(setup.inbox(ALICE).await.len(), 1);
    assert_eq!(setup.inbox(BOB).await.len(), 1);
}

#[tokio::test]
async fn a_repeated_delivery_gives_the_first_receipt_and_adds_nothing() {
    let setup = Setup::new().await;
    let to_alice = envelope(&[ALICE]);
    let again = mail::Envelope { message_id: to_alice.message_id.clone(), ..envelope(&[ALICE, BOB]) };
    let first = setup.deliver(to_alice, &[MESSAGE]).await.unwrap();
    let results = setup.deliver(again, &[MESSAGE]).await.unwrap();
    assert_eq!(results[0].placement, first[0].placement);
    assert!(results[0].duplicate && !results[1].duplicate);
    assert_eq!(codes(&results), [(250, "2.0.0"), (250, "2.0.0")]);
    assert_eq!(setup.inbox(ALICE).await.len(), 1);
    assert_eq!(setup.inbox(BOB).await.len(), 1);
}

#[tokio::test]
async fn one_recipient_spelt_twice_gets_one_message() {
    let setup = Setup::new().await;
    let results = setup.deliver(envelope(&[ALICE, "Alice@example.test"]), &[MESSAGE]).await.unwrap();
    assert_eq!(codes(&results), [(250, "2.0.0"), (250, "2.0.0")]);
    assert_eq!(results[0].placement, results[1].placement);
    assert!(!results[0].duplicate && results[1].duplicate);
    assert_eq!(setup.inbox(ALICE).await.len(), 1);
}

#[tokio::test]
async fn a_large_message_arrives_whole_through_staging() {
    let setup = Setup::new().await;
    let piece = b"0123456789abcdef".repeat(4096);
    let pieces: Vec<&[u8]> = std::iter::repeat_n(&piece[..], 40).collect();
    let results = setup.deliver(envelope(&[ALICE]), &pieces).await.unwrap();
    assert_eq!(codes(&results), [(250, "2.0.0")]);
    let [stored] = &setup.inbox(ALICE).await[..] else { panic!("one message") };
    let body = stored.strip_prefix(b"Return-Path: <sender@elsewhere.test>\r\n").unwrap();
    assert!(body == pieces.concat());
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_for_good_and_one_at_the_limit_is_not() {
    let limits = Limits { message_size: service::config::ByteSize(100), ..Limits::default() };
    let setup = Setup::with(limits).await;
    let results =
        setup.deliver(envelope(&[ALICE, "eve@example.test"]), &[&[b'a'; 60], &[b'a'; 41]]).await.unwrap();
    assert_eq!(codes(&results), [(552, "5.3.4"), (550, "5.1.1")]);
    assert!(setup.inbox(ALICE).await.is_empty());
    let results = setup.deliver(envelope(&[ALICE]), &[&[b'a'; 60], &[b'a'; 40]]).await.unwrap();
    assert_eq!(codes(&results), [(250, "2.0.0")]);
}

#[tokio::test]
async fn a_message_that_does_not_end_is_cut_off() {
    let limits = Limits { message_size: service::config::ByteSize(100), ..Limits::default() };
    let setup = Setup::with(limits).await;
    let pieces = vec![&[b'a'; 60][..]; 10];
    let status = setup.deliver(envelope(&[ALICE]), &pieces).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
}

#[tokio::test]
async fn envelopes_that_make_no_sense_are_refused() {
    let limits = Limits { recipients: 2, ..Limits::default() };
    let setup = Setup::with(limits).await;
    let good = || envelope(&[ALICE]);
    for (what, bad) in [
        ("no id", mail::Envelope { message_id: String::new(), ..good() }),
        ("no UUIDv7", mail::Envelope { message_id: "550e8400-e29b-41d4-a716-446655440000".into(), ..good() }),
        (
            "line end in the reverse-path",
            mail::Envelope { reverse_path: "a@b.test\r\nX: y".into(), ..good() },
        ),
        ("no recipient", envelope(&[])),
        ("too many recipients", envelope(&[ALICE, BOB, "carl@example.test"])),
    ] {
        let status = setup.deliver(bad, &[MESSAGE]).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{what}");
    }
    assert_eq!(setup.send(vec![]).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(setup.send(vec![data(MESSAGE)]).await.unwrap_err().code(), Code::InvalidArgument);
    let twice = vec![
        DeliverRequest { envelope: Some(good()), data: Bytes::new() },
        DeliverRequest { envelope: Some(good()), data: Bytes::new() },
    ];
    assert_eq!(setup.send(twice).await.unwrap_err().code(), Code::InvalidArgument);
    assert!(setup.inbox(ALICE).await.is_empty());
}

#[tokio::test]
async fn a_sender_that_breaks_off_leaves_nothing_behind() {
    let setup = Setup::new().await;
    let requests = tokio_stream::iter([
        Ok(DeliverRequest { envelope: Some(envelope(&[ALICE])), data: Bytes::from_static(MESSAGE) }),
        Err(Status::cancelled("the connection is gone")),
    ]);
    assert_eq!(setup.delivery.receive(requests).await.unwrap_err().code(), Code::Cancelled);
    assert!(setup.inbox(ALICE).await.is_empty());
}

#[tokio::test]
async fn a_sender_that_stalls_is_given_up() {
    let setup = Setup::new().await;
    tokio::time::pause();
    let first = DeliverRequest { envelope: Some(envelope(&[ALICE])), data: Bytes::from_static(MESSAGE) };
    let requests = tokio_stream::once(Ok(first)).chain(tokio_stream::pending());
    assert_eq!(setup.delivery.receive(requests).await.unwrap_err().code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_full_disk_is_a_temporary_failure() {
    let Setup { store, delivery } = Setup::new().await;
    // Or it would hold the store open.
    drop(delivery);
    let full = store.reopen_without_space().await;
    let recipients = Recipients::new(full.store.clone(), "").unwrap();
    let delivery =
        DeliveryService::new(full.store.clone(), recipients, &Limits::default(), Metrics::default());
    let setup = Setup { store: full, delivery };
    let results = setup.deliver(envelope(&[ALICE]), &[MESSAGE]).await.unwrap();
    assert_eq!(codes(&results), [(452, "4.3.1")]);
    let large = vec![0; 1 << 20];
    let results = setup.deliver(envelope(&[ALICE, "eve@example.test"]), &[&large]).await.unwrap();
    assert_eq!(codes(&results), [(452, "4.3.1"), (550, "5.1.1")]);
}

#[tokio::test]
async fn at_the_limit_of_deliveries_the_sender_is_asked_to_come_again() {
    let setup = Setup::with(Limits { deliveries: 1, ..Limits::default() }).await;
    let held = setup.delivery.slot().unwrap();
    assert_eq!(setup.delivery.slot().unwrap_err().code(), Code::ResourceExhausted);
    drop(held);
    assert!(setup.delivery.slot().is_ok());
}

#[tokio::test]
async fn a_subaddress_reaches_the_user_or_where_wanted_the_folder_of_that_name() {
    let mut setup = Setup::new().await;
    let recipients = Recipients::new(setup.store.store.clone(), "").unwrap().separated_by("+");
    let service = |folders| {
        let store = setup.store.store.clone();
        DeliveryService::new(store, recipients.clone(), &Limits::default(), Metrics::default())
            .into_detail_folders(folders)
    };
    let (plain, sorting) = (service(false), service(true));
    let to = ["bob+Junk@example.test", "bob+nowhere@example.test"];
    for (delivery, folders) in [(plain, ["INBOX", "INBOX"]), (sorting, ["Junk", "INBOX"])] {
        setup.delivery = delivery;
        let results = setup.deliver(envelope(&to), &[MESSAGE]).await.unwrap();
        let placed: Vec<_> =
            results.iter().map(|result| &*result.placement.as_ref().unwrap().mailbox).collect();
        assert_eq!(placed, folders);
    }
    assert_eq!(setup.inbox(BOB).await.len(), 3);
}

#[tokio::test]
async fn an_address_that_has_become_an_alias_is_to_be_asked_for_again() {
    let setup = Setup::new().await;
    let alias = store::Alias {
        address: "info@example.test".to_owned(),
        targets: vec![ALICE.to_owned()],
        owner: None,
    };
    setup.store.store.put_alias(alias).await.unwrap();
    let results = setup.deliver(envelope(&["info@example.test", BOB]), &[MESSAGE]).await.unwrap();
    assert_eq!(codes(&results), [(451, "4.3.0"), (250, "2.0.0")]);
}
