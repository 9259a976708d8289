//! What senders are told of their mail.

mod contents;

use std::net::Ipv4Addr;

use proto::mail::{DsnNotify, DsnReturn, Envelope};
use proto::mta::EventKind;
use service::config::HumanDuration;

use super::exchange::{Exchange, Script};
use super::names::Names;
use super::node::{Node, envelope};

const MESSAGE: &str =
    "From: alice@example.test\r\nMessage-ID: <1@example.test>\r\nSubject: Lunch\r\n\r\nthe body\r\n";

/// A node, and a host for `remote.test`, that report delays at once.
async fn node_and_host(last: u8) -> (Node, Exchange) {
    let host = Ipv4Addr::new(127, 0, 5, last);
    let exchange = Exchange::start(host, 0, Script::default()).await;
    let names = Names::default().mx("remote.test", 10, "mx.remote.test").a("mx.remote.test", host);
    let node = Node::start_with(names, exchange.address.port(), |config| {
        config.retry.delay_after = HumanDuration::from_millis(0);
    })
    .await;
    (node, exchange)
}

async fn deferrals(node: &Node, id: &str) -> Vec<(EventKind, u32)> {
    let story = node.trace(id).await;
    let deferred = story.iter().filter(|event| event.kind() == EventKind::Deferred);
    deferred.map(|event| (event.kind(), event.attempt)).collect()
}

#[tokio::test]
async fn a_delay_is_told_once() {
    let (node, _host) = node_and_host(1).await;
    let envelope = envelope(&["later@remote.test"]);
    node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
    let report = node.mda.delivered().await;
    assert_eq!(report.envelope.reverse_path, "");
    assert_eq!(report.recipients(), ["alice@example.test"]);
    for line in [
        "Subject: Your message is not yet delivered: Lunch",
        "Action: delayed",
        "Status: 4.2.1",
        "Diagnostic-Code: smtp; 450 4.2.1 not now",
        "Will-Retry-Until: ",
        "Auto-Submitted: auto-replied",
        "Message-ID: <1@example.test>",
    ] {
        assert!(report.body.contains(&format!("\r\n{line}")), "no {line} in\n{}", report.body);
    }
    assert!(!report.body.contains("the body"));
    node.eventually(|| async { deferrals(&node, &envelope.message_id).await.len() >= 3 }).await;
    let story = node.trace(&envelope.message_id).await;
    assert_eq!(story.iter().filter(|event| event.kind() == EventKind::Reported).count(), 1);
    let attempts: Vec<u32> =
        deferrals(&node, &envelope.message_id).await.into_iter().map(|(_, attempt)| attempt).collect();
    assert_eq!(attempts[..3], [1, 2, 3]);
}

#[tokio::test]
async fn nobody_is_told_of_a_delay_who_can_do_nothing_with_it() {
    let (node, _host) = node_and_host(2).await;
    let later = || envelope(&["later@remote.test"]);
    let mut failures_only = later();
    failures_only.recipients[0].notify = vec![DsnNotify::Failure.into()];
    let quiet = [
        Envelope { reverse_path: String::new(), ..later() },
        Envelope { priority: -4, ..later() },
        failures_only,
    ];
    for envelope in quiet {
        node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
        node.eventually(|| async { deferrals(&node, &envelope.message_id).await.len() >= 2 }).await;
        let story = node.trace(&envelope.message_id).await;
        assert!(story.iter().all(|event| event.kind() != EventKind::Reported), "{story:?}");
    }
    assert!(!node.mda.has_delivered());
}

#[tokio::test]
async fn recipients_that_fail_together_are_told_of_together() {
    let (node, _host) = node_and_host(3).await;
    let mut envelope = envelope(&["unknown1@remote.test", "bob@remote.test", "unknown2@remote.test"]);
    envelope.set_dsn_return(DsnReturn::Full);
    node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
    let report = node.mda.delivered().await.body;
    for line in
        ["Final-Recipient: rfc822; unknown1@remote.test", "Final-Recipient: rfc822; unknown2@remote.test"]
    {
        assert!(report.contains(line), "no {line} in\n{report}");
    }
    assert!(report.contains("the body") && !report.contains("bob@remote.test"), "{report}");
    node.eventually(|| async { node.waiting().await == 0 }).await;
    assert!(!node.mda.has_delivered());
}

#[tokio::test]
async fn what_asked_for_tls_is_not_sent_back_whole() {
    let (node, _host) = node_and_host(4).await;
    let mut envelope = envelope(&["refused@example.test"]);
    envelope.require_tls = true;
    envelope.set_dsn_return(DsnReturn::Full);
    envelope.recipients[0].notify = vec![DsnNotify::Failure.into(), DsnNotify::Success.into()];
    node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
    let report = loop {
        let delivered = node.mda.delivered().await;
        if delivered.envelope.reverse_path.is_empty() {
            break delivered;
        }
    };
    assert!(report.envelope.require_tls);
    assert!(report.body.contains("Subject: Lunch") && !report.body.contains("the body"), "{}", report.body);
}
