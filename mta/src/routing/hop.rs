//! One fixed next hop: a host name or an address, and a port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use message::Domain;

/// A host, and the port if it is not the usual one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NextHop {
    /// A name, whose MX records do not matter, or an address.
    pub(crate) host: HopHost,
    pub(crate) port: Option<u16>,
}

/// The host of a next hop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum HopHost {
    /// In A-labels and lower case.
    Name(Box<str>),
    Address(IpAddr),
}

/// What is not a next hop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a host, host:port, address:port or [address]:port")]
pub(crate) struct InvalidHop(String);

impl NextHop {
    /// Reads `host`, `host:port`, `192.0.2.1:25`, `[192.0.2.1]:25`, `[2001:db8::1]:25` or a bare address.
    ///
    /// # Errors
    /// It is none of these.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidHop> {
        let invalid = || InvalidHop(text.to_owned());
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self { host: HopHost::Address(address.into()), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            // A colon within brackets belongs to the address.
            Some((host, port)) if !port.contains(']') => (host, Some(parse_port(port).ok_or_else(invalid)?)),
            _ => (text, None),
        };
        Ok(Self { host: parse_host(host).ok_or_else(invalid)?, port })
    }
}

fn parse_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|&port| digits && port != 0)
}

fn parse_host(text: &str) -> Option<HopHost> {
    if let Some(content) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return content.strip_prefix("IPv6:").unwrap_or(content).parse().ok().map(HopHost::Address);
    }
    if let Ok(address) = text.parse() {
        return Some(HopHost::Address(address));
    }
    let name = Domain::parse(text).ok()?;
    Some(HopHost::Name(name.ascii().into()))
}

/// As [`NextHop::parse`] reads it.
impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HopHost::Name(name) => f.write_str(name)?,
            HopHost::Address(IpAddr::V4(address)) => write!(f, "{address}")?,
            HopHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}
