//! Mailboxes as a whole: CREATE, DELETE, RENAME, SUBSCRIBE, STATUS (RFC 9051 §6.3).

use bytes::Bytes;

use super::access::{Place, no_permission};
use super::{Done, Failure, Outcome, Session};
use crate::imap::parse::StatusItem;
use crate::store::{AccountId, MailStore, Mailbox, MailboxStatus, Right, SpecialUse};

impl<S: MailStore> Session<S> {
    pub(super) async fn create(&mut self, account: AccountId, name: &Bytes, uses: &[String]) -> Done {
        let name = self.mailbox_name(name)?;
        let special_use = special_use(uses)?;
        let place = self.place(account, &name)?;
        if special_use.is_some() && place.owner != account {
            // The owner's mail programs would put mail there, for others to read.
            return Err(Failure::Refused(Outcome::no("USEATTR", "special uses are the owner's to choose")));
        }
        let superior = self.superior(&place)?;
        self.check_may_create(account, &place, superior.as_ref())?;
        let created = self.shared.store.create_mailbox(place.owner, place.name, special_use).await?;
        // Who may do something with a mailbox expects the same of those below it.
        for grant in superior.map_or(Ok(Vec::new()), |superior| self.shared.store.grants(superior.id))? {
            self.shared.store.grant(created.id, grant).await?;
        }
        let outcome = Outcome::ok("CREATE completed");
        if !self.offers("OBJECTID") {
            return Ok(outcome);
        }
        // RFC 8474 §4.1.
        Ok(outcome.with_code(format!("MAILBOXID ({})", created.id)))
    }

    /// The nearest mailbox above.
    fn superior(&self, place: &Place) -> Result<Option<Mailbox>, Failure> {
        let mut found = None;
        for superior in place.name.superiors() {
            found = self.shared.store.mailbox(place.owner, &superior)?.or(found);
        }
        Ok(found)
    }

    fn check_may_create(
        &self,
        user: AccountId,
        place: &Place,
        superior: Option<&Mailbox>,
    ) -> Result<(), Failure> {
        match superior {
            _ if place.owner == user => Ok(()),
            Some(superior) if self.rights_to(user, place.owner, superior.id)?.has(Right::Create) => Ok(()),
            // The same whether or not there is one: somebody without rights must not find that out (RFC 4314 §6).
            _ => Err(no_permission()),
        }
    }

    pub(super) async fn delete(&mut self, account: AccountId, name: &Bytes) -> Done {
        let name = self.mailbox_name(name)?;
        let deleted = self.existing(account, &name, Right::DeleteMailbox)?;
        let place = self.place(account, &name)?;
        self.shared.store.delete_mailbox(place.owner, place.name).await?;
        self.is_gone(&deleted);
        Ok(Outcome::ok("DELETE completed"))
    }

    /// A mailbox that is gone by the client's own doing stays selected no longer.
    fn is_gone(&mut self, mailbox: &Mailbox) {
        if self.selected.as_ref().is_some_and(|selected| selected.view.mailbox == mailbox.id) {
            self.selected = None;
            let closed = Outcome::ok("the selected mailbox is gone").with_code("CLOSED");
            self.wire.responses.untagged(&closed);
        }
    }

    pub(super) async fn rename(&mut self, account: AccountId, from: &Bytes, to: &Bytes) -> Done {
        let (from, to) = (self.mailbox_name(from)?, self.mailbox_name(to)?);
        let (old, new) = (self.place(account, &from)?, self.place(account, &to)?);
        if old.owner != new.owner {
            return Ok(Outcome::no("CANNOT", "a mailbox stays with its owner"));
        }
        let renamed = self.existing(account, &from, Right::DeleteMailbox)?;
        self.check_may_create(account, &new, self.superior(&new)?.as_ref())?;
        let leaves_inbox = old.name.is_inbox();
        self.shared.store.rename_mailbox(old.owner, old.name, new.name).await?;
        if leaves_inbox {
            // RFC 9051 §6.3.6: there is another INBOX now, and whoever looks at INBOX must not go on with the old one.
            self.is_gone(&renamed);
        }
        if self.rev2() {
            // RFC 9051 §7.3.1: so other names that the client knows of are followed.
            let encoding = self.encoding();
            let responses = &mut self.wire.responses;
            responses.raw("* LIST () \"/\" ").mailbox(&to, encoding).raw(" (\"OLDNAME\" (");
            responses.mailbox(&from, encoding).raw("))").crlf();
        }
        Ok(Outcome::ok("RENAME completed"))
    }

