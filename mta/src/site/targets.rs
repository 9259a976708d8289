//! The addresses of a site, in the order in which they are dialled.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::join_all;
use service::dns::{Answer, DnsError};

use super::name::host_text;
use super::{Site, Sites, Unroutable};
use crate::routing::{HopHost, NextHop};

/// Hosts of a site that are looked up for one connection.
const MOST_HOSTS: usize = 10;
/// Addresses of one host that are dialled, so that one with many does not stand for all.
const MOST_OF_A_HOST: usize = 4;
/// Addresses that are dialled, over all hosts.
const MOST_ADDRESSES: usize = 10;

/// An address to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The host's name in A-labels, as the MX record or the configuration has it; an address is in square brackets.
    pub(crate) host: Arc<str>,
    /// The name at the end of the host's aliases, which the address belongs to: `host` itself if it is no alias. With
    /// `secure`, TLSA records are looked for under this one first (RFC 7672 §2.2.2).
    pub(crate) canonical: Arc<str>,
    pub(crate) address: SocketAddr,
    /// DNSSEC proved the address, aliases included.
    pub(crate) secure: bool,
}

/// What there is to dial.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Targets {
    /// In this order: the hosts by preference, equal ones at random, the families of each host in turn, IPv6 first
    /// (RFC 8305 §4).
    pub(crate) dial: Vec<Target>,
    /// What is to be said of the hosts that are not in `dial`, if none in it can be reached; always there if `dial` is
    /// empty.
    pub(crate) failure: Option<Unroutable>,
}

/// The addresses of one host.
struct Found {
    addresses: Vec<Target>,
    /// One family could not be looked up, so these are not all.
    is_partial: Option<Unroutable>,
}

impl Sites {
    /// The addresses of a site's hosts. A host that has none, or cannot be looked up, is passed over.
    pub(crate) async fn targets(&self, site: &Site) -> Targets {
        let mut groups = site.groups.clone();
        for group in &mut groups {
            // Load is spread over equal hosts (RFC 5321 §5.1).
            fastrand::shuffle(group);
        }
        let hosts = groups.iter().flatten().take(MOST_HOSTS);
        let found = join_all(hosts.map(|hop| self.addresses(hop, site))).await;
        let mut found = found.into_iter();
        let mut targets = Targets { dial: Vec::new(), failure: None };
        for group in &groups {
            let group: Vec<_> = found.by_ref().take(group.len()).collect();
            if !self.add(site, group, &mut targets) {
                break;
            }
        }
        targets.dial.truncate(MOST_ADDRESSES);
        if targets.dial.is_empty() && targets.failure.is_none() {
            let text = format!("no host of {} has an address that can be dialled", site.name);
            targets.failure = Some(Unroutable::new(550, "5.4.4", text));
        }
        targets
    }

    /// Adds the hosts of one preference. `false`: this host is one of them, and those behind it would only hand the mail
    /// on to it (RFC 5321 §5.1).
    fn add(&self, site: &Site, group: Vec<Result<Found, Unroutable>>, targets: &mut Targets) -> bool {
        let is_own = |target: &Target| {
            if site.by_mx { self.own.is_at(target.address) } else { self.own.listens_at(target.address) }
        };
        let own = group.iter().flatten().flat_map(|found| &found.addresses).find(|target| is_own(target));
        if let Some(own) = own {
            note(&mut targets.failure, self.own.loop_at(&own.host));
            return false;
        }
        for host in group {
            match host {
                Ok(found) => {
                    targets.dial.extend(found.addresses);
                    found.is_partial.into_iter().for_each(|failure| note(&mut targets.failure, failure));
                }
                Err(failure) => note(&mut targets.failure, failure),
            }
        }
        true
    }

    async fn addresses(&self, hop: &NextHop, site: &Site) -> Result<Found, Unroutable> {
        let port = hop.port.or(site.settings.port).unwrap_or(self.port);
        let host: Arc<str> = host_text(&hop.host).into();
        let target = |ip: IpAddr, canonical: &Arc<str>, secure| Target {
            host: Arc::clone(&host),
            canonical: Arc::clone(canonical),
            address: SocketAddr::new(ip.to_canonical(), port),
            secure,
        };
        let mut failure = None;
        let (six, four) = match &hop.host {
            HopHost::Address(ip) => (vec![target(*ip, &host, false)], Vec::new()),
            HopHost::Name(name) => {
                let (six, four) = tokio::join!(self.dns.aaaa(name), self.dns.a(name));
                let six = usable(six, &mut failure, |ip, name, secure| target(ip.into(), name, secure));
                let four = usable(four, &mut failure, |ip, name, secure| target(ip.into(), name, secure));
                (six, four)
            }
        };
        let dialled = |mut list: Vec<Target>| {
            list.retain(|target| {
                is_dialled(target.address.ip()) && site.settings.reaches(target.address.ip())
            });
            fastrand::shuffle(&mut list);
            list
        };
        let mut addresses = interleave(dialled(six), dialled(four));
        addresses.truncate(MOST_OF_A_HOST);
        match (addresses.is_empty(), failure) {
            (true, Some(failure)) => Err(failure),
            (true, None) => Err(no_address(&host)),
            (false, is_partial) => Ok(Found { addresses, is_partial }),
        }
    }
}

fn no_address(host: &str) -> Unroutable {
    Unroutable::new(550, "5.4.4", format!("the host {host} has no address that can be dialled"))
}

/// The addresses of an answer. That there are none is no failure; that nothing is known now is.
fn usable<T>(
    answer: Result<Answer<T>, DnsError>,
    failure: &mut Option<Unroutable>,
    target: impl Fn(T, &Arc<str>, bool) -> Target,
) -> Vec<Target> {
    match answer {
        Ok(Answer { records, secure, canonical, .. }) => {
            let canonical = canonical.into();
            records.into_iter().map(|record| target(record, &canonical, secure)).collect()
        }
        Err(DnsError::NoSuchDomain(_) | DnsError::NoData(_) | DnsError::InvalidName(_)) => Vec::new(),
        Err(error) => {
            *failure = Some(Unroutable::new(451, "4.4.3", error.to_string()));
            Vec::new()
        }
    }
}

/// Whether an address can be another host's at all. The unspecified one would be this host under another name.
fn is_dialled(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

/// One of each in turn, so that a family that does not work from here costs one attempt and not many.
fn interleave<T>(first: Vec<T>, second: Vec<T>) -> Vec<T> {
    let mut interleaved = Vec::with_capacity(first.len() + second.len());
    let mut second = second.into_iter();
    for item in first {
        interleaved.push(item);
        interleaved.extend(second.next());
    }
    interleaved.extend(second);
    interleaved
}

/// Keeps what is to be said if no host can be reached: that it may work later, if that is so of any.
fn note(failure: &mut Option<Unroutable>, new: Unroutable) {
    if new.is_temporary() || !failure.as_ref().is_some_and(Unroutable::is_temporary) {
        *failure = Some(new);
    }
}
