//! What a session hears and when, and what it leaves behind.

use super::*;

#[tokio::test]
async fn an_idling_client_hears_at_once() {
    let server = Server::start().await;
    let (mut idle, mut other) = (server.inbox().await, server.inbox().await);
    idle.send("i IDLE\r\n").await;
    assert_eq!(idle.line().await, "+ idling");
    other.append("INBOX", MESSAGE).await;
    assert_eq!(idle.line().await, "* 1 EXISTS");
    assert_eq!(idle.line().await, "* 0 RECENT");
    other.ok("STORE 1 +FLAGS (\\Deleted)").await;
    assert_eq!(idle.line().await, "* 1 FETCH (UID 1 FLAGS (\\Deleted))");
    other.ok("EXPUNGE").await;
    assert_eq!(idle.line().await, "* 1 EXPUNGE");
    idle.send("done\r\n").await;
    assert_eq!(idle.responses("i").await, (vec![], "OK IDLE completed".to_owned()));
    idle.send("i IDLE\r\nNOOP\r\n").await;
    idle.line().await;
    assert!(idle.responses("i").await.1.starts_with("BAD"));
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order_by_one_write() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    client.append("INBOX", MESSAGE).await;
    client.send("a FETCH 1 UID\r\nb NOOP\r\nc IDLE\r\nDONE\r\nd SEARCH ALL\r\n").await;
    let mut heard = Vec::new();
    while heard.last().is_none_or(|line: &String| !line.starts_with("d ")) {
        heard.push(client.line().await);
    }
    let starts: Vec<&str> = heard.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(starts, ["*", "a", "b", "+", "c", "*", "d"]);
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_nothing_behind() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    client.send("a APPEND INBOX {100000}\r\n").await;
    client.line().await;
    client.send("half a mess").await;
    drop(client.stream);
    tokio::time::timeout(Duration::from_mins(1), client.session.unwrap()).await.unwrap().unwrap();
    let account = server.store.store.account_by_address(USER).unwrap().unwrap();
    let inbox = server.store.store.mailbox(account.id, &MailboxName::inbox()).unwrap().unwrap();
    assert!(server.store.store.rows(inbox.id).await.unwrap().is_empty());
}
