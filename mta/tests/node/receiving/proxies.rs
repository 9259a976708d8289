//! Proxies that speak for clients, and those who only say so.

use std::net::Ipv4Addr;

use crate::client::Client;
use crate::node::{Node, no_remote};
use crate::stranger;

/// A proxy that says it by XCLIENT.
const XCLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const MESSAGE: &str = "Subject: proxied\r\n\r\nbody";

async fn node() -> Node {
    let (names, port) = no_remote();
    Node::start_with(names, port, |config| {
        stranger::listen_to_proxy(config);
        config.receiving.xclient = vec![XCLIENT.to_string().parse().unwrap()];
        config.receiving.limits.messages_per_minute = 1;
    })
    .await
}

/// The Received field that the node put before the message.
async fn trace(node: &Node) -> String {
    let delivered = node.mda.delivered().await;
    let id = &delivered.envelope.message_id;
    let (field, _) = delivered.body.split_once("Subject:").unwrap();
    field.replace("\r\n ", " ").replace(id, "ID")
}

#[tokio::test]
async fn version_2_of_the_proxy_protocol_names_the_client() {
    let node = node().await;
    let mut client = Client::on(stranger::connect_from(&node, stranger::PROXY).await);
    let addresses = [192, 0, 2, 7, 192, 0, 2, 1, 0x12, 0x67, 0, 25];
    client.write(&[&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &addresses].concat()).await;
    client.greet().await;
    assert!(client.send("a@remote.test", &["bob@example.test"], MESSAGE).await.starts_with("250 "));
    let field = trace(&node).await;
    let expected = "Received: from client.test ([192.0.2.7]) by mta.example.test with ESMTP id ID for \
                    <bob@example.test>; ";
    assert!(field.starts_with(expected), "{field}");
    // Its limits are its own, and not its proxy's.
    let said = stranger::greeted(&node, "192.0.2.8").await.say("MAIL FROM:<>").await;
    assert!(said.starts_with("450 4.7.1 "), "{said}");
    let said = stranger::greeted(&node, "198.51.100.1").await.say("MAIL FROM:<>").await;
    assert!(said.starts_with("250 "), "{said}");
}

#[tokio::test]
async fn xclient_names_the_client_and_what_it_said() {
    let node = node().await;
    let mut proxy = Client::on(stranger::connect_from(&node, XCLIENT).await);
    proxy.greet().await;
    let said = proxy
        .say("XCLIENT ADDR=IPV6:2001:db8::7 NAME=[UNAVAILABLE] HELO=far.test PROTO=ESMTP LOGIN=ann")
        .await;
    assert!(said.starts_with("220 mta.example.test"), "{said}");
    let to = ["bob@example.test", "carol@example.test"];
    assert!(proxy.send("a@remote.test", &to, MESSAGE).await.starts_with("250 "));
    let field = trace(&node).await;
    // Two recipients: neither learns of the other.
    let expected = "Received: from far.test ([IPv6:2001:db8::7]) by mta.example.test with ESMTPA id ID; ";
    assert!(field.starts_with(expected), "{field}");
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let node = node().await;
    let mut client = Client::connect(node.smtp).await;
    assert_eq!(client.say("XCLIENT ADDR=192.0.2.7").await, "550 5.7.0 You are no proxy of ours");
    let mut client = Client::on(stranger::connect_from(&node, XCLIENT).await);
    client.write(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n").await;
    let said = client.rest().await;
    assert!(
        said.starts_with("554 5.5.0 ") || said.starts_with("220 ") && said.contains("\r\n500 "),
        "{said}"
    );
}
