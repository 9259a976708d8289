//! What stands in a report.

use proto::mail::{DsnNotify, DsnReturn};
use proto::mta::EventKind;

use super::{MESSAGE, node_and_host};
use crate::client::Client;
use crate::mda::Delivered;
use crate::node::{Node, envelope};

/// The next delivery that is a report.
async fn report(node: &Node) -> Delivered {
    loop {
        let delivered = node.mda.delivered().await;
        if delivered.envelope.reverse_path.is_empty() {
            return delivered;
        }
    }
}

fn assert_holds(report: &Delivered, lines: &[&str]) {
    for line in lines {
        assert!(report.body.contains(&format!("\r\n{line}")), "no {line} in\n{}", report.body);
    }
}

#[tokio::test]
async fn the_words_of_the_server_that_refused_for_people_and_for_programs() {
    let (node, _host) = node_and_host(11).await;
    let mut envelope = envelope(&["unknown@remote.test"]);
    envelope.envelope_id = "Q1".into();
    envelope.recipients[0].original_recipient = "rfc822;Un+known@list.test".into();
    node.enqueue(envelope, MESSAGE).await.unwrap();
    let report = report(&node).await;
    assert_eq!(report.recipients(), ["alice@example.test"]);
    assert_holds(
        &report,
        &[
            "From: Mail Delivery System <MAILER-DAEMON@mta.example.test>",
            "Subject: Your message could not be delivered: Lunch",
            "Auto-Submitted: auto-replied",
            "References: <1@example.test>",
            "  unknown@remote.test\r\n    There is no such mailbox. Please check",
            "    The mail server mx.remote.test said:\r\n      550 5.1.1 no such user",
            "Original-Envelope-Id: Q1",
            "Original-Recipient: rfc822;Un+known@list.test",
            "Final-Recipient: rfc822; unknown@remote.test",
            "Action: failed",
            "Status: 5.1.1",
            "Remote-MTA: dns; mx.remote.test",
            "Diagnostic-Code: smtp; 550 5.1.1 no such user",
        ],
    );
}

#[tokio::test]
async fn all_of_the_message_or_its_header_as_the_sender_wants_it() {
    let (node, _host) = node_and_host(12).await;
    for (wanted, media_type, is_whole) in [
        (DsnReturn::Unspecified, "text/rfc822-headers", false),
        (DsnReturn::Headers, "text/rfc822-headers", false),
        (DsnReturn::Full, "message/rfc822", true),
    ] {
        let mut envelope = envelope(&["unknown@remote.test"]);
        envelope.set_dsn_return(wanted);
        node.enqueue(envelope, MESSAGE).await.unwrap();
        let report = report(&node).await;
        assert_holds(&report, &[&format!("Content-Type: {media_type}"), "Message-ID: <1@example.test>"]);
        assert_eq!(report.body.contains("the body"), is_whole, "{}", report.body);
    }
}

#[tokio::test]
async fn who_asks_another_server_hears_that_the_message_is_in_the_mailbox() {
    let (node, _host) = node_and_host(13).await;
    let mut client = Client::connect(node.smtp).await;
    client.say("MAIL FROM:<alice@example.test> RET=FULL").await;
    client.say("RCPT TO:<bob@example.test> NOTIFY=SUCCESS").await;
    client.say("RCPT TO:<carol@example.test> NOTIFY=FAILURE").await;
    client.say("DATA").await;
    assert!(client.say(&format!("{MESSAGE}.")).await.starts_with("250 "));
    let report = report(&node).await;
    assert_holds(
        &report,
        &["Subject: Your message was delivered: Lunch", "Action: delivered", "Status: 2.1.5"],
    );
    assert!(!report.body.contains("carol@") && !report.body.contains("the body"), "{}", report.body);
}

#[tokio::test]
async fn addresses_beyond_ascii_where_the_sender_can_read_them() {
    let (node, _host) = node_and_host(14).await;
    // The host does not offer SMTPUTF8, which this address needs.
    let mut envelope = envelope(&["jürgen@remote.test"]);
    envelope.smtputf8 = true;
    node.enqueue(envelope, MESSAGE).await.unwrap();
    let report = report(&node).await;
    assert!(report.envelope.smtputf8);
    assert_holds(
        &report,
        &[
            "Content-Type: message/global-delivery-status",
            "Final-Recipient: utf-8; jürgen@remote.test",
            "Action: failed",
            "Content-Type: message/global-headers",
        ],
    );
}

#[tokio::test]
async fn a_report_that_fails_is_reported_to_nobody() {
    let (node, _host) = node_and_host(15).await;
    let mut envelope = envelope(&["unknown@remote.test"]);
    envelope.reverse_path = "unknown-too@remote.test".into();
    envelope.recipients[0].notify = vec![DsnNotify::Failure.into()];
    node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
    let report = node.event(&envelope.message_id, EventKind::Reported).await.detail;
    node.event(&report, EventKind::Bounced).await;
    node.eventually(|| async { node.waiting().await == 0 }).await;
    assert!(node.trace(&report).await.iter().all(|event| event.kind() != EventKind::Reported));
    assert!(!node.mda.has_delivered());
}
