//! ENVELOPE (RFC 9051 §7.5.2).

use message::address_list::{Entry, Mailbox};
use message::envelope::Envelope;

use super::Responses;

impl Responses {
    /// `envelope`
    pub(in crate::imap) fn envelope(&mut self, envelope: &Envelope) -> &mut Self {
        self.raw("(").optional(envelope.date.as_deref()).raw(" ").optional(envelope.subject.as_deref());
        for addresses in
            [&envelope.from, &envelope.sender, &envelope.reply_to, &envelope.to, &envelope.cc, &envelope.bcc]
        {
            self.raw(" ").addresses(addresses);
        }
        self.raw(" ").optional(envelope.in_reply_to.as_deref());
        self.raw(" ").optional(envelope.message_id.as_deref()).raw(")")
    }

    pub(super) fn optional(&mut self, text: Option<&str>) -> &mut Self {
        self.nstring(text.map(str::as_bytes))
    }

    /// `"(" 1*address ")" / nil`
    fn addresses(&mut self, entries: &[Entry]) -> &mut Self {
        if entries.is_empty() {
            return self.raw("NIL");
        }
        self.raw("(");
        for entry in entries {
            match entry {
                Entry::Mailbox(mailbox) => self.address(mailbox),
                Entry::GroupStart(name) => self.raw("(NIL NIL ").string(name.as_bytes()).raw(" NIL)"),
                Entry::GroupEnd => self.raw("(NIL NIL NIL NIL)"),
            };
        }
        self.raw(")")
    }

    fn address(&mut self, mailbox: &Mailbox) -> &mut Self {
        self.raw("(").optional(mailbox.name.as_deref());
        self.raw(" ").optional(mailbox.route.as_deref());
        // A host of NIL would be the mark of a group: an address without domain has an empty one.
        self.raw(" ").string(mailbox.local_part.as_bytes());
        self.raw(" ").string(mailbox.domain.as_bytes()).raw(")")
    }
}
