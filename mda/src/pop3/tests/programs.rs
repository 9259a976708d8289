//! Mail programs that people use. One that is not installed is passed over.

use std::{io::ErrorKind, path::Path, process::Stdio};

use tokio::process::Command;

use super::{ALICE, PASSWORD, stored, with_mail};
use crate::testing::TestService;

const MESSAGES: [&str; 2] = [
    "From: a@b.test\r\nSubject: dots\r\n\r\n.\r\n..\r\n.leading\r\nend\r\n",
    "From: a@b.test\r\nSubject: bytes\r\n\r\n\u{e4}\u{f6}\u{fc}\r\n\r\n\r\n",
];

/// Runs a program to its end; what it wrote to standard output. `None` if it is not installed.
async fn run(command: &mut Command) -> Option<String> {
    let output = match command.stdin(Stdio::null()).output().await {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => panic!("{error}"),
    };
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

async fn maildrop_is_empty(service: &TestService) {
    let mut client = super::Client::log_in_when_free(service, ALICE, PASSWORD).await;
    assert_eq!(client.ok("STAT").await, "+OK 0 0");
}

#[tokio::test]
async fn curl_reads_every_message_as_it_is_stored() {
    let service = with_mail(&MESSAGES).await;
    let (clear, tls) = (service.addresses.pop3[0], service.addresses.pop3s[0]);
    for (number, message) in (1..).zip(MESSAGES) {
        for url in [format!("pop3s://{tls}/{number}"), format!("pop3://{clear}/{number}")] {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--show-error", "--ssl-reqd", "--cacert"]).arg(service.authority.ca());
            curl.args(["--user", &format!("{ALICE}:{PASSWORD}"), &url]);
            let Some(read) = run(&mut curl).await else { return };
            assert_eq!(read, stored(message), "{url}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn python_lists_reads_and_deletes() {
    const SCRIPT: &str = "
import poplib, ssl, sys
port, ca, user, password = sys.argv[1:]
pop = poplib.POP3('127.0.0.1', int(port), timeout=30)
assert 'STLS' in pop.capa()
pop.stls(ssl.create_default_context(cafile=ca))
pop.user(user)
pop.pass_(password)
count, octets = pop.stat()
assert len(pop.list()[1]) == count and len(pop.uidl()[1]) == count
for number in range(1, count + 1):
    message = b''.join(line + b'\\r\\n' for line in pop.retr(number)[1])
    assert pop.top(number, 0)[1] == message.split(b'\\r\\n\\r\\n')[0].split(b'\\r\\n') + [b'']
    sys.stdout.buffer.write(message)
    pop.dele(number)
pop.quit()
";
    let service = with_mail(&MESSAGES).await;
    let mut python = Command::new("python3");
    python.args(["-c", SCRIPT, &service.addresses.pop3[0].port().to_string()]).arg(service.authority.ca());
    let Some(read) = run(python.args([ALICE, PASSWORD])).await else { return };
    assert_eq!(read, MESSAGES.map(stored).concat());
    maildrop_is_empty(&service).await;
    service.stop().await;
}

#[tokio::test]
async fn fetchmail_fetches_all_and_leaves_nothing() {
    let service = with_mail(&MESSAGES).await;
    let dir = tempfile::tempdir().unwrap();
    let configuration = format!(
        "poll localhost service {} protocol POP3 user \"{ALICE}\" password \"{PASSWORD}\" \
         sslcertck sslcertfile {} no rewrite mda \"cat >> {}\"\n",
        service.addresses.pop3[0].port(),
        service.authority.ca().display(),
        dir.path().join("mbox").display(),
    );
    let file = dir.path().join("fetchmailrc");
    write_private(&file, &configuration);
    let mut fetchmail = Command::new("fetchmail");
    fetchmail
        .env("FETCHMAILHOME", dir.path())
        .args(["--nosyslog", "--invisible", "--fetchmailrc"])
        .arg(&file);
    let Some(_) = run(&mut fetchmail).await else { return };
    let fetched = std::fs::read_to_string(dir.path().join("mbox")).unwrap();
    for message in MESSAGES {
        let (_, body) = message.split_once("\r\n\r\n").unwrap();
        assert!(fetched.contains(&body.replace("\r\n", "\n")), "{fetched}");
    }
    maildrop_is_empty(&service).await;
    service.stop().await;
}

/// fetchmail refuses a configuration that others could read.
fn write_private(file: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;

    std::fs::write(file, text).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}
