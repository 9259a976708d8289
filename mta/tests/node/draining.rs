//! A node that is emptied into others.

use std::net::Ipv4Addr;
use std::time::Duration;

use proto::mta::steer_request::Action;
use proto::mta::{
    DrainRequest, DrainResponse, EnqueueRequest, EventKind, ExplainRequest, GetRequest, Hold, QueueState,
    QueuedRecipient, RecipientProgress, Release, SteerRequest, WaitReason,
};
use service::config::HumanDuration;
use service::grpc::client::{Channels, Target};
use service::tls::Role;
use tonic::{Code, Status, Streaming};

use super::exchange::{Exchange, Script};
use super::names::Names;
use super::node::{Node, envelope};
use super::taker::Taker;

const MESSAGE: &str = "From: alice@example.test\r\n\r\nbody\r\n";

fn host(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 14, last)
}

/// Another node's way to this one.
fn nodes(one: &Node) -> Channels {
    let peers = service::config::PeerConfig::at([one.grpc.to_string()]);
    let target = Target { role: Role::Mta, service: "waypost.mta.v1.Transfer" };
    Channels::new(&peers, target, Some(one.authority.identity(Role::Mta))).unwrap()
}

/// A node at which nothing is tried twice within a test, and `remote.test` with one host.
async fn node(last: u8, script: Script) -> (Exchange, Node) {
    let exchange = Exchange::start(host(last), 0, script).await;
    let names = Names::default().a("remote.test", host(last));
    let node = Node::start_with(names, exchange.address.port(), |config| {
        config.node = "one".into();
        config.retry.first = HumanDuration::from_hours(1);
    })
    .await;
    (exchange, node)
}

impl Node {
    /// Sends a message to `recipients`, the last of which defers it; returns its id.
    async fn leave(&self, recipients: &[&str]) -> String {
        let envelope = envelope(recipients);
        self.enqueue(envelope.clone(), MESSAGE).await.unwrap();
        self.event(&envelope.message_id, EventKind::Deferred).await;
        envelope.message_id
    }

    async fn drain(&self, to: &[String]) -> Result<Streaming<DrainResponse>, Status> {
        Ok(self.queue().await.drain(DrainRequest { to: to.to_vec() }).await?.into_inner())
    }

    /// Empties this node into another; returns what was said last.
    async fn drain_to(&self, node: &Node) -> DrainResponse {
        last(self.drain(&[node.grpc.to_string()]).await.unwrap()).await.unwrap()
    }

    async fn hold(&self, id: &str) {
        let hold = Some(Action::Hold(Hold {}));
        let request = SteerRequest { message_ids: vec![id.into()], action: hold, ..SteerRequest::default() };
        assert_eq!(self.queue().await.steer(request).await.unwrap().into_inner().recipients, 1);
    }

    /// The last recipient of a message.
    async fn shown(&self, id: &str) -> QueuedRecipient {
        let request = GetRequest { message_id: id.into() };
        self.queue().await.get(request).await.unwrap().into_inner().recipients.pop().unwrap()
    }

    async fn text(&self, id: &str) -> String {
        let explained = self.queue().await.explain(ExplainRequest { message_id: id.into() }).await.unwrap();
        explained.into_inner().explanations.remove(0).text
    }
}

/// What is said last; an error that ends it.
async fn last(mut told: Streaming<DrainResponse>) -> Result<DrainResponse, Status> {
    let mut last = DrainResponse::default();
    while let Some(now) = told.message().await? {
        last = now;
    }
    Ok(last)
}

