//! Strangers come again.

use std::path::Path;

use mta::DnsList;
use service::config::HumanDuration;
use tempfile::TempDir;

use crate::names::Names;
use crate::node::Node;
use crate::stranger;

async fn node(names: Names, file: &Path, change: impl FnOnce(&mut mta::ReceivingConfig)) -> Node {
    Node::start_with(names, 1, |config| {
        stranger::listen_to_proxy(config);
        config.receiving.greylist.delay = HumanDuration::from_millis(1);
        config.receiving.greylist.file = file.to_owned();
        change(&mut config.receiving);
    })
    .await
}

async fn said_to(node: &Node, client: &str, recipient: &str) -> String {
    let mut client = stranger::greeted(node, client).await;
    client.say("MAIL FROM:<a@remote.test>").await;
    client.say(&format!("RCPT TO:<{recipient}>")).await
}

#[tokio::test]
async fn who_comes_again_is_let_in_also_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("greylist");
    let first = node(Names::default(), &file, |receiving| receiving.greylist.enabled = true).await;
    let said = said_to(&first, "192.0.2.1", "bob@example.test").await;
    assert_eq!(said, "451 4.7.1 greylisted: try again in some minutes");
    assert!(said_to(&first, "192.0.2.1", "nobody@example.test").await.starts_with("550 5.1.1 "));
    first.stop();
    first.eventually(|| async { file.exists() }).await;

    let second = node(Names::default(), &file, |receiving| receiving.greylist.enabled = true).await;
    // From another host of the network.
    assert!(said_to(&second, "192.0.2.2", "bob@example.test").await.starts_with("250 "));
    assert!(said_to(&second, "192.0.2.2", "carol@example.test").await.starts_with("451 4.7.1 "));
    assert!(said_to(&second, "198.51.100.1", "bob@example.test").await.starts_with("451 4.7.1 "));
}

#[tokio::test]
async fn unless_it_is_enabled_only_those_with_a_score_are_greylisted() {
    let folder = TempDir::new().unwrap();
    let names = Names::default().a("7.2.0.192.dubious.test", [127, 0, 0, 2].into());
    let node = node(names, &folder.path().join("greylist"), |receiving| {
        let list = DnsList { zone: "dubious.test".into(), weight: 5, ..DnsList::default() };
        receiving.reputation.lists = vec![list];
    })
    .await;
    assert!(said_to(&node, "192.0.2.6", "bob@example.test").await.starts_with("250 "));
    assert!(said_to(&node, "192.0.2.7", "bob@example.test").await.starts_with("451 4.7.1 greylisted"));
    node.eventually(|| async { said_to(&node, "192.0.2.7", "bob@example.test").await.starts_with("250 ") })
        .await;
}
