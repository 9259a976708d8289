//! Each program does its part of the day, loses the server in the middle of it, and comes back.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use pipeline_tests::{Options, Pipeline, Program, program, python};

use super::{Maildir, kill, printed, subject, succeed};
use crate::WAYPOST;

/// What is found in a mailbox: subjects, and the flags that Maildir has letters for.
const LOOK: &str = "
m = imap()
ok(m.select('INBOX', readonly=True))
letters = {'\\\\Answered': 'R', '\\\\Flagged': 'F', '\\\\Seen': 'S'}
found = ok(m.uid('FETCH', '1:*', '(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])'))
for item in found:
    if isinstance(item, tuple):
        flags = sorted(letters.get(flag.decode(), '') for flag in imaplib.ParseFlags(item[0]))
        print(item[1].split(b': ')[1].strip().decode(), ''.join(flags))
";

/// Messages in a mailbox that is called large: `WAYPOST_MAILBOX_SIZE`, else a number that takes no minutes.
fn large() -> usize {
    env::var("WAYPOST_MAILBOX_SIZE").ok().and_then(|size| size.parse().ok()).unwrap_or(300)
}

/// Subjects and flags, as [`LOOK`] prints them.
fn there(python: &Program, pipeline: &Pipeline) -> BTreeMap<String, String> {
    let lines = succeed(python, pipeline, LOOK);
    let pair = |line: &str| line.split_once(' ').map(|(name, flags)| (name.to_owned(), flags.to_owned()));
    lines.lines().filter_map(pair).collect()
}

/// The same of a Maildir's INBOX.
fn here(maildir: &Maildir) -> BTreeMap<String, String> {
    let described = maildir.messages("INBOX").into_iter().filter_map(|line| {
        let (name, flags) = line.split_once(' ')?;
        Some((name.to_owned(), flags.trim_matches('-').to_owned()))
    });
    described.collect()
}

#[test]
fn mbsync_keeps_a_large_mailbox_in_step_across_a_kill() {
    let (Some(python), Some(mbsync)) = (python("imaplib"), program("mbsync")) else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let run = |script: &str| succeed(&python, &pipeline, script);
    let size = large();
    run(&format!("m = imap()\nfor number in range({size}): append(m, 'INBOX', f'm{{number}}')\n"));
    let maildir = Maildir::new(&pipeline, mbsync);
    maildir.synchronise();
    assert_eq!(here(&maildir).len(), size);

    // Read, flagged and thrown away on both sides; the server dies in between.
    for file in maildir.files("INBOX") {
        let number: usize = subject(&file)[1..].parse().unwrap();
        let flags = match number % 10 {
            1 => "S",
            2 => "FS",
            3 => "ST",
            _ => continue,
        };
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let (unique, _) = name.split_once(":2,").unwrap_or((&name, ""));
        fs::rename(&file, maildir.folder.join("INBOX/cur").join(format!("{unique}:2,{flags}"))).unwrap();
    }
    run(&format!(
        "m = imap()\nok(m.select('INBOX'))\nsets = {{d: ','.join(str(n + 1) for n in range({size}) if n % 10 == d) \
         for d in (5, 6)}}\nok(m.store(sets[5], '+FLAGS.SILENT', r'(\\Answered)'))\n\
         ok(m.store(sets[6], '+FLAGS.SILENT', r'(\\Deleted)'))\nok(m.expunge())\n"
    ));
    kill(&pipeline);
    maildir.synchronise();
    let left = there(&python, &pipeline);
    assert_eq!(here(&maildir), left);
    let gone = (0..size).filter(|number| matches!(number % 10, 3 | 6)).count();
    assert_eq!(left.len(), size - gone);
    for (number, flags) in [(1, "S"), (2, "FS"), (4, ""), (5, "R"), (11, "S")] {
        assert_eq!(left.get(&format!("m{number}")).map(String::as_str), Some(flags), "m{number}");
    }
    // Nothing is left to be done.
    maildir.synchronise();
    assert_eq!(there(&python, &pipeline), left);
}

