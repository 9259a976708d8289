//! Calls over several nodes.

use std::collections::HashMap;

use tonic::Code;

use super::node::{Running, TARGET, channels, enqueue};
use crate::{
    config::{HumanDuration, PeerConfig},
    grpc::client::{Channels, ClientError, Retry},
    testing::Authority,
    tls::Role,
};

/// Calls until every one of these nodes has answered; each call must succeed.
async fn until_all_answer(channels: &Channels, nodes: &[&str]) {
    let mut answers: HashMap<String, usize> = HashMap::new();
    while !nodes.iter().all(|node| answers.contains_key(*node)) {
        let receipt = channels.call(Retry::Idempotent, enqueue).await.unwrap();
        *answers.entry(receipt.node).or_default() += 1;
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_killed_node_costs_no_call_and_is_used_again_after_its_restart() {
    let authority = Authority::new();
    let identity = authority.identity(Role::Mta);
    let a = Running::start("a", Some(identity.clone()));
    let b = Running::start("b", Some(identity.clone()));
    let channels =
        channels(&authority, Role::Msa, &[a.address.to_string(), format!("localhost:{}", b.address.port())]);
    until_all_answer(&channels, &["a", "b"]).await;

    let address = b.address;
    b.kill().await;
    for _ in 0..50 {
        let receipt = channels.call(Retry::Idempotent, enqueue).await.unwrap();
        assert_eq!(receipt.node, "a");
    }

    let b = Running::start_at(address, "b", Some(identity));
    until_all_answer(&channels, &["a", "b"]).await;
    a.kill().await;
    b.kill().await;
}

#[tokio::test]
async fn a_name_with_an_address_where_nobody_listens_causes_no_error() {
    let authority = Authority::new();
    let node = Running::start("a", Some(authority.identity(Role::Mta)));
    // `localhost` is 127.0.0.1 and ::1; only the first is listened on.
    let channels = channels(&authority, Role::Msa, &[format!("localhost:{}", node.address.port())]);
    for _ in 0..50 {
        let channel = channels.pick().await.unwrap();
        assert_eq!(channel.address(), node.address);
        enqueue(channel).await.unwrap();
    }
    node.kill().await;
}

#[tokio::test]
async fn the_least_busy_node_is_picked() {
    let authority = Authority::new();
    let identity = authority.identity(Role::Mta);
    let (a, b) = (Running::start("a", Some(identity.clone())), Running::start("b", Some(identity)));
    let channels = channels(&authority, Role::Msa, &[a.address.to_string(), b.address.to_string()]);
    until_all_answer(&channels, &["a", "b"]).await;

    let held = channels.pick().await.unwrap();
    let clone = held.clone();
    drop(held);
    let other = if clone.address() == a.address { b.address } else { a.address };
    for _ in 0..20 {
        assert_eq!(channels.pick().await.unwrap().address(), other);
    }
    a.kill().await;
    b.kill().await;
}

#[tokio::test]
async fn a_node_that_is_not_serving_is_not_picked() {
    let authority = Authority::new();
    let identity = authority.identity(Role::Mta);
    let (a, b) = (Running::start("a", Some(identity.clone())), Running::start("b", Some(identity)));
    let channels = channels(&authority, Role::Msa, &[a.address.to_string(), b.address.to_string()]);
    until_all_answer(&channels, &["a", "b"]).await;

    a.health.set_serving(TARGET.service, false);
    // The news travels; from then on there is only b.
    while channels.0.pool.healthy_addresses() != [b.address] {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        assert_eq!(channels.call(Retry::Never, enqueue).await.unwrap().node, "b");
    }
    a.health.set_serving(TARGET.service, true);
    until_all_answer(&channels, &["a", "b"]).await;
    a.kill().await;
    b.kill().await;
}

#[tokio::test]
async fn without_any_node_a_call_is_unavailable_and_says_where_it_looked() {
    let authority = Authority::new();
    let config = PeerConfig {
        wait: HumanDuration::from_millis(50),
        // Port 1 of loopback: nobody listens there.
        ..PeerConfig::at(["127.0.0.1:1"])
    };
    let channels = Channels::new(&config, TARGET, Some(authority.identity(Role::Msa))).unwrap();
    let unreachable = channels.pick().await.unwrap_err();
    assert_eq!(unreachable.code(), Code::Unavailable);
    assert_eq!(unreachable.message(), "no mta is reachable at 127.0.0.1:1");
    assert!(!channels.is_ready());
}

#[tokio::test]
async fn addresses_that_are_none_are_errors() {
    let build = |addresses: &[&str]| {
        Channels::new(&PeerConfig::at(addresses.iter().copied()), TARGET, None).map(|_| ())
    };
    for address in ["localhost", "localhost:", ":25", "::1:25", "localhost:70000"] {
        assert!(matches!(build(&[address]), Err(ClientError::Address(text)) if text == address), "{address}");
    }
    assert!(matches!(build(&[]), Err(ClientError::NoAddresses(Role::Mta))));
    build(&["[::1]:25", "mta.example:7025"]).unwrap();
}
