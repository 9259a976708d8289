//! How port 25 answers those who do not follow the protocol, and those who ask too much.

use std::fs;

use service::config::TlsConfig;
use tempfile::TempDir;

use crate::client::Client;
use crate::node::{Node, no_remote};

async fn node() -> Node {
    let (names, port) = no_remote();
    Node::start(names, port).await
}

/// What is said to octets that come at once behind EHLO, until the server closes.
async fn answer(node: &Node, octets: &str) -> String {
    let mut client = Client::connect(node.smtp).await;
    client.write(octets.as_bytes()).await;
    client.rest().await
}

#[tokio::test]
async fn whoever_speaks_out_of_step_is_disconnected() {
    let node = node().await;
    let transaction =
        "MAIL FROM:<a@remote.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: spam\r\n\r\n.\r\n";
    let replies = "250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n554 5.5.0 Wait for the reply before sending more\r\n";
    for (octets, expected) in [
        ("GET / HTTP/1.1\r\nHost: mta.example.test\r\n\r\n", "554 5.5.0 This is no web server\r\n"),
        ("POST / HTTP/1.1\r\n\r\nMAIL FROM:<a@remote.test>\r\n", "554 5.5.0 This is no web server\r\n"),
        (transaction, replies),
        ("EHLO client.test\r\nMAIL FROM:<>\r\n", "554 5.5.0 Wait for the reply before sending more\r\n"),
        ("MAIL FROM:<>\n", "500 5.5.2 Lines end in CRLF\r\n"),
    ] {
        assert_eq!(answer(&node, octets).await, expected, "{octets:?}");
    }
    assert!(!node.mda.has_delivered());
}

#[tokio::test]
async fn what_comes_in_clear_behind_starttls_ends_the_session() {
    let folder = TempDir::new().unwrap();
    let own = rcgen::generate_simple_self_signed(["mta.example.test".to_owned()]).unwrap();
    let tls = TlsConfig { certificate: folder.path().join("pem"), key: folder.path().join("key") };
    fs::write(&tls.certificate, own.cert.pem()).unwrap();
    fs::write(&tls.key, own.signing_key.serialize_pem()).unwrap();
    let (names, port) = no_remote();
    let node = Node::start_with(names, port, |config| config.tls = Some(tls)).await;
    let said = answer(&node, "STARTTLS\r\nMAIL FROM:<evil@remote.test>\r\n").await;
    assert_eq!(said, "554 5.5.0 Wait for the reply before sending more\r\n");
    assert!(Client::connect(node.smtp).await.say("STARTTLS").await.starts_with("220 "));
}

#[tokio::test]
async fn nobody_learns_who_exists_but_by_sending() {
    let node = node().await;
    let mut client = Client::connect(node.smtp).await;
    for user in ["bob", "nobody"] {
        assert!(client.say(&format!("VRFY {user}@example.test")).await.starts_with("252 2."));
    }
    assert!(client.say("EXPN pair@example.test").await.starts_with("502 5.5.1 "));
    assert!(client.say("AUTH PLAIN =").await.starts_with("502 5.5.1 "));
    assert!(client.say("AUTH PLAIN !not base64!").await.starts_with("50"));
    for _ in 0..7 {
        assert!(client.say("XYZZY").await.starts_with("500 5.5.1 "));
    }
    assert_eq!(client.say("XYZZY").await, "421 4.7.0 Too many errors");
    assert_eq!(client.rest().await, "");
}