#[test]
fn offlineimap_synchronises_both_ways_across_a_kill() {
    let (Some(python), Some(offlineimap)) = (python("imaplib"), program("offlineimap")) else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let run = |script: &str| succeed(&python, &pipeline, script);
    let folder = pipeline.path("offline");
    fs::create_dir_all(&folder).unwrap();
    let config = format!(
        "[general]\naccounts = bob\nmetadata = {folder}/meta\nsocktimeout = 60\n[Account bob]\n\
         localrepository = here\nremoterepository = there\n[Repository here]\ntype = Maildir\n\
         localfolders = {folder}/mail\n[Repository there]\ntype = IMAP\nremotehost = localhost\n\
         remoteport = {port}\nremoteuser = bob@example.test\nremotepass = secret\nssl = yes\n\
         sslcacertfile = {ca}\n",
        folder = folder.display(),
        port = pipeline.address("mda", "imaps").port(),
        ca = pipeline.ca(),
    );
    fs::write(folder.join("rc"), config).unwrap();
    let synchronise = || {
        let mut command = offlineimap.command();
        command.args(["-o", "-u", "basic", "-c"]).arg(folder.join("rc")).env("HOME", &folder);
        printed(&command.output().unwrap());
    };
    let inbox = folder.join("mail/INBOX");

    run("m = imap()\nfor name in ('one', 'two', 'three', 'four'): append(m, 'INBOX', name)\n");
    synchronise();
    assert_eq!(files(&inbox).len(), 4);
    for file in files(&inbox) {
        match subject(&file).as_str() {
            "one" => mark(&file, "S"),
            "two" => fs::remove_file(&file).unwrap(),
            _ => {}
        }
    }
    run("m = imap()\nok(m.select('INBOX'))\nok(m.store('3', '+FLAGS', r'(\\Flagged)'))\n\
         ok(m.store('4', '+FLAGS', r'(\\Deleted)'))\nok(m.expunge())\nappend(m, 'INBOX', 'five')\n");
    kill(&pipeline);
    synchronise();
    let expected = [("five", ""), ("one", "S"), ("three", "F")];
    let expected = expected.map(|(name, flags)| (name.to_owned(), flags.to_owned()));
    assert_eq!(there(&python, &pipeline), BTreeMap::from(expected.clone()));
    let here = files(&inbox).iter().map(|file| (subject(file), flags(file))).collect::<BTreeMap<_, _>>();
    assert_eq!(here, BTreeMap::from(expected));
}

#[test]
fn getmail_takes_everything_once_by_pop3_and_by_imap() {
    let (Some(python), Some(getmail)) = (python("imaplib"), program("getmail")) else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let ways = [
        ("SimplePOP3SSLRetriever", "pop3s", ""),
        ("SimpleIMAPSSLRetriever", "imaps", "mailboxes = ('INBOX',)"),
    ];
    for (kind, listener, more) in ways {
        let folder = pipeline.path(kind);
        fs::create_dir_all(&folder).unwrap();
        // It writes no Maildir for root, but has any command do it.
        let config = format!(
            "[retriever]\ntype = {kind}\nserver = localhost\nport = {port}\nusername = bob@example.test\n\
             password = secret\nca_certs = {ca}\n{more}\n[destination]\ntype = MDA_external\npath = /bin/sh\n\
             arguments = ('-c', 'cat >> {folder}/mbox')\nallow_root_commands = true\n\
             [options]\ndelete = true\n",
            port = pipeline.address("mda", listener).port(),
            ca = pipeline.ca(),
            folder = folder.display(),
        );
        fs::write(folder.join("rc"), config).unwrap();
        let fetch = || {
            let mut command = getmail.command();
            command.arg("--getmaildir").arg(&folder).arg("--rcfile").arg(folder.join("rc"));
            printed(&command.output().unwrap());
        };
        succeed(&python, &pipeline, "m = imap()\nfor name in ('one', 'two'): append(m, 'INBOX', name)\n");
        fetch();
        kill(&pipeline);
        succeed(&python, &pipeline, "append(imap(), 'INBOX', 'three')\n");
        fetch();
        assert_taken_once(&folder.join("mbox"), &["one", "two", "three"]);
        assert!(there(&python, &pipeline).is_empty(), "{kind}");
    }
}

