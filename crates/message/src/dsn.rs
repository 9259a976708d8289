//! Delivery status notifications (RFC 3464 in RFC 6522, by the rules of RFC 3461 §6; RFC 6533 beyond ASCII).
//!
//! A report has three parts: words for people, fields for programs, and the message it is about or its header. The
//! last may be large, so a report is built as what stands before it and what stands behind it.
//!
//! The null reverse-path, without which reports on reports would never end, belongs to the envelope: it is up to
//! whoever sends this.

mod explanation;
mod fields;
mod human;

#[cfg(test)]
mod tests;

use std::fmt::{self, Write};

use jiff::Timestamp;

use crate::address::Address;
use crate::date::DateTime;
use crate::id::MessageId;
use crate::words;

/// What became of a message, for its sender.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The id of the report itself.
    pub id: MessageId,
    /// When the report is made.
    pub at: Timestamp,
    /// The name of the host that reports.
    pub reporting_mta: &'a str,
    /// The sender of the message, from its reverse-path.
    pub to: &'a Address,
    /// What became of it for each recipient that the report is about; at least one.
    pub recipients: &'a [Recipient<'a>],
    /// The id of the message in this pipeline.
    pub original_id: MessageId,
    /// ENVID, decoded; empty if there was none.
    pub envelope_id: &'a str,
    /// When the message came.
    pub arrived_at: Timestamp,
    /// The message's `Subject` as people read it.
    pub subject: Option<&'a str>,
    /// The message's `Message-ID`, with its angle brackets.
    pub message_id: Option<&'a str>,
    /// What of the message comes with the report.
    pub returned: Returned,
    /// The message came with SMTPUTF8, so its sender can read a report that needs it.
    pub smtputf8: bool,
    /// What is returned of the message is not all ASCII.
    pub eight_bit: bool,
}

/// What became of a message for one recipient. Texts from elsewhere may hold anything.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    /// From the envelope.
    pub address: &'a str,
    /// ORCPT with its type, decoded; empty if there was none.
    pub original: &'a str,
    /// What was done.
    pub action: Action,
    /// Enhanced status code (RFC 3463), such as `5.1.1`; empty if there is none.
    pub status: &'a str,
    /// The host that said so, if another did.
    pub remote_mta: Option<&'a str>,
    /// What it said, reply code and text; or what failed here, in words.
    pub diagnostic: Option<&'a str>,
    /// The last attempt.
    pub last_attempt: Option<Timestamp>,
    /// For `Delayed`: when the message will be given up.
    pub will_retry_until: Option<Timestamp>,
    /// For `Failed`: it failed for no lasting reason, and was tried until its time was over.
    pub expired: bool,
}

/// What was done (RFC 3464 §2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It is given up.
    Failed,
    /// It is late, and still tried.
    Delayed,
    /// It is in the mailbox.
    Delivered,
    /// It went to a host that may not report on it.
    Relayed,
    /// It went on to several addresses that stand behind this one.
    Expanded,
}

impl Action {
    /// Its name in the field `Action`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }

    /// The status that says no more than the action does (RFC 3463 §3.1).
    fn plain_status(self) -> &'static str {
        match self {
            Self::Failed => "5.0.0",
            Self::Delayed => "4.0.0",
            Self::Delivered | Self::Relayed | Self::Expanded => "2.0.0",
        }
    }
}

/// What of the message comes with the report (RET of RFC 3461 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Returned {
    /// All of it.
    Message,
    /// Its header block.
    Header,
}

/// A report but for what is returned of the message: that stands between the two, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// What stands before it.
    pub prefix: Vec<u8>,
    /// What stands behind it.
    pub suffix: Vec<u8>,
    /// The report can travel only with SMTPUTF8.
    pub smtputf8: bool,
}

