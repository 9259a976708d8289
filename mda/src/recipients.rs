//! Who gets the mail of an address.

use std::{collections::HashMap, sync::Arc};

use message::{Address, AddressError, LocalPart};
use parking_lot::Mutex;

use crate::store::{self, Account, AccountId, Alias, MailStore, StoreError};

mod aliases;
#[cfg(test)]
mod tests;

/// Resolves addresses. Cheap to clone.
///
/// Domains and local parts are compared without regard to case. `postmaster` of every local domain reaches someone
/// (RFC 5321 §4.5.1): the account of that very address if there is one, else the configured account, else the oldest
/// account of the domain, else the oldest of all. A bare `postmaster` without a domain is resolved likewise.
///
/// What stands behind a separator in the local part is for the recipient alone: `bob+lists@` is `bob@`, unless there is
/// an account or an alias of that very address (RFC 5233).
#[derive(Clone)]
pub(crate) struct Recipients<S> {
    store: S,
    postmaster: Option<Address>,
    /// Empty: local parts are taken as they stand.
    separator: Arc<str>,
    oldest: Arc<Oldest>,
}

/// What an address is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// This account gets its mail.
    Mailbox {
        account: Account,
        /// The address in the form that addresses are compared in.
        key: String,
        /// What stands behind the separator, if anything does.
        detail: Option<String>,
    },
    /// Others get its mail.
    Alias(Alias),
    /// The domain is local, the user does not exist.
    UnknownUser,
    /// The domain is not local.
    Remote,
}

/// The oldest account of each domain for which someone wrote to `postmaster`, if there is any; under the empty name that
/// of all domains.
///
/// Finding it takes a look at every account, which whoever writes to `postmaster` must not cost us each time. It changes
/// only when the account is removed, which is seen when it is used, or the domain gets its first, which
/// [`Recipients::account_created`] tells. There are no more entries than local domains.
type Oldest = Mutex<HashMap<String, Option<AccountId>>>;

const POSTMASTER: &str = "postmaster";

/// Accounts that are read at a time.
const PAGE: usize = 1000;

impl<S: MailStore> Recipients<S> {
    /// `postmaster` is the configured account, empty for none.
    pub(crate) fn new(store: S, postmaster: &str) -> Result<Self, AddressError> {
        let postmaster = if postmaster.is_empty() { None } else { Some(Address::parse(postmaster)?) };
        Ok(Self { store, postmaster, separator: "".into(), oldest: Arc::default() })
    }

    /// Takes what stands behind `separator` in a local part for a detail. Empty for never.
    pub(crate) fn separated_by(self, separator: &str) -> Self {
        Self { separator: separator.into(), ..self }
    }

    /// Resolves a forward-path as the envelope has it, without angle brackets.
    pub(crate) fn resolve(&self, path: &str) -> Result<Resolution, ResolveError> {
        if path.eq_ignore_ascii_case(POSTMASTER) {
            return Ok(self.postmaster("", POSTMASTER.to_owned())?);
        }
        let address = Address::parse(path)?;
        let key = address.key();
        if let Some(known) = self.known(&key, &key, None)? {
            return Ok(known);
        }
        let domain = address.domain().ascii();
        if !self.store.is_local_domain(domain)? {
            return Ok(Resolution::Remote);
        }
        if let Some((user, detail)) = self.split(&address)
            && let Some(known) = self.known(&user, &key, Some(detail))?
        {
            return Ok(known);
        }
        if address.local_part().unquoted().eq_ignore_ascii_case(POSTMASTER) {
            return Ok(self.postmaster(domain, key)?);
        }
        let catch_all = self.store.alias(&format!("{}{domain}", Alias::CATCH_ALL))?;
        Ok(catch_all.map_or(Resolution::UnknownUser, Resolution::Alias))
    }

    /// The account or the alias of exactly this name, for mail to `key`.
    fn known(&self, name: &str, key: &str, detail: Option<String>) -> store::Result<Option<Resolution>> {
        if let Some(account) = self.store.account_by_address(name)? {
            return Ok(Some(Resolution::Mailbox { account, key: key.to_owned(), detail }));
        }
        Ok(self.store.alias(name)?.map(Resolution::Alias))
    }

    /// The address without its detail, in the form that addresses are compared in, and the detail.
    fn split(&self, address: &Address) -> Option<(String, String)> {
        if self.separator.is_empty() {
            return None;
        }
        let local_part = address.local_part().unquoted();
        let (user, detail) = local_part.split_once(&*self.separator)?;
        let user = LocalPart::from_unquoted(user).ok()?;
        let user = Address::new(user, address.domain().clone()).ok()?;
        Some((user.key(), detail.to_owned()))
    }

    /// A domain that had no account may have one now.
    pub(crate) fn account_created(&self) {
        self.oldest.lock().retain(|_, account| account.is_some());
    }

    fn postmaster(&self, domain: &str, key: String) -> store::Result<Resolution> {
        if let Some(configured) = &self.postmaster
            && let Some(account) = self.store.account_by_address(&configured.key())?
        {
            return Ok(Resolution::Mailbox { account, key, detail: None });
        }
        let account = match self.oldest(domain)? {
            Some(account) => Some(account),
            None => self.oldest("")?,
        };
        Ok(account.map_or(Resolution::UnknownUser, |account| Resolution::Mailbox {
            account,
            key,
            detail: None,
        }))
    }

    /// The oldest account of a domain, or of all if it is empty.
    fn oldest(&self, domain: &str) -> store::Result<Option<Account>> {
        let known = self.oldest.lock().get(domain).copied();
        match known.map(|account| account.map(|account| self.store.account(account))) {
            Some(None) => return Ok(None),
            Some(Some(Ok(account))) => return Ok(Some(account)),
            None | Some(Some(Err(StoreError::NoSuchAccount))) => {}
            Some(Some(Err(error))) => return Err(error),
        }
        let found = self.find_oldest(domain)?;
        self.oldest.lock().insert(domain.to_owned(), found.as_ref().map(|account| account.id));
        Ok(found)
    }

    fn find_oldest(&self, domain: &str) -> store::Result<Option<Account>> {
        let mut oldest: Option<Account> = None;
        let mut after: Option<String> = None;
        loop {
            let page = self.store.accounts(after.as_deref(), PAGE)?;
            let Some(last) = page.last() else { return Ok(oldest) };
            after = Some(last.name.clone());
            oldest = page
                .into_iter()
                .filter(|account| domain.is_empty() || domain_of(&account.name) == domain)
                .chain(oldest)
                .min_by_key(|account| (account.created_at, account.id));
        }
    }
}

fn domain_of(name: &str) -> &str {
    name.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// Why an address was not resolved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("{0}")]
    Address(#[from] AddressError),
    #[error("{0}")]
    Store(#[from] StoreError),
}
