//! What the clients of one network may do.

use mta::NetworkLimitsConfig;

use crate::client::Client;
use crate::node::{Node, no_remote};
use crate::stranger;

async fn node(limits: NetworkLimitsConfig) -> Node {
    let (names, port) = no_remote();
    Node::start_with(names, port, |config| {
        stranger::listen_to_proxy(config);
        config.receiving.limits = limits;
    })
    .await
}

#[tokio::test]
async fn a_network_has_so_many_connections_and_others_have_their_own() {
    let node = node(NetworkLimitsConfig { connections: 2, ..NetworkLimitsConfig::default() }).await;
    let first = stranger::greeted(&node, "192.0.2.1").await;
    let _second = stranger::greeted(&node, "192.0.2.2").await;
    let said = stranger::connect(&node, "192.0.2.3").await.rest().await;
    assert_eq!(said, "421 4.7.0 Too many connections from your network\r\n");
    let _six = stranger::greeted(&node, "2001:db8::1").await;
    let _same_six = stranger::greeted(&node, "2001:db8::2").await;
    assert!(stranger::connect(&node, "2001:db8::ffff").await.rest().await.starts_with("421 4.7.0 "));
    let _other_six = stranger::greeted(&node, "2001:db8:0:1::1").await;
    // This host may do what it likes.
    let mut trusted = Vec::new();
    for _ in 0..5 {
        trusted.push(Client::connect(node.smtp).await);
    }
    drop(first);
    node.eventually(|| async {
        stranger::connect(&node, "192.0.2.3").await.reply().await.starts_with("220 ")
    })
    .await;
}

#[tokio::test]
async fn a_network_makes_so_many_connections_a_minute() {
    let node =
        node(NetworkLimitsConfig { connections_per_minute: 2, ..NetworkLimitsConfig::default() }).await;
    for client in ["192.0.2.1", "192.0.2.2"] {
        assert!(stranger::greeted(&node, client).await.say("QUIT").await.starts_with("221 "));
    }
    let said = stranger::connect(&node, "192.0.2.3").await.rest().await;
    assert_eq!(said, "421 4.7.0 Too many connections from your network in a minute\r\n");
    stranger::greeted(&node, "198.51.100.1").await;
}

#[tokio::test]
async fn errors_and_commands_count_over_all_sessions_of_a_network() {
    let limits = NetworkLimitsConfig {
        errors_per_minute: 3,
        commands_per_minute: 12,
        ..NetworkLimitsConfig::default()
    };
    let node = node(limits).await;
    for client in ["192.0.2.1", "192.0.2.2"] {
        let mut client = stranger::greeted(&node, client).await;
        assert!(client.say("XYZZY").await.starts_with("500 "));
    }
    let mut client = stranger::greeted(&node, "192.0.2.3").await;
    client.say("MAIL FROM:<a@remote.test>").await;
    assert!(client.say("RCPT TO:<nobody@example.test>").await.starts_with("550 5.1.1 "));
    assert!(client.say("RCPT TO:<nobody@example.test>").await.starts_with("550 5.1.1 "));
    assert_eq!(client.rest().await, "421 4.7.0 Too many errors from your network in a minute\r\n");

    let mut client = stranger::greeted(&node, "198.51.100.1").await;
    for _ in 0..11 {
        assert!(client.say("NOOP").await.starts_with("250 "));
    }
    assert!(client.say("NOOP").await.starts_with("250 "));
    assert_eq!(client.rest().await, "421 4.7.0 Too many commands from your network in a minute\r\n");
}

#[tokio::test]
async fn messages_and_recipients_beyond_the_limit_are_for_later() {
    let limits = NetworkLimitsConfig {
        messages_per_minute: 2,
        recipients_per_minute: 3,
        ..NetworkLimitsConfig::default()
    };
    let node = node(limits).await;
    let mut client = stranger::greeted(&node, "192.0.2.1").await;
    client.say("MAIL FROM:<a@remote.test>").await;
    for recipient in 0..3 {
        assert!(client.say(&format!("RCPT TO:<user{recipient}@example.test>")).await.starts_with("250 "));
    }
    let said = client.say("RCPT TO:<user3@example.test>").await;
    assert!(said.starts_with("450 4.7.1 Too many recipients from your network"), "{said}");
    client.say("RSET").await;
    assert!(client.say("MAIL FROM:<a@remote.test>").await.starts_with("250 "));
    client.say("RSET").await;
    let said = client.say("MAIL FROM:<a@remote.test>").await;
    assert!(said.starts_with("450 4.7.1 Too many messages from your network"), "{said}");
    assert!(client.say("NOOP").await.starts_with("250 "), "the session goes on");
}
