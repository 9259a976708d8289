use std::fs;
use std::path::{Path, PathBuf};

use mailfiles::{Found, Reader, Writer};
use proto::mda::mailbox_client::MailboxClient;
use proto::mda::{ExportRequest, ImportInto, ImportRequest, ImportedMessage, import_request};
use service::tls::Role;
use tempfile::TempDir;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use super::files::Summary;
use super::*;
use crate::testing::TestService;

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
    let (requests, received) = mpsc::channel(4);
    let (sent, places) = mpsc::channel(8);
    let account = account.to_owned();
    let reading = tokio::task::spawn_blocking(move || files::read(reader, &account, into, &requests, &sent));
    let answers = client.import(ReceiverStream::new(received)).await?.into_inner();
    let gathered = files::gather(places, answers, |_| ()).await;
    reading.await.unwrap();
    gathered
}

async fn export_from(client: &mut Client, account: &str, format: Format, dir: &Path) -> Summary {
    let request = ExportRequest { account: account.to_owned(), mailbox: String::new() };
    let mut stream = client.export(request).await.unwrap().into_inner();
    let writer = Writer::create(format.into(), dir).unwrap();
    let (parts, received) = mpsc::channel(4);
    let writing = tokio::task::spawn_blocking(move || files::write(writer, received, |_| ()));
    while let Some(part) = stream.message().await.transpose() {
        parts.send(part).await.unwrap();
    }
    drop(parts);
    writing.await.unwrap().unwrap()
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
