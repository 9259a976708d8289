//! Mail that comes in by port 25.

use proto::mta::EventKind;
use service::config::ByteSize;

use super::client::Client;
use super::mda::DIRECTORY;
use super::node::{Node, no_remote};

const MESSAGE: &str = "From: a@remote.test\r\nSubject: hello\r\n\r\nbody";

async fn node() -> Node {
    let (names, port) = no_remote();
    Node::start(names, port).await
}

fn id_of(reply: &str) -> &str {
    reply.rsplit(' ').next().unwrap()
}

#[tokio::test]
async fn local_mail_goes_straight_to_the_mda_and_never_into_the_spool() {
    let node = node().await;
    let mut client = Client::connect(node.smtp).await;
    let reply = client.send("a@remote.test", &["bob@example.test", "carol@example.test"], MESSAGE).await;
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    let delivered = node.mda.delivered().await;
    assert_eq!(delivered.recipients(), ["bob@example.test", "carol@example.test"]);
    assert_eq!(delivered.envelope.message_id, id_of(&reply));
    assert!(delivered.body.starts_with("Received: from client.test"), "{}", delivered.body);
    assert!(delivered.body.ends_with(&format!("{MESSAGE}\r\n")), "{}", delivered.body);
    assert_eq!(node.waiting().await, 0);
}

#[tokio::test]
async fn mail_that_does_not_reach_the_mda_waits_in_the_spool_under_its_id() {
    let node = node().await;
    let mut client = Client::connect(node.smtp).await;
    let reply = client.send("a@remote.test", &["away@example.test"], MESSAGE).await;
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    assert_eq!(node.mda.delivered().await.envelope.message_id, id_of(&reply));
    node.eventually(|| async { node.waiting().await == 0 }).await;
    assert!(!node.mda.has_delivered());
}

#[tokio::test]
async fn a_recipient_that_is_full_is_tried_again_and_the_others_are_not() {
    let node = node().await;
    let mut client = Client::connect(node.smtp).await;
    let reply = client.send("a@remote.test", &["bob@example.test", "full@example.test"], MESSAGE).await;
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    assert_eq!(node.mda.delivered().await.recipients(), ["bob@example.test", "full@example.test"]);
    for _ in 0..2 {
        let again = node.mda.delivered().await;
        assert_eq!(again.recipients(), ["full@example.test"]);
        assert_eq!(again.envelope.message_id, id_of(&reply));
    }
    assert_eq!(node.waiting().await, 1);
}

#[tokio::test]
async fn without_room_for_the_others_nobody_gets_a_message_and_one_recipient_alone_needs_none() {
    let (names, port) = no_remote();
    let full_queue = Node::start_with(names, port, |config| config.limits.queued_messages = 1).await;
    let mut client = Client::connect(full_queue.smtp).await;
    let reply = client.send("a@remote.test", &["full@example.test"], MESSAGE).await;
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");

    let (names, port) = no_remote();
    let full_disk = Node::start_with(names, port, |config| config.spool.min_free = ByteSize(u64::MAX)).await;
    for node in [full_queue, full_disk] {
        let mut client = Client::connect(node.smtp).await;
        let both = ["bob@example.test", "full@example.test"];
        let reply = client.send("a@remote.test", &both, MESSAGE).await;
        assert!(reply.starts_with("452 4.3.1 "), "{reply}");
        let reply = client.send("a@remote.test", &["bob@example.test"], MESSAGE).await;
        assert!(reply.starts_with("250 2.0.0 "), "{reply}");
        loop {
            let delivered = node.mda.delivered().await;
            if delivered.envelope.message_id == id_of(&reply) {
                break;
            }
            assert_eq!(delivered.recipients(), ["full@example.test"]);
        }
    }
}

#[tokio::test]
async fn a_message_that_the_mda_refuses_for_all_is_refused_to_its_sender() {
    let node = node().await;
    let mut client = Client::connect(node.smtp).await;
    let reply = client.send("a@remote.test", &["refused@example.test"], MESSAGE).await;
    assert!(reply.starts_with("550 5.7.1 "), "{reply}");
    assert_eq!(node.waiting().await, 0);
}

#[tokio::test]
async fn a_call_that_the_mda_does_not_take_is_an_attempt_that_the_trace_tells_of() {
    let node = node().await;
    let mut client = Client::connect(node.smtp).await;
    let reply = client.send("a@remote.test", &["odd@example.test"], MESSAGE).await;
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    let deferred = node.event(id_of(&reply), EventKind::Deferred).await;
    assert_eq!(deferred.reply.unwrap().text, "an odd envelope");
    assert_eq!(node.waiting().await, 1);
}

#[tokio::test]
async fn nobody_relays_and_unknown_users_are_refused_in_the_session() {
    let node = node().await;
    let mut client = Client::connect(node.smtp).await;
    client.say("MAIL FROM:<a@remote.test>").await;
    let unknown = client.say("RCPT TO:<nobody@example.test>").await;
    assert!(unknown.starts_with("550 5.1.1 "), "{unknown}");
    let relayed = client.say("RCPT TO:<someone@remote.test>").await;
    assert!(relayed.starts_with("554 5.7.1 "), "{relayed}");
    let full = client.say("RCPT TO:<stuffed@example.test>").await;
    assert!(full.starts_with("452 4.2.2 "), "{full}");
    node.mda.health.set_serving(DIRECTORY, false);
    node.eventually(|| async { !Client::connect(node.smtp).await.takes("new@example.test").await }).await;
    let refused = client.say("RCPT TO:<other@example.test>").await;
    assert!(refused.starts_with("451 4.4.3 "), "{refused}");
}

#[tokio::test]
async fn a_message_that_goes_in_circles_is_refused() {
    let (names, port) = no_remote();
    // Also if no message may stay in memory.
    let on_disk = Node::start_with(names, port, |config| config.limits.in_memory = ByteSize(0)).await;
    for node in [node().await, on_disk] {
        let mut client = Client::connect(node.smtp).await;
        let passed = |hosts| "Received: from a by b\r\n".repeat(hosts) + MESSAGE;
        let reply = client.send("a@remote.test", &["bob@example.test"], &passed(100)).await;
        assert!(reply.starts_with("554 5.4.6 "), "{reply}");
        let reply = client.send("a@remote.test", &["bob@example.test"], &passed(99)).await;
        assert!(reply.starts_with("250 "), "{reply}");
        assert_eq!(node.mda.delivered().await.envelope.message_id, id_of(&reply));
    }
}
