//! Mail that MSAs hand over.

use bytes::Bytes;
use proto::mail::Envelope;
use proto::mta::EnqueueRequest;
use service::config::ByteSize;
use tokio_stream::StreamExt as _;
use tonic::Code;

use super::mda::DELIVERY;
use super::node::{Node, envelope, no_remote};

async fn node() -> Node {
    let (names, port) = no_remote();
    Node::start_with(names, port, |config| config.limits.message_size = ByteSize::mib(1)).await
}

fn data(data: &[u8]) -> EnqueueRequest {
    EnqueueRequest { data: Bytes::copy_from_slice(data), ..EnqueueRequest::default() }
}

fn first(envelope: Envelope) -> EnqueueRequest {
    EnqueueRequest {
        envelope: Some(envelope),
        data: Bytes::from_static(b"Subject: x\r\n\r\n"),
        ..EnqueueRequest::default()
    }
}

#[tokio::test]
async fn envelopes_that_no_mta_could_handle_are_refused() {
    let node = node().await;
    let good = || envelope(&["bob@example.test"]);
    let malformed = [
        Envelope { message_id: "17".into(), ..good() },
        Envelope { reverse_path: "no address".into(), ..good() },
        envelope(&[]),
        envelope(&["not an address"]),
        envelope(&["bob@example.test", "bob@EXAMPLE.test"]),
        envelope(&["bob@example.test"; 1_001]),
    ];
    for envelope in malformed {
        let refused = node.enqueue(envelope.clone(), "x\r\n").await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused} for {envelope:?}");
    }
    let streams = [vec![], vec![data(b"x")], vec![first(good()), first(good())]];
    for requests in streams {
        let refused = node.transfer().await.enqueue(tokio_stream::iter(requests)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    assert!(!node.mda.has_delivered());
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_with_the_reply_for_it() {
    let node = node().await;
    let requests = tokio_stream::iter([first(envelope(&["bob@example.test"]))])
        .chain(tokio_stream::iter((0..40).map(|_| data(&vec![b'x'; 64 << 10]))));
    let refused = node.transfer().await.enqueue(requests).await.unwrap_err();
    let reply = service::status::reply_for(&refused);
    assert_eq!((reply.code, reply.enhanced.as_str()), (552, "5.3.4"));
    assert_eq!(node.waiting().await, 0);
}

/// Small and large: still in memory, and in the spool's staging area.
#[tokio::test]
async fn a_call_that_is_given_up_leaves_nothing() {
    let node = node().await;
    for size in [10, 600 << 10] {
        let (sender, requests) = tokio::sync::mpsc::channel(1);
        let mut transfer = node.transfer().await;
        let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
        let call = tokio::spawn(async move { transfer.enqueue(requests).await });
        sender.send(first(envelope(&["bob@example.test"]))).await.unwrap();
        for piece in vec![b'x'; size].chunks(64 << 10) {
            sender.send(data(piece)).await.unwrap();
        }
        // The stream is still open when the call goes.
        let _ = sender.reserve().await;
        call.abort();
        assert!(call.await.is_err());
    }
    // A later call that is complete shows that what came before it on this connection has been dealt with.
    node.enqueue(envelope(&["carol@example.test"]), "Subject: y\r\n\r\n").await.unwrap();
    assert_eq!(node.mda.delivered().await.recipients(), ["carol@example.test"]);
    assert!(!node.mda.has_delivered());
    assert_eq!(node.waiting().await, 0);
}

#[tokio::test]
async fn a_repeated_hand_over_adds_nothing() {
    let node = node().await;
    node.mda.health.set_serving(DELIVERY, false);
    node.eventually(|| async {
        node.enqueue(envelope(&["bob@example.test"]), "x\r\n").await.unwrap();
        node.waiting().await > 0
    })
    .await;
    let before = node.waiting().await;
    let envelope = envelope(&["bob@example.test"]);
    for _ in 0..3 {
        let receipt = node.enqueue(envelope.clone(), "x\r\n").await.unwrap();
        assert_eq!(receipt.message_id, envelope.message_id);
    }
    assert_eq!(node.waiting().await, before + 1);
}

/// What a sender asked for stands; else mail that nobody waits for goes behind what somebody may wait for.
#[tokio::test]
async fn automatic_and_bulk_mail_has_a_lower_priority_unless_its_sender_asked_for_one() {
    let (names, port) = no_remote();
    let node = Node::start(names, port).await;
    for (field, asked, expected) in [
        ("Subject: x", 0, 0),
        ("Auto-Submitted: auto-generated", 0, -2),
        ("Precedence: bulk", 0, -4),
        ("Precedence: bulk", 3, 3),
        ("Subject: x", -9, -9),
    ] {
        let mut envelope = envelope(&["bob@broken.test"]);
        envelope.priority = asked;
        node.enqueue(envelope.clone(), &format!("{field}\r\n\r\nbody\r\n")).await.unwrap();
        let queued = node.get(&envelope.message_id).await.unwrap();
        assert_eq!(queued.priority, expected, "{field}, {asked}");
    }
}
