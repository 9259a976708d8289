//! SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 §3).

use bytes::Bytes;

use super::{Done, Failure, Outcome, Session, bad};
use crate::grantees::{self, Identified};
use crate::imap::parse::{Acl, RightsMode};
use crate::store::{AccountId, Grant, Grantee, MailStore, Mailbox, Right, Rights};

/// Whoever has one of these may ask for all that are theirs (RFC 4314 §4).
const MINE: [Right; 6] =
    [Right::Lookup, Right::Read, Right::Insert, Right::Create, Right::DeleteMailbox, Right::Administer];

impl<S: MailStore> Session<S> {
    pub(super) async fn acl(&mut self, user: AccountId, command: Acl) -> Done {
        match command {
            Acl::Set { mailbox, identifier, mode, rights } => {
                let rights = std::str::from_utf8(&rights).map_err(|_| bad("there is no such right"))?;
                let rights =
                    Rights::parse(rights).map_err(|letter| bad(format!("there is no right {letter}")))?;
                self.set_rights(user, &mailbox, &identifier, mode, rights).await?;
                Ok(Outcome::ok("SETACL completed"))
            }
            Acl::Delete { mailbox, identifier } => {
                self.set_rights(user, &mailbox, &identifier, RightsMode::Replace, Rights::default()).await?;
                Ok(Outcome::ok("DELETEACL completed"))
            }
            Acl::Get(mailbox) => self.get_rights(user, &mailbox),
            Acl::List { mailbox, identifier } => self.list_rights(user, &mailbox, &identifier),
            Acl::Mine(mailbox) => {
                let name = self.mailbox_name(&mailbox)?;
                let mailbox = self.existing_with_any(user, &name, &MINE)?;
                self.tell_my_rights(&mailbox)?;
                Ok(Outcome::ok("MYRIGHTS completed"))
            }
        }
    }

    async fn set_rights(
        &mut self,
        user: AccountId,
        mailbox: &Bytes,
        identifier: &Bytes,
        mode: RightsMode,
        rights: Rights,
    ) -> Result<(), Failure> {
        let mailbox = self.administered(user, mailbox)?;
        let Identified { grantee, negative } = self.identified(identifier)?;
        if grantee == Grantee::Account(mailbox.account) {
            return Err(Failure::Refused(Outcome::no("CANNOT", "the owner has all rights")));
        }
        let grants = self.shared.store.grants(mailbox.id)?;
        let present = grants.iter().find(|grant| grant.grantee == grantee && grant.negative == negative);
        let present = present.map_or_else(Rights::default, |grant| grant.rights);
        let rights = match mode {
            RightsMode::Add => present.and(rights),
            RightsMode::Remove => present.without(rights),
            RightsMode::Replace => rights,
        };
        Ok(self.shared.store.grant(mailbox.id, Grant { grantee, negative, rights }).await?)
    }

    fn get_rights(&mut self, user: AccountId, mailbox: &Bytes) -> Done {
        let mailbox = self.administered(user, mailbox)?;
        let owner = self.shared.store.account(mailbox.account)?.name;
        let mut entries = vec![(owner, Rights::all())];
        let store = &self.shared.store;
        entries.extend(grantees::identifiers(store, &store.grants(mailbox.id)?)?);
        let encoding = self.encoding();
        let responses = &mut self.wire.responses;
        responses.raw("* ACL ").mailbox(&mailbox.name, encoding);
        for (name, rights) in entries {
            responses.raw(" ").astring(name.as_bytes()).raw(" ").raw(&text(rights));
        }
        responses.crlf();
        Ok(Outcome::ok("GETACL completed"))
    }

    fn list_rights(&mut self, user: AccountId, mailbox: &Bytes, identifier: &Bytes) -> Done {
        let mailbox = self.administered(user, mailbox)?;
        let whose = self.identified(identifier)?;
        let encoding = self.encoding();
        let responses = &mut self.wire.responses;
        responses.raw("* LISTRIGHTS ").mailbox(&mailbox.name, encoding).raw(" ").astring(identifier).raw(" ");
        if whose.grantee == Grantee::Account(mailbox.account) {
            responses.raw(&text(Rights::all())).crlf();
        } else {
            // None is always there, and each can be given alone.
            responses.raw("\"\"");
            for right in Right::ALL {
                responses.raw(" ").raw(right.letter().encode_utf8(&mut [0; 4]));
            }
            responses.crlf();
        }
        Ok(Outcome::ok("LISTRIGHTS completed"))
    }

    /// `MYRIGHTS mailbox rights`; also for LIST (RFC 8440).
    pub(super) fn tell_my_rights(&mut self, mailbox: &Mailbox) -> Result<(), Failure> {
        let user = self.account.ok_or_else(|| bad("log in first"))?;
        let rights = self.rights_to(user, mailbox.account, mailbox.id)?;
        let encoding = self.encoding();
        let responses = &mut self.wire.responses;
        responses.raw("* MYRIGHTS ").mailbox(&mailbox.name, encoding).raw(" ").raw(&text(rights)).crlf();
        Ok(())
    }

    fn administered(&self, user: AccountId, name: &Bytes) -> Result<Mailbox, Failure> {
        let name = self.mailbox_name(name)?;
        self.existing(user, &name, Right::Administer)
    }

    fn identified(&self, identifier: &Bytes) -> Result<Identified, Failure> {
        let nobody = || Failure::Refused(Outcome::no("NONEXISTENT", "there is no account of this name"));
        let name = std::str::from_utf8(identifier).map_err(|_| nobody())?;
        grantees::identified(&self.shared.store, name)?.ok_or_else(nobody)
    }
}

/// With the letters of old where one of their rights is there (RFC 4314 §2.1.1).
fn text(rights: Rights) -> String {
    let mut text = rights.to_string();
    if rights.has(Right::Create) || rights.has(Right::DeleteMailbox) {
        text.push('c');
    }
    if rights.has(Right::DeleteMessages) || rights.has(Right::Expunge) {
        text.push('d');
    }
    if text.is_empty() { "\"\"".to_owned() } else { text }
}
