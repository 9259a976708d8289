use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use message::line_ends::LineEnds;
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

/// What mail is after files: every line ends with CRLF.
fn as_mail(octets: &[u8]) -> Vec<u8> {
    let (mut lines, mut mail) = (LineEnds::default(), Vec::new());
    lines.push(octets, &mut mail);
    lines.end(&mut mail);
    mail
}

/// What of a folder cannot be read, as it is told.
fn failures(format: Format, root: &Path) -> Vec<String> {
    let mut reader = Reader::open(format, root).unwrap();
    let failed = std::iter::from_fn(|| reader.next_message()).filter_map(Result::err);
    let mut failures: Vec<String> = failed.map(|error| error.to_string()).collect();
    failures.sort();
    failures
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn sorted(mut messages: Vec<Message>) -> Vec<Message> {
    messages.sort();
    messages
}

#[test]
fn what_was_written_reads_back() {
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
                    octets.extend_from_slice(b"\r\n");
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

/// What anybody can write into a message is not taken for what the program that kept it wrote.
#[test]
fn of_an_mbox_file_of_others_the_body_stays_as_it_is() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("old");
    let body = "Status: R\n  see the log\nX-Status: D\nX-Keywords: none\n\nEnd\n";
    let header = "Subject: bug\nStatus: Resolved\nX-Status: Deferred\nX-Keywords: \\Deleted work\n";
    fs::write(&file, format!("From bob@example.test Tue Nov  7 08:09:10 2023\n{header}\n{body}")).unwrap();
    let (_, found, _, octets) = read(Format::Mbox, &file).remove(0);
    let kept = format!("Subject: bug\nStatus: Resolved\nX-Status: Deferred\n\n{body}");
    assert_eq!(String::from_utf8(octets).unwrap(), kept.replace('\n', "\r\n"));
    assert_eq!(found, flags(&["work"]));
}

#[test]
fn what_a_mail_program_keeps_in_an_mbox_file_for_itself_is_no_mail() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("pine");
    let from = "From MAILER-DAEMON Tue Nov  7 08:09:10 2023\n";
    let own = "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1699344550 0000000001\n\nText\n\n";
    fs::write(&file, format!("{from}{own}{from}X-IMAPbase: 1 2\nSubject: one\n\nText\n\n{from}{own}"))
        .unwrap();
    let found = read(Format::Mbox, &file);
    // Only the first message can be that.
    assert_eq!(found.len(), 2);
    assert!(found[0].3.starts_with(b"X-IMAPbase: 1 2\r\nSubject: one\r\n"));
}

#[test]
fn messages_of_an_mbox_file_that_may_be_part_of_others_are_told() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("old");
    let text = "From bob@example.test Tue Nov  7 08:09:10 2023\n\nFrom here\n\nFrom bob@example.test yesterday\n\n\
        From bob@example.test 2023-11-07T08:09:10Z\n\nText\n";
    fs::write(&file, text).unwrap();
    let mut reader = Reader::open(Format::Mbox, &file).unwrap();
    for _ in 0..2 {
        let found = reader.next_message().unwrap().unwrap();
        assert_eq!(found.meta.arrived, Some(1_699_344_550));
    }
    let told = reader.next_message().unwrap().unwrap_err();
    assert!(told.to_string().contains("1 line of it may be the beginning"), "{told}");
    assert!(told.is_doubt());
    assert!(reader.next_message().is_none());
}

/// Its dates are of a kind that is not known: the others were not told apart.
#[test]
fn an_mbox_file_in_which_one_message_was_found_and_others_may_be_is_a_failure() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("old");
    let from = "From bob@example.test on Tuesday
";
    fs::write(&file, format!("{from}\nOne\n\n{from}\nTwo\n\n{from}\nThree\n")).unwrap();
    let mut reader = Reader::open(Format::Mbox, &file).unwrap();
    assert!(reader.next_message().unwrap().is_ok());
    let told = reader.next_message().unwrap().unwrap_err();
    assert!(told.to_string().contains("2 lines of it may be the beginning"), "{told}");
    assert!(!told.is_doubt());
}

