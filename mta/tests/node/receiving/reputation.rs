//! DNS lists of clients, and what becomes of those who are on them.

use std::net::Ipv4Addr;

use mta::DnsList;
use service::config::HumanDuration;

use crate::names::Names;
use crate::node::Node;
use crate::stranger;

const LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn list(zone: &str, weight: i32) -> DnsList {
    DnsList { zone: zone.into(), weight, ..DnsList::default() }
}

/// `bad.test` lists 192.0.2.7 to 192.0.2.9, `worse.test` the last two of them, and `good.test` the last one.
async fn node() -> Node {
    let names = Names::default()
        .a("7.2.0.192.bad.test", LISTED)
        .a("8.2.0.192.bad.test", LISTED)
        .a("9.2.0.192.bad.test", LISTED)
        .a("8.2.0.192.worse.test", LISTED)
        .txt("8.2.0.192.worse.test", "sends spam, see https://worse.test/8")
        .a("9.2.0.192.worse.test", LISTED)
        .a("9.2.0.192.good.test", LISTED);
    Node::start_with(names, 1, |config| {
        stranger::listen_to_proxy(config);
        let reputation = &mut config.receiving.reputation;
        reputation.lists = vec![
            list("bad.test", 8),
            list("worse.test", 9),
            list("good.test", -20),
            list("silent.test", 100),
        ];
        reputation.timeout = HumanDuration::from_millis(500);
    })
    .await
}

async fn said_to(node: &Node, client: &str, recipient: &str) -> String {
    let mut client = stranger::greeted(node, client).await;
    client.say("MAIL FROM:<a@remote.test>").await;
    client.say(&format!("RCPT TO:<{recipient}>")).await
}

#[tokio::test]
async fn the_lists_together_decide() {
    let node = node().await;
    for (client, expected) in [
        ("192.0.2.6", "250 2.1.5 recipient ok"),
        ("192.0.2.7", "450 4.7.1 192.0.2.7 is listed by bad.test"),
        ("192.0.2.8", "554 5.7.1 192.0.2.8 is listed by worse.test: sends spam, see https://worse.test/8"),
        ("192.0.2.9", "250 2.1.5 recipient ok"),
    ] {
        assert_eq!(said_to(&node, client, "bob@example.test").await, expected);
    }
}

#[tokio::test]
async fn the_postmaster_hears_also_of_those_who_are_listed() {
    let node = node().await;
    assert!(said_to(&node, "192.0.2.8", "Postmaster@example.test").await.starts_with("250 "));
}
