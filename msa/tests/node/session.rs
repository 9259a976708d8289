//! Submission by SMTP.

use proto::mail::Reply;
use service::status::status_for;
use tonic::Status;

use super::node::Node;

#[tokio::test]
async fn a_message_is_completed_and_handed_over_under_the_id_in_the_reply() {
    let node = Node::start(1).await;
    let mut client = node.log_in().await;
    client.begin().await;
    let reply = client.say("From: alice@example.test\r\nBcc: secret@example.test\r\n\r\nhello\r\n.").await;
    assert!(reply.starts_with("250 2.0.0 accepted as "), "{reply}");
    let taken = node.mtas.taken().await;
    assert!(reply.ends_with(&taken.envelope.message_id), "{reply}");
    assert_eq!(taken.envelope.account, "alice@example.test");
    assert_eq!(taken.envelope.origin.as_ref().unwrap().protocol, "ESMTPSA");
    let text = taken.text();
    assert!(text.starts_with("Received: from client.test"), "{text}");
    assert!(text.contains("\r\nDate: ") && text.contains("\r\nMessage-ID: <"), "{text}");
    assert!(!text.contains("secret") && text.ends_with("\r\n\r\nhello\r\n"), "{text}");
}

#[tokio::test]
async fn a_sender_may_require_tls_on_all_of_the_way() {
    let node = Node::start(1).await;
    let mut client = node.log_in().await;
    assert!(client.say("MAIL FROM:<alice@example.test> REQUIRETLS").await.starts_with("250 "));
    assert!(client.say("RCPT TO:<bob@example.test>").await.starts_with("250 "));
    assert!(client.say("DATA").await.starts_with("354 "));
    client.say("From: alice@example.test\r\n\r\nhello\r\n.").await;
    assert!(node.mtas.taken().await.envelope.require_tls);
}

#[tokio::test]
async fn only_those_who_log_in_send_and_only_as_themselves() {
    let node = Node::start(1).await;
    let mut client = node.connect().await;
    let refused = client.say("MAIL FROM:<alice@example.test>").await;
    assert!(refused.starts_with("530 5.7.0 "), "{refused}");
    // NUL alice@example.test NUL wrong
    let refused = client.say("AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3cm9uZw==").await;
    assert!(refused.starts_with("535 5.7.8 "), "{refused}");
    let mut client = node.log_in().await;
    let refused = client.say("MAIL FROM:<bob@example.test>").await;
    assert!(refused.starts_with("553 5.7.1 "), "{refused}");
    assert!(client.say("MAIL FROM:<alice@example.test>").await.starts_with("250 "));
    let refused = client.say("RCPT TO:<nobody@example.test>").await;
    assert!(refused.starts_with("550 5.1.1 "), "{refused}");
    assert!(client.say("RCPT TO:<anybody@remote.test>").await.starts_with("250 "));
}

#[tokio::test]
async fn while_the_directory_is_away_clients_are_to_come_again() {
    let node = Node::start(1).await;
    node.lose_directory().await;
    let greeting = node.greeting().await;
    assert!(greeting.starts_with("421 4.3.0 "), "{greeting}");
}

#[tokio::test]
async fn when_an_mta_dies_another_gets_the_same_message() {
    let node = Node::start(2).await;
    let mut client = node.log_in().await;
    client.begin().await;
    node.mtas.fail(Status::unavailable("died"));
    let reply = client.say("From: alice@example.test\r\n\r\nhello\r\n.").await;
    assert!(reply.starts_with("250 "), "{reply}");
    assert!(node.mtas.have_failed());
    assert!(reply.ends_with(&node.mtas.taken().await.envelope.message_id));
    assert!(!node.mtas.has_taken());
}

#[tokio::test]
async fn when_an_mta_is_full_another_is_asked_before_the_client_is() {
    let node = Node::start(2).await;
    let mut client = node.log_in().await;
    let full =
        || status_for(&Reply { code: 452, enhanced: "4.3.1".into(), text: "the queue is full".into() });
    client.begin().await;
    node.mtas.fail(full());
    let reply = client.say("From: alice@example.test\r\n\r\nhello\r\n.").await;
    assert!(reply.starts_with("250 ") && node.mtas.have_failed(), "{reply}");
    node.mtas.taken().await;

    // A refusal for good is one.
    client.begin().await;
    node.mtas.fail(status_for(&Reply { code: 554, enhanced: "5.4.6".into(), text: "too many hops".into() }));
    let reply = client.say("From: alice@example.test\r\n\r\nhello\r\n.").await;
    assert_eq!(reply, "554 5.4.6 too many hops");
    assert!(!node.mtas.has_taken());
}

const HEADER: &[u8] = b"From: alice@example.test\r\n\r\n";

/// More than is held.
fn large() -> Vec<u8> {
    b"a line of a large message\r\n".repeat(120_000)
}

#[tokio::test]
async fn a_large_message_streams_through_whole() {
    let node = Node::start(1).await;
    let mut client = node.log_in().await;
    client.begin().await;
    client.write(HEADER).await;
    client.write(&large()).await;
    assert!(client.say(".").await.starts_with("250 "));
    assert!(node.mtas.taken().await.body.ends_with(&large()));
}

#[tokio::test]
async fn a_large_message_whose_mta_dies_is_put_off_and_taken_by_nobody() {
    let node = Node::start(1).await;
    let mut client = node.log_in().await;
    client.begin().await;
    node.mtas.fail(Status::unavailable("died"));
    client.write(HEADER).await;
    client.write(&large()).await;
    let reply = client.say(".").await;
    assert!(reply.starts_with("451 4.4.1 "), "{reply}");
    assert!(!node.mtas.has_taken());
    // The session goes on.
    client.begin().await;
    assert!(client.say("From: alice@example.test\r\n\r\nhello\r\n.").await.starts_with("250 "));
    assert!(node.mtas.taken().await.text().ends_with("hello\r\n"));
}

#[tokio::test]
async fn a_client_that_goes_away_in_its_message_leaves_nothing() {
    let node = Node::start(1).await;
    let mut client = node.log_in().await;
    client.begin().await;
    client.write(HEADER).await;
    client.write(&large()).await;
    drop(client);
    let mut client = node.log_in().await;
    client.begin().await;
    assert!(client.say("From: alice@example.test\r\n\r\nhello\r\n.").await.starts_with("250 "));
    assert!(node.mtas.taken().await.text().ends_with("hello\r\n"));
    assert!(!node.mtas.has_taken());
}
