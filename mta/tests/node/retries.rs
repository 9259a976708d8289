//! When delivery is tried again, and when it is given up.

use std::net::Ipv4Addr;
use std::time::{Duration, UNIX_EPOCH};

use mta::RetryRuleConfig;
use proto::mta::{Event, EventKind};
use service::config::HumanDuration;

use super::exchange::{Exchange, Fault, How, Script, Step};
use super::names::Names;
use super::node::{Node, envelope};

const MESSAGE: &str = "From: alice@example.test\r\nMessage-ID: <1@example.test>\r\n\r\nbody\r\n";
const SHORT: HumanDuration = HumanDuration::from_millis(300);

/// A node in whose time table mail to `short.test` has a short lifetime, and a host for all domains.
async fn node_and_host(last: u8, script: Script) -> (Node, Exchange) {
    let host = Ipv4Addr::new(127, 0, 10, last);
    let exchange = Exchange::start(host, 0, script).await;
    let names = Names::default().a("short.test", host).a("long.test", host).a("eager.test", host);
    let node = Node::start_with(names, exchange.address.port(), |config| {
        config.dns.timeout = HumanDuration::from_millis(100);
        config.retry.rule = vec![
            RetryRuleConfig {
                recipient_domain: vec!["short.test".into(), ".silent.test".into()],
                lifetime: Some(SHORT),
                ..RetryRuleConfig::default()
            },
            RetryRuleConfig {
                recipient_domain: vec!["long.test".into()],
                first: Some(HumanDuration::from_hours(1)),
                ..RetryRuleConfig::default()
            },
        ];
    })
    .await;
    (node, exchange)
}

fn at(event: &Event) -> Duration {
    let at = event.at.unwrap();
    Duration::new(at.seconds.try_into().unwrap(), at.nanos.try_into().unwrap())
}

/// Hands the message over; returns its id and when that began.
async fn send(node: &Node, recipients: &[&str]) -> (String, Duration) {
    let (envelope, before) = (envelope(recipients), UNIX_EPOCH.elapsed().unwrap());
    node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
    (envelope.message_id, before)
}

/// Waits until a recipient of a message that was sent at `sent` has come to the end of its time.
async fn expires(node: &Node, id: &str, sent: Duration) {
    let ended = at(&node.event(id, EventKind::Expired).await);
    assert!(ended + Duration::from_millis(1) >= sent + *SHORT);
}

#[tokio::test]
async fn each_recipient_has_the_times_of_the_rule_for_its_domain() {
    let (node, _host) = node_and_host(1, Script::default()).await;
    let (id, sent) = send(&node, &["later@short.test", "later@long.test", "later@eager.test"]).await;
    expires(&node, &id, sent).await;
    let story = node.trace(&id).await;
    let of = |kind, recipient: &str| {
        story.iter().filter(|event| event.kind() == kind && event.recipient == recipient).count()
    };
    assert!(of(EventKind::Deferred, "later@short.test") >= 2, "tried again meanwhile");
    assert!(of(EventKind::Deferred, "later@eager.test") >= 2);
    assert_eq!(of(EventKind::Deferred, "later@long.test"), 1, "its first wait is an hour");
    assert_eq!(of(EventKind::Expired, "later@short.test"), 1);
    assert_eq!(of(EventKind::Expired, "later@eager.test") + of(EventKind::Expired, "later@long.test"), 0);
}

#[tokio::test]
async fn a_reply_that_comes_after_the_deadline_still_counts() {
    let (node, mut host) = node_and_host(2, Script { misbehaves: 1, slow: true, ..Script::default() }).await;
    let (id, sent) = send(&node, &["bob@short.test"]).await;
    host.received().await;
    tokio::time::sleep(*SHORT).await;
    host.answer(1);
    let delivered = node.event(&id, EventKind::Delivered).await;
    assert!(at(&delivered) >= sent + *SHORT);
}

#[tokio::test]
async fn an_attempt_that_fails_after_the_deadline_is_the_last() {
    let fault = Some(Fault { at: Step::End, how: How::Ends("") });
    let script = Script { misbehaves: 1, slow: true, fault, ..Script::default() };
    let (node, mut host) = node_and_host(3, script).await;
    let (id, sent) = send(&node, &["bob@short.test"]).await;
    host.received().await;
    tokio::time::sleep(*SHORT).await;
    host.answer(1);
    expires(&node, &id, sent).await;
    assert_eq!(host.connections(), 1);
}

#[tokio::test]
async fn what_waits_for_name_servers_that_do_not_answer_is_given_up_at_its_deadline() {
    let (node, _host) = node_and_host(4, Script::default()).await;
    let (id, sent) = send(&node, &["bob@d1.silent.test"]).await;
    expires(&node, &id, sent).await;
}
