//! Who is given rights at a mailbox, as people write it (RFC 4314 §2).

use crate::store::{self, Grant, Grantee, MailStore, Rights, StoreError};

/// Everybody who has an account.
const ANYONE: &str = "anyone";

/// An identifier: whom it means, and whether rights are taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identified {
    pub(crate) grantee: Grantee,
    pub(crate) negative: bool,
}

/// Reads an identifier; `None` if it means nobody.
pub(crate) fn identified(store: &impl MailStore, name: &str) -> store::Result<Option<Identified>> {
    let (name, negative) = match name.strip_prefix('-') {
        Some(name) => (name, true),
        None => (name, false),
    };
    if name == ANYONE {
        return Ok(Some(Identified { grantee: Grantee::Anyone, negative }));
    }
    let Ok(address) = message::Address::parse(name) else { return Ok(None) };
    let account = store.account_by_address(&address.key())?;
    Ok(account.map(|account| Identified { grantee: Grantee::Account(account.id), negative }))
}

/// The identifiers of grants with what they give; the grants of an account that is removed meanwhile are none.
pub(crate) fn identifiers(store: &impl MailStore, grants: &[Grant]) -> store::Result<Vec<(String, Rights)>> {
    let mut told = Vec::with_capacity(grants.len());
    for grant in grants {
        let name = match grant.grantee {
            Grantee::Anyone => ANYONE.to_owned(),
            Grantee::Account(account) => match store.account(account) {
                Ok(account) => account.name,
                Err(StoreError::NoSuchAccount) => continue,
                Err(error) => return Err(error),
            },
        };
        told.push((format!("{}{name}", if grant.negative { "-" } else { "" }), grant.rights));
    }
    Ok(told)
}
