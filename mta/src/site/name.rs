//! What a site is called. Two sites of one name have the same hosts and are connected to in the same way, so limits and
//! sessions are shared by name.

use scheduler::SiteName;

use crate::routing::{HopHost, NextHop, RouteSettings};

/// Octets of a name at most; longer ones end in a hash.
const LONGEST: usize = 120;

/// The name of the site with these mail exchangers, whatever their preferences and order.
pub(super) fn of_exchanges(hosts: &[Vec<NextHop>], settings: &RouteSettings) -> SiteName {
    let mut names: Vec<String> = hosts.iter().flatten().map(ToString::to_string).collect();
    names.sort_unstable();
    names.dedup();
    shortened(&names.join(","), settings)
}

/// The name of a site of fixed hosts, in their order.
pub(super) fn of_hops(hops: &[NextHop], settings: &RouteSettings) -> SiteName {
    let names: Vec<String> = hops.iter().map(ToString::to_string).collect();
    shortened(&names.join(","), settings)
}

/// A rule that connects in a way of its own has sites of its own.
fn shortened(hosts: &str, settings: &RouteSettings) -> SiteName {
    let rule = if settings.is_plain() { String::new() } else { format!(" ({})", settings.name) };
    if hosts.len() <= LONGEST {
        return SiteName::new(format!("{hosts}{rule}"));
    }
    let end = hosts[..LONGEST].rfind(',').unwrap_or(LONGEST);
    SiteName::new(format!("{},~{:016x}{rule}", &hosts[..end], hash(hosts)))
}

/// FNV-1a: the same in every version and on every machine, because an operator's suspension of a site keeps its name.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3))
}

/// The host as it stands in logs and in the names of certificates.
pub(super) fn host_text(host: &HopHost) -> String {
    match host {
        HopHost::Name(name) => name.to_string(),
        HopHost::Address(address) => format!("[{address}]"),
    }
}
