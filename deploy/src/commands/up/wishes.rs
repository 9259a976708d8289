//! The domains and accounts that `waypost up` is to make.

use std::str::FromStr;

use message::{Address, Domain};

use crate::failure::{Explain, Failure};
use crate::secrets;

const DEFAULT_DOMAIN: &str = "example.test";
const DEFAULT_ACCOUNTS: [&str; 2] = ["alice", "bob"];

/// `ADDRESS=PASSWORD` of the command line.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AccountFlag {
    address: Address,
    password: String,
}

/// A password is not for logs.
impl std::fmt::Debug for AccountFlag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccountFlag({})", self.address)
    }
}

/// What is wrong with an `ADDRESS=PASSWORD`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum AccountFlagError {
    /// Neither part can be told from the other.
    #[error("expected ADDRESS=PASSWORD, for example alice@example.test=secret")]
    Form,
    /// Nothing behind the `=`.
    #[error("the password is empty")]
    EmptyPassword,
}

impl FromStr for AccountFlag {
    type Err = AccountFlagError;

    /// A local-part and a password may hold `=` too: the first `=` that ends an address parts them.
    fn from_str(text: &str) -> Result<Self, AccountFlagError> {
        let (address, password) = text
            .match_indices('=')
            .find_map(|(at, _)| Some((Address::parse(&text[..at]).ok()?, &text[at + 1..])))
            .ok_or(AccountFlagError::Form)?;
        if password.is_empty() {
            return Err(AccountFlagError::EmptyPassword);
        }
        Ok(Self { address, password: password.to_owned() })
    }
}

/// What is to exist before mail flows.
#[derive(Debug)]
pub(super) struct Wishes {
    /// Domains whose mail is kept here, the first one being the pipeline's own; in ASCII.
    pub(super) domains: Vec<String>,
    /// Accounts, with the passwords for those that do not exist yet.
    pub(super) accounts: Vec<WantedAccount>,
}

/// An account that is to exist.
#[derive(Debug)]
pub(super) struct WantedAccount {
    pub(super) address: String,
    pub(super) password: String,
    /// Made here rather than chosen by the user: it is printed and kept.
    pub(super) generated: bool,
}

impl Wishes {
    /// What the flags say, and the defaults where they say nothing.
    pub(super) fn new(domains: &[Domain], accounts: &[AccountFlag]) -> Result<Self, Failure> {
        let domains = if domains.is_empty() { vec![default_domain()?] } else { domains.to_vec() };
        let accounts = if accounts.is_empty() {
            default_accounts(&domains[0])?
        } else {
            accounts.iter().map(WantedAccount::chosen).collect()
        };
        let mut names: Vec<String> = Vec::new();
        for domain in domains.iter().filter(|domain| domain.ip().is_none()) {
            let name = domain.ascii().to_owned();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return Err(Failure::new("cannot use --domain", "an address literal is not a domain"));
        }
        Ok(Self { domains: names, accounts })
    }
}

impl WantedAccount {
    fn chosen(flag: &AccountFlag) -> Self {
        Self { address: flag.address.to_string(), password: flag.password.clone(), generated: false }
    }
}

fn default_domain() -> Result<Domain, Failure> {
    Domain::parse(DEFAULT_DOMAIN).explain(|| format!("cannot use the domain {DEFAULT_DOMAIN}"))
}

fn default_accounts(domain: &Domain) -> Result<Vec<WantedAccount>, Failure> {
    DEFAULT_ACCOUNTS
        .iter()
        .map(|name| {
            let address = format!("{name}@{domain}");
            Ok(WantedAccount { address, password: secrets::generate()?, generated: true })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(text: &str) -> (String, String) {
        let flag: AccountFlag = text.parse().unwrap();
        (flag.address.to_string(), flag.password)
    }

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    #[test]
    fn address_and_password_are_told_apart_whatever_they_hold() {
        let pair = |address: &str, password: &str| (address.to_owned(), password.to_owned());
        assert_eq!(flag("alice@example.test=secret"), pair("alice@example.test", "secret"));
        assert_eq!(flag("alice@example.test=a=b@c=d"), pair("alice@example.test", "a=b@c=d"));
        assert_eq!(flag("a=b@example.test=x"), pair("a=b@example.test", "x"));
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for (text, error) in [
            ("alice@example.test", AccountFlagError::Form),
            ("alice=secret", AccountFlagError::Form),
            ("", AccountFlagError::Form),
            ("alice@example.test=", AccountFlagError::EmptyPassword),
        ] {
            assert_eq!(text.parse::<AccountFlag>(), Err(error), "{text}");
        }
    }

    #[test]
    fn debug_output_holds_no_password() {
        let flag: AccountFlag = "alice@example.test=secret".parse().unwrap();
        assert!(!format!("{flag:?}").contains("secret"));
    }

    #[test]
    fn without_flags_there_are_alice_and_bob_with_passwords_of_their_own() {
        let wishes = Wishes::new(&[], &[]).unwrap();
        assert_eq!(wishes.domains, ["example.test"]);
        let addresses: Vec<_> = wishes.accounts.iter().map(|account| account.address.as_str()).collect();
        assert_eq!(addresses, ["alice@example.test", "bob@example.test"]);
        assert!(wishes.accounts.iter().all(|account| account.generated));
        assert_ne!(wishes.accounts[0].password, wishes.accounts[1].password);
    }

    #[test]
    fn the_default_accounts_are_in_the_first_domain() {
        let wishes = Wishes::new(&[domain("one.test"), domain("two.test"), domain("one.test")], &[]).unwrap();
        assert_eq!(wishes.domains, ["one.test", "two.test"]);
        assert_eq!(wishes.accounts[1].address, "bob@one.test");
    }

    #[test]
    fn given_accounts_replace_the_default_ones() {
        let wishes = Wishes::new(&[], &["carol@example.test=x".parse().unwrap()]).unwrap();
        assert_eq!(wishes.accounts.len(), 1);
        assert!(!wishes.accounts[0].generated);
    }
}
