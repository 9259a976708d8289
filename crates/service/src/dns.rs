//! DNS as mail routing needs it: typed answers that keep "there is none" and "ask later" apart.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use hickory_resolver::{
    Resolver, ResolverBuilder, TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts},
    lookup::Lookup,
    net::{DnsError as NetDnsError, NetError, NoRecords, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData},
    },
};

use crate::config::DnsConfig;

#[cfg(test)]
mod tests;

/// Asks resolvers, and remembers their answers as long as these allow. Clones share the memory.
#[derive(Clone)]
pub struct Dns(TokioResolver);

/// What was found, and for how long it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// At least one, in no particular order.
    pub records: Vec<T>,
    /// Time to live that is left.
    pub ttl: Duration,
}

/// One mail exchanger (RFC 1035 §3.3.9).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mx {
    /// The lower, the more preferred.
    pub preference: u16,
    /// In ASCII and lower case, without the final dot; empty is the root, which says that the domain takes no mail
    /// (null MX, RFC 7505).
    pub exchange: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name does not exist, with any type of record (NXDOMAIN).
    #[error("no such domain: {0}")]
    NoSuchDomain(String),
    /// The name exists, without records of this type (NODATA).
    #[error("no such records: {0}")]
    NoData(String),
    /// The name cannot be asked for: a label is empty, too long, or not a valid international label.
    #[error("not a domain name: {0}")]
    InvalidName(String),
    /// No usable answer now: SERVFAIL, a timeout, nobody to ask. The same question may have one later.
    #[error("cannot resolve {name} now: {reason}")]
    Temporary {
        /// What was asked for.
        name: String,
        /// Why.
        reason: String,
    },
}

/// The resolver cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the resolver from the system's configuration: {0}; name resolvers in dns.servers")]
pub struct DnsSetupError(#[from] NetError);

impl Dns {
    /// A resolver that asks the configured servers, or those of the system.
    pub fn new(config: &DnsConfig) -> Result<Self, DnsSetupError> {
        let mut builder = if config.servers.is_empty() {
            TokioResolver::builder_tokio()?
        } else {
            builder_for(explicit_servers(config))
        };
        apply(config, builder.options_mut());
        Ok(Self(builder.build()?))
    }

    /// The system's resolver for names of hosts; where the system has none, the hosts file alone.
    pub(crate) fn for_hosts() -> Result<Self, DnsSetupError> {
        let mut builder = TokioResolver::builder_tokio()
            .unwrap_or_else(|_| builder_for(ResolverConfig::from_parts(None, Vec::new(), Vec::new())));
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Self(builder.build()?))
    }

    /// The mail exchangers of a domain.
    pub async fn mx(&self, domain: &str) -> Result<Answer<Mx>, DnsError> {
        let looked_up = self.0.mx_lookup(absolute(domain)?).await;
        answer(domain, looked_up, |data| match data {
            RData::MX(mx) => Some(Mx { preference: mx.preference, exchange: host_text(&mx.exchange) }),
            _ => None,
        })
    }

    /// The IPv4 addresses of a host.
    pub async fn a(&self, host: &str) -> Result<Answer<Ipv4Addr>, DnsError> {
        answer(host, self.0.ipv4_lookup(absolute(host)?).await, |data| match data {
            RData::A(a) => Some(a.0),
            _ => None,
        })
    }

    /// The IPv6 addresses of a host.
    pub async fn aaaa(&self, host: &str) -> Result<Answer<Ipv6Addr>, DnsError> {
        answer(host, self.0.ipv6_lookup(absolute(host)?).await, |data| match data {
            RData::AAAA(aaaa) => Some(aaaa.0),
            _ => None,
        })
    }

    /// All addresses of a host as a configuration names it: an address, a name of the hosts file, a name relative to
    /// the system's search domains. `localhost` is both loopback addresses (RFC 6761 §6.3).
    pub(crate) async fn host(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        if host.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let found = self.0.lookup_ip(host).await.map_err(|error| failure(host, error))?;
        Ok(found.iter().collect())
    }
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dns")
    }
}

fn builder_for(config: ResolverConfig) -> ResolverBuilder<TokioRuntimeProvider> {
    Resolver::builder_with_config(config, TokioRuntimeProvider::default())
}

fn explicit_servers(config: &DnsConfig) -> ResolverConfig {
    let servers = config.servers.iter().map(|server| {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = server.port();
        }
        NameServerConfig::new(server.ip(), true, connections)
    });
    ResolverConfig::from_parts(None, Vec::new(), servers.collect())
}

fn apply(config: &DnsConfig, options: &mut ResolverOpts) {
    options.timeout = *config.timeout;
    options.attempts = config.attempts;
    options.cache_size = config.cache_size;
    // A domain's mail must not be routed by this machine's hosts file, except where the system's resolver is asked.
    if !config.servers.is_empty() {
        options.use_hosts_file = hickory_resolver::config::ResolveHosts::Never;
    }
}

/// The name as it stands, never relative to a search domain.
fn absolute(name: &str) -> Result<Name, DnsError> {
    let mut parsed = Name::from_utf8(name).map_err(|_| DnsError::InvalidName(name.to_owned()))?;
    parsed.set_fqdn(true);
    Ok(parsed)
}

fn host_text(name: &Name) -> String {
    let mut text = name.to_ascii().to_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

/// The records of the wanted type. An answer also holds the CNAMEs that led to them, and signatures.
fn answer<T>(
    name: &str,
    looked_up: Result<Lookup, NetError>,
    wanted: impl Fn(&RData) -> Option<T>,
) -> Result<Answer<T>, DnsError> {
    let lookup = looked_up.map_err(|error| failure(name, error))?;
    let records: Vec<T> = lookup.answers().iter().filter_map(|record| wanted(&record.data)).collect();
    if records.is_empty() {
        return Err(DnsError::NoData(name.to_owned()));
    }
    Ok(Answer { records, ttl: lookup.valid_until().saturating_duration_since(Instant::now()) })
}

fn failure(name: &str, error: NetError) -> DnsError {
    match error {
        NetError::Dns(NetDnsError::NoRecordsFound(NoRecords { response_code, .. })) => match response_code {
            ResponseCode::NXDomain => DnsError::NoSuchDomain(name.to_owned()),
            ResponseCode::NoError => DnsError::NoData(name.to_owned()),
            code => DnsError::Temporary { name: name.to_owned(), reason: code.to_string() },
        },
        error => DnsError::Temporary { name: name.to_owned(), reason: error.to_string() },
    }
}