#[tokio::test]
async fn everything_goes_with_what_it_has_been_through_and_comes_back_if_need_be() {
    let (_exchange, one) = node(1, Script::default()).await;
    let two = one.another("two").await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(one.leave(&["bob@remote.test", "later@remote.test"]).await);
    }
    one.hold(&ids[0]).await;
    let before = one.shown(&ids[0]).await;
    let told = one.drain_to(&two).await;
    assert_eq!((told.handed_over, told.left, told.problem.as_str()), (20, 0, ""));
    assert_eq!((one.waiting().await, two.waiting().await), (0, 20));
    let after = two.shown(&ids[0]).await;
    assert!(after.held);
    assert_eq!(
        (after.address, after.attempts, after.expires_at, after.last_reply, after.last_peer),
        (before.address, before.attempts, before.expires_at, before.last_reply, before.last_peer)
    );
    let transferred = one.event(&ids[0], EventKind::Transferred).await;
    assert_eq!((transferred.recipient.as_str(), transferred.peer.as_str()), ("later@remote.test", "two"));
    assert_eq!(two.event(&ids[0], EventKind::Received).await.peer, "one");

    // It is empty and stays so, until it is started again; then everything may come back.
    assert!(!one.takes_mail());
    let one = one.restart().await;
    let told = two.drain_to(&one).await;
    assert_eq!((told.handed_over, told.left), (20, 0));
    assert_eq!((one.waiting().await, two.waiting().await), (20, 0));
    assert_eq!(one.shown(&ids[0]).await.attempts, before.attempts);
}

#[tokio::test]
async fn a_node_takes_nothing_while_it_is_emptied_and_takes_mail_again_if_the_caller_goes_away() {
    let (_exchange, one) = node(2, Script::default()).await;
    let taker = Taker::start(&one.authority);
    one.leave(&["later@remote.test"]).await;
    let told = one.drain(&[taker.address.to_string()]).await.unwrap();
    let kept = taker.taken().await;
    one.eventually(|| async { !one.takes_mail() }).await;
    let mut client = super::client::Client::connect(one.smtp).await;
    assert!(client.say("MAIL FROM:<a@remote.test>").await.starts_with("451 4.3.2"));
    let again = one.drain(&[taker.address.to_string()]).await.unwrap_err();
    assert_eq!(again.code(), Code::FailedPrecondition);

    drop(told);
    kept.promise();
    one.eventually(|| async { one.takes_mail() }).await;
    one.eventually(|| async { one.waiting().await == 0 }).await;
    one.leave(&["later@remote.test"]).await;
    assert!(client.say("MAIL FROM:<a@remote.test>").await.starts_with("250"));
}

#[tokio::test]
async fn a_hand_over_without_a_receipt_is_repeated_at_the_same_node_and_nothing_is_tried_meanwhile() {
    let (exchange, one) = node(3, Script::default()).await;
    let taker = Taker::start(&one.authority);
    let id = one.leave(&["later@remote.test"]).await;
    let tried = exchange.connections();
    let told = one.drain(&[taker.address.to_string()]).await.unwrap();
    let first = taker.taken().await;
    let (envelope, state) = (first.first.envelope.clone(), first.first.state.clone());
    // The node ends before it knows whether the other one has the message.
    let mut one = one;
    drop(told);
    drop(first);
    one.stop_and_wait().await;
    let one = one.start_again().await;
    assert!(one.text(&id).await.starts_with(&format!("being handed to {}", taker.address)));
    let again = taker.taken().await;
    assert_eq!((&again.first.envelope, &again.first.state), (&envelope, &state));
    assert_eq!((again.body.as_str(), again.first.state.as_ref().unwrap().hand_overs), (MESSAGE, 1));
    // Not even a refusal says that it does not have it.
    again.refuse(Status::resource_exhausted("full"));
    taker.taken().await.promise();
    one.event(&id, EventKind::Transferred).await;
    one.eventually(|| async { one.waiting().await == 0 }).await;
    assert_eq!(exchange.connections(), tried);
}

#[tokio::test]
async fn a_node_that_does_not_answer_holds_up_no_receipt_of_another() {
    let (_exchange, one) = node(11, Script::default()).await;
    let (silent, other) = (Taker::start(&one.authority), Taker::start(&one.authority));
    let mut unanswered = Vec::new();
    for (taker, last) in [(&silent, false), (&other, true)] {
        let id = one.leave(&["later@remote.test"]).await;
        let told = one.drain(&[taker.address.to_string()]).await.unwrap();
        drop(taker.taken().await);
        drop(told);
        one.eventually(|| async { one.takes_mail() }).await;
        if last {
            let asked = tokio::time::timeout(Duration::from_mins(1), other.taken());
            asked.await.unwrap().promise();
            one.event(&id, EventKind::Transferred).await;
        } else {
            unanswered.push(silent.taken().await);
        }
    }
    assert_eq!(one.waiting().await, 1);
}

