//! Submission by gRPC.

use bytes::Bytes;
use message::MessageId;
use proto::mail::Recipient;
use proto::msa::{SubmitHeader, SubmitRequest};
use tonic::Code;

use super::node::Node;

fn header(from: &str, to: &[&str]) -> SubmitHeader {
    let recipient = |address: &&str| Recipient { address: (*address).into(), ..Recipient::default() };
    SubmitHeader {
        reverse_path: from.into(),
        recipients: to.iter().map(recipient).collect(),
        ..SubmitHeader::default()
    }
}

fn requests(header: SubmitHeader, pieces: &[&'static str]) -> Vec<SubmitRequest> {
    let mut requests: Vec<SubmitRequest> = pieces
        .iter()
        .map(|piece| SubmitRequest { header: None, data: Bytes::from_static(piece.as_bytes()) })
        .collect();
    requests[0].header = Some(header);
    requests
}

#[tokio::test]
async fn lines_may_end_as_programs_end_them() {
    let node = Node::start(1).await;
    let id = MessageId::new().to_string();
    let to = ["bob@example.test", "bob@EXAMPLE.test", "carol@remote.test"];
    let header = SubmitHeader { message_id: id.clone(), ..header("alice@example.test", &to) };
    let pieces = ["From: alice@example.test\nSubject: x\r", "\n\none\n.two\r\n", "three\n"];
    let receipt = node.program().await.submit(tokio_stream::iter(requests(header, &pieces))).await.unwrap();
    assert_eq!(receipt.into_inner().message_id, id);
    let taken = node.mtas.taken().await;
    assert_eq!(
        (taken.envelope.message_id.as_str(), taken.envelope.account.as_str()),
        (id.as_str(), "alice@example.test")
    );
    assert_eq!(taken.envelope.recipients.len(), 2);
    assert!(taken.text().ends_with("\r\n\r\none\r\n.two\r\nthree\r\n"), "{}", taken.text());
}

#[tokio::test]
async fn what_may_not_be_sent_is_refused() {
    let node = Node::start(1).await;
    let cases = [
        (header("nobody@example.test", &["bob@example.test"]), Code::PermissionDenied),
        (header("alice@example.test", &["nobody@example.test"]), Code::NotFound),
        (header("alice@example.test", &[]), Code::InvalidArgument),
        (header("alice@example.test", &["not an address"]), Code::InvalidArgument),
        (
            SubmitHeader { password: "wrong".into(), ..header("alice@example.test", &["bob@example.test"]) },
            Code::Unauthenticated,
        ),
    ];
    for (header, code) in cases {
        let requests = requests(header.clone(), &["From: alice@example.test\r\n\r\n"]);
        let refused = node.program().await.submit(tokio_stream::iter(requests)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused} for {header:?}");
    }
    let lone_cr = requests(header("alice@example.test", &["bob@example.test"]), &["Subject: a\rb\r\n\r\n"]);
    let refused = node.program().await.submit(tokio_stream::iter(lone_cr)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(!node.mtas.has_taken());
}
