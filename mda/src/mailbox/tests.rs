use bytes::Bytes;
use tonic::Code;

use super::*;
use crate::store::MailboxName;
use crate::{
    store::{BodySource, Delivery, DeliveryRecipient, Flags},
    testing::{LocalStore, TestStore},
};

const ALICE: &str = "alice@example.test";

/// A store in which one message lies in Alice's INBOX.
async fn setup() -> (TestStore, MailboxService<LocalStore>, MessageId) {
    let store = TestStore::open();
    let alice = store.create_account(ALICE).await;
    let message_id = MessageId::new();
    let recipient = DeliveryRecipient {
        address: ALICE.to_owned(),
        account: alice.id,
        mailbox: MailboxName::inbox(),
        flags: Flags::none(),
    };
    let delivery = Delivery {
        message_id,
        internal_date: jiff::Timestamp::now(),
        body: BodySource::Bytes(Bytes::from_static(b"Subject: x\r\n\r\n")),
        recipients: vec![recipient],
    };
    store.store.deliver(delivery).await.unwrap().remove(0).unwrap();
    let service = MailboxService::new(store.store.clone(), 1 << 20);
    (store, service, message_id)
}

async fn status_of(
    service: &MailboxService<LocalStore>,
    account: &str,
    mailbox: &str,
) -> Result<MailboxStatus, Status> {
    let request = MailboxStatusRequest { account: account.to_owned(), mailbox: mailbox.to_owned() };
    service.status(Request::new(request)).await.map(Response::into_inner)
}

async fn locate(service: &MailboxService<LocalStore>, message_id: &str) -> Result<Vec<Located>, Status> {
    let request = LocateRequest { message_id: message_id.to_owned() };
    service.locate(Request::new(request)).await.map(|response| response.into_inner().located)
}

#[tokio::test]
async fn an_accounts_mailboxes_are_listed_with_their_state() {
    let (_store, service, _) = setup().await;
    let request = Request::new(ListMailboxesRequest { account: "Alice@example.test".to_owned() });
    let mailboxes = service.list(request).await.unwrap().into_inner().mailboxes;
    let inbox = mailboxes.iter().find(|mailbox| mailbox.name == "INBOX").unwrap();
    assert_eq!((inbox.messages, inbox.unseen, inbox.uid_next, inbox.octets), (1, 1, 2, 14));
    let sent = mailboxes.iter().find(|mailbox| mailbox.special_use == "\\Sent").unwrap();
    assert_eq!(sent.messages, 0);
    assert_ne!(sent.uid_validity, inbox.uid_validity);
}

