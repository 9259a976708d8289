//! Clients that do not wait for their greeting.

use std::time::{Duration, Instant};

use mta::EarlyTalkers;
use service::config::HumanDuration;

use crate::client::Client;
use crate::node::{Node, no_remote};
use crate::stranger;

/// Longer than the patience of any test.
const FOR_EVER: HumanDuration = HumanDuration::from_mins(4);

async fn node(delay: HumanDuration, early_talkers: EarlyTalkers) -> Node {
    let (names, port) = no_remote();
    Node::start_with(names, port, |config| {
        stranger::listen_to_proxy(config);
        config.receiving.greeting_delay = delay;
        config.receiving.early_talkers = early_talkers;
        config.receiving.reputation.early_talker_score = 8;
    })
    .await
}

#[tokio::test]
async fn whoever_talks_first_is_sent_away_with_one_reply() {
    let node = node(FOR_EVER, EarlyTalkers::Refuse).await;
    let mut client = stranger::connect(&node, "192.0.2.1").await;
    client.write(b"EHLO client.test\r\nMAIL FROM:<a@remote.test>\r\nRCPT TO:<bob@example.test>\r\n").await;
    assert_eq!(client.rest().await, "554 5.5.0 Wait for the greeting\r\n");
    // Who comes from this host is greeted at once.
    Client::connect(node.smtp).await;
}

#[tokio::test]
async fn whoever_waits_is_greeted_when_the_delay_is_over() {
    let delay = Duration::from_millis(300);
    let node = node(HumanDuration(delay), EarlyTalkers::Refuse).await;
    let start = Instant::now();
    let mut client = stranger::greeted(&node, "192.0.2.1").await;
    assert!(start.elapsed() >= delay);
    client.say("MAIL FROM:<a@remote.test>").await;
    assert!(client.say("RCPT TO:<bob@example.test>").await.starts_with("250 "));
}

#[tokio::test]
async fn talking_first_can_be_a_matter_of_the_score() {
    let node = node(FOR_EVER, EarlyTalkers::Score).await;
    let mut client = stranger::connect(&node, "192.0.2.1").await;
    client.write(b"EHLO client.test\r\n").await;
    assert!(client.reply().await.starts_with("220 "));
    assert!(client.reply().await.starts_with("250 "));
    client.say("MAIL FROM:<a@remote.test>").await;
    let said = client.say("RCPT TO:<bob@example.test>").await;
    assert_eq!(said, "450 4.7.1 you spoke before you were greeted");
}