#[test]
fn fetchmail_takes_everything_once_by_imap() {
    let (Some(python), Some(fetchmail)) = (python("imaplib"), program("fetchmail")) else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let folder = pipeline.path("fetchmail");
    fs::create_dir_all(&folder).unwrap();
    let config = format!(
        "poll localhost service {port} protocol IMAP user \"bob@example.test\" password \"secret\" ssl \
         sslcertck sslcertfile {ca} no rewrite mda \"cat >> {folder}/mbox\"\n",
        port = pipeline.address("mda", "imaps").port(),
        ca = pipeline.ca(),
        folder = folder.display(),
    );
    fs::write(folder.join("rc"), config).unwrap();
    let private = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    fs::set_permissions(folder.join("rc"), private).unwrap();
    let fetch = || {
        let mut command = fetchmail.command();
        command.env("FETCHMAILHOME", &folder).args(["--nosyslog", "--invisible", "--fetchmailrc"]);
        printed(&command.arg(folder.join("rc")).output().unwrap());
    };
    succeed(&python, &pipeline, "m = imap()\nfor name in ('one', 'two'): append(m, 'INBOX', name)\n");
    fetch();
    kill(&pipeline);
    succeed(&python, &pipeline, "append(imap(), 'INBOX', 'three')\n");
    fetch();
    assert_taken_once(&folder.join("mbox"), &["one", "two", "three"]);
    assert!(there(&python, &pipeline).is_empty());
}

#[test]
fn mutt_saves_all_messages_and_leaves_none() {
    let (Some(python), Some(_)) = (python("imaplib"), program("mutt")) else { return };
    // mutt wants a terminal.
    let Some(script) = program("script") else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let folder = pipeline.path("mutt");
    fs::create_dir_all(&folder).unwrap();
    let inbox = format!("imaps://localhost:{}/INBOX", pipeline.address("mda", "imaps").port());
    let config = format!(
        "set imap_user=bob@example.test\nset imap_pass=secret\nset ssl_ca_certificates_file={ca}\n\
         set confirmappend=no\nset confirmcreate=no\nset delete=yes\nset quit=yes\nset mbox_type=mbox\n\
         set move=no\nset wait_key=no\nset sleep_time=0\nset save_empty=yes\nset mail_check=0\n\
         push \"<tag-pattern>~A<enter><tag-prefix><save-message>{folder}/mbox<enter><quit>\"\n",
        ca = pipeline.ca(),
        folder = folder.display(),
    );
    fs::write(folder.join("rc"), config).unwrap();
    let save = || {
        let words = format!("mutt -n -F {}/rc -f {inbox}", folder.display());
        let mut command = script.command();
        // In the terminal's foreground, whatever shell starts it: else the terminal stops it.
        command.args(["-qec", &format!("timeout --foreground 60 {words}"), "/dev/null"]);
        command.env("TERM", "xterm").env("SHELL", "/bin/sh").env("HOME", &folder);
        command.stdin(std::process::Stdio::null());
        printed(&command.output().unwrap());
    };
    succeed(&python, &pipeline, "m = imap()\nfor name in ('one', 'two'): append(m, 'INBOX', name)\n");
    save();
    kill(&pipeline);
    succeed(&python, &pipeline, "append(imap(), 'INBOX', 'three')\n");
    save();
    assert_taken_once(&folder.join("mbox"), &["one", "two", "three"]);
    assert!(there(&python, &pipeline).is_empty());
}

fn assert_taken_once(mbox: &Path, subjects: &[&str]) {
    let mbox = fs::read_to_string(mbox).unwrap();
    for subject in subjects {
        assert_eq!(mbox.matches(&format!("Subject: {subject}\n")).count(), 1, "{mbox}");
    }
}

/// The messages of a Maildir.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = ["new", "cur"].into_iter().flat_map(|sub| fs::read_dir(folder.join(sub)).unwrap());
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn flags(file: &Path) -> String {
    let name = file.file_name().unwrap().to_str().unwrap();
    name.split_once(":2,").map_or_else(String::new, |(_, flags)| flags.to_owned())
}

/// Gives a message of a Maildir these flags.
fn mark(file: &Path, flags: &str) {
    let name = file.file_name().unwrap().to_str().unwrap();
    let (unique, _) = name.split_once(":2,").unwrap_or((name, ""));
    let folder = file.parent().unwrap().parent().unwrap().join("cur");
    fs::rename(file, folder.join(format!("{unique}:2,{flags}"))).unwrap();
}
