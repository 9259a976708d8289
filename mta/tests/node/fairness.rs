//! What one account feels of another's messages, at a site that takes few.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use proto::mta::{EventKind, WatchRequest};
use service::tls::Role;

use super::exchange::{Exchange, Script};
use super::names::Names;
use super::node::{Node, envelope};

const MESSAGE: &str = "From: alice@example.test\r\nMessage-ID: <1@example.test>\r\n\r\nbody\r\n";
/// What the site takes in a second.
const RATE: u64 = 20;
/// Messages of the account that comes last.
const FEW: usize = 100;
/// Messages that are handed over at a time.
const TOGETHER: usize = 200;

/// A node, and a site that takes [`RATE`] messages a second, however many come at a time.
async fn node_and_slow_site(last: u8) -> Node {
    let host = Ipv4Addr::new(127, 0, 11, last);
    let exchange = Exchange::start(host, 0, Script { misbehaves: 10_000, slow: true, ..Script::default() });
    let exchange = exchange.await;
    let names = Names::default().a("slow.test", host);
    let node = Node::start(names, exchange.address.port()).await;
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(1_000 / RATE));
        loop {
            ticks.tick().await;
            exchange.answer(1);
        }
    });
    node
}

/// Hands over so many messages of an account; returns their ids.
async fn hand_over(node: &Node, account: &str, messages: usize) -> Vec<String> {
    let one = |number: usize| async move {
        let mut envelope = envelope(&[&format!("user{number}@slow.test")]);
        envelope.account = account.into();
        let id = envelope.message_id.clone();
        node.enqueue(envelope, MESSAGE).await.unwrap();
        id
    };
    stream::iter(0..messages).map(one).buffer_unordered(TOGETHER).collect().await
}

/// How long each of a few messages waits from when they are handed over to when the site has it; the least first.
async fn waits(node: &Node, account: &str) -> Vec<Duration> {
    let live =
        WatchRequest { kinds: vec![EventKind::Delivered.into()], only_new: true, ..WatchRequest::default() };
    let mut delivered = node.watch(Role::Operator, live).await.unwrap();
    let start = Instant::now();
    let mut waiting: HashSet<String> = hand_over(node, account, FEW).await.into_iter().collect();
    let mut waits = Vec::new();
    while !waiting.is_empty() {
        let event = delivered.message().await.unwrap().unwrap().event.unwrap();
        if waiting.remove(&event.message_id) {
            waits.push(start.elapsed());
        }
    }
    waits
}

fn p99(waits: &[Duration]) -> Duration {
    waits[waits.len() * 99 / 100 - 1]
}

/// `cargo test --release -p mta --test node fairness -- --ignored --nocapture`; `FAIRNESS_MESSAGES` sets how many one
/// account has in line (200,000).
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute or two: for figures"]
async fn a_hundred_messages_wait_as_if_two_hundred_thousand_of_another_account_were_not_there() {
    let bulk = std::env::var("FAIRNESS_MESSAGES").map_or(200_000, |count| count.parse().unwrap());
    let alone = {
        let node = node_and_slow_site(1).await;
        waits(&node, "other@example.test").await
    };
    let node = node_and_slow_site(2).await;
    let start = Instant::now();
    hand_over(&node, "bulk@example.test", bulk).await;
    println!("{bulk} messages handed over in {:.1?}; {} wait", start.elapsed(), node.waiting().await);
    let crowded = waits(&node, "other@example.test").await;
    let (alone, crowded) = (p99(&alone), p99(&crowded));
    println!(
        "the site takes {RATE} messages a second; p99 of {FEW}: {alone:.2?} alone, {crowded:.2?} behind {bulk}"
    );
    assert!(crowded < alone + Duration::from_secs(2));
}

#[tokio::test]
async fn few_messages_of_one_account_pass_many_of_another() {
    let node = node_and_slow_site(3).await;
    hand_over(&node, "bulk@example.test", 400).await;
    let start = Instant::now();
    waits(&node, "other@example.test").await;
    let (passed, left) = (start.elapsed(), node.waiting().await);
    assert!(left >= 250, "{left} of 400 are left after {passed:?}");
}
