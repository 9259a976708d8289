//! Which hosts take the mail of a domain (RFC 5321 §5.1, RFC 7505).

use service::dns::Mx;

use crate::routing::{HopHost, NextHop};

/// MX records of a domain that are looked at; those behind are the least preferred. No one needs more, and each costs
/// queries.
const MOST_RECORDS: usize = 50;

/// What the MX records of a domain say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Exchanges {
    /// The hosts by preference, those of equal preference in one group.
    Groups(Vec<Vec<NextHop>>),
    /// The domain takes no mail (RFC 7505).
    Null,
    /// The best host is this one, which does not know the domain as its own: sending on would loop.
    Loop,
}

/// Puts the hosts of `records` in groups by preference, without this host and all that are not preferred to it. No
/// records at all means the domain itself (the implicit MX).
pub(super) fn order(domain: &str, mut records: Vec<Mx>, is_this_host: impl Fn(&str) -> bool) -> Exchanges {
    if records.is_empty() {
        records.push(Mx { preference: 0, exchange: domain.to_owned() });
    }
    if records.iter().all(|mx| mx.exchange.is_empty()) {
        return Exchanges::Null;
    }
    // A null MX beside others means nothing (RFC 7505 §3).
    records.retain(|mx| !mx.exchange.is_empty());
    let own = records.iter().filter(|mx| is_this_host(&mx.exchange)).map(|mx| mx.preference).min();
    if let Some(own) = own {
        records.retain(|mx| mx.preference < own);
        if records.is_empty() {
            return Exchanges::Loop;
        }
    }
    // By name as well: what is cut off, and in which group a name stands that occurs twice, does not change from one
    // answer to the next.
    records.sort();
    records.truncate(MOST_RECORDS);
    Exchanges::Groups(groups(records))
}

/// Groups of equal preference out of sorted records; a host that occurs twice counts where it is preferred.
fn groups(records: Vec<Mx>) -> Vec<Vec<NextHop>> {
    let mut groups: Vec<(u16, Vec<NextHop>)> = Vec::new();
    for Mx { preference, exchange } in records {
        let hop = NextHop { host: HopHost::Name(exchange.into()), port: None };
        if groups.iter().any(|(_, hosts)| hosts.contains(&hop)) {
            continue;
        }
        match groups.last_mut() {
            Some((last, hosts)) if *last == preference => hosts.push(hop),
            _ => groups.push((preference, vec![hop])),
        }
    }
    groups.into_iter().map(|(_, hosts)| hosts).collect()
}
