//! ESEARCH, the command: a search of several mailboxes.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::client::{Server, USER};
use crate::store::MailStore as _;

async fn mailboxes() -> (Server, super::client::Client<tokio::io::DuplexStream>) {
    let server = Server::start().await;
    let mut client = server.login().await;
    for name in ["Work", "Work/a", "Work/a/b", "Other"] {
        client.ok(&format!("CREATE {name}")).await;
        client.append(name, "Subject: hello\r\n\r\none").await;
        client.append(name, &format!("Subject: {name}\r\n\r\ntwo")).await;
    }
    (server, client)
}

/// The names and the results that were told, UIDVALIDITY and tag left out.
fn results(told: &[String]) -> Vec<String> {
    let short = |line: &String| {
        let (head, results) = line.split_once(") UID").unwrap();
        let (_, name) = head.split_once(" MAILBOX ").unwrap();
        format!("{}{results}", name.split(" UIDVALIDITY ").next().unwrap())
    };
    told.iter().map(short).collect()
}

#[tokio::test]
async fn several_mailboxes_are_searched_at_once_and_the_selected_one_stays() {
    let (_server, mut client) = mailboxes().await;
    client.ok("SELECT Other").await;
    let told = client.ok("ESEARCH IN (mailboxes (Other Nowhere) subtree Work) SUBJECT hello").await;
    assert!(told[0].starts_with("* ESEARCH (TAG \""), "{told:?}");
    let all = ["\"Other\" ALL 1", "\"Work\" ALL 1", "\"Work/a\" ALL 1", "\"Work/a/b\" ALL 1"];
    assert_eq!(results(&told), all);
    let told = client.ok("ESEARCH IN (subtree-one Work) RETURN (COUNT MAX) ALL").await;
    assert_eq!(results(&told), ["\"Work\" MAX 2 COUNT 2", "\"Work/a\" MAX 2 COUNT 2"]);
    let told = client.ok("ESEARCH IN (personal) SUBJECT Other").await;
    assert_eq!(results(&told), ["\"Other\" ALL 2"], "nothing is told of mailboxes without a match");
    assert_eq!(results(&client.ok("ESEARCH IN (inboxes) ALL").await), Vec::<String>::new());
    assert_eq!(results(&client.ok("ESEARCH SUBJECT Other").await), ["\"Other\" ALL 2"], "the selected one");
    // Numbers are each mailbox's own, and none too many is an error.
    let told = client.ok("ESEARCH IN (subtree Work/a) 2:100").await;
    assert_eq!(results(&told), ["\"Work/a\" ALL 2", "\"Work/a/b\" ALL 2"]);
    assert_eq!(client.ok("SEARCH 2:100").await, ["* SEARCH 2"]);
    client.ok("ESEARCH IN (selected) RETURN (SAVE) SUBJECT Other").await;
    assert_eq!(client.ok("FETCH $ UID").await, ["* 2 FETCH (UID 2)"]);
}

#[tokio::test]
async fn what_is_asked_of_no_mailbox_is_refused() {
    let (_server, mut client) = mailboxes().await;
    for wrong in [
        "ESEARCH ALL",
        "ESEARCH IN (selected) ALL",
        "ESEARCH IN (mailboxes Work selected-delayed) ALL",
        "ESEARCH IN (personal) RETURN (SAVE) ALL",
        "ESEARCH IN () ALL",
    ] {
        assert!(client.fails(wrong).await.starts_with("BAD"), "{wrong}");
    }
}

#[tokio::test]
async fn what_others_share_is_searched_as_far_as_it_may_be_read() {
    let (server, mut alice) = mailboxes().await;
    server.add_account("bob@example.test").await;
    let mut bob = server.login_as("bob@example.test").await;
    let search = "ESEARCH IN (subtree \"Other Users\") UNSEEN";
    assert_eq!(bob.ok(search).await, Vec::<String>::new());
    alice.ok("SETACL Work bob@example.test lr").await;
    alice.ok("SETACL Work/a bob@example.test r").await;
    alice.ok("SETACL Other bob@example.test l").await;
    assert_eq!(results(&bob.ok(search).await), [format!("\"Other Users/{USER}/Work\" ALL 1:2")]);
    // What may not be looked up is searched where it is named.
    let named = format!("\"Other Users/{USER}/Work/a\"");
    let told = bob.ok(&format!("ESEARCH IN (mailboxes {named}) ALL")).await;
    assert_eq!(results(&told), [format!("{named} ALL 1:2")]);
}

