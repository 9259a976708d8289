//! The hosts of our own services, as a configuration names them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver, TokioResolver};

use super::DnsSetupError;

/// The system's resolver, with its hosts file and search domains. Clones share its memory.
#[derive(Clone)]
pub(crate) struct Hosts(TokioResolver);

impl Hosts {
    /// The system's resolver for names of hosts; where the system has none, the hosts file alone.
    pub(crate) fn of_system() -> Result<Self, DnsSetupError> {
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|_| {
            let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
            Resolver::builder_with_config(nobody, TokioRuntimeProvider::default())
        });
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Self(builder.build()?))
    }

    /// Named servers in place of the system's.
    #[cfg(test)]
    pub(crate) fn asking(config: &crate::config::DnsConfig) -> Self {
        let servers = ResolverConfig::from_parts(None, Vec::new(), super::servers::named_servers(config));
        let mut builder = Resolver::builder_with_config(servers, TokioRuntimeProvider::default());
        builder.options_mut().timeout = *config.timeout;
        Self(builder.build().unwrap())
    }

    /// All addresses of a host: an address, a name of the hosts file, a name relative to the system's search domains.
    /// `localhost` is both loopback addresses (RFC 6761 §6.3).
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NetError> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        if host.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        Ok(self.0.lookup_ip(host).await?.iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hosts_of_peers_are_addresses_or_localhost_without_asking() {
        let hosts = Hosts::of_system().unwrap();
        let both: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        assert_eq!(hosts.addresses("localhost").await.unwrap(), both);
        assert_eq!(hosts.addresses("LOCALHOST.").await.unwrap(), both);
        assert_eq!(hosts.addresses("::1").await.unwrap(), [both[1]]);
        assert_eq!(hosts.addresses("192.0.2.7").await.unwrap(), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    }
}
