//! Mail that goes out to MX hosts.

use std::net::Ipv4Addr;

use proto::mail::DsnNotify;
use proto::mta::EventKind;

use super::exchange::{Exchange, Fault, How, Script, Step};
use super::names::Names;
use super::node::{Node, envelope};

const MESSAGE: &str = "From: alice@example.test\r\nMessage-ID: <1@example.test>\r\n\r\nbody\r\n";

fn host(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 3, last)
}

/// `remote.test` with one MX host.
async fn one_host(last: u8, script: Script) -> (Exchange, Names) {
    let exchange = Exchange::start(host(last), 0, script).await;
    (exchange, Names::default().mx("remote.test", 10, "mx.remote.test").a("mx.remote.test", host(last)))
}

#[tokio::test]
async fn the_best_host_that_can_be_reached_gets_the_message() {
    let mut reached = Exchange::start(host(11), 0, Script::default()).await;
    let port = reached.address.port();
    let behind = Exchange::start(host(12), port, Script::default()).await;
    let names = Names::default()
        .mx("remote.test", 30, "behind.remote.test")
        .mx("remote.test", 10, "dead.remote.test")
        .mx("remote.test", 20, "alive.remote.test")
        .a("dead.remote.test", host(10))
        .a("alive.remote.test", host(11))
        .a("behind.remote.test", host(12));
    let node = Node::start(names, port).await;
    let envelope = envelope(&["bob@remote.test"]);
    node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
    let received = reached.received().await;
    assert_eq!(
        (received.from.as_str(), received.to.as_slice()),
        ("alice@example.test", &["bob@remote.test".to_owned()][..])
    );
    assert_eq!(received.body, MESSAGE);
    let delivered = node.event(&envelope.message_id, EventKind::Delivered).await;
    assert!(delivered.peer.starts_with("alive.remote.test 127.0.3.11:"), "{}", delivered.peer);
    assert_eq!(behind.connections(), 0);
}

#[tokio::test]
async fn a_host_that_could_not_be_reached_is_left_alone_while_others_can_be() {
    let alive = Exchange::start(host(31), 0, Script::default()).await;
    let port = alive.address.port();
    let names = Names::default()
        .mx("remote.test", 10, "dead.remote.test")
        .mx("remote.test", 20, "alive.remote.test")
        .a("dead.remote.test", host(30))
        .a("alive.remote.test", host(31));
    let node = Node::start_with(names, port, |config| config.outbound.messages_per_session = 1).await;
    let mut details = Vec::new();
    for _ in 0..2 {
        let envelope = envelope(&["bob@remote.test"]);
        node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
        details.push(node.event(&envelope.message_id, EventKind::Delivered).await.detail);
    }
    let was_dialled = details.iter().map(|detail| {
        assert!(detail.contains("dead.remote.test 127.0.3.30:"), "{detail}");
        !detail.contains("left alone")
    });
    assert_eq!(was_dialled.collect::<Vec<_>>(), [true, false]);
    assert_eq!(alive.connections(), 2);
}

#[tokio::test]
async fn what_hosts_say_at_great_length_is_told_in_short() {
    const LINES: &str = match std::str::from_utf8(&[b'x'; 1_000]) {
        Ok(line) => line,
        Err(_) => "",
    };
    let greeting = format!("{}421 x\r\n", format!("421-{LINES}\r\n").repeat(20));
    let fault = Some(Fault { at: Step::Greeting, how: How::Ends(greeting.leak()) });
    let script = Script { misbehaves: 1, fault, ..Script::default() };
    let mut exchanges = vec![Exchange::start(host(120), 0, script).await];
    let port = exchanges[0].address.port();
    let mut names = Names::default();
    for last in 120..130 {
        if last > 120 {
            exchanges.push(Exchange::start(host(last), port, script).await);
        }
        let name = format!("mx{last}.remote.test");
        names = names.mx("remote.test", last.into(), &name).a(&name, host(last));
    }
    let node = Node::start(names, port).await;
    let envelope = envelope(&["bob@remote.test", "carol@remote.test"]);
    node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
    let deferred = node.event(&envelope.message_id, EventKind::Deferred).await;
    let (detail, said) = (&deferred.detail, &deferred.reply.as_ref().unwrap().text);
    assert!(detail.contains("mx120.remote.test") && detail.len() <= 2_000, "{} octets", detail.len());
    assert!(said.starts_with("xxx") && said.len() <= 500, "{} octets", said.len());
}

