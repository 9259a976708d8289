//! TCP connections: to the first of several addresses that answers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

#[cfg(test)]
mod tests;

/// The head start that an address has over the next one (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);

/// An address to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where.
    pub address: SocketAddr,
    /// The address of this host to connect from, of the same family; the kernel's choice if `None`.
    pub source: Option<IpAddr>,
}

/// What became of the addresses. Those of which nothing is said were not tried to their end.
#[derive(Debug)]
pub struct Dialled {
    /// The first that answered, by its place in the list.
    pub connected: Option<(usize, TcpStream)>,
    /// Those that did not, by their places.
    pub failed: Vec<(usize, io::Error)>,
}

/// Tries the targets in their order, each once the one before it has failed or not answered for 250 ms, until one
/// answers. None is waited for longer than `within`.
pub async fn dial(targets: &[Target], within: Duration) -> Dialled {
    let mut failed = Vec::new();
    let mut waiting = targets.iter().enumerate();
    let mut attempts = FuturesUnordered::new();
    loop {
        if let Some((place, target)) = waiting.next() {
            attempts.push(async move { (place, connect(*target, within).await) });
        } else if attempts.is_empty() {
            return Dialled { connected: None, failed };
        }
        let ended = if waiting.len() == 0 {
            attempts.next().await
        } else {
            timeout(STAGGER, attempts.next()).await.ok().flatten()
        };
        match ended {
            Some((place, Ok(stream))) => return Dialled { connected: Some((place, stream)), failed },
            Some((place, Err(error))) => failed.push((place, error)),
            // The next one's time has come.
            None => {}
        }
    }
}

async fn connect(target: Target, within: Duration) -> io::Result<TcpStream> {
    let socket = if target.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = target.source {
        socket.bind((source, 0).into())?;
    }
    // Commands are small and wait for their replies.
    socket.set_nodelay(true)?;
    timeout(within, socket.connect(target.address)).await.map_err(io::Error::from).flatten()
}
