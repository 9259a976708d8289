//! What a message says about itself at the top, as IMAP's ENVELOPE gives it (RFC 9051 §7.5.2).
//!
//! Not the envelope of SMTP.

use crate::address_list::{self, Entry};
use crate::header;
use crate::parameters::MAX_FIELD;
use crate::words;

/// The fields, in the order of [`Envelope`].
const NAMES: [&str; 10] =
    ["Date", "Subject", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "In-Reply-To", "Message-ID"];

/// The fields of ENVELOPE, in its order. `None`: the field is not there; empty text: it is there, and empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// `Date`, unfolded, not judged.
    pub date: Option<String>,
    /// `Subject`, unfolded, encoded-words still encoded.
    pub subject: Option<String>,
    /// `From`.
    pub from: Vec<Entry>,
    /// `Sender`; the same as `from` if there is none.
    pub sender: Vec<Entry>,
    /// `Reply-To`; the same as `from` if there is none.
    pub reply_to: Vec<Entry>,
    /// `To`.
    pub to: Vec<Entry>,
    /// `Cc`.
    pub cc: Vec<Entry>,
    /// `Bcc`.
    pub bcc: Vec<Entry>,
    /// `In-Reply-To`, unfolded.
    pub in_reply_to: Option<String>,
    /// `Message-ID`, unfolded.
    pub message_id: Option<String>,
}

impl Envelope {
    /// Reads the fields from a header block. Of a field that is there twice, the first counts.
    pub fn parse(block: &[u8]) -> Self {
        let mut envelope = Self::default();
        let (mut sender, mut reply_to) = (None, None);
        for field in header::fields(block) {
            let Some(name) = NAMES.iter().position(|name| field.is(name)) else { continue };
            let value = &field.value[..field.value.len().min(MAX_FIELD)];
            let text = || Some(words::legible(&header::unfold(value)));
            let addresses = || address_list::parse(value);
            match name {
                0 => envelope.date = envelope.date.or_else(text),
                1 => envelope.subject = envelope.subject.or_else(text),
                2 if envelope.from.is_empty() => envelope.from = addresses(),
                3 if sender.is_none() => sender = Some(addresses()),
                4 if reply_to.is_none() => reply_to = Some(addresses()),
                5 if envelope.to.is_empty() => envelope.to = addresses(),
                6 if envelope.cc.is_empty() => envelope.cc = addresses(),
                7 if envelope.bcc.is_empty() => envelope.bcc = addresses(),
                8 => envelope.in_reply_to = envelope.in_reply_to.or_else(text),
                9 => envelope.message_id = envelope.message_id.or_else(text),
                _ => {}
            }
        }
        let or_from = |list: Option<Vec<Entry>>, from: &Vec<Entry>| {
            list.filter(|list| !list.is_empty()).unwrap_or_else(|| from.clone())
        };
        envelope.sender = or_from(sender, &envelope.from);
        envelope.reply_to = or_from(reply_to, &envelope.from);
        envelope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_fields_and_empty_ones_differ() {
        let envelope =
            Envelope::parse(b"Subject:\r\nDATE: some\r\n day\r\nFrom: a@b.test\r\nSender: \r\n\r\nTo: x\r\n");
        assert_eq!(envelope.subject.as_deref(), Some(""));
        assert_eq!(envelope.date.as_deref(), Some("some day"));
        assert_eq!(envelope.message_id, None);
        assert_eq!(envelope.to, []);
        assert_eq!(envelope.sender, envelope.from);
        assert_eq!(envelope.reply_to, envelope.from);
    }

    #[test]
    fn every_field_is_read_and_the_first_of_doubles() {
        let list = |text: &str| address_list::parse(text.as_bytes());
        let block = b"From: f@x\r\nSender: s@x\r\nReply-To: r@x\r\nTo: t@x\r\nTo: u@x\r\nCc: c@x, d@x\r\nBcc: b@x\r\n\
            In-Reply-To: <i@x>\r\nMessage-ID: <m@x>\r\nSubject: =?utf-8?q?a?=\r\nSubject: two\r\nDate: d\r\n";
        assert_eq!(
            Envelope::parse(block),
            Envelope {
                date: Some("d".into()),
                subject: Some("=?utf-8?q?a?=".into()),
                from: list("f@x"),
                sender: list("s@x"),
                reply_to: list("r@x"),
                to: list("t@x"),
                cc: list("c@x, d@x"),
                bcc: list("b@x"),
                in_reply_to: Some("<i@x>".into()),
                message_id: Some("<m@x>".into()),
            }
        );
    }
}
