//! Mail goes out into files that other programs read, and comes in from files that they wrote.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use pipeline_tests::{Options, Pipeline, Program, program, python};

use super::{Maildir, printed, succeed};
use crate::WAYPOST;

/// Mail with flags, keywords, and lines that an mbox has to quote.
const FILL: &str = "
m = imap()
append(m, 'INBOX', 'one', r'(\\Seen $Forwarded work)')
append(m, 'INBOX', 'two')
ok(m.create('&AMQ-rger/2026'))
text = message('quoted') + b'From here\\r\\n>From there\\r\\n\\r\\nFrom nowhere\\r\\n'
ok(m.append('&AMQ-rger/2026', r'(\\Flagged \\Answered)', '\"07-Nov-2023 08:09:10 +0000\"', text))
";

const BOB: &str = "bob@example.test";

fn filled(python: &Program) -> Pipeline {
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    succeed(python, &pipeline, FILL);
    pipeline
}

/// What bob sees in a mailbox.
fn look(python: &Program, pipeline: &Pipeline, mailbox: &str) -> String {
    succeed(python, pipeline, &format!("print(messages(imap(), {mailbox:?}))"))
}

#[test]
fn dovecot_reads_what_was_exported_and_its_maildir_is_imported() {
    let (Some(python), Some(doveadm)) = (python("imaplib"), program("doveadm")) else { return };
    let pipeline = filled(&python);
    let dovecot = Dovecot::new(doveadm);
    pipeline.waypost_ok(&["mailbox", "export", BOB, "--format", "maildir", &dovecot.maildir()]);

    let told = dovecot.run(&["fetch", "mailbox flags date.received hdr.subject body", "ALL"]);
    let of_one = |subject: &str| told.split('\u{c}').find(|part| part.contains(subject)).unwrap();
    for word in ["mailbox: INBOX\n", "\\Seen", "$Forwarded", "work"] {
        assert!(of_one("hdr.subject: one\n").contains(word), "{told}");
    }
    assert!(!of_one("hdr.subject: two\n").contains("\\Seen"), "{told}");
    for word in ["mailbox: Ärger/2026\n", "\\Answered", "\\Flagged", "2023-11-07 08:09:10", "\n>From there"]
    {
        assert!(of_one("hdr.subject: quoted\n").contains(word), "{told}");
    }

    dovecot.run(&["mailbox", "create", "Ärger/2027"]);
    dovecot.save("Ärger/2027", "Subject: new\nFrom: x@example.test\n\nText\n");
    dovecot.run(&["flags", "add", "\\Flagged Urgent", "mailbox", "Ärger/2027", "ALL"]);
    let summary = pipeline.waypost_ok(&[
        "mailbox",
        "import",
        BOB,
        "--format",
        "maildir",
        "--into",
        "Back",
        &dovecot.maildir(),
    ]);
    assert!(summary.starts_with("4 messages of"), "{summary}");
    assert_eq!(look(&python, &pipeline, "Back"), "[('one', '$Forwarded \\\\Seen work'), ('two', '')]\n");
    assert_eq!(look(&python, &pipeline, "Back/&AMQ-rger/2027"), "[('new', 'Urgent \\\\Flagged')]\n");
    let read = "m = imap()\nfor name in ('Back/&AMQ-rger/2026', '&AMQ-rger/2026'):\n  ok(m.select(name))\n  \
                print(ok(m.fetch('1', '(INTERNALDATE BODY[])'))[0])\n";
    let read = succeed(&python, &pipeline, read);
    let (back, there) = read.trim().split_once('\n').unwrap();
    assert_eq!(back, there);
    let again = ["mailbox", "import", BOB, "--format", "maildir", "--into", "Back", &dovecot.maildir()];
    let again = pipeline.waypost_ok(&again);
    assert!(again.starts_with("0 messages of 0 octets, 4 that were imported before"), "{again}");
}

#[test]
fn what_mbsync_wrote_is_imported() {
    let (Some(python), Some(mbsync)) = (python("imaplib"), program("mbsync")) else { return };
    let pipeline = filled(&python);
    let maildir = Maildir::new(&pipeline, mbsync);
    maildir.synchronise();
    let from = maildir.folder.display().to_string();
    pipeline.waypost_ok(&["mailbox", "import", BOB, "--format", "maildir", "--into", "Back", &from]);
    assert_eq!(look(&python, &pipeline, "Back"), "[('one', '$Forwarded \\\\Seen'), ('two', '')]\n");
    let quoted = "[('quoted', '\\\\Answered \\\\Flagged')]\n";
    assert_eq!(look(&python, &pipeline, "Back/&AMQ-rger/2026"), quoted);
}

