//! Name servers that answer nothing: mail waits, and goes when they answer.

use std::sync::atomic::Ordering;

use proto::mta::RecipientState;
use service::config::HumanDuration;

use super::client::Client;
use super::exchange::Script;
use super::misbehaviour::cases::{MESSAGE, one_host, story};
use super::node::{Node, envelope};

#[tokio::test]
async fn while_no_name_server_answers_mail_waits_and_is_not_given_up() {
    let (exchange, names) = one_host(31, Script::default()).await;
    let silence = names.silence();
    silence.store(true, Ordering::SeqCst);
    let node = Node::start_with(names, exchange.address.port(), |config| {
        config.dns.timeout = HumanDuration::from_millis(50);
        config.retry.longest = HumanDuration::from_millis(200);
    })
    .await;
    let envelope = envelope(&["bob@remote.test"]);
    node.enqueue(envelope.clone(), MESSAGE).await.unwrap();
    let attempts = async || {
        let message = node.get(&envelope.message_id).await.unwrap();
        assert_eq!(message.recipients[0].state(), RecipientState::Queued);
        message.recipients[0].attempts
    };
    node.eventually(async || attempts().await >= 3).await;
    // Who is here gets mail all the same.
    let reply =
        Client::connect(node.smtp).await.send("x@remote.test", &["carol@example.test"], MESSAGE).await;
    assert!(reply.starts_with("250 "), "{reply}");
    assert_eq!(node.mda.delivered().await.recipients(), ["carol@example.test"]);

    silence.store(false, Ordering::SeqCst);
    node.eventually(async || node.waiting().await == 0).await;
    let story = story(&node.trace(&envelope.message_id).await);
    let [waited @ .., attempt, delivered] = &story[..] else { panic!("{story:?}") };
    assert!(waited.iter().all(|told| told.starts_with("deferred 451 4.4.3 ")), "{story:#?}");
    assert!(attempt.starts_with("attempt "), "{story:#?}");
    assert_eq!(delivered, "delivered 250 2.0.0 taken");
    assert_eq!(exchange.heard(), ["EHLO MAIL RCPT ."]);
}