#[tokio::test]
async fn a_domain_without_mx_is_its_own_host() {
    let mut exchange = Exchange::start(host(20), 0, Script::default()).await;
    let names = Names::default().a("remote.test", host(20));
    let node = Node::start(names, exchange.address.port()).await;
    node.enqueue(envelope(&["bob@remote.test"]), MESSAGE).await.unwrap();
    assert_eq!(exchange.received().await.to, ["bob@remote.test"]);
}

#[tokio::test]
async fn what_dns_says_for_good_comes_back_as_one_report() {
    let names = Names::default()
        .mx("null.test", 0, "")
        .mx("loop.test", 10, "mta.example.test")
        .mx("loop.test", 20, "backup.test")
        .a("mta.example.test", Ipv4Addr::LOCALHOST);
    let node = Node::start(names, 1).await;
    for (recipient, status) in
        [("bob@null.test", "5.1.10"), ("bob@missing.test", "5.1.2"), ("bob@loop.test", "5.4.6")]
    {
        let envelope = envelope(&[recipient]);
        node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
        let report = node.mda.delivered().await;
        assert_eq!(report.envelope.reverse_path, "");
        assert_eq!(report.recipients(), ["alice@example.test"]);
        for line in [
            "Auto-Submitted: auto-replied",
            "Content-Type: multipart/report; report-type=delivery-status;",
            "Reporting-MTA: dns; mta.example.test",
            &format!("Final-Recipient: rfc822; {recipient}"),
            "Action: failed",
            &format!("Status: {status}"),
            "Message-ID: <1@example.test>",
        ] {
            assert!(report.body.contains(&format!("\r\n{line}")), "no {line} in\n{}", report.body);
        }
        node.eventually(|| async { node.waiting().await == 0 }).await;
    }
}

#[tokio::test]
async fn while_one_host_cannot_be_looked_up_nothing_is_given_up() {
    let names = Names::default()
        .mx("remote.test", 10, "mx.broken.test")
        .mx("remote.test", 20, "missing.test")
        .mx("other.test", 10, "mx.broken.test");
    let node = Node::start(names, 1).await;
    for recipient in ["bob@remote.test", "bob@other.test", "bob@broken.test"] {
        let envelope = envelope(&[recipient]);
        node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
        let deferred = node.event(&envelope.message_id, EventKind::Deferred).await;
        assert_eq!(deferred.reply.unwrap().enhanced, "4.4.3", "{recipient}");
    }
    assert_eq!(node.waiting().await, 3);
}

#[tokio::test]
async fn where_tls_fails_mail_goes_in_clear_and_the_trace_says_why() {
    let fault = Fault { at: Step::Handshake, how: How::Says("this is no TLS record\r\n") };
    let script = Script { misbehaves: 1, fault: Some(fault), ..Script::default() };
    let (mut exchange, names) = one_host(30, script).await;
    let node = Node::start(names, exchange.address.port()).await;
    let envelope = envelope(&["bob@remote.test"]);
    node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
    assert_eq!(exchange.received().await.body, MESSAGE);
    let delivered = node.event(&envelope.message_id, EventKind::Delivered).await;
    assert!(delivered.detail.starts_with("sent in clear: TLS handshake failed: "), "{}", delivered.detail);
    assert_eq!(delivered.tls, "");
}

#[tokio::test]
async fn a_message_that_requires_tls_does_not_go_to_a_host_that_anybody_could_have_named() {
    let (exchange, names) = one_host(35, Script::default()).await;
    let node = Node::start(names, exchange.address.port()).await;
    let mut envelope = envelope(&["bob@remote.test"]);
    envelope.require_tls = true;
    node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
    let bounced = node.event(&envelope.message_id, EventKind::Bounced).await.reply.unwrap();
    assert_eq!((bounced.code, bounced.enhanced.as_str()), (550, "5.7.10"));
    let report = node.mda.delivered().await.body;
    assert!(report.contains("\r\nStatus: 5.7.10 (the sender requires TLS with a host"), "{report}");
    assert_eq!(exchange.connections(), 0);
}

