//! What is sent, and what is read of what arrives.

use serde_json::{Value, json};

/// With what a next hop could spoil: dots, octets above 127, trailing space, a line that begins with "From ".
pub(super) const BODY: &str =
    "Grüße\r\n.\r\n..two dots\r\ntrailing space \r\nFrom here on\r\n\r\n\tlast line\r\n";

/// A message and how it is submitted.
pub(super) struct Letter {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    /// Names it among all that are sent.
    pub(super) subject: &'static str,
    pub(super) body: String,
    /// Parameters of MAIL.
    pub(super) mail: &'static [&'static str],
    /// Parameters of RCPT.
    pub(super) rcpt: &'static [&'static str],
}

impl Letter {
    /// An ordinary one, of 8-bit text.
    pub(super) fn new(from: &'static str, to: &'static str, subject: &'static str) -> Self {
        Self { from, to, subject, body: BODY.to_owned(), mail: &["BODY=8BITMIME"], rcpt: &[] }
    }

    /// One of `size` octets and a little more.
    pub(super) fn large(from: &'static str, to: &'static str, subject: &'static str, size: usize) -> Self {
        let line = "0123456789".repeat(7) + "\r\n";
        Self { body: line.repeat(size / line.len() + 1), ..Self::new(from, to, subject) }
    }

    /// For the program that submits it.
    pub(super) fn json(&self) -> Value {
        let Self { from, to, subject, body, mail, rcpt } = self;
        let message = format!(
            "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nFrom: {from}\r\nTo: {to}\r\nSubject: {subject}\r\n\
             Message-ID: <{id}@example.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 8bit\r\n\r\n{body}",
            id = subject.replace(' ', "-"),
        );
        json!({ "from": from, "to": to, "mail": mail, "rcpt": rcpt, "message": message })
    }
}

/// A message that has arrived, its lines ending in LF.
#[derive(Clone, Debug)]
pub(super) struct Arrived(pub(super) String);

impl Arrived {
    /// The values of its header fields of this name, unfolded.
    pub(super) fn fields(&self, name: &str) -> Vec<String> {
        let (header, _) = self.0.split_once("\n\n").expect("a header");
        let unfolded = header.replace("\n\t", " ").replace("\n ", " ");
        let named = unfolded.lines().filter_map(|line| line.split_once(':'));
        let named = named.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim().to_owned()).collect()
    }

    pub(super) fn body(&self) -> &str {
        self.0.split_once("\n\n").expect("a body").1
    }

    pub(super) fn has_subject(&self, subject: &str) -> bool {
        self.fields("Subject") == [subject]
    }

    /// Whether it is a report on the message with this subject.
    pub(super) fn reports(&self, subject: &str) -> bool {
        self.body().lines().any(|line| line.strip_prefix("Subject: ") == Some(subject))
    }

    /// What a report says under this name, of the message or of its one recipient.
    pub(super) fn says(&self, name: &str) -> String {
        let unfolded = self.body().replace("\n\t", " ").replace("\n ", " ");
        let named = unfolded.lines().filter_map(|line| line.split_once(':'));
        let mut named = named.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    }

    /// The status in a report, without the comment behind it.
    pub(super) fn status(&self) -> String {
        self.says("Status").split_whitespace().next().unwrap_or_default().to_owned()
    }

    /// ENVID and ORCPT, as a report gives them back.
    pub(super) fn original_envelope(&self) -> [String; 2] {
        [self.says("Original-Envelope-Id"), self.says("Original-Recipient").replace(' ', "")]
    }
}
