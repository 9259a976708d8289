use std::fs;
use std::path::{Path, PathBuf};

use mailfiles::{Found, Reader, Writer};
use proto::mda::mailbox_client::MailboxClient;
use proto::mda::{
    ExportRequest, ImportInto, ImportRequest, ImportResponse, ImportedEnd, ImportedMessage, import_request,
};
use service::tls::Role;
use tempfile::TempDir;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Response};

use super::files::{Broken, Sent, Summary};
use super::*;
use crate::store::Quota;
use crate::testing::{TestService, TestStore};

const ALICE: &str = "alice@example.test";
const BOB: &str = "bob@example.test";

/// A message with what is known of it, its flags sorted.
type Message = (String, Vec<String>, Option<i64>, Vec<u8>);

fn read(format: Format, dir: &Path) -> Vec<Message> {
    let mut reader = Reader::open(format.into(), dir).unwrap();
    let mut messages = Vec::new();
    while let Some(found) = reader.next_message() {
        let Found { mailbox, mut meta, .. } = found.unwrap();
        let mut octets = Vec::new();
        while reader.read(&mut octets).unwrap() {}
        meta.flags.sort();
        messages.push((mailbox, meta.flags, meta.arrived, octets));
    }
    messages.sort();
    messages
}

/// Every message of the corpus once, with some flags and dates, in two mailboxes, as files.
fn corpus(format: Format, dir: &Path) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus");
    let mut writer = Writer::create(format.into(), dir).unwrap();
    for (mailbox, folder) in [("INBOX", "legacy"), ("Archive/Entwürfe", "rfc")] {
        writer.mailbox(mailbox).unwrap();
        for (number, file) in (1..).zip(fs::read_dir(PathBuf::from(root).join(folder)).unwrap()) {
            let octets = fs::read(file.unwrap().path()).unwrap();
            let flags =
                if number % 2 == 0 { vec!["\\Seen".to_owned(), "work".to_owned()] } else { Vec::new() };
            let meta = mailfiles::Meta { flags, arrived: Some(1_600_000_000 + i64::from(number)) };
            writer.begin(number, octets.len() as u64, &meta).unwrap();
            writer.write(&octets).unwrap();
            writer.end().unwrap();
        }
    }
    writer.finish().unwrap();
}

type Client = MailboxClient<service::grpc::client::PeerChannel>;

async fn import_into(
    client: &mut Client,
    account: &str,
    format: Format,
    dir: &Path,
    into: Option<&'static str>,
) -> Result<Summary, Status> {
    let reader = Reader::open(format.into(), dir).unwrap();
    let ask = async |requests| client.import(requests).await.map(Response::into_inner);
    files::import(reader, account.to_owned(), into.map(str::to_owned), ask, |_| ()).await
}