impl Report<'_> {
    /// Builds the report.
    pub fn build(&self) -> Built {
        let smtputf8 = self.needs_smtputf8();
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write_prefix(&mut text, smtputf8);
        let suffix = format!("\r\n--{}--\r\n", self.boundary()).into_bytes();
        Built { prefix: text.into_bytes(), suffix, smtputf8 }
    }

    /// Whether the report has to be one of RFC 6533. One that says the same in ASCII can go everywhere (RFC 6533 §4.4).
    fn needs_smtputf8(&self) -> bool {
        let is_ascii =
            |recipient: &Recipient<'_>| recipient.address.is_ascii() && recipient.original.is_ascii();
        let beyond_ascii = self.eight_bit || !self.recipients.iter().all(is_ascii);
        !self.to.is_ascii() || self.smtputf8 && beyond_ascii
    }

    fn write_prefix(&self, out: &mut String, smtputf8: bool) -> fmt::Result {
        let boundary = self.boundary();
        self.write_header(out, smtputf8)?;
        write!(out, "\r\n--{boundary}\r\n")?;
        human::write(self, out)?;
        write!(out, "\r\n--{boundary}\r\n")?;
        fields::write(self, smtputf8, out)?;
        write!(out, "\r\n--{boundary}\r\n")?;
        let media_type = match (self.returned, smtputf8) {
            (Returned::Message, false) => "message/rfc822",
            (Returned::Message, true) => "message/global",
            (Returned::Header, false) => "text/rfc822-headers",
            (Returned::Header, true) => "message/global-headers",
        };
        let description = match self.returned {
            Returned::Message => "Your message",
            Returned::Header => "The header of your message",
        };
        let encoding = transfer_encoding(self.eight_bit || smtputf8);
        write!(out, "Content-Type: {media_type}\r\nContent-Description: {description}\r\n{encoding}\r\n")
    }

    fn write_header(&self, out: &mut String, smtputf8: bool) -> fmt::Result {
        let host = self.reporting_mta;
        write!(out, "Date: {}\r\n", DateTime::from(self.at))?;
        write!(out, "From: Mail Delivery System <MAILER-DAEMON@{host}>\r\n")?;
        write!(out, "To: <{}>\r\n", self.to)?;
        write!(out, "Subject: {}\r\n", words::encode(&human::subject(self)))?;
        write!(out, "Message-ID: <{}@{host}>\r\n", self.id)?;
        if let Some(message_id) = self.message_id.filter(|id| is_message_id(id)) {
            write!(out, "References: {message_id}\r\n")?;
        }
        // RFC 3834 §3.1.8.
        write!(out, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n")?;
        write!(
            out,
            "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{}\"\r\n",
            self.boundary()
        )?;
        out.write_str(transfer_encoding(self.eight_bit || smtputf8))
    }

    /// No line of the message is this: nobody knew the id when it was written.
    fn boundary(&self) -> String {
        format!("=_{}", self.id)
    }
}

fn transfer_encoding(eight_bit: bool) -> &'static str {
    if eight_bit { "Content-Transfer-Encoding: 8bit\r\n" } else { "" }
}

/// Whether the text can stand in `References` as it is.
fn is_message_id(text: &str) -> bool {
    text.len() < 900
        && text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).is_some_and(|id| {
            !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>".contains(&byte))
        })
}

/// Text from elsewhere on one line: at most so many characters, none of them controls, ASCII alone if it has to be.
fn harmless(text: &str, ascii: bool) -> String {
    const MAX_TEXT: usize = 2_000;
    let tame = |c: char| match c {
        _ if c.is_whitespace() => ' ',
        _ if c.is_control() || ascii && !c.is_ascii() => '?',
        _ => c,
    };
    let text: String = text.trim().chars().take(MAX_TEXT).map(tame).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Breaks text into lines of at most so many octets at its blanks, or within a word that is longer.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word;
        while let Some(line) = lines.last_mut() {
            let room = width.saturating_sub(line.len() + usize::from(!line.is_empty()));
            if word.len() <= room || line.is_empty() {
                let fits = word.floor_char_boundary(room.max(4));
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(&word[..fits]);
                word = &word[fits..];
                if word.is_empty() {
                    break;
                }
            }
            lines.push(String::new());
        }
    }
    lines
}
