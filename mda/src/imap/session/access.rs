//! Whose mailbox a name means, and what the user may do with it (RFC 4314 §4).
//!
//! What others share stands below [`OTHERS`], then the owner's address, then the owner's name of the mailbox.

use std::collections::HashSet;

use super::{Failure, Outcome, Session};
use crate::imap::wire::Ended;
use crate::store::{
    AccountId, Flags, MailStore, Mailbox, MailboxId, MailboxName, Right, Rights, StoreError, rights_of,
};

/// The name above all that others share (RFC 9051 §6.3.10).
pub(super) const OTHERS: &str = "Other Users";

/// A mailbox by its owner's name for it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) owner: AccountId,
    pub(super) name: MailboxName,
}

impl<S: MailStore> Session<S> {
    /// Where a name leads that the user sees; there need not be such a mailbox.
    pub(super) fn place(&self, user: AccountId, shown: &MailboxName) -> Result<Place, Failure> {
        Ok(place(&self.shared.store, user, shown, self.offers("ACL"))?)
    }

    /// The mailbox of a name, if there is one and the user has this right to it; under the name that the user sees.
    pub(super) fn existing(
        &self,
        user: AccountId,
        shown: &MailboxName,
        needed: Right,
    ) -> Result<Mailbox, Failure> {
        let place = self.place(user, shown)?;
        let mailbox = self.shared.store.mailbox(place.owner, &place.name)?.ok_or_else(not_there)?;
        check(self.rights_to(user, mailbox.account, mailbox.id)?, needed)?;
        Ok(Mailbox { name: shown.clone(), ..mailbox })
    }

    /// The mailbox of a name, if there is one and the user has one of these rights to it.
    pub(super) fn existing_with_any(
        &self,
        user: AccountId,
        shown: &MailboxName,
        needed: &[Right],
    ) -> Result<Mailbox, Failure> {
        let place = self.place(user, shown)?;
        let mailbox = self.shared.store.mailbox(place.owner, &place.name)?.ok_or_else(not_there)?;
        let rights = self.rights_to(user, mailbox.account, mailbox.id)?;
        if !needed.iter().any(|needed| rights.has(*needed)) {
            return Err(if rights.has(Right::Lookup) { no_permission() } else { not_there() });
        }
        Ok(Mailbox { name: shown.clone(), ..mailbox })
    }

    pub(super) fn rights_to(
        &self,
        user: AccountId,
        owner: AccountId,
        mailbox: MailboxId,
    ) -> Result<Rights, Failure> {
        if user == owner {
            return Ok(Rights::all());
        }
        Ok(rights_of(user, &self.shared.store.grants(mailbox)?))
    }

    /// The user's rights to the selected mailbox, as they are now.
    pub(super) fn selected_rights(&self) -> Result<Rights, Failure> {
        match (self.account, &self.selected) {
            (Some(user), Some(selected)) => self.rights_to(user, selected.owner, selected.view.mailbox),
            _ => Ok(Rights::default()),
        }
    }

    pub(super) fn check_selected(&self, needed: Right) -> Result<(), Failure> {
        check(self.selected_rights()?, needed)
    }

    /// A mailbox that may be read no more can stay selected no longer, nor one of which nobody can tell.
    pub(super) fn check_still_readable(&self) -> Result<(), Ended> {
        if self.selected.is_none() {
            return Ok(());
        }
        match self.selected_rights() {
            Ok(rights) if rights.has(Right::Read) => Ok(()),
            Ok(_) => Err(Ended::Bye("the selected mailbox is shared with you no more")),
            Err(Failure::Ended(ended)) => Err(ended),
            Err(failure) => {
                if let Failure::Store(error) = &failure {
                    self.store_refused(error);
                }
                Err(Ended::Bye("nobody can tell now whether the selected mailbox is shared with you"))
            }
        }
    }

    /// The flags among these that the user may set in the selected mailbox; none left is an error.
    pub(super) fn allowed_flags(&self, flags: Flags, replaces: bool) -> Result<Flags, Failure> {
        let rights = self.selected_rights()?;
        if rights == Rights::all() {
            return Ok(flags);
        }
        let all =
            [Right::Seen, Right::Write, Right::DeleteMessages].into_iter().all(|right| rights.has(right));
        let allowed = flags.allowed_by(rights);
        // What is replaced is all flags: those that must stay could not be told from those that go.
        if if replaces { all } else { allowed == flags || !allowed.is_empty() } {
            Ok(allowed)
        } else {
            Err(no_permission())
        }
    }
}