#[tokio::test]
async fn the_selected_mailbox_is_searched_though_it_may_not_be_looked_up() {
    let (server, mut alice) = mailboxes().await;
    server.add_account("bob@example.test").await;
    let mut bob = server.login_as("bob@example.test").await;
    alice.ok("SETACL Work bob@example.test r").await;
    bob.ok(&format!("SELECT \"Other Users/{USER}/Work\"")).await;
    assert_eq!(results(&bob.ok("ESEARCH ALL").await), [format!("\"Other Users/{USER}/Work\" ALL 1:2")]);
}

#[tokio::test]
async fn a_search_that_fails_leaves_nothing_saved() {
    let (_server, mut client) = mailboxes().await;
    client.ok("SELECT Other").await;
    for search in ["SEARCH RETURN (SAVE) CHARSET X-NONE ALL", "ESEARCH RETURN (SAVE) CHARSET X-NONE ALL"] {
        client.ok("SEARCH RETURN (SAVE) ALL").await;
        assert!(client.fails(search).await.starts_with("NO [BADCHARSET"), "{search}");
        assert_eq!(client.ok("UID SEARCH UID $").await, ["* SEARCH"], "{search}");
    }
}

#[tokio::test]
async fn what_is_shared_no_more_is_not_told_though_the_search_has_begun() {
    let (server, mut alice) = mailboxes().await;
    server.add_account("bob@example.test").await;
    let mut bob = server.login_as("bob@example.test").await;
    for number in 1..=9 {
        alice.ok(&format!("CREATE Shared{number}")).await;
        alice.append(&format!("Shared{number}"), "one").await;
        alice.ok(&format!("SETACL Shared{number} bob@example.test lr")).await;
    }
    // A tag that makes the results of some mailboxes more than are kept while the client does not read.
    let tag = "t".repeat(40_000);
    bob.send(&format!("{tag} ESEARCH IN (subtree \"Other Users\") ALL\r\n")).await;
    let mut begun = [0; 1];
    bob.stream.read_exact(&mut begun).await.unwrap();
    alice.ok("DELETEACL Shared9 bob@example.test").await;
    let (told, tagged) = bob.responses(&tag).await;
    assert!(tagged.starts_with("OK"), "{tagged}");
    assert_eq!(told.len(), 8);
    assert!(told[7].contains("/Shared8\"") && !told.iter().any(|line| line.contains("Shared9")));
}

#[tokio::test]
async fn a_search_ends_with_what_let_the_client_in() {
    let server = Server::start().await;
    let mut thief = server.inbox().await;
    for number in 0..40 {
        thief.append("INBOX", &format!("X: {number}\r\n\r\n")).await;
    }
    let account = server.store.store.account_by_address(USER).unwrap().unwrap();
    // Each message is asked so much that others get their turn behind it.
    let keys = "HEADER X y ".repeat(900);
    thief.send(&format!("a FETCH 1:* BODY.PEEK[]\r\nb SEARCH OR ALL ({keys} ALL)\r\n")).await;
    tokio::task::yield_now().await;
    server.imap.authenticator().credentials_changed(account.id);
    let heard = thief.rest().await;
    assert!(!heard.contains("* SEARCH") && heard.contains("* BYE "), "{heard}");
}

#[tokio::test]
async fn messages_of_many_small_mailboxes_are_learned_together() {
    let dir = tempfile::TempDir::new().unwrap();
    let server = Server::with_index(dir.path().to_owned()).await;
    let mut client = server.login().await;
    for name in ["a", "b", "c"] {
        client.ok(&format!("CREATE {name}")).await;
        // MULTIAPPEND, of less than is worth to be learned by itself.
        let message = " {20+}\r\nSubject: x\r\n\r\nneedle".repeat(100);
        client.ok(&format!("APPEND {name}{message}")).await;
    }
    client.ok("ESEARCH IN (personal) BODY nothing").await;
    let account = server.store.store.account_by_address(USER).unwrap().unwrap();
    let learned = async {
        while !dir.path().join(account.id.to_string()).exists() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_mins(1), learned).await.expect("nothing was learned");
}
