//! QUOTA (RFC 9208).

use super::client::{Server, USER};
use crate::store::{MailStore as _, Quota};

const TEXT: &str = "Subject: x\r\n\r\nx\r\n";

async fn limited(messages: u64, octets: u64) -> Server {
    let server = Server::start().await;
    let account = server.store.store.account_by_address(USER).unwrap().unwrap();
    let quota = Quota { messages: Some(messages), octets: Some(octets) };
    server.store.store.set_quota(account.id, quota).await.unwrap();
    server
}

#[tokio::test]
async fn a_client_learns_what_it_may_hold_and_what_it_holds() {
    let server = limited(10, 4096).await;
    let mut client = server.login().await;
    client.append("INBOX", TEXT).await;
    let told = client.ok("GETQUOTAROOT Nowhere").await;
    assert_eq!(told, ["* QUOTAROOT \"Nowhere\" \"\"", "* QUOTA \"\" (STORAGE 1 4 MESSAGE 1 10)"]);
    assert_eq!(client.ok("GETQUOTA \"\"").await, ["* QUOTA \"\" (STORAGE 1 4 MESSAGE 1 10)"]);
    assert!(client.fails("GETQUOTA other").await.starts_with("NO [NONEXISTENT]"));
    assert!(client.fails("SETQUOTA \"\" (STORAGE 512)").await.starts_with("NO [NOPERM]"));
    assert!(client.fails("SETQUOTA \"\" STORAGE").await.starts_with("BAD"));
}

#[tokio::test]
async fn an_account_without_limits_has_a_root_without_resources() {
    let server = Server::start().await;
    let mut client = server.login().await;
    assert_eq!(client.ok("GETQUOTA \"\"").await, ["* QUOTA \"\" ()"]);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_fits_after_an_expunge() {
    let server = limited(2, 4096).await;
    let mut client = server.inbox().await;
    client.append("INBOX", TEXT).await;
    client.append("INBOX", TEXT).await;
    let append = format!("APPEND INBOX {{{}+}}\r\n{TEXT}", TEXT.len());
    for command in [&append, "COPY 1 Archive"] {
        let refused = client.fails(command).await;
        assert!(refused.starts_with("NO [OVERQUOTA]"), "{refused}");
    }
    client.ok("MOVE 1 Archive").await;
    client.ok("STORE 1 +FLAGS (\\Deleted)").await;
    let told = client.ok("STATUS INBOX (DELETED DELETED-STORAGE)").await;
    let size = TEXT.len();
    assert_eq!(told, [format!("* STATUS \"INBOX\" (DELETED 1 DELETED-STORAGE {size})")]);
    client.ok("EXPUNGE").await;
    client.ok(&append).await;
}
