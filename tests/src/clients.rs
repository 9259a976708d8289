//! Mail programs, told to use a pipeline: three that submit, five that read.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::{Pipeline, Program};

/// A program that submits the message in a file, as alice@example.test and with the password `secret`.
pub type Submit = fn(&Program, &Pipeline, to: &str, file: &Path) -> Output;

/// Submits with swaks: port 587, STARTTLS, AUTH PLAIN, DATA.
pub fn swaks(swaks: &Program, pipeline: &Pipeline, to: &str, file: &Path) -> Output {
    let address = pipeline.address("msa", "submission");
    let data = format!("@{}", file.display());
    let arguments =
        ["--tls", "--auth", "PLAIN", "--auth-user", "alice@example.test", "--auth-password", "secret"];
    let mut command = swaks.command();
    command.args(["--server", &address.ip().to_string(), "--port", &address.port().to_string()]);
    run(command.args(arguments).args([
        "-f",
        "alice@example.test",
        "-t",
        to,
        "--suppress-data",
        "--data",
        &data,
    ]))
}

/// Submits with curl: port 465, TLS, AUTH PLAIN. The file's lines end in CRLF already.
pub fn curl(curl: &Program, pipeline: &Pipeline, to: &str, file: &Path) -> Output {
    let url = format!("smtps://localhost:{}", pipeline.address("msa", "submissions").port());
    let mut command = curl.command();
    command.args(["-sS", "--cacert", &pipeline.ca(), "--user", "alice@example.test:secret", "--url", &url]);
    run(command.args(["--mail-from", "alice@example.test", "--mail-rcpt", to, "--upload-file"]).arg(file))
}

/// Submits with Python's smtplib: port 587, STARTTLS, its choice of AUTH.
pub fn smtplib(python: &Program, pipeline: &Pipeline, to: &str, file: &Path) -> Output {
    const SCRIPT: &str = "
import smtplib, ssl, sys
port, ca, to, file = sys.argv[1:]
with smtplib.SMTP('localhost', int(port)) as s:
    s.starttls(context=ssl.create_default_context(cafile=ca))
    s.login('alice@example.test', 'secret')
    s.sendmail('alice@example.test', [to], open(file, 'rb').read(), mail_options=['BODY=8BITMIME'])
";
    let port = pipeline.address("msa", "submission").port().to_string();
    run(python.command().args(["-c", SCRIPT, &port, &pipeline.ca(), to]).arg(file))
}

/// A program that reads all messages in bob@example.test's inbox, in order.
pub type Read = fn(&Program, &Pipeline) -> Vec<Vec<u8>>;

/// Reads with curl over IMAPS, message by message.
///
/// # Panics
/// If curl fails.
pub fn curl_imap(curl: &Program, pipeline: &Pipeline) -> Vec<Vec<u8>> {
    let base = format!("imaps://localhost:{}/INBOX", pipeline.address("mda", "imaps").port());
    let fetch = |url: &str, request: &[&str]| {
        let mut command = curl.command();
        command.args(["-sS", "--cacert", &pipeline.ca(), "--user", "bob@example.test:secret", "--url", url]);
        let output = run(command.args(request));
        assert!(output.status.success(), "curl {url}: {output:?}");
        output.stdout
    };
    let found = fetch(&base, &["-X", "UID SEARCH ALL"]);
    let found = String::from_utf8_lossy(&found).replace("* SEARCH", "");
    found.split_whitespace().map(|uid| fetch(&format!("{base};UID={uid}"), &[])).collect()
}

/// Reads with Python's imaplib over IMAPS.
pub fn imaplib(python: &Program, pipeline: &Pipeline) -> Vec<Vec<u8>> {
    const SCRIPT: &str = "
import imaplib, ssl, sys
port, ca, out = sys.argv[1:]
with imaplib.IMAP4_SSL('localhost', int(port), ssl_context=ssl.create_default_context(cafile=ca)) as m:
    m.login('bob@example.test', 'secret')
    m.select('INBOX', readonly=True)
    for n in m.search(None, 'ALL')[1][0].split():
        open('%s/%06d' % (out, int(n)), 'wb').write(m.fetch(n, '(BODY.PEEK[])')[1][0][1])
";
    read_by_script(python, pipeline, SCRIPT, pipeline.address("mda", "imaps").port())
}

