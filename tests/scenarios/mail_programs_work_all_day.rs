//! People's mail programs do what they do all day: folders come and go, mail is filed, flagged and thrown away, on
//! several machines at once.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Output;

use pipeline_tests::{Options, Pipeline, Program, eventually, program, python};

use crate::WAYPOST;

mod files;
mod programs;

/// What every script begins with: the ways to the pipeline, as bob@example.test.
const WAYS: &str = include_str!("mail_programs_work_all_day/ways.py");

#[test]
fn a_day_over_imap() {
    let Some(python) = python("imaplib") else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    succeed(&python, &pipeline, include_str!("mail_programs_work_all_day/a_day_over_imap.py"));
}

#[test]
fn a_waiting_client_hears_of_new_mail_by_itself() {
    let Some(python) = python("imaplib") else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    succeed(&python, &pipeline, include_str!("mail_programs_work_all_day/idle.py"));
}

#[test]
fn what_pop3_deletes_goes_at_quit_and_not_before() {
    let Some(python) = python("poplib") else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    succeed(&python, &pipeline, include_str!("mail_programs_work_all_day/pop3_deletes_at_quit.py"));
}

#[test]
fn what_clients_were_told_holds_when_the_mda_is_killed() {
    let Some(python) = python("imaplib") else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let before = succeed(&python, &pipeline, include_str!("mail_programs_work_all_day/before_the_kill.py"));
    kill(&pipeline);
    let after = succeed(&python, &pipeline, include_str!("mail_programs_work_all_day/after_the_kill.py"));
    assert_eq!(after, before);
}

#[test]
fn mbsync_keeps_a_maildir_and_the_account_the_same() {
    let (Some(python), Some(mbsync)) = (python("imaplib"), program("mbsync")) else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let run = |script: &str| succeed(&python, &pipeline, script);
    let maildir = Maildir::new(&pipeline, mbsync);

    run("m = imap()\nfor name in ('one', 'two', 'three'): append(m, 'INBOX', name)\n");
    maildir.synchronise();
    assert_eq!(maildir.messages("INBOX"), ["one -", "three -", "two -"]);

    // Read and flagged here, thrown away here, written here; answered there, a folder made there.
    maildir.set_flags("one", "FS");
    maildir.set_flags("two", "ST");
    maildir.write("Drafts", "draft");
    run("m = imap()\nok(m.select('INBOX'))\nok(m.store('3', '+FLAGS', r'(\\Answered)'))\n\
         ok(m.create('Work/2026'))\nappend(m, 'Work/2026', 'four')\n");
    maildir.synchronise();
    assert_eq!(maildir.messages("INBOX"), ["one FS", "three R"]);
    assert_eq!(maildir.messages("Work/2026"), ["four -"]);
    let look = "m = imap()\nfor name in ('INBOX', 'Drafts', 'Work/2026'): print(name, messages(m, name))\n";
    let kept = "INBOX [('one', '\\\\Flagged \\\\Seen'), ('three', '\\\\Answered')]\n\
                Drafts [('draft', '')]\nWork/2026 [('four', '')]\n";
    assert_eq!(run(look), kept);

    // Nothing is left to be done.
    maildir.synchronise();
    assert_eq!(maildir.messages("INBOX"), ["one FS", "three R"]);
    assert_eq!(maildir.messages("Drafts"), ["draft -"]);
    assert_eq!(run(look), kept);
}

/// Kills the MDA, and waits for the one that takes its place.
fn kill(pipeline: &Pipeline) {
    let killed = pipeline.pid("mda");
    pipeline.kill("mda");
    eventually("another mda", || pipeline.pid("mda").filter(|pid| Some(*pid) != killed));
    eventually("it to serve", || TcpStream::connect(pipeline.address("mda", "imaps")).ok());
}

/// Runs a script that has to succeed; gives what it printed.
fn succeed(python: &Program, pipeline: &Pipeline, script: &str) -> String {
    let port = |service, listener| pipeline.address(service, listener).port().to_string();
    let mut command = python.command();
    command.args(["-c", &format!("{WAYS}\n{script}"), &pipeline.ca()]);
    command.args([port("mda", "imaps"), port("mda", "pop3s"), port("msa", "submission")]);
    printed(&command.output().unwrap())
}

fn printed(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    out.into_owned()
}

/// A Maildir that mbsync keeps the same as bob's account.
struct Maildir {
    folder: PathBuf,
    mbsync: Program,
}

impl Maildir {
    fn new(pipeline: &Pipeline, mbsync: Program) -> Self {
        let folder = pipeline.path("maildir");
        fs::create_dir_all(&folder).unwrap();
        let config = format!(
            "IMAPStore there\nHost localhost\nPort {port}\nUser bob@example.test\nPass secret\nSSLType IMAPS\n\
             CertificateFile {ca}\n\nMaildirStore here\nSubFolders Verbatim\nInbox {folder}/INBOX\n\
             Path {folder}/\n\nChannel all\nFar :there:\nNear :here:\nPatterns *\nCreate Both\nExpunge Both\n\
             Sync All\nSyncState *\n",
            port = pipeline.address("mda", "imaps").port(),
            ca = pipeline.ca(),
            folder = folder.display(),
        );
        fs::write(folder.join("mbsyncrc"), config).unwrap();
        Self { folder, mbsync }
    }

    fn synchronise(&self) {
        let mut command = self.mbsync.command();
        command.arg("-c").arg(self.folder.join("mbsyncrc")).arg("all").env("HOME", &self.folder);
        printed(&command.output().unwrap());
    }

    /// Each message's subject and flags, sorted.
    fn messages(&self, mailbox: &str) -> Vec<String> {
        let described = self.files(mailbox).into_iter().map(|file| {
            let name = file.file_name().unwrap().to_str().unwrap();
            let flags = name.split_once(":2,").map_or("", |(_, flags)| flags);
            format!("{} {}", subject(&file), if flags.is_empty() { "-" } else { flags })
        });
        let mut described: Vec<_> = described.collect();
        described.sort();
        described
    }

    /// As a mail program does it: the flags are part of the file's name.
    fn set_flags(&self, wanted: &str, flags: &str) {
        let file = self.files("INBOX").into_iter().find(|file| subject(file) == wanted).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let (unique, _) = name.split_once(":2,").unwrap_or((name, ""));
        fs::rename(&file, self.folder.join("INBOX/cur").join(format!("{unique}:2,{flags}"))).unwrap();
    }

    fn write(&self, mailbox: &str, subject: &str) {
        let message = format!("From: bob@example.test\nSubject: {subject}\n\nwritten here\n");
        fs::write(self.folder.join(mailbox).join("cur").join("1.here:2,"), message).unwrap();
    }

    fn files(&self, mailbox: &str) -> Vec<PathBuf> {
        let folders = ["new", "cur"].map(|sub| self.folder.join(mailbox).join(sub));
        folders
            .iter()
            .flat_map(|folder| fs::read_dir(folder).unwrap())
            .map(|entry| entry.unwrap().path())
            .collect()
    }
}

fn subject(file: &Path) -> String {
    let message = fs::read_to_string(file).unwrap();
    let field = message.lines().find_map(|line| line.strip_prefix("Subject: "));
    field.unwrap().to_owned()
}
