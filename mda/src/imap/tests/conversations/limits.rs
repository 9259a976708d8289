//! What is too much or too wrong for a session.

use super::*;

#[tokio::test]
async fn many_errors_end_the_session() {
    let server = Server::with(|options| options.limits.session_errors = 3).await;
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n\r\n").await;
    let heard = client.rest().await;
    assert!(heard.starts_with("GET BAD") && heard.ends_with("* BYE too many errors\r\n"), "{heard}");
}

#[tokio::test]
async fn a_long_session_may_err_now_and_then() {
    let server = Server::with(|options| options.limits.session_errors = 3).await;
    let mut client = server.login().await;
    for _ in 0..10 {
        assert!(client.fails("NONSENSE").await.starts_with("BAD"));
        assert!(client.fails("FETCH").await.starts_with("BAD"));
        client.ok("NOOP").await;
    }
}

#[tokio::test]
async fn a_literal_before_login_is_tiny() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    assert!(client.fails("LOGIN {13000}").await.starts_with("NO [TOOBIG]"));
    // Not even an APPEND may announce more.
    assert!(client.fails("APPEND INBOX {13000}").await.starts_with("NO [TOOBIG]"));
    client.ok("NOOP").await;
    client.send("a LOGIN {13000+}\r\n").await;
    assert!(client.rest().await.starts_with("* BYE [TOOBIG]"));
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_before_it_comes() {
    let server = Server::with(|options| options.limits.message_size = "1kB".parse().unwrap()).await;
    let mut client = server.login().await;
    assert!(client.ok("CAPABILITY").await.join("").contains("APPENDLIMIT=1000"));
    assert!(client.fails("APPEND INBOX {1001}").await.starts_with("NO [TOOBIG]"));
    client.ok("NOOP").await;
    client.send("a APPEND INBOX {1001+}\r\n").await;
    assert!(client.rest().await.starts_with("* BYE [TOOBIG]"));
}

#[tokio::test]
async fn the_end_of_the_service_is_told() {
    let server = Server::start().await;
    let mut idle = server.inbox().await;
    idle.send("a IDLE\r\n").await;
    assert_eq!(idle.line().await, "+ idling");
    let client = server.connect().await;
    server.shutdown.cancel();
    assert_eq!(idle.rest().await, "* BYE the server is shutting down\r\n");
    assert_eq!(client.rest().await, "* BYE the server is shutting down\r\n");
}

#[tokio::test]
async fn logout_says_bye_and_ends() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.send("a LOGOUT\r\nb NOOP\r\n").await;
    let heard = client.rest().await;
    assert!(heard.starts_with("* BYE ") && heard.ends_with("a OK LOGOUT completed\r\n"), "{heard}");
}