/// Reads with Python's poplib, with STLS.
pub fn poplib(python: &Program, pipeline: &Pipeline) -> Vec<Vec<u8>> {
    const SCRIPT: &str = r"
import poplib, ssl, sys
port, ca, out = sys.argv[1:]
poplib._MAXLINE = 1 << 20
m = poplib.POP3('localhost', int(port))
m.stls(ssl.create_default_context(cafile=ca))
m.user('bob@example.test')
m.pass_('secret')
for n in range(1, m.stat()[0] + 1):
    open('%s/%06d' % (out, n), 'wb').write(b'\r\n'.join(m.retr(n)[1]) + b'\r\n')
m.quit()
";
    read_by_script(python, pipeline, SCRIPT, pipeline.address("mda", "pop3").port())
}

fn read_by_script(python: &Program, pipeline: &Pipeline, script: &str, port: u16) -> Vec<Vec<u8>> {
    let out = fresh_folder(pipeline, "python");
    let output = run(python.command().args(["-c", script, &port.to_string(), &pipeline.ca()]).arg(&out));
    assert!(output.status.success(), "{output:?}");
    files_in(&out)
}

/// Reads with fetchmail over POP3S. It writes lines with LF.
///
/// # Panics
/// If fetchmail fails.
pub fn fetchmail(fetchmail: &Program, pipeline: &Pipeline) -> Vec<Vec<u8>> {
    let (out, home) = (fresh_folder(pipeline, "fetchmail"), fresh_folder(pipeline, "fetchmail-home"));
    let config = format!(
        "set no bouncemail\nset invisible\npoll localhost protocol pop3 service {port} user \"bob@example.test\" \
         password \"secret\" ssl sslcertck sslcertfile \"{ca}\" keep fetchall norewrite \
         mda \"cat > $(mktemp -p {out} $(date +%s%N).XXXX)\"\n",
        port = pipeline.address("mda", "pop3s").port(),
        ca = pipeline.ca(),
        out = out.display(),
    );
    let file = home.join("fetchmailrc");
    fs::write(&file, config).expect("fetchmail's configuration");
    run(Command::new("chmod").arg("600").arg(&file));
    let mut command = fetchmail.command();
    let pid_file = home.join("pid");
    command.arg("-f").arg(&file).arg("--pidfile").arg(&pid_file).env("FETCHMAILHOME", &home);
    let output = run(&mut command);
    assert!(output.status.success(), "{output:?}");
    files_in(&out)
}

/// Reads with mbsync into a Maildir. It writes lines with LF and adds a line `X-TUID`.
///
/// # Panics
/// If mbsync fails.
pub fn mbsync(mbsync: &Program, pipeline: &Pipeline) -> Vec<Vec<u8>> {
    let folder = fresh_folder(pipeline, "mbsync");
    let config = format!(
        "IMAPStore remote\nHost localhost\nPort {port}\nUser bob@example.test\nPass secret\nSSLType IMAPS\n\
         CertificateFile {ca}\n\nMaildirStore local\nInbox {folder}/INBOX\nPath {folder}/\n\n\
         Channel all\nFar :remote:\nNear :local:\nCreate Near\nSync Pull\nSyncState {folder}/state-\n",
        port = pipeline.address("mda", "imaps").port(),
        ca = pipeline.ca(),
        folder = folder.display(),
    );
    let file = folder.join("mbsyncrc");
    fs::write(&file, config).expect("mbsync's configuration");
    let output = run(mbsync.command().arg("-c").arg(&file).arg("all").env("HOME", &folder));
    assert!(output.status.success(), "{output:?}");
    let mut messages = files_in(&folder.join("INBOX/new"));
    messages.extend(files_in(&folder.join("INBOX/cur")));
    messages
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("the program starts")
}

fn fresh_folder(pipeline: &Pipeline, name: &str) -> std::path::PathBuf {
    let folder = pipeline.path(name);
    // It may not be there yet.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn files_in(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).expect("the folder");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a message")).collect()
}
