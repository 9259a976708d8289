//! Between this mail system and another, which nobody here wrote: messages over STARTTLS, and reports on those that
//! could not be delivered.

use std::fs;
use std::net::SocketAddr;

use pipeline_tests::{Dns, Options, Pipeline, Postfix, Program, clients, eventually, free_port, python};
use serde_json::Value;

use crate::WAYPOST;

/// With what a next hop could spoil: dots, octets above 127, trailing space, a line that begins with "From ".
const BODY: &str = "Grüße\r\n.\r\n..two dots\r\ntrailing space \r\nFrom here on\r\n\r\n\tlast line\r\n";

#[test]
fn messages_go_both_ways_over_tls_and_unchanged() {
    let Some(both) = Both::start() else { return };

    both.alice_sends("user@remote.test", "outward");
    let there = eventually("the message at Postfix", || both.postfix.mailbox().pop());
    let received = fields(&there, "Received").concat();
    assert!(received.contains("using TLSv1.3") && received.contains("by mx.remote.test"), "{there}");
    assert_eq!(fields(&there, "Return-Path"), ["<alice@example.test>"]);
    assert_eq!(body_of(&there), BODY.replace("\r\n", "\n"));

    both.postfix_sends("bob@example.test", "homeward");
    let here = eventually("the message at home", || clients::imaplib(&both.python, &both.pipeline).pop());
    let here = String::from_utf8(here).unwrap();
    let received = fields(&here, "Received");
    assert!(received[0].contains("from mx.remote.test") && received[0].contains("with ESMTPS"), "{here}");
    assert_eq!(fields(&here, "Return-Path"), ["<user@remote.test>"]);
    assert_eq!(body_of(&here), BODY);
}

#[test]
fn whom_the_other_does_not_know_is_reported_to_the_sender() {
    let Some(both) = Both::start() else { return };

    // Refused to us: the report is ours.
    both.alice_sends("unknown@remote.test", "refused there");
    let report = eventually("our report", || both.inbox_of_alice().pop());
    assert_eq!(report["fields"]["Return-Path"], "<>");
    assert!(text(&report["fields"]["Auto-Submitted"]).starts_with("auto-"), "{report}");
    assert_eq!(report["type"], "multipart/report");
    assert_eq!(report["report-type"], "delivery-status");
    assert_eq!(report["defects"], Value::from(Vec::<String>::new()));
    let parts: Vec<&str> =
        report["parts"].as_array().unwrap().iter().map(|part| text(&part["type"])).collect();
    assert_eq!(parts, ["text/plain", "message/delivery-status", "text/rfc822-headers"]);
    assert!(text(&report["parts"][0]["text"]).contains("unknown@remote.test"), "{report}");
    let [message, recipient] = status_of(&report);
    assert!(text(&message["Reporting-MTA"]).starts_with("dns; "), "{report}");
    assert!(!message["Arrival-Date"].is_null(), "{report}");
    assert_eq!(recipient["Final-Recipient"], "rfc822; unknown@remote.test");
    assert_eq!(recipient["Action"], "failed");
    assert_eq!(recipient["Status"], "5.1.1");
    assert_eq!(recipient["Remote-MTA"], "dns; mx.remote.test");
    let diagnostic = text(&recipient["Diagnostic-Code"]);
    assert!(diagnostic.starts_with("smtp; 550 5.1.1 ") && diagnostic.contains("User unknown"), "{report}");
    assert!(text(&report["parts"][2]["text"]).contains("Subject: refused there"), "{report}");

    // Refused by us: the report is Postfix', and says why.
    both.postfix_sends("nobody@example.test", "refused here");
    let report = eventually("Postfix' report", || both.postfix.mailbox().pop());
    assert!(report.contains("Final-Recipient: rfc822; nobody@example.test"), "{report}");
    assert!(
        report.contains("Status: 5.1.1") && report.contains("Diagnostic-Code: smtp; 550 5.1.1"),
        "{report}"
    );
}

#[test]
fn a_report_from_there_on_a_message_it_had_accepted_reaches_the_sender() {
    let Some(both) = Both::start() else { return };
    both.alice_sends("broken@remote.test", "accepted, then failed");
    let report = eventually("Postfix' report", || both.inbox_of_alice().pop());
    assert_eq!(report["fields"]["Return-Path"], "<>");
    assert_eq!(report["report-type"], "delivery-status");
    let [message, recipient] = status_of(&report);
    assert_eq!(message["Reporting-MTA"], "dns; mx.remote.test");
    assert_eq!(recipient["Final-Recipient"], "rfc822; broken@remote.test");
    assert_eq!(recipient["Action"], "failed");
    let returned = &report["parts"].as_array().unwrap().last().unwrap()["text"];
    assert!(text(returned).contains("Subject: accepted, then failed"), "{report}");
}