/// Whoever owns the files has no say in what else an operator reads.
#[test]
fn no_link_is_followed_and_each_is_told() {
    let dir = TempDir::new().unwrap();
    let (secrets, maildir) = (dir.path().join("secrets"), dir.path().join("maildir"));
    fs::create_dir_all(secrets.join("cur")).unwrap();
    for secret in ["secret", "cur/secret", "secret.mbox"] {
        fs::write(secrets.join(secret), "From a@b Tue Nov  7 08:09:10 2023\n\nsecret\n").unwrap();
    }
    for folder in ["cur", ".a", ".b/new"] {
        fs::create_dir_all(maildir.join(folder)).unwrap();
    }
    fs::write(maildir.join("cur/1:2,a"), "Subject: mine\n\n").unwrap();
    let links = [
        ("secret", "cur/2"),
        ("secrets", "new"),
        ("secrets/cur", ".a/cur"),
        ("secrets", ".linked"),
        ("secrets/secret", "dovecot-keywords"),
        ("secrets/secret.mbox", "linked.mbox"),
    ];
    for (target, link) in links {
        symlink(dir.path().join(target), maildir.join(link)).unwrap();
    }
    let told = failures(Format::Maildir, &maildir);
    assert_eq!(told.len(), links.len(), "{told:?}");
    let mut reader = Reader::open(Format::Maildir, &maildir).unwrap();
    let found: Vec<Found> = std::iter::from_fn(|| reader.next_message()).filter_map(Result::ok).collect();
    assert_eq!(found.len(), 1);
    assert!(found[0].meta.flags.is_empty(), "{found:?}");
    let told = failures(Format::Mbox, &maildir);
    assert!(told.iter().any(|told| told.contains("linked.mbox: it is a link")), "{told:?}");

    symlink(&secrets, dir.path().join("link")).unwrap();
    symlink(secrets.join("secret"), dir.path().join("link.mbox")).unwrap();
    for format in [Format::Maildir, Format::Mbox] {
        for link in ["link", "link/", "link/."] {
            let refused = Reader::open(format, &dir.path().join(link)).unwrap_err().to_string();
            assert!(refused.contains("it is a link"), "{link}: {refused}");
        }
    }
    let told = failures(Format::Mbox, &dir.path().join("link.mbox"));
    assert!(told[0].contains("it is a link"), "{told:?}");
}

#[test]
fn a_message_that_becomes_a_link_or_a_pipe_after_it_was_found_is_not_read() {
    let dir = TempDir::new().unwrap();
    let cur = dir.path().join("cur");
    fs::create_dir_all(&cur).unwrap();
    for name in ["1", "2", "3"] {
        fs::write(cur.join(name), "Subject: mine\n\n").unwrap();
    }
    let mut reader = Reader::open(Format::Maildir, dir.path()).unwrap();
    let first = reader.next_message().unwrap().unwrap();
    let first = Path::new(&first.place).file_name().unwrap().to_owned();
    let [link, pipe] = ["1", "2", "3"].into_iter().filter(|name| first != *name).collect::<Vec<_>>()[..]
    else {
        panic!("{first:?}")
    };
    fs::remove_file(cur.join(link)).unwrap();
    symlink("/etc/hostname", cur.join(link)).unwrap();
    fs::remove_file(cur.join(pipe)).unwrap();
    let made = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
    rustix::fs::mknodat(rustix::fs::CWD, cur.join(pipe), made.0, made.1, 0).unwrap();
    let mut told: Vec<String> =
        std::iter::from_fn(|| reader.next_message()).map(|found| found.unwrap_err().to_string()).collect();
    told.sort();
    assert_eq!(told.len(), 2);
    assert!(told.iter().any(|told| told.ends_with("it is a link")), "{told:?}");
    assert!(told.iter().any(|told| told.ends_with("it is no regular file")), "{told:?}");
    // One that was there before is told as well.
    assert_eq!(failures(Format::Maildir, dir.path()).len(), 2);
}

#[test]
fn what_cannot_be_looked_into_is_told() {
    use std::os::unix::ffi::OsStrExt as _;
    let dir = TempDir::new().unwrap();
    let latin1 = std::ffi::OsStr::from_bytes(b".Entw\xfcrfe");
    fs::create_dir_all(dir.path().join("cur")).unwrap();
    fs::create_dir_all(dir.path().join(latin1).join("cur")).unwrap();
    let deep = (0..40).fold(dir.path().to_owned(), |path, _| path.join("a"));
    fs::create_dir_all(deep).unwrap();
    // A name that would write a line of its own to the terminal.
    fs::create_dir_all(dir.path().join("cur/1\n0 failed\x1b[2J")).unwrap();
    let told = failures(Format::Maildir, dir.path());
    assert_eq!(told.len(), 3, "{told:?}");
    for why in ["not UTF-8", "too deep", r"cur/1\n0 failed\u{1b}[2J: it is no regular file"] {
        assert!(told.iter().any(|told| told.contains(why)), "{why}: {told:?}");
    }
    fs::write(dir.path().join("x.mbox"), "").unwrap();
    let told = failures(Format::Mbox, dir.path());
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn a_folder_in_which_there_is_no_mail_of_the_format_is_told() {
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("Mail")).unwrap();
    fs::write(dir.path().join("Mail/Sent"), "From a@b Tue Nov  7 08:09:10 2023\n\n").unwrap();
    let refused = Reader::open(Format::Mbox, dir.path()).unwrap_err().to_string();
    assert!(refused.contains("`.mbox`"), "{refused}");
    let told = failures(Format::Maildir, dir.path());
    assert!(told.len() == 1 && told[0].contains("it is no Maildir"), "{told:?}");
}