async fn export_from(client: &mut Client, account: &str, format: Format, dir: &Path) -> Summary {
    let request = ExportRequest { account: account.to_owned(), mailbox: String::new() };
    let stream = client.export(request).await.unwrap().into_inner();
    let writer = Writer::create(format.into(), dir).unwrap();
    files::export(writer, stream, |_| ()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_imported_is_exported_octet_for_octet() {
    let service = TestService::start().await;
    let mut client = service.mailbox(Role::Operator).await;
    for (account, format) in [(ALICE, Format::Maildir), (BOB, Format::Mbox)] {
        service.create_account(account, "secret").await;
        let dir = TempDir::new().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        corpus(format, &from);
        let expected = read(format, &from);
        let summary = import_into(&mut client, account, format, &from, None).await.unwrap();
        assert_eq!(summary.messages, expected.len() as u64, "{summary:?}");
        let summary = export_from(&mut client, account, format, &to).await;
        assert!(summary.is_whole() && summary.messages == expected.len() as u64, "{summary:?}");
        let found = read(format, &to);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected);
        }
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_import_adds_nothing_and_goes_on_with_one_that_broke_off() {
    let service = TestService::start().await;
    service.create_account(ALICE, "secret").await;
    let mut client = service.mailbox(Role::Operator).await;
    let dir = TempDir::new().unwrap();
    let from = dir.path().join("from");
    corpus(Format::Maildir, &from);
    let first = import_into(&mut client, ALICE, Format::Maildir, &from, None).await.unwrap();
    let new = from.join("new").join("1700000000.x");
    fs::write(&new, "Subject: new\n\nText\n").unwrap();
    let second = import_into(&mut client, ALICE, Format::Maildir, &from, None).await.unwrap();
    assert_eq!((second.messages, second.duplicates), (1, first.messages), "{second:?}");
    // Elsewhere it is another message.
    let third = import_into(&mut client, ALICE, Format::Maildir, &from, Some("Old")).await.unwrap();
    assert_eq!((third.messages, third.duplicates), (first.messages + 1, 0), "{third:?}");
    let to = dir.path().join("to");
    export_from(&mut client, ALICE, Format::Maildir, &to).await;
    let names: std::collections::BTreeSet<String> =
        read(Format::Maildir, &to).into_iter().map(|(mailbox, ..)| mailbox).collect();
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        ["Archive/Entwürfe", "INBOX", "Old", "Old/Archive/Entwürfe"]
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_imported_is_counted_and_gone_on_behind() {
    let service = TestService::start().await;
    service.create_account(ALICE, "secret").await;
    let mut client = service.mailbox(Role::Operator).await;
    let dir = TempDir::new().unwrap();
    let maildir = dir.path();
    for folder in ["cur", ".a*b/cur"] {
        fs::create_dir_all(maildir.join(folder)).unwrap();
        fs::write(maildir.join(folder).join("1"), format!("Subject: {folder}\n\n")).unwrap();
    }
    let large = fs::File::create(maildir.join("cur/2")).unwrap();
    large.set_len(60 << 20).unwrap();
    let summary = import_into(&mut client, ALICE, Format::Maildir, maildir, None).await.unwrap();
    assert_eq!((summary.messages, summary.failed), (1, 2), "{summary:?}");
    assert!(summary.failures.iter().any(|failure| failure.contains("not allowed")), "{summary:?}");
    assert!(summary.failures.iter().any(|failure| failure.contains("more than")), "{summary:?}");

    let nobody = import_into(&mut client, "nobody@example.test", Format::Maildir, maildir, None).await;
    assert_eq!(nobody.unwrap_err().code(), Code::NotFound);
    let request = ExportRequest { account: ALICE.to_owned(), mailbox: "nowhere".to_owned() };
    let mut stream = client.export(request).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap_err().code(), Code::NotFound);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_end_does_not_come_is_not_imported() {
    let service = TestService::start().await;
    service.create_account(ALICE, "secret").await;
    let mut client = service.mailbox(Role::Operator).await;
    let part = |part| ImportRequest { part: Some(part) };
    let message = ImportedMessage { mailbox: "INBOX".to_owned(), ..ImportedMessage::default() };
    let requests = vec![
        part(import_request::Part::Into(ImportInto { account: ALICE.to_owned() })),
        part(import_request::Part::Message(message)),
        part(import_request::Part::Data("Subject: cut off\r\n".into())),
    ];
    let mut answers = client.import(tokio_stream::iter(requests)).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_none());
    let dir = TempDir::new().unwrap();
    let summary = export_from(&mut client, ALICE, Format::Mbox, &dir.path().join("to")).await;
    assert_eq!(summary.messages, 0);
    let without = vec![part(import_request::Part::Data("x".into()))];
    let mut answers = client.import(tokio_stream::iter(without)).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap_err().code(), Code::InvalidArgument);
    service.stop().await;
}

/// What comes of these parts, and then no more.
fn written(dir: &TempDir, given: Vec<Part>) -> Result<Summary, Broken> {
    written_of(dir, given.into_iter().map(Some).collect())
}

/// `None` is a part that is not known.
fn written_of(dir: &TempDir, given: Vec<Option<Part>>) -> Result<Summary, Broken> {
    let (parts, received) = mpsc::channel(given.len());
    for part in given {
        parts.try_send(Ok(ExportResponse { part })).unwrap();
    }
    drop(parts);
    let writer = Writer::create(mailfiles::Format::Mbox, &dir.path().join("to")).unwrap();
    files::write(writer, received, |_| ())
}

fn inbox(messages: u32) -> Part {
    Part::Mailbox(ExportedMailbox { name: "INBOX".to_owned(), messages })
}

fn begun() -> Part {
    Part::Message(ExportedMessage { uid: 1, ..ExportedMessage::default() })
}

fn data() -> Part {
    Part::Data("Subject: x\r\n\r\n".into())
}

fn ended() -> Part {
    Part::End(ExportedEnd::default())
}

fn all(messages: u64) -> Part {
    Part::All(ExportedAll { messages })
}

#[test]
fn an_export_that_broke_off_never_reads_as_whole() {
    for (parts, whole) in [
        (vec![inbox(1), begun(), data()], 0),
        (vec![inbox(1), begun(), data(), all(1)], 0),
        (vec![inbox(2), begun(), begun(), data(), ended(), all(2)], 0),
        (vec![inbox(1), begun(), data(), ended()], 1),
        (vec![inbox(2), begun(), data(), ended(), begun(), data()], 1),
        (vec![inbox(2), begun(), data(), ended(), all(2)], 1),
    ] {
        let dir = TempDir::new().unwrap();
        let told = format!("{parts:?}");
        assert!(matches!(written(&dir, parts), Err(Broken::CutOff)), "{told}");
        let mbox = fs::read_to_string(dir.path().join("to/INBOX.mbox")).unwrap();
        for once in ["From ", "Subject: x\r\n\r\n\n"] {
            assert_eq!(mbox.matches(once).count(), whole, "{told}");
        }
    }
    let dir = TempDir::new().unwrap();
    let newer = written_of(&dir, vec![Some(inbox(1)), None, Some(all(0))]);
    assert!(matches!(newer, Err(Broken::Unknown)));
    let dir = TempDir::new().unwrap();
    let fewer = written(&dir, vec![inbox(3), begun(), data(), ended(), all(1)]).unwrap();
    assert_eq!((fewer.messages, fewer.failed), (1, 1));
    assert_eq!(fewer.failures, ["mailbox INBOX: 2 messages of it did not come"]);
    let dir = TempDir::new().unwrap();
    assert!(written(&dir, vec![inbox(1), begun(), data(), ended(), all(1)]).unwrap().is_whole());
}

/// The names come from a server, and the text is for a terminal.
#[test]
fn no_name_of_a_mailbox_forges_a_line() {
    let dir = TempDir::new().unwrap();
    let name = "../\x1b[2J\n0 failed".to_owned();
    let lost = Part::Mailbox(ExportedMailbox { name, messages: 0 });
    let summary = written(&dir, vec![lost, all(0)]).unwrap();
    assert!(summary.failures[0].starts_with(r"mailbox ../\u{1b}[2J\n0 failed: "), "{summary:?}");
    assert!(!summary.failures[0].contains(char::is_control));
}

#[tokio::test]
async fn an_import_that_broke_off_never_reads_as_whole() {
    let answered = |count| tokio_stream::iter(vec![Ok(ImportResponse::default()); count]);
    for (sent, answers, is_whole) in [
        (vec![Sent::Message("1".to_owned(), 1), Sent::End], 1, true),
        (vec![Sent::Message("1".to_owned(), 1)], 1, false),
        (vec![Sent::Message("1".to_owned(), 1), Sent::End], 0, false),
        (vec![Sent::Message("1".to_owned(), 1), Sent::End], 2, false),
        (vec![], 0, false),
    ] {
        let told = format!("{sent:?}");
        let (places, received) = mpsc::channel(8);
        for sent in sent {
            places.try_send(sent).unwrap();
        }
        drop(places);
        let gathered = files::gather(received, answered(answers), |_| ()).await;
        assert_eq!(gathered.is_ok(), is_whole, "{told} {answers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_equal_are_all_imported_and_once() {
    let service = TestService::start().await;
    service.create_account(ALICE, "secret").await;
    let mut client = service.mailbox(Role::Operator).await;
    let dir = TempDir::new().unwrap();
    let maildir = dir.path().join("maildir");
    fs::create_dir_all(maildir.join("cur")).unwrap();
    let at = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    for name in ["1", "2", "3"] {
        fs::write(maildir.join("cur").join(name), "Subject: equal\n\n").unwrap();
        fs::File::options()
            .append(true)
            .open(maildir.join("cur").join(name))
            .unwrap()
            .set_modified(at)
            .unwrap();
    }
    // Two messages without a date that can be read.
    let mbox = dir.path().join("undated.mbox");
    fs::write(&mbox, "From x\nSubject: undated\n\nText\n").unwrap();
    for (format, files, expected) in [(Format::Maildir, &maildir, 3), (Format::Mbox, &mbox, 1)] {
        let first = import_into(&mut client, ALICE, format, files, None).await.unwrap();
        assert_eq!((first.messages, first.duplicates), (expected, 0), "{first:?}");
        let second = import_into(&mut client, ALICE, format, files, None).await.unwrap();
        assert_eq!((second.messages, second.duplicates), (0, expected), "{second:?}");
    }
    service.stop().await;
}

/// An import into a store, request by request.
struct Importing {
    requests: mpsc::Sender<ImportRequest>,
    answers: mpsc::Receiver<Result<ImportResponse, Status>>,
}

impl Importing {
    async fn begin(store: &TestStore) -> Self {
        let (requests, received) = mpsc::channel(4);
        let (answer, answers) = mpsc::channel(4);
        let target = store.store.clone();
        tokio::spawn(async move {
            let requests = tokio_stream::StreamExt::map(ReceiverStream::new(received), Ok);
            import(&target, 1 << 20, requests, &answer).await.unwrap();
        });
        let importing = Self { requests, answers };
        importing.send(import_request::Part::Into(ImportInto { account: ALICE.to_owned() })).await;
        importing
    }

    async fn send(&self, part: import_request::Part) {
        self.requests.send(ImportRequest { part: Some(part) }).await.unwrap();
    }

    async fn message(&mut self, mailbox: &str, text: &'static str) -> ImportResponse {
        let message = ImportedMessage { mailbox: mailbox.to_owned(), ..ImportedMessage::default() };
        self.send(import_request::Part::Message(message)).await;
        self.send(import_request::Part::Data(text.into())).await;
        self.send(import_request::Part::End(ImportedEnd::default())).await;
        self.answers.recv().await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn mailboxes_that_are_made_are_subscribed_and_made_again_when_they_are_deleted_meanwhile() {
    let store = TestStore::open();
    let alice = store.create_account(ALICE).await;
    let mut importing = Importing::begin(&store).await;
    let name = MailboxName::parse("Old/2020").unwrap();
    for text in ["Subject: one\r\n\r\n", "Subject: two\r\n\r\n"] {
        assert_eq!(importing.message("Old/2020", text).await, ImportResponse::default());
        assert!(store.store.subscriptions(alice.id).unwrap().contains(&name));
        store.store.delete_mailbox(alice.id, name.clone()).await.unwrap();
    }
}

#[tokio::test]
async fn what_the_quota_has_no_room_for_is_told_and_gone_on_behind() {
    let store = TestStore::open();
    let alice = store.create_account(ALICE).await;
    let quota = |messages| Quota { messages: Some(messages), octets: None };
    store.store.set_quota(alice.id, quota(1)).await.unwrap();
    let mut importing = Importing::begin(&store).await;
    assert_eq!(importing.message("INBOX", "Subject: one\r\n\r\n").await, ImportResponse::default());
    let refused = importing.message("INBOX", "Subject: two\r\n\r\n").await;
    assert!(refused.failure.contains("quota"), "{refused:?}");
    store.store.set_quota(alice.id, quota(2)).await.unwrap();
    assert_eq!(importing.message("INBOX", "Subject: two\r\n\r\n").await, ImportResponse::default());
}

/// One that sleeps would keep others from exporting and importing.
#[tokio::test(start_paused = true)]
async fn who_does_not_go_on_is_not_waited_for() {
    let store = TestStore::open();
    let alice = store.create_account(ALICE).await;
    let (answers, _answered) = mpsc::channel(1);
    let asleep = import(&store.store, 1 << 20, tokio_stream::pending(), &answers).await;
    assert_eq!(asleep.unwrap_err().code(), Code::DeadlineExceeded);
    let (parts, mut received) = mpsc::channel(1);
    export(&store.store, &alice, None, &parts).await.unwrap();
    drop(parts);
    let mut taken = Vec::new();
    while let Some(part) = received.recv().await {
        taken.push(part.unwrap().part);
    }
    assert!(matches!(taken[..], [Some(Part::Mailbox(_))]), "{taken:?}");
}

#[test]
fn a_summary_reads_as_a_sentence() {
    let summary = Summary { messages: 1, octets: 64, ..Summary::default() };
    assert_eq!(format!("{summary} imported"), "1 message of 64 octets imported");
    let summary = Summary { mailboxes: 2, duplicates: 3, failed: 1, ..summary };
    assert_eq!(
        format!("{summary} imported"),
        "1 message of 64 octets in 2 mailboxes, 3 that were imported before left out, 1 failed, imported"
    );
}
