//! The PROXY protocol, versions 1 and 2: a load balancer says for whom it speaks, before anything else is said
//! (haproxy's `doc/proxy-protocol.txt`, which is the specification).
//!
//! Only from listed proxies, for whoever may say it can claim any address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;

#[cfg(test)]
mod tests;

/// How long a proxy may take for its header, which it sends with the connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Octets by which the two versions are told apart, and the start of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Octets of a header of version 1 at most, its CRLF included (§2.1).
const MAX_LINE: usize = 107;
/// Octets of addresses and TLVs in version 2 at most; what proxies send is far below.
const MAX_PAYLOAD: u16 = 4096;

/// For whom a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxied {
    /// For a client behind the proxy.
    Client {
        /// The client's address.
        source: SocketAddr,
        /// The address that it connected to.
        destination: SocketAddr,
    },
    /// For the proxy itself, as with its health checks (LOCAL), or for a client that it knows nothing of (UNKNOWN).
    Local,
}

/// Why a connection has no usable header. It is of no use either: who speaks is not known.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The connection failed or ended first, or the header took too long.
    #[error("no PROXY header: {0}")]
    Io(#[from] io::Error),
    /// What came is no header of the protocol.
    #[error("malformed PROXY header: {0}")]
    Malformed(&'static str),
}

/// Reads the header from the start of a connection, and not an octet more: what follows may be a TLS handshake.
///
/// # Errors
/// [`ProxyError`]; the connection is to be closed without a word.
pub async fn read_header(stream: &mut (impl AsyncRead + Unpin)) -> Result<Proxied, ProxyError> {
    timeout(PATIENCE, read(stream)).await.map_err(io::Error::from)?
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Proxied, ProxyError> {
    // Shorter than any header of either version.
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        let mut head = [0; 4];
        stream.read_exact(&mut head).await?;
        let length = u16::from_be_bytes([head[2], head[3]]);
        if length > MAX_PAYLOAD {
            return Err(ProxyError::Malformed("too long"));
        }
        let mut payload = vec![0; usize::from(length)];
        stream.read_exact(&mut payload).await?;
        return parse_binary(head[0], head[1], &payload);
    }
    let mut line = start.to_vec();
    if !line.starts_with(b"PROXY ") {
        return Err(ProxyError::Malformed("neither version 1 nor version 2"));
    }
    while !line.ends_with(b"\r\n") {
        if line.len() >= MAX_LINE {
            return Err(ProxyError::Malformed("line without end"));
        }
        line.push(stream.read_u8().await?);
    }
    parse_line(&line[..line.len() - 2])
}

/// Version 2 (§2.2): version and command, family and protocol, then addresses, then TLVs that are not looked at.
fn parse_binary(version_and_command: u8, family: u8, payload: &[u8]) -> Result<Proxied, ProxyError> {
    match version_and_command {
        // The addresses of LOCAL are to be ignored.
        0x20 => return Ok(Proxied::Local),
        0x21 => {}
        _ => return Err(ProxyError::Malformed("unknown version or command")),
    }
    let short = ProxyError::Malformed("addresses cut short");
    match family {
        0x11 => {
            let &[s0, s1, s2, s3, d0, d1, d2, d3, sp0, sp1, dp0, dp1] =
                payload.first_chunk::<12>().ok_or(short)?;
            Ok(Proxied::Client {
                source: (Ipv4Addr::new(s0, s1, s2, s3), u16::from_be_bytes([sp0, sp1])).into(),
                destination: (Ipv4Addr::new(d0, d1, d2, d3), u16::from_be_bytes([dp0, dp1])).into(),
            })
        }
        0x21 => {
            let (source, rest) = payload.split_first_chunk::<16>().ok_or(short)?;
            let (destination, ports) =
                rest.split_first_chunk::<16>().ok_or(ProxyError::Malformed("addresses cut short"))?;
            let &[sp0, sp1, dp0, dp1] =
                ports.first_chunk::<4>().ok_or(ProxyError::Malformed("addresses cut short"))?;
            Ok(Proxied::Client {
                source: canonical(Ipv6Addr::from(*source).into(), u16::from_be_bytes([sp0, sp1])),
                destination: canonical(Ipv6Addr::from(*destination).into(), u16::from_be_bytes([dp0, dp1])),
            })
        }
        // AF_UNSPEC: "the receiver should ignore address information" and use the connection's own.
        0x00 => Ok(Proxied::Local),
        _ => Err(ProxyError::Malformed("not TCP over IP")),
    }
}

/// Version 1 (§2.1): `PROXY TCP4 192.0.2.7 192.0.2.1 4711 25`, or `PROXY UNKNOWN` and whatever.
fn parse_line(line: &[u8]) -> Result<Proxied, ProxyError> {
    let text = std::str::from_utf8(line).map_err(|_| ProxyError::Malformed("not text"))?;
    let words: Vec<&str> = text.split(' ').collect();
    let [_, family, rest @ ..] = &*words else { return Err(ProxyError::Malformed("cut short")) };
    if *family == "UNKNOWN" {
        return Ok(Proxied::Local);
    }
    let &[source, destination, source_port, destination_port] = rest else {
        return Err(ProxyError::Malformed("not two addresses and two ports"));
    };
    Ok(Proxied::Client {
        source: endpoint(family, source, source_port)?,
        destination: endpoint(family, destination, destination_port)?,
    })
}

fn endpoint(family: &str, address: &str, port: &str) -> Result<SocketAddr, ProxyError> {
    let address: IpAddr = match family {
        "TCP4" => address.parse::<Ipv4Addr>().map(IpAddr::from).ok(),
        "TCP6" => address.parse::<Ipv6Addr>().map(IpAddr::from).ok(),
        _ => return Err(ProxyError::Malformed("neither TCP4 nor TCP6")),
    }
    .ok_or(ProxyError::Malformed("no address"))?;
    let port = port.parse().map_err(|_| ProxyError::Malformed("no port"))?;
    Ok(canonical(address, port))
}

/// An IPv4 address mapped into IPv6 is the IPv4 address.
fn canonical(address: IpAddr, port: u16) -> SocketAddr {
    (address.to_canonical(), port).into()
}
