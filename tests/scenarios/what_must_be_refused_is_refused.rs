//! Unknown users, relaying, passwords in clear, other people's addresses, wrong passwords, mail that is too large.

use pipeline_tests::{Options, Pipeline, python};

use crate::WAYPOST;

/// Every answer is a line `name code enhanced`, so that the assertions stand here and not in Python.
const SCRIPT: &str = r"
import smtplib, ssl, sys, time
smtp_port, submission_port, ca = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
tls = ssl.create_default_context(cafile=ca)

def say(name, answer):
    code, text = answer
    print(name, code, text.decode().split(' ')[0], flush=True)

def submission(login=True):
    s = smtplib.SMTP('localhost', submission_port)
    s.starttls(context=tls)
    s.ehlo()
    if login:
        s.login('alice@example.test', 'secret')
    return s

mx = smtplib.SMTP('localhost', smtp_port)
mx.ehlo()
mx.mail('someone@remote.test')
say('unknown-user', mx.rcpt('nobody@example.test'))
say('relaying', mx.rcpt('someone@elsewhere.test'))
say('known-user', mx.rcpt('bob@example.test'))
print('mx-auth', mx.has_extn('auth'))

clear = smtplib.SMTP('localhost', submission_port)
clear.ehlo()
print('auth-in-clear', clear.has_extn('auth'))
say('auth-command-in-clear', clear.docmd('AUTH', 'PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ='))
say('mail-in-clear', clear.docmd('MAIL', 'FROM:<alice@example.test>'))

s = submission(login=False)
print('auth-under-tls', s.has_extn('auth'))
say('mail-without-login', s.docmd('MAIL', 'FROM:<alice@example.test>'))

s = submission()
say('foreign-sender', s.mail('bob@example.test'))
say('own-sender', s.mail('alice@example.test'))
say('local-unknown', s.rcpt('nobody@example.test'))

s = submission()
limit = int(s.esmtp_features['size'])
print('limit', limit)
say('too-large-by-size', s.docmd('MAIL', 'FROM:<alice@example.test> SIZE=%d' % (limit + 1)))
s.mail('alice@example.test')
s.rcpt('bob@example.test')
s.docmd('DATA')
line = b'x' * 998 + b'\r\n'
s.sock.sendall(b'From: alice@example.test\r\n\r\n')
for _ in range(limit // len(line) + 2):
    s.sock.sendall(line)
s.sock.sendall(b'.\r\n')
say('too-large-by-count', s.getreply())

took = []
for attempt in range(3):
    s = submission(login=False)
    began = time.monotonic()
    try:
        s.login('bob@example.test', 'guess%d' % attempt)
    except smtplib.SMTPAuthenticationError as e:
        say('wrong-password', (e.smtp_code, e.smtp_error))
    took.append(time.monotonic() - began)
print('slowed', min(took) > 0.5)
";

#[test]
fn and_for_the_right_reason() {
    let Some(python) = python("smtplib") else { return };
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let (smtp, submission) = (pipeline.address("mta", "smtp"), pipeline.address("msa", "submission"));
    let output =
        python.run(&["-c", SCRIPT, &smtp.port().to_string(), &submission.port().to_string(), &pipeline.ca()]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for expected in [
        "unknown-user 550 5.1.1",
        "relaying 554 5.7.1",
        "known-user 250 2.1.5",
        "mx-auth False",
        "auth-in-clear False",
        "mail-in-clear 530 5.7.0",
        "auth-under-tls True",
        "mail-without-login 530 5.7.0",
        "foreign-sender 553 5.7.1",
        "own-sender 250 2.1.0",
        "local-unknown 550 5.1.1",
        "limit 52428800",
        "too-large-by-size 552 5.3.4",
        "too-large-by-count 552 5.3.4",
        "wrong-password 535 5.7.8",
        "slowed True",
    ] {
        assert!(said.lines().any(|line| line == expected), "no `{expected}` in\n{said}");
    }
    let in_clear = said.lines().find(|line| line.starts_with("auth-command-in-clear"));
    assert!(in_clear.is_some_and(|line| line.contains(" 53") || line.contains(" 50")), "{said}");
}
