//! What a site is called.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use crate::routing::{HopHost, NextHop, RouteSettings};

/// Octets of a name at most; longer ones end in a hash.
const LONGEST: usize = 120;

/// The name of a site. Two sites of one name have the same hosts and are connected to in the same way, so limits and
/// sessions are shared by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SiteName(Arc<str>);

impl SiteName {
    pub(crate) fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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
    // The hash need not be the same in another run: nothing that is kept holds it alone.
    let mut hasher = DefaultHasher::new();
    hosts.hash(&mut hasher);
    let end = hosts[..LONGEST].rfind(',').unwrap_or(LONGEST);
    SiteName::new(format!("{},~{:016x}{rule}", &hosts[..end], hasher.finish()))
}

/// The host as it stands in logs and in the names of certificates.
pub(super) fn host_text(host: &HopHost) -> String {
    match host {
        HopHost::Name(name) => name.to_string(),
        HopHost::Address(address) => format!("[{address}]"),
    }
}
