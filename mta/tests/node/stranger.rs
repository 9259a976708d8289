//! Clients from other networks than this host's: a proxy speaks for them.

use std::net::{IpAddr, Ipv4Addr};

use tokio::net::{TcpSocket, TcpStream};

use super::client::Client;
use super::node::Node;

/// Where the proxy is. It is no other client's address.
pub const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Lets a node listen to the proxy.
pub fn listen_to_proxy(config: &mut mta::Config) {
    config.receiving.proxies = vec![PROXY.to_string().parse().unwrap()];
}

/// Connects as the client with this address. What the server says is still to be read.
pub async fn connect(node: &Node, client: &str) -> Client {
    let (family, local) = match client.parse::<IpAddr>().unwrap() {
        IpAddr::V4(_) => ("TCP4", "192.0.2.1"),
        IpAddr::V6(_) => ("TCP6", "2001:db8::1"),
    };
    let mut connected = Client::on(connect_from(node, PROXY).await);
    connected.write(format!("PROXY {family} {client} {local} 4711 25\r\n").as_bytes()).await;
    connected
}

/// The same, up to the reply to EHLO.
pub async fn greeted(node: &Node, client: &str) -> Client {
    let mut connected = connect(node, client).await;
    connected.greet().await;
    connected
}

/// Connects from an address of this host.
pub async fn connect_from(node: &Node, source: Ipv4Addr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    socket.connect(node.smtp).await.unwrap()
}
