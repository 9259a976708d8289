//! Whether a host is this one: then mail for it would come back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use message::Domain;

use super::Unroutable;

/// What this host is called, and where it takes mail.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    /// What it stands under in MX records.
    pub(crate) hostname: Domain,
    /// Addresses that are this host's although no listener names them (behind NAT, say).
    pub(crate) addresses: Vec<IpAddr>,
    /// Where this node itself takes mail.
    pub(crate) listeners: Vec<SocketAddr>,
}

impl Own {
    /// Whether an MX record with this name points here.
    pub(super) fn is_named(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.hostname.ascii())
    }

    /// Whether this node takes mail at an address, or another one whose address stands in the configuration as ours.
    pub(super) fn is_at(&self, address: SocketAddr) -> bool {
        self.addresses.contains(&address.ip()) || self.listens_at(address)
    }

    /// Whether this node takes mail at exactly this address.
    pub(super) fn listens_at(&self, address: SocketAddr) -> bool {
        let listens_there = |own: &SocketAddr| {
            own.port() == address.port()
                && (own.ip() == address.ip() || own.ip().is_unspecified() && is_of_this_host(address))
        };
        self.listeners.iter().any(listens_there)
    }

    /// What recipients in a domain whose mail would come back are told.
    pub(super) fn loop_at(&self, name: &str) -> Unroutable {
        let text =
            format!("mail for {name} loops back to {}, which does not know it as its own", self.hostname);
        Unroutable::new(554, "5.4.6", text)
    }
}

/// Whether an address is one of this host's: then it is also where the kernel would send from. Nothing is sent.
fn is_of_this_host(address: SocketAddr) -> bool {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(address)?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == address.ip())
}
