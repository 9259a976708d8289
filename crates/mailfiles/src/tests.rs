use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A message with what is known of it.
type Message = (String, Vec<String>, Option<i64>, Vec<u8>);

fn flags(flags: &[&str]) -> Vec<String> {
    flags.iter().map(|flag| (*flag).to_owned()).collect()
}

/// Writes messages, in pieces of so many octets, mailbox by mailbox.
fn write(format: Format, root: &Path, messages: &[Message], piece: usize) -> u64 {
    let mut writer = Writer::create(format, root).unwrap();
    let mut mailbox = "";
    for (number, (name, flags, arrived, octets)) in (1..).zip(messages) {
        if mailbox != name {
            mailbox = name;
            writer.mailbox(mailbox).unwrap();
        }
        let meta = Meta { flags: flags.clone(), arrived: *arrived };
        writer.begin(number, octets.len() as u64, &meta).unwrap();
        octets.chunks(piece.max(1)).for_each(|piece| writer.write(piece).unwrap());
        writer.end().unwrap();
    }
    writer.finish().unwrap()
}

fn read(format: Format, root: &Path) -> Vec<Message> {
    let mut reader = Reader::open(format, root).unwrap();
    let mut messages = Vec::new();
    while let Some(found) = reader.next_message() {
        let Found { mailbox, meta, .. } = found.unwrap();
        let mut octets = Vec::new();
        while reader.read(&mut octets).unwrap() {}
        messages.push((mailbox, meta.flags, meta.arrived, octets));
    }
    messages
}

/// Every message of the corpus.
fn corpus() -> Vec<Vec<u8>> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus");
    let folders = ["legacy", "rfc"].map(|folder| PathBuf::from(root).join(folder));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut messages: Vec<_> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(messages.len() > 60);
    messages.sort();
    messages
}

/// What mail is after files: CRLF, if its first line ended with LF.
fn as_mail(octets: &[u8]) -> Vec<u8> {
    let mut mail = Vec::new();
    line_ends::LineEnds::default().push(octets, &mut mail);
    mail
}

fn sorted(mut messages: Vec<Message>) -> Vec<Message> {
    messages.sort();
    messages
}

#[test]
fn what_was_written_reads_back_octet_for_octet() {
    for format in [Format::Maildir, Format::Mbox] {
        for piece in [1, 7, 1 << 20] {
            let some =
                flags(&["\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen", "$Forwarded", "work"]);
            let meta = [flags(&[]), flags(&["\\Seen"]), some];
            let names = ["INBOX", "Archive", "Archive/2026/Q1", "Entwürfe & Mehr", "INBOX/a", "v1.2"];
            let messages: Vec<Message> = names
                .iter()
                .flat_map(|name| {
                    (1_700_000_000..).zip(corpus()).map(|(at, octets)| {
                        let flags = meta[usize::try_from(at % 3).unwrap()].clone();
                        ((*name).to_owned(), flags, Some(at), octets)
                    })
                })
                .collect();
            let dir = TempDir::new().unwrap();
            assert_eq!(write(format, dir.path(), &messages, piece), 0);
            let expected = messages.into_iter().map(|(name, mut flags, arrived, mut octets)| {
                flags.sort();
                if format == Format::Mbox && !octets.ends_with(b"\n") {
                    octets.push(b'\n');
                }
                (name, flags, arrived, as_mail(&octets))
            });
            let expected = sorted(expected.collect());
            let found = read(format, dir.path()).into_iter().map(|(name, mut flags, arrived, octets)| {
                flags.sort();
                (name, flags, arrived, octets)
            });
            let found = sorted(found.collect());
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found.3.escape_ascii().to_string(), expected.3.escape_ascii().to_string());
                assert_eq!(found, expected, "{format:?} {piece}");
            }
        }
    }
}

#[test]
fn lines_that_look_like_the_beginning_of_a_message_are_quoted() {
    let text = "Status: mine\r\nSubject: From here\r\n\r\nFrom here\r\n>From here\r\n\r\nFrom \r\n From\r\n>>Fro\r\n\r\n";
    for piece in [1, 2, 3, 5, 100] {
        let dir = TempDir::new().unwrap();
        let message = ("INBOX".to_owned(), flags(&[]), Some(0), text.as_bytes().to_vec());
        write(Format::Mbox, dir.path(), &[message.clone(), message.clone()], piece);
        let mbox = fs::read_to_string(dir.path().join("INBOX.mbox")).unwrap();
        assert!(mbox.starts_with("From MAILER-DAEMON Thu Jan  1 00:00:00 1970\nStatus: O\nX-Status: \nX-Keywords: \nStatus: mine\r\n"));
        assert!(
            mbox.contains(
                "\r\n>From here\r\n>>From here\r\n\r\n>From \r\n From\r\n>>Fro\r\n\r\n\nFrom MAILER"
            )
        );
        assert_eq!(read(Format::Mbox, dir.path()), [message.clone(), message]);
    }
}

