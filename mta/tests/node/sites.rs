//! Sites: who waits for whom, and what goes over which connection.

use std::net::Ipv4Addr;
use std::time::Duration;

use proto::mta::EventKind;
use service::config::HumanDuration;
use tokio::time::timeout;

use super::exchange::{Exchange, Script};
use super::names::Names;
use super::node::{Node, envelope};

const MESSAGE: &str = "From: alice@example.test\r\nMessage-ID: <1@example.test>\r\n\r\nbody\r\n";

fn host(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 9, last)
}

fn slow(messages: usize) -> Script {
    Script { misbehaves: messages, slow: true, ..Script::default() }
}

/// Sends a message to one recipient; returns its id.
async fn send(node: &Node, recipient: &str) -> String {
    let envelope = envelope(&[recipient]);
    node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
    envelope.message_id
}

#[tokio::test]
async fn a_slow_site_holds_up_only_itself() {
    let slow_host = Exchange::start(host(1), 0, slow(100)).await;
    let port = slow_host.address.port();
    let _fast_host = Exchange::start(host(2), port, Script::default()).await;
    let names = Names::default().a("slow.test", host(1)).a("fast.test", host(2));
    let node = Node::start_with(names, port, |config| config.outbound.sites.first = 2).await;
    let mut behind = Vec::new();
    for n in 0..10 {
        behind.push(send(&node, &format!("user{n}@slow.test")).await);
    }
    let ahead = send(&node, "bob@fast.test").await;
    node.event(&ahead, EventKind::Delivered).await;
    assert_eq!(node.waiting().await, 10);
    slow_host.answer(10);
    for id in behind {
        node.event(&id, EventKind::Delivered).await;
    }
}

#[tokio::test]
async fn domains_of_one_set_of_hosts_share_its_limit() {
    let mut shared = Exchange::start(host(11), 0, slow(100)).await;
    let names = Names::default()
        .mx("one.test", 10, "mx.shared.test")
        .mx("two.test", 20, "mx.shared.test")
        .a("mx.shared.test", host(11));
    let node = Node::start_with(names, shared.address.port(), |config| {
        config.outbound.sites.first = 2;
        config.outbound.sites.most = 2;
    })
    .await;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(send(&node, &format!("user{n}@one.test")).await);
        ids.push(send(&node, &format!("user{n}@two.test")).await);
    }
    for _ in &ids {
        shared.received().await;
        shared.answer(1);
    }
    for id in ids {
        node.event(&id, EventKind::Delivered).await;
    }
    assert!(shared.most_unanswered() <= 2, "{}", shared.most_unanswered());
}

/// Whoever keeps a domain's records chooses the names of its hosts.
#[tokio::test]
async fn hosts_may_be_called_as_places_of_our_own_are() {
    let mut exchange = Exchange::start(host(81), 0, Script::default()).await;
    let names = Names::default()
        .mx("one.test", 0, "routing")
        .mx("two.test", 0, "mda")
        .a("routing", host(81))
        .a("mda", host(81));
    let node = Node::start(names, exchange.address.port()).await;
    for recipient in ["bob@one.test", "bob@two.test"] {
        let id = send(&node, recipient).await;
        node.event(&id, EventKind::Delivered).await;
        assert_eq!(exchange.received().await.to, [recipient]);
    }
    let id = send(&node, "carol@example.test").await;
    assert_eq!(node.event(&id, EventKind::Delivered).await.site, "mda");
    assert_eq!(node.mda.delivered().await.recipients(), ["carol@example.test"]);
}

#[tokio::test]
async fn each_address_that_mail_goes_from_has_the_limit_of_the_site() {
    let mut exchange = Exchange::start(host(71), 0, slow(100)).await;
    let names = Names::default().a("remote.test", host(71));
    let node = Node::start_with(names, exchange.address.port(), |config| {
        config.outbound.sites.first = 1;
        config.outbound.sites.most = 1;
        let source = [host(72), host(73), host(74)].map(Into::into).to_vec();
        config.route = vec![mta::RouteConfig { source, ..mta::RouteConfig::default() }];
    })
    .await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(send(&node, &format!("user{n}@remote.test")).await);
    }
    for _ in 0..3 {
        exchange.received().await;
    }
    exchange.answer(6);
    for id in ids {
        node.event(&id, EventKind::Delivered).await;
    }
    assert_eq!(exchange.most_unanswered(), 3);
}

