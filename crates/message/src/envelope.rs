//! What a message says about itself at the top, as IMAP's ENVELOPE gives it (RFC 9051 §7.5.2).
//!
//! Not the envelope of SMTP.

use crate::address_list::Entry;

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
