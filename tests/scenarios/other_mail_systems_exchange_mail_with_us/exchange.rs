//! A pipeline with `example.test` and another mail system with `remote.test`, which the pipeline finds by asking DNS.

use std::fs;

use pipeline_tests::mta::{BARE, Mta, PLAIN, Setup, WHOLE};
use pipeline_tests::{
    Certificate, Dns, Options, Pipeline, Program, eventually, free_port, python, read_inbox,
};

use super::Peer;
use super::letter::{Arrived, Letter};
use crate::WAYPOST;

pub(super) struct Exchange {
    pub(super) pipeline: Pipeline,
    pub(super) peer: Box<dyn Mta>,
    python: Program,
    port: u16,
    _dns: Dns,
}

/// The largest messages that either side takes, in octets.
pub(super) struct SizeLimits {
    pub(super) waypost: usize,
    pub(super) peer: usize,
}

impl Exchange {
    /// `None` if a program is missing here.
    pub(super) fn start(peer: &Peer, limits: &SizeLimits) -> Option<Self> {
        let python = python("smtplib")?;
        let records: Vec<String> = [("", WHOLE), ("plain.", PLAIN), ("bare.", BARE)]
            .into_iter()
            .flat_map(|(sub, address)| {
                [
                    format!("{sub}remote.test. IN MX 10 mx.{sub}remote.test."),
                    format!("mx.{sub}remote.test. IN A {address}"),
                ]
            })
            .collect();
        let dns = Dns::start(&records.iter().map(String::as_str).collect::<Vec<_>>())?;
        let port = free_port();
        let mut arguments = vec![
            "--resolver".to_owned(),
            dns.address().to_string(),
            "--remote-smtp-port".into(),
            port.to_string(),
        ];
        for argument in ["--domain", "example.test", "--domain", "plain.example.test"] {
            arguments.push(argument.to_owned());
        }
        arguments.extend(["--account".to_owned(), "bob@plain.example.test=secret".to_owned()]);
        let environment = vec![("WAYPOST_MTA__LIMITS__MESSAGE_SIZE", limits.waypost.to_string())];
        let pipeline = Pipeline::start(WAYPOST, &Options { arguments, environment, ..Options::default() });
        let peer = (peer.start)(&Setup {
            domains: &["remote.test", "plain.remote.test", "bare.remote.test"],
            port,
            example_test: pipeline.address("mta", "smtp"),
            size_limit: limits.peer,
            certificate: &Certificate::self_signed(&["mx.remote.test"]),
        })?;
        Some(Self { pipeline, peer, python, port, _dns: dns })
    }

    /// Alice submits to our MSA, over TLS and with her password.
    pub(super) fn alice_sends(&self, letters: &[Letter]) {
        let port = self.pipeline.address("msa", "submission").port();
        self.send(port, &self.pipeline.ca(), letters);
    }

    /// Somebody submits to the peer.
    pub(super) fn peer_sends(&self, letters: &[Letter]) {
        self.send(self.port, "", letters);
    }

    fn send(&self, port: u16, ca: &str, letters: &[Letter]) {
        const SCRIPT: &str = "
import json, smtplib, ssl, sys
port, ca, file = sys.argv[1:]
for letter in json.load(open(file)):
    with smtplib.SMTP('localhost' if ca else '127.0.0.1', int(port)) as s:
        if ca:
            s.starttls(context=ssl.create_default_context(cafile=ca))
            s.login('alice@example.test', 'secret')
        try:
            s.sendmail(letter['from'], [letter['to']], letter['message'].encode(), letter['mail'], letter['rcpt'])
        except smtplib.SMTPException as e:
            sys.exit(f\"{letter['mail']} {letter['rcpt']}: {e}\")
";
        let file = self.pipeline.path("letters.json");
        let letters: Vec<_> = letters.iter().map(Letter::json).collect();
        fs::write(&file, serde_json::to_vec(&letters).unwrap()).unwrap();
        let output = self.python.run(&["-c", SCRIPT, &port.to_string(), ca, &file.display().to_string()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The message of this subject, once the peer has it.
    pub(super) fn at_peer(&self, subject: &str) -> Arrived {
        eventually(&format!("`{subject}` at the peer"), || {
            self.peer_has(|message| message.has_subject(subject))
        })
    }

    /// The peer's own report, to `user@remote.test`, on the message of this subject.
    pub(super) fn report_at_peer(&self, subject: &str) -> Arrived {
        eventually(&format!("a report on `{subject}` at the peer"), || {
            self.peer_has(|message| message.reports(subject))
        })
    }

    fn peer_has(&self, wanted: impl Fn(&Arrived) -> bool) -> Option<Arrived> {
        self.peer.mailbox().into_iter().map(Arrived).find(wanted)
    }

    /// The message of this subject, once it lies in an account's inbox.
    pub(super) fn in_inbox(&self, account: &str, subject: &str) -> Arrived {
        eventually(&format!("`{subject}` in the inbox of {account}"), || {
            self.inbox(account).into_iter().find(|message| message.has_subject(subject))
        })
    }

    /// A report to alice on the message of this subject.
    pub(super) fn report_to_alice(&self, subject: &str) -> Arrived {
        eventually(&format!("a report on `{subject}` to alice"), || {
            self.inbox("alice@example.test").into_iter().find(|message| message.reports(subject))
        })
    }

    /// The types of the parts of a message, by Python's `email`, which must find no fault with it.
    pub(super) fn parts_of(&self, message: &Arrived) -> String {
        const SCRIPT: &str = "
import email, sys
message = email.message_from_file(open(sys.argv[1], encoding='utf-8'))
print([repr(defect) for part in message.walk() for defect in part.defects] or
      ' '.join([message.get_content_type()] + [part.get_content_type() for part in message.get_payload()]))
";
        let file = self.pipeline.path("message.eml");
        fs::write(&file, &message.0).unwrap();
        let output = self.python.run(&["-c", SCRIPT, &file.display().to_string()]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn inbox(&self, account: &str) -> Vec<Arrived> {
        let mut messages = Vec::new();
        let read = read_inbox(&self.pipeline, account, 1, "BODY.PEEK[]", |stored| {
            let text = String::from_utf8(stored.octets).expect("UTF-8");
            messages.push(Arrived(text.replace("\r\n", "\n")));
        });
        read.expect("the inbox");
        messages
    }
}
