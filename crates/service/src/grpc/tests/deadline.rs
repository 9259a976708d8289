//! Every call ends.

use std::time::Duration;

use tonic::Code;

use super::node::{Running, channels, enqueue};
use crate::testing::Authority;
use crate::tls::Role;

#[tokio::test]
async fn a_call_that_gets_no_answer_ends_at_its_deadline() {
    let authority = Authority::new();
    let node = Running::start("a", Some(authority.identity(Role::Mta)));
    node.gate.send_replace(false);
    let channels = channels(&authority, Role::Msa, &[node.address.to_string()]);
    let channel = channels.pick().await.unwrap().with_deadline(Duration::from_millis(50));
    let late = enqueue(channel).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert!(late.message().contains(&node.address.to_string()), "{late}");

    node.gate.send_replace(true);
    let channel = channels.pick().await.unwrap().without_deadline();
    enqueue(channel).await.unwrap();
    node.kill().await;
}

#[tokio::test]
async fn a_node_that_dies_under_a_call_is_unavailable() {
    let authority = Authority::new();
    let node = Running::start("a", Some(authority.identity(Role::Mta)));
    node.gate.send_replace(false);
    let channels = channels(&authority, Role::Msa, &[node.address.to_string()]);
    let channel = channels.pick().await.unwrap();
    let call = tokio::spawn(enqueue(channel));
    // The handler holds a receiver of its own for as long as the call runs.
    while node.gate.receiver_count() < 2 {
        tokio::task::yield_now().await;
    }
    node.kill().await;
    assert_eq!(call.await.unwrap().unwrap_err().code(), Code::Unavailable);
}
