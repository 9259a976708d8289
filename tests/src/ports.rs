//! Ports for servers that have to be told one.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use crate::eventually;

/// A port that nobody uses on any address, neither with TCP nor with UDP, below the range from which the kernel takes
/// ports for outgoing connections.
pub fn free_port() -> u16 {
    eventually("a free port", || {
        let port = fastrand::u16(10_000..32_000);
        let address = (Ipv4Addr::UNSPECIFIED, port);
        (TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()).then_some(port)
    })
}
