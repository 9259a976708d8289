//! Aliases and lists, followed to their ends; and from an account back to the aliases that lead to it.

use std::collections::HashSet;

use super::{Recipients, Resolution, ResolveError};
use crate::store::{self, Account, Alias, MailStore};

/// Aliases that may stand behind one another (RFC 5321 §6.3: loops are to be found, and ended).
const MAX_DEPTH: usize = 10;
/// Addresses that one alias or list may come to in the end, and aliases on the way there.
const MAX_ADDRESSES: usize = 10_000;
/// Aliases by whose addresses one account may send.
const MAX_SENDERS: usize = 1_000;

impl<S: MailStore> Recipients<S> {
    /// Where the mail of an alias or a list goes in the end, each address once.
    ///
    /// Lists within a list are part of it: their recipients get its mail under its name. A list within an alias stays,
    /// for its mail goes under a name of its own. What leads back to where it came from is passed over. Empty if nothing
    /// is left, or if it is too deep or too large.
    pub(crate) fn expand(&self, alias: &Alias) -> Result<Vec<String>, ResolveError> {
        let through_lists = alias.owner.is_some();
        let mut met = HashSet::from([alias.address.clone()]);
        let (mut ends, mut known_ends) = (Vec::new(), HashSet::new());
        let mut level = vec![alias.clone()];
        for _ in 0..MAX_DEPTH {
            let mut next = Vec::new();
            for target in level.into_iter().flat_map(|alias| alias.targets) {
                match self.resolve(&target)? {
                    Resolution::Alias(inner) if through_lists || inner.owner.is_none() => {
                        next.extend(met.insert(inner.address.clone()).then_some(inner));
                    }
                    _ if known_ends.insert(target.to_lowercase()) => ends.push(target),
                    _ => {}
                }
                if ends.len() + met.len() > MAX_ADDRESSES {
                    return Ok(Vec::new());
                }
            }
            if next.is_empty() {
                return Ok(ends);
            }
            level = next;
        }
        Ok(Vec::new())
    }

    /// The addresses that an account may send as: its own, and those of aliases that lead to it. Not those of lists, to
    /// which one belongs and does not speak for, nor what a catch-all takes.
    pub(crate) fn addresses_of(&self, account: &Account) -> store::Result<Vec<String>> {
        let mut addresses = account.addresses.clone();
        let mut followed = 0;
        while let Some(target) = addresses.get(followed) {
            followed += 1;
            for address in self.store.aliases_to(target, MAX_SENDERS)? {
                let speaks = self.store.alias(&address)?.is_some_and(|alias| alias.owner.is_none());
                let is_one = !address.starts_with(Alias::CATCH_ALL);
                if speaks && is_one && !addresses.contains(&address) && addresses.len() < MAX_SENDERS {
                    addresses.push(address);
                }
            }
        }
        Ok(addresses)
    }
}