#[tokio::test]
async fn one_mailbox_is_described_and_what_is_not_there_is_not_found() {
    let (_store, service, _) = setup().await;
    assert_eq!(status_of(&service, ALICE, "inbox").await.unwrap().messages, 1);
    for (account, mailbox, code) in [
        (ALICE, "nothing", Code::NotFound),
        (ALICE, "a//b", Code::InvalidArgument),
        ("eve@example.test", "INBOX", Code::NotFound),
        ("alice", "INBOX", Code::InvalidArgument),
    ] {
        assert_eq!(
            status_of(&service, account, mailbox).await.unwrap_err().code(),
            code,
            "{account} {mailbox}"
        );
    }
    let request = Request::new(ListMailboxesRequest { account: "eve@example.test".to_owned() });
    assert_eq!(service.list(request).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_message_is_located_until_and_after_it_is_expunged() {
    let (store, service, message_id) = setup().await;
    let [located] = &locate(&service, &message_id.to_string()).await.unwrap()[..] else {
        panic!("one place")
    };
    let placement = located.placement.as_ref().unwrap();
    assert_eq!((located.recipient.as_str(), located.expunged), (ALICE, false));
    assert_eq!((placement.account.as_str(), placement.mailbox.as_str(), placement.uid), (ALICE, "INBOX", 1));

    let alice = store.store.account_by_address(ALICE).unwrap().unwrap();
    let inbox = store.store.mailbox(alice.id, &MailboxName::inbox()).unwrap().unwrap();
    store.store.expunge(inbox.id, [1].into_iter().collect(), false).await.unwrap();
    let [located] = &locate(&service, &message_id.to_string()).await.unwrap()[..] else {
        panic!("one place")
    };
    assert!(located.expunged);
    assert_eq!(located.placement.as_ref().unwrap().uid, 0);
}

#[tokio::test]
async fn a_message_that_never_came_is_nowhere() {
    let (_store, service, _) = setup().await;
    assert_eq!(locate(&service, &MessageId::new().to_string()).await.unwrap(), []);
    assert_eq!(locate(&service, "x").await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn expunged_messages_are_listed_and_brought_back_and_retention_is_told() {
    use proto::mda::ExpungedFilter;
    let store = TestStore::open();
    let alice = store.create_account("alice@example.test").await;
    let append = store::Append {
        mailbox: MailboxName::inbox(),
        message_id: MessageId::new(),
        flags: Flags::none(),
        internal_date: jiff::Timestamp::UNIX_EPOCH,
        body: BodySource::Bytes("text".into()),
    };
    store.store.append(alice.id, append).await.unwrap();
    let inbox = store.store.mailbox(alice.id, &MailboxName::inbox()).unwrap().unwrap();
    store.store.expunge(inbox.id, store::UidSet::all(), false).await.unwrap();
    let service = MailboxService::new(store.store.clone(), 1 << 20);
    let account = alice.name.clone();
    let list = ListExpungedRequest { account: account.clone(), filter: None };
    let listed = service.list_expunged(Request::new(list)).await.unwrap().into_inner().messages;
    assert_eq!((listed.len(), listed[0].mailbox.as_str(), listed[0].octets), (1, "INBOX", 4));
    let filter = Some(ExpungedFilter { numbers: vec![listed[0].number], ..ExpungedFilter::default() });
    let undelete = UndeleteRequest { account: account.clone(), filter, into: "found".to_owned() };
    assert_eq!(service.undelete(Request::new(undelete)).await.unwrap().into_inner().messages, 1);
    let keep = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let retention = SetRetentionRequest { account: account.clone(), mailbox: "found".to_owned(), keep };
    service.set_retention(Request::new(retention)).await.unwrap();
    let asked = MailboxStatusRequest { account, mailbox: "found".to_owned() };
    let status = service.status(Request::new(asked)).await.unwrap().into_inner();
    assert_eq!((status.messages, status.retention), (1, keep));
}

#[tokio::test]
async fn rights_are_given_shown_and_taken() {
    let (store, mailboxes, _) = setup().await;
    store.create_account("bob@example.test").await;
    let set = |grantee: &str, rights: &str| {
        Request::new(SetGrantRequest {
            account: "alice@example.test".into(),
            mailbox: "Archive".into(),
            grant: Some(proto::mda::Grant { grantee: grantee.into(), rights: rights.into() }),
        })
    };
    let list = || {
        Request::new(ListGrantsRequest { account: "alice@example.test".into(), mailbox: "Archive".into() })
    };
    mailboxes.set_grant(set("bob@example.test", "lrs")).await.unwrap();
    mailboxes.set_grant(set("anyone", "l")).await.unwrap();
    mailboxes.set_grant(set("-bob@example.test", "s")).await.unwrap();
    let mut grants = mailboxes.list_grants(list()).await.unwrap().into_inner().grants;
    grants.sort_by(|one, other| one.grantee.cmp(&other.grantee));
    let shown: Vec<_> = grants.iter().map(|grant| (&grant.grantee[..], &grant.rights[..])).collect();
    assert_eq!(shown, [("-bob@example.test", "s"), ("anyone", "l"), ("bob@example.test", "lrs")]);
    for grantee in ["-bob@example.test", "anyone", "bob@example.test"] {
        mailboxes.set_grant(set(grantee, "")).await.unwrap();
    }
    assert!(mailboxes.list_grants(list()).await.unwrap().into_inner().grants.is_empty());
    for (refused, code) in [
        (set("alice@example.test", "l"), Code::InvalidArgument),
        (set("bob@example.test", "q"), Code::InvalidArgument),
        (set("nobody@example.test", "l"), Code::NotFound),
    ] {
        assert_eq!(mailboxes.set_grant(refused).await.unwrap_err().code(), code);
    }
}