    /// The mailbox need not exist: a client that synchronises its subscriptions may come before the one that
    /// synchronises mailboxes.
    pub(super) async fn subscribe(&mut self, account: AccountId, name: &Bytes, subscribed: bool) -> Done {
        let name = self.mailbox_name(name)?;
        self.shared.store.set_subscribed(account, name, subscribed).await?;
        Ok(Outcome::ok(if subscribed { "SUBSCRIBE completed" } else { "UNSUBSCRIBE completed" }))
    }

    pub(super) async fn status(&mut self, account: AccountId, name: &Bytes, items: &[StatusItem]) -> Done {
        let name = self.mailbox_name(name)?;
        let mailbox = self.existing(account, &name, Right::Read)?;
        self.heed_status_items(items);
        self.tell_status(&mailbox, items).await?;
        Ok(Outcome::ok("STATUS completed"))
    }

    /// Whoever asks for modseqs knows of them (RFC 7162 §3.1).
    pub(super) fn heed_status_items(&mut self, items: &[StatusItem]) {
        if items.contains(&StatusItem::HighestModSeq) {
            self.enable_modseqs();
        }
    }

    pub(super) async fn tell_status(
        &mut self,
        mailbox: &Mailbox,
        items: &[StatusItem],
    ) -> Result<(), Failure> {
        let with_unseen = items.contains(&StatusItem::Unseen);
        // It may be deleted since it was listed.
        let Some(status) = self.status_of(mailbox, with_unseen).await? else { return Ok(()) };
        self.tell_status_as(mailbox, items, &status);
        Ok(())
    }

    /// A STATUS response with what is known already.
    pub(super) fn tell_status_as(&mut self, mailbox: &Mailbox, items: &[StatusItem], status: &MailboxStatus) {
        let append_limit = *self.shared.options.limits.message_size;
        let encoding = self.encoding();
        let responses = &mut self.wire.responses;
        responses.raw("* STATUS ").mailbox(&mailbox.name, encoding).raw(" (");
        for (index, item) in items.iter().enumerate() {
            responses.raw(if index > 0 { " " } else { "" });
            let (name, value): (&str, u64) = match item {
                StatusItem::Messages => ("MESSAGES", status.messages.into()),
                StatusItem::Recent => ("RECENT", 0),
                StatusItem::UidNext => ("UIDNEXT", status.uid_next.into()),
                StatusItem::UidValidity => ("UIDVALIDITY", status.uid_validity.into()),
                StatusItem::Unseen => ("UNSEEN", status.unseen.into()),
                StatusItem::Deleted => ("DELETED", status.deleted.into()),
                StatusItem::DeletedStorage => ("DELETED-STORAGE", status.deleted_octets),
                StatusItem::Size => ("SIZE", status.octets),
                StatusItem::AppendLimit => ("APPENDLIMIT", append_limit),
                StatusItem::HighestModSeq => ("HIGHESTMODSEQ", status.highest_modseq),
                StatusItem::MailboxId => {
                    responses.raw("MAILBOXID (").raw(&mailbox.id.to_string()).raw(")");
                    continue;
                }
            };
            responses.raw(name).raw(" ").number(value);
        }
        responses.raw(")").crlf();
    }
}

/// A mailbox has one special use at most here; RFC 6154 §3 has USEATTR for that.
fn special_use(uses: &[String]) -> Result<Option<SpecialUse>, Failure> {
    let refuse = |text| Failure::Refused(Outcome::no("USEATTR", text));
    match uses {
        [] => Ok(None),
        [one] => SpecialUse::parse(one).map(Some).ok_or_else(|| refuse("no such special use")),
        _ => Err(refuse("a mailbox has one special use")),
    }
}