#[tokio::test]
async fn recipients_at_one_site_share_a_transaction_up_to_the_limit() {
    let mut exchange = Exchange::start(host(21), 0, Script::default()).await;
    let names = Names::default().a("remote.test", host(21));
    let node = Node::start(names, exchange.address.port()).await;
    let recipients: Vec<String> = (0..250).map(|n| format!("user{n:03}@remote.test")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    node.enqueue(envelope(&recipients), MESSAGE).await.unwrap();
    let mut transactions =
        [exchange.received().await.to, exchange.received().await.to, exchange.received().await.to];
    transactions.sort();
    assert_eq!(transactions.each_ref().map(Vec::len), [100, 100, 50]);
    assert_eq!(transactions.concat(), recipients);
    node.eventually(|| async { node.waiting().await == 0 }).await;
}

#[tokio::test]
async fn a_session_is_used_again_until_it_has_carried_its_messages() {
    let exchange = Exchange::start(host(31), 0, Script::default()).await;
    let names = Names::default().a("remote.test", host(31));
    let node = Node::start_with(names, exchange.address.port(), |config| {
        // One at a time: the next message goes when the one before has given the session back.
        config.outbound.sites.first = 1;
        config.outbound.sites.most = 1;
        config.outbound.messages_per_session = 3;
        config.outbound.sites.idle = HumanDuration::from_hours(1);
    })
    .await;
    for n in 0..6 {
        let id = send(&node, &format!("user{n}@remote.test")).await;
        node.event(&id, EventKind::Delivered).await;
    }
    assert_eq!(exchange.connections(), 2);
}

#[tokio::test]
async fn a_site_that_cannot_be_reached_is_left_alone() {
    let alive = Exchange::start(host(42), 0, Script::default()).await;
    let names = Names::default().a("dead.test", host(41)).a("alive.test", host(42));
    let node = Node::start_with(names, alive.address.port(), |config| {
        config.outbound.sites.down_after = 1;
        config.outbound.sites.down_first = HumanDuration::from_hours(1);
    })
    .await;
    let first = send(&node, "first@dead.test").await;
    node.event(&first, EventKind::Deferred).await;
    let second = send(&node, "second@dead.test").await;
    // What came after it went where it should.
    let other = send(&node, "bob@alive.test").await;
    node.event(&other, EventKind::Delivered).await;
    assert!(node.trace(&second).await.iter().all(|event| event.kind() != EventKind::Attempt));
    assert_eq!(node.waiting().await, 2);
}

#[tokio::test]
async fn a_site_that_was_left_alone_is_tried_again() {
    let elsewhere = Exchange::start(host(52), 0, Script::default()).await;
    let port = elsewhere.address.port();
    let names = Names::default().a("away.test", host(51));
    let node = Node::start_with(names, port, |config| {
        config.retry.first = HumanDuration::from_hours(1);
        config.outbound.sites.down_after = 1;
        config.outbound.sites.down_first = HumanDuration::from_millis(200);
    })
    .await;
    let first = send(&node, "first@away.test").await;
    node.event(&first, EventKind::Deferred).await;
    let _back = Exchange::start(host(51), port, Script::default()).await;
    for n in 0..3 {
        let id = send(&node, &format!("user{n}@away.test")).await;
        node.event(&id, EventKind::Delivered).await;
    }
    assert_eq!(node.waiting().await, 1, "the first has its own time");
}

#[tokio::test]
async fn name_servers_that_do_not_answer_hold_up_only_their_own_domains() {
    let exchange = Exchange::start(host(61), 0, Script::default()).await;
    let names = Names::default().a("remote.test", host(61));
    let node = Node::start_with(names, exchange.address.port(), |config| {
        config.dns.timeout = HumanDuration::from_hours(1);
    })
    .await;
    for n in 0..100 {
        send(&node, &format!("bob@d{n}.silent.test")).await;
    }
    let id = send(&node, "bob@remote.test").await;
    node.event(&id, EventKind::Delivered).await;
    assert_eq!(node.waiting().await, 100);
}

#[tokio::test]
async fn mail_goes_also_where_each_answer_names_another_host() {
    let mut exchange = Exchange::start(host(91), 0, Script::default()).await;
    let names = Names::default().restless("remote.test", host(91));
    let node = Node::start(names, exchange.address.port()).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(send(&node, &format!("user{n}@remote.test")).await);
    }
    for id in ids {
        let event = node.event(&id, EventKind::Delivered).await;
        assert!(event.peer.starts_with(&*event.site), "{event:?}");
        exchange.received().await;
    }
}

#[tokio::test]
async fn a_site_that_takes_its_mail_gets_more_at_a_time_at_once() {
    let mut exchange = Exchange::start(host(92), 0, slow(100)).await;
    let names = Names::default().a("remote.test", host(92));
    let node = Node::start_with(names, exchange.address.port(), |config| {
        config.outbound.sites.first = 1;
        config.outbound.sites.most = 2;
    })
    .await;
    for n in 0..3 {
        send(&node, &format!("user{n}@remote.test")).await;
    }
    exchange.received().await;
    exchange.answer(1);
    // Neither waits for the other, nor until the dispatcher looks by itself, which it does once a minute.
    let both = async { (exchange.received().await, exchange.received().await) };
    timeout(Duration::from_secs(30), both).await.unwrap();
    exchange.answer(2);
    node.eventually(|| async { node.waiting().await == 0 }).await;
}
