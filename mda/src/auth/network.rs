//! The network that a client's address belongs to.

use std::net::{IpAddr, Ipv6Addr};

/// An IPv4 /24 or an IPv6 /64: what one customer of a provider usually has at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Network(Ipv6Addr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        // The networks of IPv4 stand as mapped addresses, within one /64 that no real client of IPv6 has.
        Self(match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                std::net::Ipv4Addr::new(a, b, c, 0).to_ipv6_mapped()
            }
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)),
        })
    }
}
