//! ENABLE (RFC 9051 §6.3.1): extensions that change what a client is sent, and so wait until it says that it knows
//! them.

use super::{Outcome, Session};
use crate::imap::name::Encoding;
use crate::store::MailStore;

/// Something that a client can enable; each is a capability too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    /// Names in UTF-8, results of SEARCH as ESEARCH, no `\Recent` (RFC 9051).
    Imap4Rev2 = 1,
    /// Names and quoted strings in UTF-8 (RFC 6855).
    Utf8 = 2,
    /// Modseqs with all that is told of messages (RFC 7162 §3.1).
    CondStore = 4,
    /// Expunges by UID, and resynchronisation at SELECT (RFC 7162 §3.2).
    QResync = 8,
    /// No message numbers at all (RFC 9586).
    UidOnly = 16,
}

impl Extension {
    const ALL: [Self; 5] = [Self::Imap4Rev2, Self::Utf8, Self::CondStore, Self::QResync, Self::UidOnly];

    fn as_str(self) -> &'static str {
        match self {
            Self::Imap4Rev2 => "IMAP4rev2",
            Self::Utf8 => "UTF8=ACCEPT",
            Self::CondStore => "CONDSTORE",
            Self::QResync => "QRESYNC",
            Self::UidOnly => "UIDONLY",
        }
    }
}

/// What the client has enabled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Enabled(u8);

impl Enabled {
    pub(super) fn has(self, extension: Extension) -> bool {
        self.0 & extension as u8 != 0
    }

    pub(super) fn add(&mut self, extension: Extension) {
        self.0 |= extension as u8;
    }
}

impl<S: MailStore> Session<S> {
    /// What is not known is passed over; what was enabled before is not told again (RFC 5161 §3.2).
    pub(super) fn enable(&mut self, names: &[String]) -> Outcome {
        self.wire.responses.raw("* ENABLED");
        let mut asks_modseqs = false;
        for extension in Extension::ALL {
            let name = extension.as_str();
            let asked = names.iter().any(|asked| asked.eq_ignore_ascii_case(name));
            if asked && self.offers(name) && !self.enabled.has(extension) {
                if extension == Extension::CondStore {
                    asks_modseqs = true;
                } else {
                    self.enabled.add(extension);
                }
                self.wire.responses.raw(" ").raw(name);
            }
        }
        self.wire.responses.crlf();
        if asks_modseqs || self.enabled.has(Extension::QResync) {
            self.enable_modseqs();
        }
        Outcome::ok("ENABLE completed")
    }

    pub(super) fn rev2(&self) -> bool {
        self.enabled.has(Extension::Imap4Rev2)
    }

    pub(super) fn encoding(&self) -> Encoding {
        if self.rev2() || self.enabled.has(Extension::Utf8) { Encoding::Utf8 } else { Encoding::ModifiedUtf7 }
    }
}