#[tokio::test]
async fn each_recipient_has_its_own_outcome() {
    let (mut exchange, names) = one_host(40, Script::default()).await;
    let node = Node::start(names, exchange.address.port()).await;
    let mut envelope = envelope(&["bob@remote.test", "unknown@remote.test", "later@remote.test"]);
    envelope.recipients[1].original_recipient = "rfc822;list@example.test".into();
    envelope.envelope_id = "QQ314159".into();
    node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
    assert_eq!(exchange.received().await.to, ["bob@remote.test"]);
    let report = node.mda.delivered().await.body;
    for line in [
        "Original-Envelope-Id: QQ314159",
        "Original-Recipient: rfc822;list@example.test",
        "Final-Recipient: rfc822; unknown@remote.test",
        "Remote-MTA: dns; mx.remote.test",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user",
        "Status: 5.1.1",
    ] {
        assert!(report.contains(&format!("{line}\r\n")), "no {line} in\n{report}");
    }
    assert!(!report.contains("bob@remote.test") && !report.contains("later@remote.test"), "{report}");
    let deferred = node.event(&envelope.message_id, EventKind::Deferred).await;
    assert_eq!((deferred.recipient.as_str(), deferred.reply.unwrap().code), ("later@remote.test", 450));
    // The report is gone once the node has heard that it was delivered.
    node.eventually(|| async { node.waiting().await == 1 }).await;
}

#[tokio::test]
async fn nobody_hears_of_failures_they_did_not_want_to_hear_of() {
    let (mut exchange, names) = one_host(45, Script::default()).await;
    let node = Node::start(names, exchange.address.port()).await;
    let mut never = envelope(&["unknown@remote.test"]);
    never.recipients[0].notify = vec![DsnNotify::Never.into()];
    let mut null = envelope(&["unknown@remote.test"]);
    null.reverse_path = String::new();
    for envelope in [never, null] {
        node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
        node.event(&envelope.message_id, EventKind::Bounced).await;
        assert!(node.trace(&envelope.message_id).await.iter().all(|e| e.kind() != EventKind::Reported));
        assert_eq!(node.waiting().await, 0);
    }
    // Who asked hears also of success, from the last host that reports.
    let mut success = envelope(&["bob@remote.test"]);
    success.recipients[0].notify = vec![DsnNotify::Success.into()];
    node.enqueue(success, MESSAGE).await.unwrap();
    exchange.received().await;
    let report = node.mda.delivered().await;
    assert!(report.body.contains("Action: relayed\r\n"), "{}", report.body);
}

#[tokio::test]
async fn an_unknown_outcome_is_tried_again_with_the_same_message() {
    let fault = Fault { at: Step::End, how: How::Ends("") };
    let script = Script { misbehaves: 1, fault: Some(fault), ..Script::default() };
    let (mut exchange, names) = one_host(50, script).await;
    let node = Node::start(names, exchange.address.port()).await;
    let envelope = envelope(&["bob@remote.test"]);
    node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
    let (first, second) = (exchange.received().await, exchange.received().await);
    assert_eq!(first.body, second.body);
    node.event(&envelope.message_id, EventKind::Deferred).await;
    node.event(&envelope.message_id, EventKind::Delivered).await;
    node.eventually(|| async { node.waiting().await == 0 }).await;
}

#[tokio::test]
async fn a_host_that_ends_a_session_between_messages_gets_the_next_one_on_a_new_one() {
    let script = Script { misbehaves: 1, one_message: true, ..Script::default() };
    let (mut exchange, names) = one_host(60, script).await;
    let node = Node::start_with(names, exchange.address.port(), |config| {
        config.outbound.sites.most = 1;
        config.outbound.sites.first = 1;
    })
    .await;
    let envelopes: Vec<_> = (0..5).map(|n| envelope(&[&format!("user{n}@remote.test")])).collect();
    for envelope in &envelopes {
        node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
    }
    let mut to = Vec::new();
    for _ in &envelopes {
        to.extend(exchange.received().await.to);
    }
    to.sort();
    assert_eq!(to, (0..5).map(|n| format!("user{n}@remote.test")).collect::<Vec<_>>());
    for envelope in &envelopes {
        node.event(&envelope.message_id, EventKind::Delivered).await;
        let story = node.trace(&envelope.message_id).await;
        assert!(story.iter().all(|event| event.kind() != EventKind::Deferred), "{story:?}");
    }
}