#[test]
fn what_is_written_is_its_owners_alone() {
    let dir = TempDir::new().unwrap();
    for (format, folder, file) in
        [(Format::Maildir, ".a.b/cur", ".a.b/maildirfolder"), (Format::Mbox, "a", "a/b.mbox")]
    {
        let root = dir.path().join(file.len().to_string());
        let keyword = flags(&["work"]);
        write(format, &root, &[("a/b".to_owned(), keyword, Some(1), b"Subject: x\r\n\r\n".to_vec())], 100);
        assert_eq!([&root, &root.join(folder)].map(|folder| mode(folder)), [0o700; 2]);
        assert_eq!(mode(&root.join(file)), 0o600);
        if format == Format::Maildir {
            let message = fs::read_dir(root.join(folder)).unwrap().next().unwrap().unwrap();
            assert_eq!(
                [message.path(), root.join(".a.b/dovecot-keywords")].map(|file| mode(&file)),
                [0o600; 2]
            );
        }
    }
}

#[test]
fn mail_is_not_written_where_others_may_write() {
    let dir = TempDir::new().unwrap();
    let shared = dir.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = Writer::create(Format::Maildir, &shared).unwrap_err().to_string();
    assert!(refused.contains("others"), "{refused}");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
    symlink(&shared, dir.path().join("link")).unwrap();
    assert!(Writer::create(Format::Maildir, &dir.path().join("link")).is_err());
    Writer::create(Format::Maildir, &shared).unwrap();
}

/// The names come from a server, which is trusted with mail and with nothing else.
#[test]
fn no_name_of_a_mailbox_leads_out_of_the_folder() {
    for format in [Format::Maildir, Format::Mbox] {
        let dir = TempDir::new().unwrap();
        let root = dir.path().join("root");
        let mut writer = Writer::create(format, &root).unwrap();
        let outside = dir.path().join("outside").display().to_string();
        for name in ["../outside", "a/../../outside", &outside, "", ".", "a//b", "a\0b"] {
            assert!(writer.mailbox(name).is_err(), "{name}");
        }
        writer.finish().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    }
}

#[test]
fn every_line_that_is_read_ends_in_crlf() {
    for (given, expected) in [
        ("a\r\nb\r\n", "a\r\nb\r\n"),
        ("a\nb\n", "a\r\nb\r\n"),
        ("a\r\nb\n", "a\r\nb\r\n"),
        ("a\rb\r", "a\r\nb\r\n"),
        ("\r\r\n\n", "\r\n\r\n\r\n"),
        ("a", "a"),
        ("", ""),
    ] {
        assert_eq!(as_mail(given.as_bytes()), expected.as_bytes(), "{given:?}");
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("cur")).unwrap();
        fs::write(dir.path().join("cur/1"), given).unwrap();
        assert_eq!(read(Format::Maildir, dir.path())[0].3, expected.as_bytes(), "{given:?}");
    }
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
        let found = read(Format::Mbox, dir.path());
        let expected = messages.into_iter().map(|(name, flags, at, octets)| (name, flags, at, as_mail(&octets)));
        prop_assert_eq!(found, expected.collect::<Vec<_>>());
    }

    #[test]
    fn bodies_of_files_of_others_come_out_whole(
        bodies in prop::collection::vec("((Status: R|X-Status: D|X-Keywords: a|\t x|y|)\n){0,9}", 1..4),
    ) {
        let texts: Vec<String> = bodies.iter().map(|body| format!("Subject: x\n\n{body}y\n")).collect();
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("old");
        let from = "From bob@example.test Tue Nov  7 08:09:10 2023";
        let mbox: Vec<String> = texts.iter().map(|text| format!("{from}\n{text}\n")).collect();
        fs::write(&file, mbox.concat()).unwrap();
        let found: Vec<_> = read(Format::Mbox, &file).into_iter().map(|(_, flags, _, octets)| (flags, octets)).collect();
        let expected: Vec<_> = texts.iter().map(|text| (flags(&[]), as_mail(text.as_bytes()))).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_file_is_read_to_its_end(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("x.mbox");
        fs::write(&file, [b"From x\n".as_slice(), &octets].concat()).unwrap();
        read(Format::Mbox, &file);
    }
}