/// Where a name leads that the user sees, who is shown what others share or is not.
fn place<S: MailStore>(
    store: &S,
    user: AccountId,
    shown: &MailboxName,
    shares: bool,
) -> Result<Place, StoreError> {
    let own = || Ok(Place { owner: user, name: shown.clone() });
    let Some(below) = shown.as_str().strip_prefix(OTHERS).filter(|_| shares) else { return own() };
    let Some(below) = below.strip_prefix(MailboxName::SEPARATOR) else {
        return if below.is_empty() { Err(StoreError::NoSuchMailbox) } else { own() };
    };
    let (owner, name) = below.split_once(MailboxName::SEPARATOR).ok_or(StoreError::NoSuchMailbox)?;
    let owner = store.account_by_address(owner)?.filter(|account| account.id != user);
    let name = MailboxName::parse(name)?;
    Ok(Place { owner: owner.ok_or(StoreError::NoSuchMailbox)?.id, name })
}

/// The mailbox of a name, if there is one; under the name that the user sees.
pub(super) fn named<S: MailStore>(
    store: &S,
    user: AccountId,
    shown: &MailboxName,
    shares: bool,
) -> Result<Option<Mailbox>, StoreError> {
    let found = place(store, user, shown, shares).and_then(|place| store.mailbox(place.owner, &place.name));
    match found {
        Ok(found) => Ok(found.map(|mailbox| Mailbox { name: shown.clone(), ..mailbox })),
        Err(StoreError::NoSuchMailbox | StoreError::NoSuchAccount | StoreError::InvalidName(_)) => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// Who may not even know that a mailbox is there is told that it is not (RFC 4314 §6).
pub(super) fn check(rights: Rights, needed: Right) -> Result<(), Failure> {
    match (rights.has(Right::Lookup), rights.has(needed)) {
        (_, true) => Ok(()),
        (true, false) => Err(no_permission()),
        (false, false) => Err(not_there()),
    }
}

/// Those of others that the user may see, under the names that the user sees; what they are for is their owners'.
pub(super) fn shared_mailboxes<S: MailStore>(
    store: &S,
    user: AccountId,
) -> Result<Vec<(Mailbox, Rights)>, StoreError> {
    let subscriptions: HashSet<MailboxName> = store.subscriptions(user)?.into_iter().collect();
    let mut shared = Vec::new();
    for (mailbox, rights) in store.shared_with(user)? {
        if rights.has(Right::Lookup)
            && let Some(shown) = as_shown(store, &mailbox)?
        {
            let subscribed = subscriptions.contains(&shown.name);
            shared.push((Mailbox { subscribed, ..shown }, rights));
        }
    }
    Ok(shared)
}

/// A mailbox of somebody else under the name that others see; None if that is too long for a name.
pub(super) fn as_shown<S: MailStore>(store: &S, mailbox: &Mailbox) -> Result<Option<Mailbox>, StoreError> {
    let owner = store.account(mailbox.account)?.name;
    let shown = MailboxName::parse(&format!("{OTHERS}/{owner}/{}", mailbox.name));
    Ok(shown.ok().map(|name| Mailbox { name, special_use: None, subscribed: false, ..mailbox.clone() }))
}

/// Reads much of the store on a thread that may block.
pub(super) async fn aside<S: MailStore, T: Send + 'static>(
    store: &S,
    read: impl FnOnce(&S) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    let store = store.clone();
    match tokio::task::spawn_blocking(move || read(&store)).await {
        Ok(read) => Ok(read?),
        Err(error) => {
            tracing::error!(%error, "what was read of the mail store broke off");
            Err(Failure::Refused(Outcome::no("UNAVAILABLE", "this cannot be told now")))
        }
    }
}

pub(super) fn no_permission() -> Failure {
    Failure::Refused(Outcome::no("NOPERM", "you have no right to do that"))
}

fn not_there() -> Failure {
    Failure::Store(StoreError::NoSuchMailbox)
}
