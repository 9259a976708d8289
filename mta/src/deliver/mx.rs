//! Which hosts take the mail of a domain (RFC 5321 §5.1, RFC 7505).

use std::net::{IpAddr, SocketAddr};

use service::dns::Mx;

/// What the MX records of a domain say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Exchanges {
    /// These hosts, in the order in which they are to be tried.
    Hosts(Vec<String>),
    /// The domain takes no mail (RFC 7505).
    Null,
    /// The best host is this one, which does not know the domain as its own: sending on would loop.
    Loop,
}

/// Puts the hosts of `records` in order: by preference, those of equal preference at random (`shuffle`), and without
/// this host and all that are not preferred to it. No records at all means the domain itself (the implicit MX).
pub(crate) fn order(
    domain: &str,
    mut records: Vec<Mx>,
    is_this_host: impl Fn(&str) -> bool,
    shuffle: impl FnOnce(&mut [Mx]),
) -> Exchanges {
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
    // Shuffled first: the stable sort keeps that order among equals.
    shuffle(&mut records);
    records.sort_by_key(|mx| mx.preference);
    let mut hosts: Vec<String> = Vec::with_capacity(records.len());
    for mx in records {
        if !hosts.contains(&mx.exchange) {
            hosts.push(mx.exchange);
        }
    }
    Exchanges::Hosts(hosts)
}

/// Interleaves address families, beginning with the family of the first address, so that one family that does not work
/// from here costs one attempt and not many.
pub(crate) fn interleave(addresses: impl IntoIterator<Item = IpAddr>, port: u16) -> Vec<SocketAddr> {
    let (mut first, mut second): (Vec<IpAddr>, Vec<IpAddr>) = (Vec::new(), Vec::new());
    for address in addresses {
        match first.first() {
            Some(leader) if leader.is_ipv4() != address.is_ipv4() => second.push(address),
            _ => first.push(address),
        }
    }
    let mut interleaved = Vec::with_capacity(first.len() + second.len());
    let mut second = second.into_iter();
    for address in first {
        interleaved.push(SocketAddr::new(address, port));
        interleaved.extend(second.next().map(|address| SocketAddr::new(address, port)));
    }
    interleaved.extend(second.map(|address| SocketAddr::new(address, port)));
    interleaved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(list: &[(u16, &str)]) -> Vec<Mx> {
        list.iter().map(|&(preference, name)| Mx { preference, exchange: name.into() }).collect()
    }

    fn hosts(list: &[(u16, &str)], own: &str) -> Exchanges {
        order("domain.test", records(list), |name| name == own, |_| {})
    }

    fn of(names: &[&str]) -> Exchanges {
        Exchanges::Hosts(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn lower_preferences_come_first() {
        assert_eq!(
            hosts(&[(20, "b.test"), (10, "a.test"), (30, "c.test")], ""),
            of(&["a.test", "b.test", "c.test"])
        );
    }

    #[test]
    fn equal_preferences_are_shuffled_among_themselves_only() {
        let list = records(&[(10, "a.test"), (10, "b.test"), (5, "z.test")]);
        let reversed = order("domain.test", list, |_| false, <[Mx]>::reverse);
        assert_eq!(reversed, of(&["z.test", "b.test", "a.test"]));
    }

    #[test]
    fn without_records_the_domain_itself_is_its_mx() {
        assert_eq!(hosts(&[], ""), of(&["domain.test"]));
    }

    #[test]
    fn a_null_mx_takes_no_mail() {
        assert_eq!(hosts(&[(0, "")], ""), Exchanges::Null);
        assert_eq!(hosts(&[(0, ""), (10, "a.test")], ""), of(&["a.test"]));
    }

    #[test]
    fn this_host_and_those_behind_it_are_left_out() {
        let list = [(10, "a.test"), (20, "me.test"), (20, "b.test"), (30, "c.test")];
        assert_eq!(hosts(&list, "me.test"), of(&["a.test"]));
    }

    #[test]
    fn this_host_as_the_best_mx_is_a_loop() {
        assert_eq!(hosts(&[(10, "me.test"), (20, "b.test")], "me.test"), Exchanges::Loop);
        assert_eq!(hosts(&[], "domain.test"), Exchanges::Loop);
    }

    #[test]
    fn families_alternate() {
        let ips = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.3"].map(|ip| ip.parse().unwrap());
        let order: Vec<String> = interleave(ips, 25).iter().map(|address| address.ip().to_string()).collect();
        assert_eq!(order, ["192.0.2.1", "2001:db8::1", "192.0.2.2", "192.0.2.3"]);
    }
}
