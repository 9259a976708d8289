//! Aliases and lists, as those who write to them see it.

use crate::client::Client;
use crate::node::{Node, envelope, no_remote};

const MESSAGE: &str = "Subject: Lunch\r\n\r\nthe body";

async fn node() -> Node {
    let (names, port) = no_remote();
    Node::start(names, port).await
}

#[tokio::test]
async fn mail_to_an_alias_goes_straight_to_those_behind_it_once() {
    let node = node().await;
    let mut client = Client::connect(node.smtp).await;
    client.send("alice@example.test", &["bob@example.test", "pair@example.test"], MESSAGE).await;
    let delivered = node.mda.delivered().await;
    assert_eq!(delivered.recipients(), ["bob@example.test", "carol@example.test"]);
    assert_eq!(delivered.envelope.reverse_path, "alice@example.test");
    assert!(!node.mda.has_delivered());
}

#[tokio::test]
async fn an_alias_of_more_than_one_message_can_go_to_gets_a_message_of_its_own() {
    let node = node().await;
    let mut recipients: Vec<String> = (0..999).map(|n| format!("user{n}@example.test")).collect();
    recipients.push("pair@example.test".into());
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    node.enqueue(envelope(&recipients), MESSAGE).await.unwrap();
    let mut sizes = [node.mda.delivered().await, node.mda.delivered().await].map(|it| it.recipients().len());
    sizes.sort_unstable();
    assert_eq!(sizes, [2, 999]);
    node.eventually(|| async { node.waiting().await == 0 }).await;
}

#[tokio::test]
async fn who_asks_hears_that_an_alias_has_sent_the_message_on() {
    let node = node().await;
    let mut client = Client::connect(node.smtp).await;
    client.say("MAIL FROM:<alice@example.test> RET=HDRS ENVID=Q1").await;
    client.say("RCPT TO:<pair@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Pair@example.test").await;
    client.say("DATA").await;
    assert!(client.say(&format!("{MESSAGE}\r\n.")).await.starts_with("250 "));
    let (mut message, mut report) = (node.mda.delivered().await, node.mda.delivered().await);
    if message.envelope.reverse_path.is_empty() {
        std::mem::swap(&mut message, &mut report);
    }
    assert_eq!(message.recipients(), ["bob@example.test", "carol@example.test"]);
    assert!(message.body.contains("\r\nDelivered-To: pair@example.test\r\n"), "{}", message.body);
    assert_eq!(report.recipients(), ["alice@example.test"]);
    for line in [
        "Original-Envelope-Id: Q1",
        "Original-Recipient: rfc822;Pair@example.test",
        "Final-Recipient: rfc822; pair@example.test",
        "Action: expanded",
        "Auto-Submitted: auto-replied",
    ] {
        assert!(report.body.contains(&format!("\r\n{line}\r\n")), "no {line} in\n{}", report.body);
    }
    // Those behind it report nothing more of success.
    node.eventually(|| async { node.waiting().await == 0 }).await;
    assert!(!node.mda.has_delivered());
}

#[tokio::test]
async fn mail_to_a_list_goes_on_in_the_name_of_its_owner() {
    let node = node().await;
    let mut client = Client::connect(node.smtp).await;
    client.send("alice@example.test", &["list@example.test"], MESSAGE).await;
    let delivered = node.mda.delivered().await;
    assert_eq!(delivered.recipients(), ["bob@example.test", "carol@example.test"]);
    assert_eq!(delivered.envelope.reverse_path, "owner@example.test");
}

#[tokio::test]
async fn an_alias_that_leads_nowhere_is_refused_in_the_session() {
    let node = node().await;
    let mut client = Client::connect(node.smtp).await;
    client.say("MAIL FROM:<a@remote.test>").await;
    let said = client.say("RCPT TO:<circle@example.test>").await;
    assert_eq!(said, "550 5.4.6 this address leads nowhere, or in a circle");
    assert!(client.say("RCPT TO:<pair@example.test>").await.starts_with("250 "));
}
