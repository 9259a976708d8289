//! Logging in, and what is refused before.

use super::*;

#[tokio::test]
async fn login_needs_the_right_password() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    assert!(client.fails(&format!("LOGIN {USER} wrong")).await.starts_with("NO [AUTHENTICATIONFAILED]"));
    assert!(client.fails("SELECT INBOX").await.starts_with("BAD"));
    let (_, tagged) = client.command(&format!("LOGIN {{{}+}}\r\n{USER} \"{PASSWORD}\"", USER.len())).await;
    assert!(tagged.starts_with("OK [CAPABILITY IMAP4rev1 IMAP4rev2 "), "{tagged}");
    assert!(client.fails(&format!("LOGIN {USER} \"{PASSWORD}\"")).await.starts_with("BAD"));
}

#[tokio::test]
async fn plain_with_and_without_an_initial_response() {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let server = Server::start().await;
    let response = BASE64_STANDARD.encode(format!("\0{USER}\0{PASSWORD}"));
    let mut client = server.connect().await;
    client.ok(&format!("AUTHENTICATE PLAIN {response}")).await;
    let mut client = server.connect().await;
    client.send("a AUTHENTICATE plain\r\n").await;
    assert_eq!(client.line().await, "+ ");
    client.send(&format!("{response}\r\n")).await;
    assert!(client.responses("a").await.1.starts_with("OK"));
}

#[tokio::test]
async fn a_broken_sasl_response_is_an_error_of_that_command_alone() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for bad in ["*", "!!!", "=", "AA=="] {
        client.send(&format!("a AUTHENTICATE PLAIN\r\n{bad}\r\n")).await;
        assert!(client.responses("a").await.1.starts_with("BAD"), "{bad}");
    }
    assert!(client.fails("AUTHENTICATE GSSAPI").await.starts_with("NO"));
    client.ok(&format!("LOGIN {USER} \"{PASSWORD}\"")).await;
}

#[tokio::test]
async fn a_sasl_line_of_16_kib_ends_that_session() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send("a AUTHENTICATE PLAIN\r\n").await;
    assert_eq!(client.line().await, "+ ");
    client.send(&"A".repeat(16 * 1024)).await;
    assert!(client.rest().await.starts_with("* BYE"));
}

#[tokio::test]
async fn no_password_in_clear_unless_allowed() {
    let server = Server::with(|options| options.plaintext_auth = PlaintextAuth::Never).await;
    let mut client = server.connect().await;
    let capabilities = client.ok("CAPABILITY").await.join("");
    assert!(capabilities.contains("LOGINDISABLED") && !capabilities.contains("AUTH="), "{capabilities}");
    for command in [&format!("LOGIN {USER} \"{PASSWORD}\""), "AUTHENTICATE PLAIN AGEAYg=="] {
        assert!(client.fails(command).await.starts_with("NO [PRIVACYREQUIRED]"));
    }
}
