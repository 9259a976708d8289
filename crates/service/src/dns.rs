//! DNS as mail needs it: typed answers that keep "there is none", "ask later" and "forged" apart.
//!
//! ```text
//! Dns ─▶ cache (time to live, RFC 2308; stale answers, RFC 8767) ─▶ one query a question ─▶ servers, one after the other
//! ```

mod answer;
mod cache;
mod hosts;
mod lookup;
mod metrics;
mod servers;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::net::NetError;
use hickory_resolver::proto::ProtoError;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use prometheus_client::registry::Registry;

use self::answer::host_text;
use self::cache::Question;
use self::lookup::Lookup;
use self::servers::Servers;
use crate::config::DnsConfig;

pub(crate) use self::hosts::Hosts;

/// Asks resolvers, and remembers their answers as long as these allow. Clones share the memory.
#[derive(Clone)]
pub struct Dns(Arc<Lookup>);

/// What was found, and for how long it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// At least one, in no particular order.
    pub records: Vec<T>,
    /// Time to live that is left.
    pub ttl: Duration,
    /// DNSSEC proved every record, and every alias that led to them. Never without `dns.dnssec`.
    pub secure: bool,
    /// The name at the end of the aliases, to which the records belong; in ASCII and lower case, without the final dot.
    pub canonical: String,
}

impl<T> Answer<T> {
    fn map<U>(self, convert: impl FnMut(T) -> Option<U>) -> Answer<U> {
        let Self { records, ttl, secure, canonical } = self;
        Answer { records: records.into_iter().filter_map(convert).collect(), ttl, secure, canonical }
    }
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

/// One certificate association (RFC 6698 §2.1), with its numbers as they stand in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// Certificate usage: 2 is DANE-TA, 3 is DANE-EE (RFC 7218).
    pub usage: u8,
    /// What is matched: 0 the whole certificate, 1 its public key.
    pub selector: u8,
    /// How: 0 as it is, 1 by SHA-256, 2 by SHA-512.
    pub matching: u8,
    /// What must match.
    pub data: Vec<u8>,
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
    /// There is an answer, and DNSSEC says that it is not the domain's own: it was forged, or its signatures are broken.
    /// The same question may have another answer later.
    #[error("the answer about {0} fails DNSSEC validation")]
    Bogus(String),
    /// No usable answer now: SERVFAIL, a timeout, nobody to ask. The same question may have one later.
    #[error("cannot resolve {name} now: {reason}")]
    Temporary {
        /// What was asked for.
        name: String,
        /// Why.
        reason: String,
    },
}

impl DnsError {
    /// Whether the same question may have an answer later. If not, the DNS has said that there is none.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Bogus(_) | Self::Temporary { .. })
    }
}

/// The resolver cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum DnsSetupError {
    /// The system names no resolver that could be used.
    #[error("cannot set up the resolver from the system's configuration: {0}; name resolvers in dns.servers")]
    System(#[from] NetError),
    /// `dns.trust_anchors` is of no use.
    #[error("dns.trust_anchors: cannot use {path}: {reason}")]
    TrustAnchors {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
}

impl From<ProtoError> for DnsSetupError {
    fn from(error: ProtoError) -> Self {
        Self::System(error.into())
    }
}

impl Dns {
    /// A resolver that asks the configured servers, or those of the system.
    ///
    /// # Errors
    /// The system's configuration cannot be read, or the trust anchors.
    pub fn new(config: &DnsConfig) -> Result<Self, DnsSetupError> {
        Ok(Self(Lookup::new(Servers::new(config)?, config)))
    }

    /// Reads the files that the configuration names.
    ///
    /// # Errors
    /// The trust anchors are of no use.
    pub fn check(config: &DnsConfig) -> Result<(), DnsSetupError> {
        servers::trust_anchors(config).map(drop)
    }

    /// Registers what is counted: queries by what came of them.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics().register(registry);
    }

    /// The mail exchangers of a domain.
    ///
    /// # Errors
    /// There are none, or nothing is known now.
    pub async fn mx(&self, domain: &str) -> Result<Answer<Mx>, DnsError> {
        let answer = self.ask(domain, RecordType::MX).await?;
        Ok(answer.map(|data| match data {
            RData::MX(mx) => Some(Mx { preference: mx.preference, exchange: host_text(&mx.exchange) }),
            _ => None,
        }))
    }

    /// The IPv4 addresses of a host.
    ///
    /// # Errors
    /// There are none, or nothing is known now.
    pub async fn a(&self, host: &str) -> Result<Answer<Ipv4Addr>, DnsError> {
        let answer = self.ask(host, RecordType::A).await?;
        Ok(answer.map(|data| match data {
            RData::A(a) => Some(a.0),
            _ => None,
        }))
    }

    /// The IPv6 addresses of a host.
    ///
    /// # Errors
    /// There are none, or nothing is known now.
    pub async fn aaaa(&self, host: &str) -> Result<Answer<Ipv6Addr>, DnsError> {
        let answer = self.ask(host, RecordType::AAAA).await?;
        Ok(answer.map(|data| match data {
            RData::AAAA(aaaa) => Some(aaaa.0),
            _ => None,
        }))
    }

    /// The texts at a name, each with its strings put together (RFC 8461 §3.1). Octets that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// There are none, or nothing is known now.
    pub async fn txt(&self, name: &str) -> Result<Answer<String>, DnsError> {
        let answer = self.ask(name, RecordType::TXT).await?;
        Ok(answer.map(|data| match data {
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        }))
    }

    /// The certificate associations of a service, such as `_25._tcp.mx.example.org`. Four cases are to be told apart
    /// (RFC 7672 §2.1.1): `Ok` with `secure` binds; `Ok` without is worth nothing; `NoSuchDomain` and `NoData` say that
    /// there are none; at anything else it is not known whether there are, and mail has to wait. Stale answers are never
    /// given.
    ///
    /// # Errors
    /// There are none, or nothing is known now.
    pub async fn tlsa(&self, name: &str) -> Result<Answer<Tlsa>, DnsError> {
        let answer = self.ask(name, RecordType::TLSA).await?;
        Ok(answer.map(|data| match data {
            RData::TLSA(tlsa) => Some(Tlsa {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data,
            }),
            _ => None,
        }))
    }

    /// The names of an address: what stands there is said by whoever runs the address, and proves nothing.
    ///
    /// # Errors
    /// There are none, or nothing is known now.
    pub async fn ptr(&self, address: IpAddr) -> Result<Answer<String>, DnsError> {
        let name = Name::from(address.to_canonical());
        let answer = self.0.ask(Question::new(&name, RecordType::PTR)).await?;
        Ok(answer.map(|data| match data {
            RData::PTR(name) => Some(host_text(&name)),
            _ => None,
        }))
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Result<Answer<RData>, DnsError> {
        self.0.ask(Question::new(&absolute(name)?, kind)).await
    }
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dns")
    }
}

/// The name as it stands, never relative to a search domain.
fn absolute(name: &str) -> Result<Name, DnsError> {
    let mut parsed = Name::from_utf8(name).map_err(|_| DnsError::InvalidName(name.to_owned()))?;
    parsed.set_fqdn(true);
    Ok(parsed)
}
