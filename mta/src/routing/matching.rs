//! What a rule asks of a recipient's domain, a sender's domain and an account.

use std::collections::HashSet;

use message::{AddressError, Domain};

/// A set of domains, some of them with everything below.
#[derive(Debug, Default)]
pub(crate) struct DomainSet {
    /// In A-labels and lower case.
    exact: HashSet<Box<str>>,
    /// Those whose subdomains belong to the set, and not they themselves; without the dot before them.
    below: HashSet<Box<str>>,
}

impl DomainSet {
    /// Reads `example.org`, and `.example.org` for every domain below it.
    pub(crate) fn parse<'a>(
        patterns: impl IntoIterator<Item = &'a String>,
    ) -> Result<Self, (String, AddressError)> {
        let mut set = Self::default();
        for pattern in patterns {
            let below = pattern.strip_prefix('.');
            let domain = Domain::parse(below.unwrap_or(pattern)).map_err(|error| (pattern.clone(), error))?;
            if below.is_some() {
                set.below.insert(domain.ascii().into());
            } else {
                set.exact.insert(domain.ascii().into());
            }
        }
        Ok(set)
    }

    pub(crate) fn contains(&self, domain: &Domain) -> bool {
        let name = domain.ascii();
        let mut above = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
        self.exact.contains(name) || domain.ip().is_none() && above.any(|name| self.below.contains(name))
    }
}

/// The senders of a rule.
#[derive(Debug)]
pub(super) struct SenderSet {
    pub(super) domains: DomainSet,
    /// The null reverse-path is one of them.
    pub(super) null: bool,
}

impl SenderSet {
    pub(super) fn contains(&self, reverse_path: &str) -> bool {
        if reverse_path.is_empty() {
            return self.null;
        }
        let domain = reverse_path.rsplit_once('@').and_then(|(_, domain)| Domain::parse(domain).ok());
        domain.is_some_and(|domain| self.domains.contains(&domain))
    }
}

/// The accounts of a rule.
#[derive(Debug)]
pub(crate) struct AccountSet {
    /// In lower case.
    names: HashSet<Box<str>>,
    /// Every account; mail that came from another MTA has none.
    any: bool,
}

impl AccountSet {
    /// From names, and `*` for every account.
    pub(crate) fn new(names: &[String]) -> Self {
        let (any, named): (Vec<_>, Vec<_>) = names.iter().partition(|name| *name == "*");
        Self {
            names: named.into_iter().map(|name| name.to_lowercase().into()).collect(),
            any: !any.is_empty(),
        }
    }

    pub(crate) fn contains(&self, account: &str) -> bool {
        !account.is_empty() && (self.any || self.names.contains(account.to_lowercase().as_str()))
    }
}
