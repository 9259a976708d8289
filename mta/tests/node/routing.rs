//! The routing table, as those see it who send and receive.

use std::net::Ipv4Addr;

use mta::{RouteConfig, RouteTo};
use proto::mta::EventKind;

use super::client::Client;
use super::exchange::{Exchange, Script};
use super::names::Names;
use super::node::{Node, envelope};

const MESSAGE: &str = "From: alice@example.test\r\nMessage-ID: <1@example.test>\r\n\r\nbody\r\n";

/// A host on an address and a port of its own.
async fn host(last: u8) -> Exchange {
    Exchange::start(Ipv4Addr::new(127, 0, 3, last), 0, Script::default()).await
}

fn to_host(host: &Exchange) -> RouteConfig {
    RouteConfig { to: RouteTo::Hosts, hosts: vec![host.address.to_string()], ..RouteConfig::default() }
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

/// A node whose name servers know nobody, so that only rules lead anywhere.
async fn node(rules: Vec<RouteConfig>) -> Node {
    Node::start_with(Names::default(), 1, |config| config.route = rules).await
}

#[tokio::test]
async fn a_smart_host_gets_all_mail_to_others_and_none_of_ours() {
    let mut smart = host(130).await;
    let node = node(vec![to_host(&smart)]).await;
    let mixed = envelope(&["bob@remote.test", "carol@elsewhere.test", "dave@example.test"]);
    node.enqueue(mixed.clone(), MESSAGE).await.unwrap();
    let mut to = smart.received().await.to;
    // Two domains may come in one transaction or in two.
    if to.len() < 2 {
        to.extend(smart.received().await.to);
    }
    to.sort();
    assert_eq!(to, ["bob@remote.test", "carol@elsewhere.test"]);
    assert_eq!(node.mda.delivered().await.recipients(), ["dave@example.test"]);
}

#[tokio::test]
async fn the_next_smart_host_takes_over_for_one_that_is_away() {
    let mut second = host(131).await;
    let rule =
        RouteConfig { hosts: list(&["127.0.3.132:1", &second.address.to_string()]), ..to_host(&second) };
    let node = node(vec![rule]).await;
    node.enqueue(envelope(&["bob@remote.test"]), MESSAGE).await.unwrap();
    assert_eq!(second.received().await.to, ["bob@remote.test"]);
}

#[tokio::test]
async fn senders_and_recipients_decide_in_the_order_of_the_rules() {
    let (mut for_alice, mut for_partner, mut for_all) = (host(133).await, host(134).await, host(135).await);
    let node = node(vec![
        RouteConfig { recipient_domain: list(&["partner.test", ".partner.test"]), ..to_host(&for_partner) },
        RouteConfig { sender_domain: list(&["example.test"]), ..to_host(&for_alice) },
        to_host(&for_all),
    ])
    .await;
    node.enqueue(envelope(&["bob@mail.partner.test"]), MESSAGE).await.unwrap();
    assert_eq!(for_partner.received().await.to, ["bob@mail.partner.test"]);
    node.enqueue(envelope(&["bob@remote.test"]), MESSAGE).await.unwrap();
    assert_eq!(for_alice.received().await.to, ["bob@remote.test"]);
    let mut from_elsewhere = envelope(&["bob@remote.test"]);
    from_elsewhere.reverse_path = "zoe@elsewhere.test".into();
    node.enqueue(from_elsewhere, MESSAGE).await.unwrap();
    assert_eq!(for_all.received().await.from, "zoe@elsewhere.test");
}

#[tokio::test]
async fn an_account_has_its_own_way_out() {
    let (mut bulk, mut others) = (host(136).await, host(137).await);
    let rule = RouteConfig { account: list(&["news@example.test"]), ..to_host(&bulk) };
    let node = node(vec![rule, to_host(&others)]).await;
    let mut news = envelope(&["bob@remote.test"]);
    news.account = "news@example.test".into();
    node.enqueue(news, MESSAGE).await.unwrap();
    assert_eq!(bulk.received().await.to, ["bob@remote.test"]);
    node.enqueue(envelope(&["carol@remote.test"]), MESSAGE).await.unwrap();
    assert_eq!(others.received().await.to, ["carol@remote.test"]);
}

#[tokio::test]
async fn a_refusal_reaches_the_sender_in_the_operators_words() {
    let refused = RouteConfig {
        recipient_domain: list(&["closed.test"]),
        to: RouteTo::Refuse,
        text: "closed.test has moved to open.test".into(),
        ..RouteConfig::default()
    };
    let later = RouteConfig { recipient_domain: list(&["later.test"]), code: Some(450), ..refused.clone() };
    let node = node(vec![refused, later]).await;
    let sent = envelope(&["bob@closed.test"]);
    node.enqueue(sent.clone(), MESSAGE).await.unwrap();
    let report = node.mda.delivered().await;
    assert_eq!(report.recipients(), ["alice@example.test"]);
    assert!(report.body.contains("closed.test has moved to open.test"), "{}", report.body);
    let bounced = node.event(&sent.message_id, EventKind::Bounced).await.reply.unwrap();
    assert_eq!((bounced.code, bounced.enhanced.as_str()), (550, "5.7.1"));

    let sent = envelope(&["bob@later.test"]);
    node.enqueue(sent.clone(), MESSAGE).await.unwrap();
    let deferred = node.event(&sent.message_id, EventKind::Deferred).await.reply.unwrap();
    assert_eq!((deferred.code, deferred.enhanced.as_str()), (450, "4.7.1"));
    assert_eq!(node.waiting().await, 1);
}

#[tokio::test]
async fn other_servers_hear_of_a_refusal_in_the_session() {
    let rule = RouteConfig {
        recipient_domain: list(&["example.test"]),
        sender_domain: list(&["spam.test"]),
        to: RouteTo::Refuse,
        text: "not from there".into(),
        ..RouteConfig::default()
    };
    let node = node(vec![rule]).await;
    let mut client = Client::connect(node.smtp).await;
    client.say("MAIL FROM:<zoe@spam.test>").await;
    assert_eq!(client.say("RCPT TO:<bob@example.test>").await, "550 5.7.1 not from there");
    assert!(Client::connect(node.smtp).await.takes("bob@example.test").await);
}

#[tokio::test]
async fn a_domain_can_be_handed_to_the_mda_whatever_the_directory_knows() {
    let rule =
        RouteConfig { recipient_domain: list(&["hosted.test"]), to: RouteTo::Mda, ..RouteConfig::default() };
    let node = node(vec![rule]).await;
    node.enqueue(envelope(&["bob@hosted.test"]), MESSAGE).await.unwrap();
    assert_eq!(node.mda.delivered().await.recipients(), ["bob@hosted.test"]);
}

#[tokio::test]
async fn a_rule_that_names_our_own_domain_goes_before_the_mailboxes() {
    let mut elsewhere = host(138).await;
    let rule = RouteConfig { recipient_domain: list(&["example.test"]), ..to_host(&elsewhere) };
    let node = node(vec![rule]).await;
    node.enqueue(envelope(&["bob@example.test"]), MESSAGE).await.unwrap();
    assert_eq!(elsewhere.received().await.to, ["bob@example.test"]);
    assert!(!node.mda.has_delivered());
}

#[tokio::test]
async fn mail_can_go_by_the_mx_of_another_domain() {
    let mut exchange = Exchange::start(Ipv4Addr::new(127, 0, 3, 139), 0, Script::default()).await;
    let names = Names::default()
        .mx("provider.test", 10, "mx.provider.test")
        .a("mx.provider.test", Ipv4Addr::new(127, 0, 3, 139));
    let rule = RouteConfig {
        recipient_domain: list(&["remote.test"]),
        mx_of: "provider.test".into(),
        ..RouteConfig::default()
    };
    let port = exchange.address.port();
    let node = Node::start_with(names, port, |config| config.route = vec![rule]).await;
    node.enqueue(envelope(&["bob@remote.test"]), MESSAGE).await.unwrap();
    assert_eq!(exchange.received().await.to, ["bob@remote.test"]);
}