/// A pipeline with `example.test`, and a Postfix with `remote.test` that it finds by asking DNS.
struct Both {
    pipeline: Pipeline,
    postfix: Postfix,
    python: Program,
    _dns: Dns,
}

impl Both {
    /// `None` if a program is missing here.
    fn start() -> Option<Self> {
        let python = python("smtplib")?;
        let dns = Dns::start(&["remote.test. IN MX 10 mx.remote.test.", "mx.remote.test. IN A 127.0.0.1"])?;
        let port = free_port();
        let arguments = ["--resolver", &dns.address().to_string(), "--remote-smtp-port", &port.to_string()];
        let arguments = arguments.map(str::to_owned).to_vec();
        let pipeline = Pipeline::start(WAYPOST, &Options { arguments, ..Options::default() });
        let postfix = Postfix::start(port, pipeline.address("mta", "smtp"))?;
        Some(Self { pipeline, postfix, python, _dns: dns })
    }

    /// Alice submits to our MSA.
    fn alice_sends(&self, to: &str, subject: &str) {
        let file = self.pipeline.path("alice.eml");
        fs::write(&file, message("alice@example.test", to, subject)).unwrap();
        let output = clients::smtplib(&self.python, &self.pipeline, to, &file);
        assert!(output.status.success(), "{output:?}");
    }

    /// `user@remote.test` submits to Postfix.
    fn postfix_sends(&self, to: &str, subject: &str) {
        const SCRIPT: &str = "
import smtplib, sys
host, port, to, file = sys.argv[1:]
with smtplib.SMTP(host, int(port)) as s:
    s.sendmail('user@remote.test', [to], open(file, 'rb').read(), mail_options=['BODY=8BITMIME'])
";
        let file = self.pipeline.path("user.eml");
        fs::write(&file, message("user@remote.test", to, subject)).unwrap();
        let at: SocketAddr = self.postfix.address();
        let arguments = [&at.ip().to_string(), &at.port().to_string(), to, &file.display().to_string()];
        let output = self.python.command().args(["-c", SCRIPT]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// The messages in Alice's inbox, taken apart by Python's `email`.
    fn inbox_of_alice(&self) -> Vec<Value> {
        const SCRIPT: &str = r"
import email, imaplib, json, ssl, sys
port, ca = sys.argv[1:]

def fields(m):
    return {name: ' '.join(value.split()) for name, value in m.items()}

def part(p):
    blocks = p.get_payload() if p.is_multipart() else []
    return {'type': p.get_content_type(), 'text': p.as_string(), 'blocks': [fields(block) for block in blocks]}

def message(octets):
    m = email.message_from_bytes(octets)
    return {
        'fields': fields(m), 'type': m.get_content_type(), 'report-type': m.get_param('report-type'),
        'parts': [part(p) for p in m.get_payload()] if m.is_multipart() else [],
        'defects': [repr(defect) for p in m.walk() for defect in p.defects],
    }

with imaplib.IMAP4_SSL('localhost', int(port), ssl_context=ssl.create_default_context(cafile=ca)) as m:
    m.login('alice@example.test', 'secret')
    m.select('INBOX', readonly=True)
    numbers = m.search(None, 'ALL')[1][0].split()
    print(json.dumps([message(m.fetch(n, '(BODY.PEEK[])')[1][0][1]) for n in numbers]))
";
        let port = self.pipeline.address("mda", "imaps").port().to_string();
        let output = self.python.run(&["-c", SCRIPT, &port, &self.pipeline.ca()]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn message(from: &str, to: &str, subject: &str) -> String {
    format!(
        "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nFrom: {from}\r\nTo: {to}\r\nSubject: {subject}\r\n\
         Message-ID: <exchange@example.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n{BODY}"
    )
}

/// The values of a message's header fields of this name, unfolded.
fn fields(message: &str, name: &str) -> Vec<String> {
    let message = message.replace("\r\n", "\n");
    let (header, _) = message.split_once("\n\n").expect("a header");
    let unfolded = header.replace("\n\t", " ").replace("\n ", " ");
    let named = unfolded.lines().filter_map(|line| line.split_once(": ").filter(|(found, _)| *found == name));
    named.map(|(_, value)| value.to_owned()).collect()
}

fn body_of(message: &str) -> &str {
    let separator = if message.contains("\r\n") { "\r\n\r\n" } else { "\n\n" };
    message.split_once(separator).expect("a body").1
}

/// What a report says of the message, and of its one recipient.
fn status_of(report: &Value) -> [&Value; 2] {
    let blocks = report["parts"][1]["blocks"].as_array().expect("a delivery status");
    let [message, recipient] = blocks.as_slice() else { panic!("{report}") };
    [message, recipient]
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
