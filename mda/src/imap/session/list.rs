//! LIST, LSUB, NAMESPACE (RFC 9051 §6.3.9, RFC 3501 §6.3.9, RFC 9051 §6.3.10).

mod names;

use bytes::Bytes;

use super::access::{OTHERS, aside};
use super::metadata::may_read_annotations;
use super::pattern::Patterns;
use super::{Done, Failure, Outcome, Session};
use crate::imap::parse::{List, ListReturn, ListSelection};
use crate::store::{AccountId, MailStore, Mailbox, Right, SpecialUse};

use names::Known;

impl<S: MailStore> Session<S> {
    /// One's own, and what others share; there is nothing that is nobody's.
    pub(super) fn namespace(&mut self) -> Outcome {
        let others = if self.offers("ACL") { format!("((\"{OTHERS}/\" \"/\"))") } else { "NIL".to_owned() };
        self.wire.responses.raw("* NAMESPACE ((\"\" \"/\")) ").raw(&others).raw(" NIL").crlf();
        Outcome::ok("NAMESPACE completed")
    }

    pub(super) async fn list(&mut self, account: AccountId, list: List) -> Done {
        if !list.extended && list.patterns.iter().all(Bytes::is_empty) {
            // RFC 9051 §6.3.9: an empty pattern asks for the separator.
            self.wire.responses.raw("* LIST (\\Noselect) \"/\" \"\"").crlf();
            return Ok(Outcome::ok("LIST completed"));
        }
        let patterns = self.patterns(&list.reference, &list.patterns)?;
        let (shares, selection) = (self.offers("ACL"), list.selection);
        let gather = move |store: &S| names::listed(store, account, shares, &patterns, selection);
        for (name, known) in aside(&self.shared.store, gather).await? {
            let Some(mut attributes) = attributes(&known, list.selection, list.returns.subscribed) else {
                continue;
            };
            // RFC 9051 §6.3.9.2: it may be seen, and not be selected. That it is not there at all a client of old is
            // told in this way too (RFC 3501 §7.2.2).
            let is_closed = match &known.mailbox {
                Some(mailbox) => !self.rights_to(account, mailbox.account, mailbox.id)?.has(Right::Read),
                None => !list.extended && !self.rev2(),
            };
            if is_closed {
                attributes.push("\\Noselect");
            }
            let encoding = self.encoding();
            let responses = &mut self.wire.responses;
            responses
                .raw("* LIST (")
                .joined(attributes)
                .raw(") \"/\" ")
                .mailbox_text(name.as_str(), encoding);
            if list.selection.recursive_match && known.has_selected_children {
                responses.raw(" (\"CHILDINFO\" (").joined(criteria(list.selection)).raw("))");
            }
            responses.crlf();
            if known.is_selected(list.selection)
                && let Some(mailbox) = known.mailbox
            {
                self.tell_more(account, &mailbox, &list.returns).await?;
            }
            self.wire.relieve().await?;
        }
        Ok(Outcome::ok("LIST completed"))
    }

    /// What is to be told of a mailbox that is selected itself, not only something below it (RFC 5819 §2, RFC 8440 §3,
    /// RFC 9590 §4).
    async fn tell_more(
        &mut self,
        account: AccountId,
        mailbox: &Mailbox,
        returns: &ListReturn,
    ) -> Result<(), Failure> {
        if returns.my_rights {
            self.tell_my_rights(mailbox)?;
        }
        let rights = self.rights_to(account, mailbox.account, mailbox.id)?;
        if !returns.status.is_empty() && rights.has(Right::Read) {
            self.heed_status_items(&returns.status);
            self.tell_status(mailbox, &returns.status).await?;
        }
        if !returns.metadata.is_empty() && may_read_annotations(rights) {
            self.tell_metadata(mailbox, &returns.metadata)?;
        }
        Ok(())
    }

    /// Subscribed names. One that `%` stops short of stands for those below it, marked `\Noselect`.
    pub(super) async fn lsub(&mut self, account: AccountId, reference: &[u8], pattern: &[u8]) -> Done {
        let patterns = self.patterns(reference, [pattern])?;
        let only_levels = pattern.contains(&b'%');
        let gather = move |store: &S| names::subscribed(store, account, &patterns);
        let encoding = self.encoding();
        for (name, known) in aside(&self.shared.store, gather).await? {
            if known.subscribed || only_levels {
                let responses = &mut self.wire.responses;
                responses.raw(if known.subscribed {
                    "* LSUB () \"/\" "
                } else {
                    "* LSUB (\\Noselect) \"/\" "
                });
                responses.mailbox_text(name.as_str(), encoding).crlf();
                self.wire.relieve().await?;
            }
        }
        Ok(Outcome::ok("LSUB completed"))
    }

    /// A pattern that no name can match is passed over (RFC 9051 §6.3.9). What it would have matched must not seem to be
    /// gone if it is only too long.
    fn patterns(
        &self,
        reference: &[u8],
        texts: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Patterns, Failure> {
        let encoding = self.encoding();
        let mut patterns = Patterns::default();
        let Ok(reference) = encoding.decode(reference) else { return Ok(patterns) };
        for text in texts {
            let Ok(text) = encoding.decode(text.as_ref()) else { continue };
            if !patterns.add(&reference, &text) {
                return Err(Failure::Refused(Outcome::no("LIMIT", "the patterns are too long together")));
            }
        }
        Ok(patterns)
    }
}

/// The attributes of a name; None if it is not asked for.
fn attributes(known: &Known, selection: ListSelection, return_subscribed: bool) -> Option<Vec<&'static str>> {
    // RFC 5258 §3.4: what is listed below it says enough of a name that is not selected itself.
    if !(known.is_selected(selection) || selection.recursive_match && known.has_unlisted_children) {
        return None;
    }
    // A name may be subscribed without being there; else it is nothing without mailboxes below.
    if !selection.subscribed && known.mailbox.is_none() && !known.has_children {
        return None;
    }
    let mut attributes = Vec::new();
    if known.mailbox.is_none() {
        attributes.push("\\NonExistent");
    }
    if known.subscribed && (selection.subscribed || return_subscribed) {
        attributes.push("\\Subscribed");
    }
    attributes.push(if known.has_children { "\\HasChildren" } else { "\\HasNoChildren" });
    attributes.extend(known.special_use().map(SpecialUse::as_str));
    Some(attributes)
}

/// The options that select, as CHILDINFO names them (RFC 5258 §3.5, RFC 6154 §2).
fn criteria(selection: ListSelection) -> impl Iterator<Item = &'static str> {
    let named = [(selection.subscribed, "\"SUBSCRIBED\""), (selection.special_use, "\"SPECIAL-USE\"")];
    named.into_iter().filter_map(|(is_given, name)| is_given.then_some(name))
}
