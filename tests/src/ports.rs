//! Ports for servers that have to be told one.

use std::net::{TcpListener, UdpSocket};

use crate::eventually;

/// A port of 127.0.0.1 that nobody uses, neither with TCP nor with UDP, below the range from which the kernel takes ports
/// for outgoing connections.
pub fn free_port() -> u16 {
    eventually("a free port", || {
        let port = fastrand::u16(10_000..32_000);
        let address = ("127.0.0.1", port);
        (TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()).then_some(port)
    })
}
