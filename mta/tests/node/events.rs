//! Following what happens at a node.

use proto::mta::{EventKind, WatchRequest, WatchResponse};
use service::tls::Role;
use tonic::{Code, Streaming};

use super::node::{Node, envelope, no_remote};

async fn node() -> Node {
    let (names, port) = no_remote();
    Node::start(names, port).await
}

async fn watch(node: &Node, request: WatchRequest) -> Streaming<WatchResponse> {
    node.watch(Role::Operator, request).await.unwrap()
}

async fn next(stream: &mut Streaming<WatchResponse>) -> WatchResponse {
    stream.message().await.unwrap().unwrap()
}

/// Reads to the end.
async fn rest(mut stream: Streaming<WatchResponse>) -> Vec<WatchResponse> {
    let mut told = Vec::new();
    while let Some(event) = stream.message().await.unwrap() {
        told.push(event);
    }
    told
}

/// Whose events they are, and of what kind.
fn of(told: &[WatchResponse]) -> Vec<(String, EventKind)> {
    let events = told.iter().map(|told| told.event.as_ref().unwrap());
    events.map(|event| (event.message_id.clone(), event.kind())).collect()
}

#[tokio::test]
async fn a_reader_that_was_away_goes_on_where_it_left_off() {
    let node = node().await;
    let mut live = watch(&node, WatchRequest::default()).await;
    let mut expected = Vec::new();
    for _ in 0..2 {
        let envelope = envelope(&["bob@example.test"]);
        node.enqueue(envelope.clone(), "Subject: x\r\n\r\nx\r\n").await.unwrap();
        expected.extend(
            [EventKind::Received, EventKind::Delivered].map(|kind| (envelope.message_id.clone(), kind)),
        );
    }
    let mut told = Vec::new();
    for _ in &expected {
        told.push(next(&mut live).await);
    }
    assert_eq!(of(&told), expected);
    for (place, last) in told.iter().enumerate() {
        let request = WatchRequest { after: last.offset.clone(), until_now: true, ..WatchRequest::default() };
        assert_eq!(rest(watch(&node, request).await).await, told[place + 1..]);
    }
    let request =
        WatchRequest { kinds: vec![EventKind::Delivered.into()], until_now: true, ..WatchRequest::default() };
    let delivered = rest(watch(&node, request).await).await;
    assert_eq!(of(&delivered), [expected[1].clone(), expected[3].clone()]);
    let event = delivered[0].event.as_ref().unwrap();
    assert!(
        event.said_by_peer && event.peer.starts_with("mda ") && event.site == "mda" && event.attempt == 1
    );
}

#[tokio::test]
async fn a_node_that_ends_tells_its_readers_to_come_back() {
    let node = node().await;
    let mut live = watch(&node, WatchRequest { only_new: true, ..WatchRequest::default() }).await;
    node.stop();
    assert_eq!(live.message().await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn who_asks_for_what_there_is_not_is_told_why() {
    let node = node().await;
    let request = |after: &str| WatchRequest { after: after.into(), ..WatchRequest::default() };
    for (request, code) in [
        (request("no offset"), Code::InvalidArgument),
        (WatchRequest { only_new: true, ..request(&"0".repeat(32)) }, Code::InvalidArgument),
        (WatchRequest { kinds: vec![99], ..request("") }, Code::InvalidArgument),
        (WatchRequest { kinds: vec![0], ..request("") }, Code::InvalidArgument),
        (request("0000000000000007000000400badcafe"), Code::OutOfRange),
    ] {
        let refused = node.watch(Role::Operator, request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), code, "{request:?}: {refused}");
    }
    let refused = node.watch(Role::Msa, WatchRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}