#[test]
fn mbox_files_of_others_are_read() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("old");
    let text = "From bob@example.test  Tue Nov  7 08:09:10 2023\nSubject: one\nStatus: RO\nX-Status: AF\n\
        X-Keywords: work\n home\nTo: alice@example.test\n\nFrom the start\n\nText\n\n\
        From - Tue Nov 07 09:09:10 2023 +0100\nSubject: two\n\n>From me\n";
    fs::write(&file, text).unwrap();
    let found = read(Format::Mbox, &file);
    let at = Some(1_699_344_550);
    let one = b"Subject: one\r\nTo: alice@example.test\r\n\r\nFrom the start\r\n\r\nText\r\n".to_vec();
    let two = b"Subject: two\r\n\r\nFrom me\r\n".to_vec();
    assert_eq!(
        found,
        [
            ("INBOX".to_owned(), flags(&["\\Seen", "\\Answered", "\\Flagged", "work"]), at, one),
            ("INBOX".to_owned(), flags(&[]), at, two),
        ]
    );
    fs::write(&file, "no mbox").unwrap();
    let mut reader = Reader::open(Format::Mbox, &file).unwrap();
    assert!(reader.next_message().unwrap().unwrap_err().to_string().contains("it is no mbox"));
    assert!(reader.next_message().is_none());
}

#[test]
fn maildir_folders_are_found_however_they_are_named() {
    let dir = TempDir::new().unwrap();
    let folders =
        ["", ".Sent", ".Archive.2026", ".Entw&APw-rfe", ".Grüße", ".a&AC4-b", "Work/Project", "Work"];
    for (n, folder) in folders.into_iter().enumerate() {
        let folder = dir.path().join(folder);
        fs::create_dir_all(folder.join("new")).unwrap();
        fs::create_dir_all(folder.join("cur")).unwrap();
        fs::write(folder.join("new").join(format!("{n}.new")), format!("Subject: {n}\n\n")).unwrap();
        fs::write(folder.join("cur").join(format!("{n},U=1:2,FS")), "Subject: read\n\n").unwrap();
    }
    let found = read(Format::Maildir, dir.path());
    let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).step_by(2).collect();
    let expected = ["INBOX", "Archive/2026", "Entwürfe", "Grüße", "Sent", "a.b", "Work", "Work/Project"];
    assert_eq!(names, expected);
    let of_inbox: Vec<_> = found.iter().filter(|(name, ..)| name == "INBOX").collect();
    assert!(of_inbox.iter().any(|(_, found, _, octets)| {
        found == &flags(&["\\Flagged", "\\Seen"]) && octets == b"Subject: read\r\n\r\n"
    }));
    assert!(of_inbox.iter().any(|(_, found, _, octets)| found.is_empty() && octets == b"Subject: 0\r\n\r\n"));
}

#[test]
fn keywords_beyond_the_letters_are_counted() {
    let dir = TempDir::new().unwrap();
    let many: Vec<String> = (0..30).map(|n| format!("keyword{n}")).collect();
    let message = ("INBOX".to_owned(), many.clone(), Some(1), b"Subject: x\r\n\r\n".to_vec());
    assert_eq!(write(Format::Maildir, dir.path(), &[message], 100), 4);
    assert_eq!(read(Format::Maildir, dir.path())[0].1, many[..26]);
}

#[test]
fn of_an_abandoned_message_nothing_is_left() {
    for format in [Format::Maildir, Format::Mbox] {
        let dir = TempDir::new().unwrap();
        let mut writer = Writer::create(format, dir.path()).unwrap();
        writer.mailbox("INBOX").unwrap();
        for number in 1..=3 {
            writer.begin(number, 14, &Meta::default()).unwrap();
            writer.write(b"Subject: x\r\n\r\n").unwrap();
            if number == 2 { writer.abandon().unwrap() } else { writer.end().unwrap() }
        }
        writer.finish().unwrap();
        assert_eq!(read(format, dir.path()).len(), 2);
    }
}

#[test]
fn mail_is_not_mixed_with_what_is_there() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let refused = Writer::create(Format::Maildir, dir.path()).unwrap_err().to_string();
    assert!(refused.contains("not empty"), "{refused}");
    assert!(Reader::open(Format::Maildir, &dir.path().join("file")).is_err());
    assert!(Reader::open(Format::Mbox, &dir.path().join("nowhere")).is_err());
}

proptest! {
    #[test]
    fn any_messages_read_back(
        texts in prop::collection::vec("(>|From |F|\r\n|\n| |[a-z]){0,30}", 1..4),
        piece in 1_usize..9,
    ) {
        let messages: Vec<Message> = texts
            .iter()
            // Of a message that is all empty lines nobody could tell where it ends.
            .map(|text| ("INBOX".to_owned(), flags(&[]), Some(1), format!("A: b\r\n{text}\r\n").into_bytes()))
            .collect();
        let dir = TempDir::new().unwrap();
        write(Format::Mbox, dir.path(), &messages, piece);
        prop_assert_eq!(read(Format::Mbox, dir.path()), messages);
    }

    #[test]
    fn any_file_is_read_to_its_end(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("x.mbox");
        fs::write(&file, [b"From x\n".as_slice(), &octets].concat()).unwrap();
        read(Format::Mbox, &file);
    }
}