#[test]
fn python_reads_an_exported_mbox_and_its_own_is_imported() {
    let Some(python) = python("imaplib") else { return };
    let pipeline = filled(&python);
    let folder = pipeline.path("files");
    let to = folder.display().to_string();
    pipeline.waypost_ok(&["mailbox", "export", BOB, "--format", "mbox", &to]);
    let read = format!(
        "import mailbox\nfor path in ('INBOX', 'Ärger/2026'):\n  for read in mailbox.mbox({to:?} + '/' + path + '.mbox'):\n    \
         print(read['Subject'], read.get_flags(), read['X-Keywords'], read.get_from()[-24:])\n\
         box = mailbox.mbox({to:?} + '/old')\nfor name in ('three', 'four'):\n  \
         new = mailbox.mboxMessage(message(name).replace(b'\\r\\n', b'\\n') + b'\\nFrom here\\n')\n  \
         new.set_from('x@example.test', (2023, 11, 7, 8, 9, 10, 0, 0, 0))\n  new.set_flags('RF' if name == 'three' else '')\n  \
         box.add(new)\nbox.flush()\n"
    );
    let told = succeed(&python, &pipeline, &read);
    assert!(told.contains("one RO $Forwarded work "), "{told}");
    assert!(told.contains("quoted OAF  Tue Nov  7 08:09:10 2023"), "{told}");

    let old = folder.join("old").display().to_string();
    pipeline.waypost_ok(&["mailbox", "import", BOB, "--format", "mbox", "--into", "Old", &old]);
    assert_eq!(look(&python, &pipeline, "Old"), "[('three', '\\\\Flagged \\\\Seen'), ('four', '')]\n");
    let read = "m = imap()\nok(m.select('Old'))\nprint(ok(m.fetch('1', '(INTERNALDATE BODY[])'))[0])\n";
    let read = succeed(&python, &pipeline, read);
    assert!(read.contains("07-Nov-2023 08:09:10"), "{read}");
    assert!(read.contains("Text of three.\\r\\n\\r\\nFrom here\\r\\n"), "{read}");
}

/// A Dovecot that nobody serves: its `doveadm` works on a Maildir.
struct Dovecot {
    doveadm: Program,
    dir: PathBuf,
    /// It lets root touch no mail.
    user: u32,
}

impl Dovecot {
    fn new(doveadm: Program) -> Self {
        // Where a user without rights may look.
        let dir = std::env::temp_dir().join(format!("waypost-dovecot-{}", std::process::id()));
        fs::create_dir_all(dir.join("home")).unwrap();
        let ours = fs::metadata(&dir).unwrap().uid();
        let user = if ours == 0 { 65_534 } else { ours };
        let config = format!(
            "mail_location = maildir:{dir}/Maildir\nmail_home = {dir}/home\nbase_dir = {dir}/run\nssl = no\n\
             mail_uid = {user}\nmail_gid = {user}\nfirst_valid_uid = 1\nfirst_valid_gid = 0\n\
             default_internal_user = root\ndefault_login_user = root\ndefault_internal_group = root\n\
             namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n",
            dir = dir.display(),
        );
        fs::write(dir.join("dovecot.conf"), config).unwrap();
        Self { doveadm, dir, user }
    }

    fn maildir(&self) -> String {
        self.dir.join("Maildir").display().to_string()
    }

    fn run(&self, words: &[&str]) -> String {
        self.own(&self.dir);
        printed(&self.command(words).stdin(Stdio::null()).output().unwrap())
    }

    fn save(&self, mailbox: &str, message: &str) {
        let file = self.dir.join("message");
        fs::write(&file, message).unwrap();
        let message = fs::File::open(&file).unwrap();
        printed(&self.command(&["save", "-m", mailbox]).stdin(message).output().unwrap());
    }

    fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = self.doveadm.command();
        command.arg("-c").arg(self.dir.join("dovecot.conf")).args(words);
        command.env("USER", "nobody").env("HOME", self.dir.join("home")).env("TZ", "UTC");
        command
    }

    /// Gives all files to Dovecot's user.
    fn own(&self, path: &Path) {
        chown(path, Some(self.user), None).unwrap();
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                self.own(&entry.unwrap().path());
            }
        }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // What is left of it is nobody's trouble.
        let _ = fs::remove_dir_all(&self.dir);
    }
}
