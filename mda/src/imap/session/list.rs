//! LIST, LSUB, NAMESPACE (RFC 9051 §6.3.9, RFC 3501 §6.3.9, RFC 9051 §6.3.10).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::access::OTHERS;
use super::pattern::Pattern;
use super::{Done, Failure, Outcome, Session, bad};
use crate::imap::parse::{List, ListSelection};
use crate::store::{AccountId, MailStore, Mailbox, MailboxName, Right, SpecialUse};

/// What LIST knows of a name.
#[derive(Default)]
struct Known {
    /// None: there is no such mailbox, only a subscription, or mailboxes below.
    mailbox: Option<Mailbox>,
    subscribed: bool,
    has_children: bool,
    /// Something below is subscribed.
    has_subscribed_children: bool,
}

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
        for (name, known) in self.known_names(account)? {
            // Many long patterns over many long names take long: others get their turn in between.
            tokio::task::consume_budget().await;
            if !patterns.iter().any(|pattern| pattern.matches(&name)) {
                continue;
            }
            let Some(attributes) = attributes(&known, list.selection, list.returns.subscribed) else {
                continue;
            };
            let encoding = self.encoding();
            let responses = &mut self.wire.responses;
            responses.raw("* LIST (").joined(attributes).raw(") \"/\" ").mailbox(&name, encoding);
            if list.selection.recursive_match && known.has_subscribed_children {
                responses.raw(" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
            }
            responses.crlf();
            if let Some(mailbox) = known.mailbox {
                if list.returns.my_rights {
                    self.tell_my_rights(&mailbox)?;
                }
                if !self.rights_to(account, mailbox.account, mailbox.id)?.has(Right::Read) {
                    continue;
                }
                if !list.returns.status.is_empty() {
                    self.tell_status(&mailbox, &list.returns.status)?;
                }
                if !list.returns.metadata.is_empty() {
                    self.tell_metadata(&mailbox, &list.returns.metadata)?;
                }
            }
            self.wire.relieve().await?;
        }
        Ok(Outcome::ok("LIST completed"))
    }

    /// Subscribed names. One that `%` stops short of stands for those below it, marked `\Noselect`.
    pub(super) fn lsub(&mut self, account: AccountId, reference: &[u8], pattern: &[u8]) -> Done {
        let patterns = self.patterns(reference, [pattern])?;
        let subscriptions = self.shared.store.subscriptions(account)?;
        let mut names: BTreeMap<MailboxName, bool> = BTreeMap::new();
        for name in subscriptions {
            for superior in name.superiors() {
                names.entry(superior).or_insert(false);
            }
            names.insert(name, true);
        }
        let only_levels = pattern.contains(&b'%');
        let encoding = self.encoding();
        for (name, subscribed) in names {
            if !(subscribed || only_levels) || !patterns.iter().any(|pattern| pattern.matches(&name)) {
                continue;
            }
            let responses = &mut self.wire.responses;
            responses.raw(if subscribed { "* LSUB () \"/\" " } else { "* LSUB (\\Noselect) \"/\" " });
            responses.mailbox(&name, encoding).crlf();
        }
        Ok(Outcome::ok("LSUB completed"))
    }

    fn patterns(
        &self,
        reference: &[u8],
        patterns: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Vec<Pattern>, Failure> {
        let decode = |text: &[u8]| self.encoding().decode(text).map_err(|error| bad(error.to_string()));
        let reference = decode(reference)?;
        patterns
            .into_iter()
            .map(|pattern| {
                let pattern = decode(pattern.as_ref())?;
                Pattern::new(&reference, &pattern).map_err(|error| bad(error.to_string()))
            })
            .collect()
    }

    /// Those of others that the user may see, under the names that the user sees; what they are for is their owners'.
    pub(super) fn shared_mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>, Failure> {
        let mut shared = Vec::new();
        if !self.offers("ACL") {
            return Ok(shared);
        }
        for (mailbox, rights) in self.shared.store.shared_with(account)? {
            let owner = self.shared.store.account(mailbox.account)?.name;
            let shown = MailboxName::parse(&format!("{OTHERS}/{owner}/{}", mailbox.name));
            if let (true, Ok(name)) = (rights.has(Right::Lookup), shown) {
                shared.push(Mailbox { name, special_use: None, subscribed: false, ..mailbox });
            }
        }
        Ok(shared)
    }

    /// Mailboxes, subscriptions, and the names above them.
    fn known_names(&self, account: AccountId) -> Result<BTreeMap<MailboxName, Known>, Failure> {
        let mut names: BTreeMap<MailboxName, Known> = BTreeMap::new();
        let own = self.shared.store.mailboxes(account)?;
        for mailbox in own.into_iter().chain(self.shared_mailboxes(account)?) {
            for superior in mailbox.name.superiors() {
                names.entry(superior).or_default().has_children = true;
            }
            let name = mailbox.name.clone();
            names.entry(name).or_default().mailbox = Some(mailbox);
        }
        for name in self.shared.store.subscriptions(account)? {
            for superior in name.superiors() {
                names.entry(superior).or_default().has_subscribed_children = true;
            }
            names.entry(name).or_default().subscribed = true;
        }
        Ok(names)
    }
}

/// The attributes of a name; None if it is not asked for.
fn attributes(known: &Known, selection: ListSelection, return_subscribed: bool) -> Option<Vec<&'static str>> {
    let special_use = known.mailbox.as_ref().and_then(|mailbox| mailbox.special_use);
    if selection.subscribed {
        let by_child = selection.recursive_match && known.has_subscribed_children;
        if !known.subscribed && !by_child {
            return None;
        }
    } else if known.mailbox.is_none() && !known.has_children {
        return None;
    }
    if selection.special_use && special_use.is_none() {
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
    attributes.extend(special_use.map(SpecialUse::as_str));
    Some(attributes)
}
