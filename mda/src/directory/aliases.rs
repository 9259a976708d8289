//! Aliases as the contract has them, checked.

use message::{Address, Domain};
use proto::mda::ListAliasesResponse;
use tonic::Status;

use super::account_name;
use crate::{
    status::status,
    store::{Alias, MailStore},
};

/// Targets of one alias at most.
const MAX_TARGETS: usize = 1000;
/// Aliases in one answer at most.
const MAX_PAGE: usize = 100;
/// Octets of addresses in one answer, beyond which it ends.
const PAGE_OCTETS: usize = 1 << 20;

/// An alias with its addresses in the form that addresses are compared in, save those elsewhere: whether case matters
/// there is not known here.
pub(super) fn parse(alias: proto::mda::Alias, store: &impl MailStore) -> Result<Alias, Status> {
    let proto::mda::Alias { address, targets, owner } = alias;
    let address = parse_address(&address)?;
    if targets.is_empty() {
        return Err(Status::invalid_argument(format!("the alias {address} has no target")));
    }
    if targets.len() > MAX_TARGETS {
        return Err(Status::invalid_argument(format!(
            "more than {MAX_TARGETS} targets: make lists of lists"
        )));
    }
    let mut parsed: Vec<String> = Vec::with_capacity(targets.len());
    for target in targets {
        let target = parse_target(&target, store)?;
        if target == address {
            return Err(Status::invalid_argument(format!("the alias {address} points to itself")));
        }
        if !parsed.contains(&target) {
            parsed.push(target);
        }
    }
    let owner = if owner.is_empty() { None } else { Some(parse_target(&owner, store)?) };
    if owner.as_ref() == Some(&address) {
        return Err(Status::invalid_argument("a list's reports cannot go to the list"));
    }
    Ok(Alias { address, targets: parsed, owner })
}

/// The address of an alias: an account's could be the same, but for `@domain`.
pub(super) fn parse_address(text: &str) -> Result<String, Status> {
    let Some(domain) = text.strip_prefix(Alias::CATCH_ALL) else {
        return Ok(account_name(text)?.key());
    };
    let invalid = |reason: String| Status::invalid_argument(format!("address `{text}`: {reason}"));
    let domain = Domain::parse(domain).map_err(|error| invalid(error.to_string()))?;
    if domain.ip().is_some() {
        return Err(invalid("the domain of an alias cannot be an address literal".to_owned()));
    }
    Ok(format!("{}{}", Alias::CATCH_ALL, domain.ascii()))
}

fn parse_target(text: &str, store: &impl MailStore) -> Result<String, Status> {
    let address = Address::parse(text)
        .map_err(|error| Status::invalid_argument(format!("address `{text}`: {error}")))?;
    let is_local = store.is_local_domain(address.domain().ascii()).map_err(|error| status(&error))?;
    let key = address.key();
    // A local part that needs quotes loses them in its key, which is no address then.
    Ok(if is_local && Address::parse(&key).is_ok() { key } else { address.to_string() })
}

/// One page of aliases; the token is the last address of the page before.
pub(super) fn page(store: &impl MailStore, size: u32, token: &str) -> Result<ListAliasesResponse, Status> {
    let limit = if size == 0 { MAX_PAGE } else { MAX_PAGE.min(size as usize) };
    let after = (!token.is_empty()).then_some(token);
    // One more, to know whether this is the last page.
    let found = store.aliases(after, limit + 1).map_err(|error| status(&error))?;
    let mut octets = 0;
    let fits = |alias: &&Alias| {
        let fits = octets <= PAGE_OCTETS;
        octets += alias.targets.iter().map(String::len).sum::<usize>();
        fits
    };
    let shown: Vec<_> = found.iter().take(limit).take_while(fits).cloned().map(described).collect();
    let is_last = shown.len() == found.len();
    let next_page_token =
        shown.last().filter(|_| !is_last).map(|alias| alias.address.clone()).unwrap_or_default();
    Ok(ListAliasesResponse { aliases: shown, next_page_token })
}

fn described(alias: Alias) -> proto::mda::Alias {
    let Alias { address, targets, owner } = alias;
    proto::mda::Alias { address, targets, owner: owner.unwrap_or_default() }
}