#[tokio::test]
async fn an_operator_takes_back_what_another_node_does_not_answer_for() {
    let (_exchange, one) = node(4, Script::default()).await;
    let taker = Taker::start(&one.authority);
    let id = one.leave(&["later@remote.test"]).await;
    let told = one.drain(&[taker.address.to_string()]).await.unwrap();
    drop(taker.taken().await);
    drop(told);
    drop(taker);
    let release = || SteerRequest {
        message_ids: vec![id.clone()],
        action: Some(Action::Release(Release {})),
        ..SteerRequest::default()
    };
    one.eventually(|| async {
        one.queue().await.steer(release()).await.unwrap().into_inner().recipients == 1
    })
    .await;
    let explained = one.queue().await.explain(ExplainRequest { message_id: id.clone() }).await.unwrap();
    assert_eq!(explained.get_ref().explanations[0].reason(), WaitReason::Scheduled);
    // The next hand-over is another.
    let taker = Taker::start(&one.authority);
    let _told = one.drain(&[taker.address.to_string()]).await.unwrap();
    let next = taker.taken().await;
    assert_eq!(next.first.state.as_ref().unwrap().hand_overs, 2);
    next.promise();
    one.event(&id, EventKind::Transferred).await;
}

#[tokio::test]
async fn what_keeps_a_message_is_told() {
    let (_exchange, one) = node(5, Script::default()).await;
    let taker = Taker::start(&one.authority);
    let id = one.leave(&["later@remote.test"]).await;
    let mut told = one.drain(&[taker.address.to_string()]).await.unwrap();
    taker.taken().await.refuse(Status::invalid_argument("what an odd message"));
    let mut now = DrainResponse::default();
    while now.problem.is_empty() {
        now = told.message().await.unwrap().unwrap();
    }
    assert_eq!(now.problem, format!("{id}: {} refuses: what an odd message", taker.address));
    assert_eq!((now.handed_over, now.left), (0, 1));
    taker.taken().await.promise();
    assert_eq!(last(told).await.unwrap().handed_over, 1);
}

#[tokio::test]
async fn a_node_that_refuses_is_passed_over() {
    let (_exchange, one) = node(9, Script::default()).await;
    let (full, other) = (Taker::start(&one.authority), Taker::start(&one.authority));
    for _ in 0..10 {
        one.leave(&["later@remote.test"]).await;
    }
    let told = one.drain(&[full.address.to_string(), other.address.to_string()]).await.unwrap();
    let refusing = async {
        loop {
            full.taken().await.refuse(Status::resource_exhausted("full"));
        }
    };
    let taking = async {
        for _ in 0..10 {
            other.taken().await.promise();
        }
    };
    tokio::select! {
        () = refusing => {}
        last = async { tokio::join!(taking, last(told)).1 } => assert_eq!(last.unwrap().handed_over, 10),
    }
}

#[tokio::test]
async fn a_receiver_that_is_stopped_in_the_middle_loses_and_doubles_nothing() {
    let (mut exchange, one) = node(6, Script::default()).await;
    let mut two = one.another("two").await;
    let mut ids = Vec::new();
    for n in 0..100 {
        ids.push(one.leave(&[&format!("bob{n}@remote.test"), "later@remote.test"]).await);
        exchange.received().await;
    }
    let mut told = one.drain(&[two.grpc.to_string()]).await.unwrap();
    one.eventually(|| async { two.waiting().await > 0 }).await;
    two.stop_and_wait().await;
    let two = two.start_again().await;
    let mut last = DrainResponse::default();
    while let Some(now) = told.message().await.unwrap() {
        last = now;
    }
    assert_eq!((last.handed_over, last.left), (100, 0));
    assert_eq!(two.waiting().await, 100);
    for id in &ids {
        let transfers = one.trace(id).await;
        let transfers = transfers.iter().filter(|event| event.kind() == EventKind::Transferred);
        assert_eq!(transfers.count(), 1, "{id}");
    }
}

