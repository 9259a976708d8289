//! The addresses that mail is sent from. What a site allows it allows each address of its clients, so the connections to
//! a site are divided among all addresses of its route in equal parts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use scheduler::SiteName;

use crate::routing::RouteSettings;

/// Connections that there are, by site and the address that they come from. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Sources(Arc<Mutex<HashMap<(SiteName, IpAddr), u32>>>);

/// The address that a connection comes from; in use until this goes.
pub(crate) struct Source {
    sources: Sources,
    key: (SiteName, IpAddr),
}

impl Sources {
    /// The address from which `site` is dialled at `address` next: of those that the settings name, in its family, the
    /// one with the fewest connections to the site. `None` leaves the choice to the kernel.
    pub(super) fn take(&self, site: &SiteName, settings: &RouteSettings, address: IpAddr) -> Option<Source> {
        let mut fitting: Vec<IpAddr> = settings.sources_for(address).collect();
        fastrand::shuffle(&mut fitting);
        let mut in_use = self.0.lock();
        let used = |source: &IpAddr| in_use.get(&(site.clone(), *source)).copied().unwrap_or(0);
        let least = fitting.into_iter().min_by_key(used)?;
        let key = (site.clone(), least);
        *in_use.entry(key.clone()).or_default() += 1;
        Some(Source { sources: self.clone(), key })
    }
}

impl Source {
    pub(super) fn address(&self) -> IpAddr {
        self.key.1
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Entry::Occupied(mut in_use) = self.sources.0.lock().entry(self.key.clone()) {
            *in_use.get_mut() -= 1;
            if *in_use.get() == 0 {
                in_use.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn connections_are_divided_among_the_addresses_of_a_family_however_they_end() {
        let sources = addresses(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"]);
        let settings = RouteSettings { sources, ..RouteSettings::default() };
        let (site, four) = (SiteName::new("mx"), "198.51.100.1".parse().unwrap());
        let all = Sources::default();
        let mut open: Vec<Source> = Vec::new();
        for _ in 0..1_000 {
            if open.len() == 12 {
                open.swap_remove(fastrand::usize(..open.len()));
            }
            open.push(all.take(&site, &settings, four).unwrap());
            assert!(all.0.lock().values().all(|&count| count <= 4));
            assert!(open.iter().all(|source| source.address().is_ipv4()));
        }
        open.clear();
        assert!(all.0.lock().is_empty());
    }

    #[test]
    fn each_site_has_its_own_share_of_an_address() {
        let settings = RouteSettings { sources: addresses(&["192.0.2.1"]), ..RouteSettings::default() };
        let (all, four) = (Sources::default(), "198.51.100.1".parse().unwrap());
        let _open = [SiteName::new("a"), SiteName::new("b")].map(|site| all.take(&site, &settings, four));
        assert!(all.0.lock().values().all(|&count| count == 1));
        let other_family = "2001:db8::9".parse().unwrap();
        assert!(all.take(&SiteName::new("a"), &settings, other_family).is_none());
    }
}
