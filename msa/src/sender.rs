//! Who submits, and as whom they may send.

use std::collections::HashSet;

use message::{Address, ReversePath};
use proto::mail::Reply;
use proto::mda::AuthenticateResponse;

/// An account that has logged in.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    /// The account's name.
    pub(crate) account: String,
    /// Keys of the addresses it may send as.
    keys: HashSet<String>,
}

impl Sender {
    /// What the directory says of an account.
    pub(crate) fn new(response: AuthenticateResponse) -> Self {
        let keys = response.addresses.iter().filter_map(|address| Some(Address::parse(address).ok()?.key()));
        Self { keys: keys.collect(), account: response.account }
    }

    /// Whether the account may send as `path`. Reports and the like of mail programs, which have no sender, may go.
    pub(crate) fn check(&self, path: &ReversePath) -> Result<(), Reply> {
        match path.address() {
            Some(address) if !self.keys.contains(&address.key()) => Err(Reply {
                code: 553,
                enhanced: "5.7.1".into(),
                text: format!("{} may not send as <{address}>", self.account),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str) -> Result<(), Reply> {
        let response = AuthenticateResponse {
            authenticated: true,
            account: "alice@example.test".into(),
            addresses: vec!["alice@example.test".into(), "info@example.test".into()],
        };
        Sender::new(response).check(&ReversePath::parse(path).unwrap())
    }

    #[test]
    fn only_addresses_of_the_account_may_send() {
        assert!(check("alice@example.test").is_ok());
        assert!(check("Info@EXAMPLE.test").is_ok());
        assert!(check("").is_ok());
        for foreign in ["bob@example.test", "alice@example.test.evil.test", "alice@other.test"] {
            assert_eq!(check(foreign).unwrap_err().code, 553, "{foreign}");
        }
    }
}