#[tokio::test]
async fn a_drainer_that_is_stopped_in_the_middle_loses_and_doubles_nothing() {
    let (_exchange, mut one) = node(7, Script::default()).await;
    let two = one.another("two").await;
    for n in 0..100 {
        one.leave(&[&format!("bob{n}@remote.test"), "later@remote.test"]).await;
    }
    let mut told = one.drain(&[two.grpc.to_string()]).await.unwrap();
    one.eventually(|| async { two.waiting().await > 0 }).await;
    one.stop_and_wait().await;
    let mut ended = Ok(());
    while ended.is_ok() {
        match told.message().await {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(status) => ended = Err(status),
        }
    }
    let one = one.start_again().await;
    one.eventually(|| async { one.waiting().await + two.waiting().await == 100 }).await;
    assert!(one.takes_mail());
    let told = one.drain_to(&two).await;
    assert_eq!(told.left, 0);
    assert_eq!((one.waiting().await, two.waiting().await), (0, 100));
}

/// Its limits are for others: what one node has let in must find a place at the next one.
#[tokio::test]
async fn what_another_node_has_taken_is_not_refused_for_its_recipients_or_hops() {
    let names = Names::default().a("remote.test", host(10));
    let one = Node::start_with(names, 25, |config| config.limits.recipients = 1).await;
    let many: Vec<String> = (0..1_000).map(|n| format!("bob{n}@remote.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let state = |recipients| QueueState {
        expires_at: Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 }),
        recipients: vec![RecipientProgress { held: true, ..RecipientProgress::default() }; recipients],
        hand_overs: 1,
        node: "two".into(),
    };
    let trace = "Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n".repeat(100);
    for (recipients, body) in [(&many[..], MESSAGE.to_owned()), (&many[..1], trace + MESSAGE)] {
        let request =
            |state| EnqueueRequest { envelope: Some(envelope(recipients)), state, data: body.clone().into() };
        let refused = one.transfer().await.enqueue(tokio_stream::once(request(None))).await;
        assert!(refused.is_err());
        let mut client = proto::mta::transfer_client::TransferClient::new(nodes(&one).pick().await.unwrap());
        client.enqueue(tokio_stream::once(request(Some(state(recipients.len()))))).await.unwrap();
    }
    assert_eq!(one.waiting().await, 2);
}

#[tokio::test]
async fn only_nodes_hand_over_and_what_they_say_must_make_sense() {
    let (_exchange, one) = node(8, Script::default()).await;
    let state = || QueueState {
        expires_at: Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 }),
        recipients: vec![RecipientProgress::default()],
        hand_overs: 1,
        node: "two".into(),
    };
    let request = |state| EnqueueRequest {
        envelope: Some(envelope(&["bob@remote.test"])),
        state: Some(state),
        ..EnqueueRequest::default()
    };
    let by_msa = one.transfer().await.enqueue(tokio_stream::once(request(state()))).await.unwrap_err();
    assert_eq!(by_msa.code(), Code::PermissionDenied);

    let nodes = nodes(&one);
    let mut client = proto::mta::transfer_client::TransferClient::new(nodes.pick().await.unwrap());
    let senseless = QueueState { recipients: Vec::new(), ..state() };
    let refused = client.enqueue(tokio_stream::once(request(senseless))).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    client.enqueue(tokio_stream::once(request(state()))).await.unwrap();

    let nowhere: [&[String]; 2] = [&[], &["no address".to_owned()]];
    for to in nowhere {
        assert_eq!(one.drain(to).await.unwrap_err().code(), Code::InvalidArgument);
    }
    let denied = proto::mta::queue_client::QueueClient::new(nodes.pick().await.unwrap())
        .drain(DrainRequest::default())
        .await
        .unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
}
