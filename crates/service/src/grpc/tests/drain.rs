//! Ending without losing a call.

use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::node::{Running, TARGET, channels, enqueue};
use crate::testing::Authority;
use crate::tls::Role;

#[tokio::test]
async fn a_draining_server_says_so_finishes_its_calls_and_ends() {
    let authority = Authority::new();
    let node = Running::start("a", Some(authority.identity(Role::Mta)));
    let channels = channels(&authority, Role::Msa, &[node.address.to_string()]);
    let channel = channels.pick().await.unwrap().without_deadline();
    let mut watch = HealthClient::new(channel.clone())
        .watch(HealthCheckRequest { service: TARGET.service.to_owned() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);

    node.gate.send_replace(false);
    let call = tokio::spawn(enqueue(channel));
    while node.gate.receiver_count() < 2 {
        tokio::task::yield_now().await;
    }
    node.shutdown.start();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert!(watch.message().await.unwrap().is_none(), "the watch ends, so that it does not hold the drain");
    assert!(!node.health.is_serving(""));
    node.health.set_serving("", true);
    assert!(!node.health.is_serving(""), "what drains does not come back");

    assert!(!call.is_finished());
    node.gate.send_replace(true);
    assert_eq!(call.await.unwrap().unwrap().node, "a");
    node.ended().await;
}
