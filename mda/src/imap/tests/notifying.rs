//! NOTIFY: what is told, and when.

use super::client::{Server, USER};
use crate::store::{Annotation, MailStore as _, MailboxName};

#[tokio::test]
async fn other_mailboxes_are_told_of_without_a_command() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    let mut other = server.login().await;
    let told = client
        .ok("NOTIFY SET STATUS (selected (MessageNew MessageExpunge)) (personal (MessageNew MessageExpunge FlagChange))")
        .await;
    assert!(told.len() == 5 && told[0].starts_with("* STATUS "), "{told:?}");
    assert!(
        told.iter().all(|line| !line.starts_with("* STATUS") || line.contains("HIGHESTMODSEQ")),
        "{told:?}"
    );
    assert!(!told.iter().any(|line| line.contains("INBOX")), "the selected one is not another: {told:?}");
    other.append("Sent", "one").await;
    assert_eq!(client.line().await, "* STATUS \"Sent\" (MESSAGES 1 UIDNEXT 2 UNSEEN 1)");
    other.ok("SELECT Sent").await;
    other.ok("STORE 1 +FLAGS (\\Seen \\Deleted)").await;
    assert_eq!(client.line().await, "* STATUS \"Sent\" (UNSEEN 0)");
    other.ok("EXPUNGE").await;
    assert_eq!(client.line().await, "* STATUS \"Sent\" (MESSAGES 0 UIDNEXT 2)");
    // The command's responses stay its own.
    assert_eq!(client.ok("NOOP").await, Vec::<String>::new());
}

#[tokio::test]
async fn new_messages_of_the_selected_mailbox_come_with_what_was_asked_for() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    let mut other = server.inbox().await;
    client.ok("NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (Subject)]) MessageExpunge FlagChange))").await;
    other.append("INBOX", "Subject: hello\r\n\r\nbody").await;
    assert_eq!(client.line().await, "* 1 EXISTS");
    assert_eq!(client.line().await, "* 0 RECENT");
    let fetched = client.line().await;
    assert!(fetched.starts_with("* 1 FETCH (UID 1 BODY[HEADER.FIELDS (Subject)]"), "{fetched}");
    other.ok("STORE 1 +FLAGS (\\Deleted)").await;
    assert!(client.line().await.contains("FLAGS (\\Deleted)"));
    other.ok("EXPUNGE").await;
    assert_eq!(client.line().await, "* 1 EXPUNGE");
}

#[tokio::test]
async fn expunges_can_be_delayed_and_all_can_be_silent() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    let mut other = server.inbox().await;
    client.ok("NOTIFY SET (selected-delayed (MessageNew MessageExpunge))").await;
    other.append("INBOX", "one").await;
    assert_eq!(client.line().await, "* 1 EXISTS");
    assert_eq!(client.line().await, "* 0 RECENT");
    other.ok("STORE 1 +FLAGS (\\Deleted)").await;
    assert!(client.line().await.contains("\\Deleted"));
    other.ok("EXPUNGE").await;
    assert_eq!(client.ok("NOOP").await, ["* 1 EXPUNGE"]);
    client.ok("NOTIFY NONE").await;
    other.append("INBOX", "two").await;
    assert_eq!(client.ok("NOOP").await, Vec::<String>::new());
}

#[tokio::test]
async fn names_subscriptions_and_annotations_are_told() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let mut other = server.login().await;
    client
        .ok("NOTIFY SET (subtree (Work) (MailboxName SubscriptionChange)) (personal (MailboxMetadataChange)) (mailboxes INBOX (ServerMetadataChange))")
        .await;
    other.ok("CREATE Work").await;
    assert_eq!(client.line().await, "* LIST () \"/\" \"Work\"");
    other.ok("SUBSCRIBE Work").await;
    assert_eq!(client.line().await, "* LIST (\\Subscribed) \"/\" \"Work\"");
    other.ok("CREATE Work/a").await;
    assert_eq!(client.line().await, "* LIST () \"/\" \"Work/a\"");
    other.ok("RENAME Work/a Work/b").await;
    assert_eq!(client.line().await, "* LIST () \"/\" \"Work/b\" (\"OLDNAME\" (\"Work/a\"))");
    other.ok("CREATE Elsewhere").await;
    other.ok("SETMETADATA INBOX (/shared/comment \"x\")").await;
    other.ok("SETMETADATA \"\" (/private/comment \"y\")").await;
    let mut heard = Vec::new();
    while !heard.iter().any(|line: &String| line.starts_with("* METADATA \"\"")) {
        heard.push(client.line().await);
    }
    assert!(heard.contains(&"* METADATA \"INBOX\" /shared/comment".to_owned()), "{heard:?}");
    assert!(heard.contains(&"* METADATA \"\" /private/comment".to_owned()), "{heard:?}");
    assert!(!heard.iter().any(|line| line.contains("Elsewhere")), "{heard:?}");
    client.send("i IDLE\r\n").await;
    assert!(client.line().await.starts_with("+ "));
    other.ok("CREATE Work/new").await;
    assert_eq!(client.line().await, "* LIST () \"/\" \"Work/new\"");
    other.ok("DELETE Work/new").await;
    assert_eq!(client.line().await, "* LIST (\\NonExistent) \"/\" \"Work/new\"");
    client.send("DONE\r\n").await;
    assert!(client.responses("i").await.1.starts_with("OK"));
}

#[tokio::test]
async fn what_does_not_go_together_is_refused() {
    let server = Server::start().await;
    let mut client = server.login().await;
    for wrong in [
        "NOTIFY SET (personal (MessageNew))",
        "NOTIFY SET (personal (FlagChange))",
        "NOTIFY SET (selected (MailboxName))",
        "NOTIFY SET (selected NONE) (selected-delayed NONE)",
        "NOTIFY SET",
        "NOTIFY",
    ] {
        assert!(client.fails(wrong).await.starts_with("BAD"), "{wrong}");
    }
    assert!(
        client
            .fails("NOTIFY SET (personal (AnnotationChange))")
            .await
            .starts_with("NO [BADEVENT (MessageNew ")
    );
    client.ok("NOTIFY SET STATUS (mailboxes (Nowhere) (MessageNew MessageExpunge))").await;
}

#[tokio::test]
async fn too_many_mailboxes_are_too_many() {
    let server = Server::start().await;
    let store = &server.store.store;
    let account = store.account_by_address(USER).unwrap().unwrap().id;
    for n in 0..1_000 {
        store.create_mailbox(account, MailboxName::parse(&format!("box{n}")).unwrap(), None).await.unwrap();
    }
    let mut client = server.login().await;
    let refused = client.fails("NOTIFY SET (personal (MessageNew MessageExpunge))").await;
    assert!(refused.starts_with("NO [NOTIFICATIONOVERFLOW]"), "{refused}");
}

#[tokio::test]
async fn what_is_shared_no_more_is_told_of_no_more() {
    let server = Server::start().await;
    server.add_account("bob@example.test").await;
    let (mut alice, mut bob) = (server.login().await, server.login_as("bob@example.test").await);
    alice.ok("CREATE Team").await;
    alice.ok("SETACL Team anyone lr").await;
    bob.ok("NOTIFY SET (subtree \"Other Users\" (MessageNew MessageExpunge MailboxName)) (personal (MailboxName))").await;
    alice.append("Team", "one").await;
    let shared = "\"Other Users/alice@example.test/Team\"";
    assert_eq!(bob.line().await, format!("* STATUS {shared} (MESSAGES 1 UIDNEXT 2)"));
    alice.ok("DELETEACL Team anyone").await;
    assert_eq!(bob.line().await, format!("* LIST (\\NonExistent) \"/\" {shared}"));
    alice.append("Team", "two").await;
    assert_eq!(bob.ok("NOOP").await, Vec::<String>::new());
}

#[tokio::test]
async fn those_with_whom_a_mailbox_is_shared_hear_what_becomes_of_it() {
    let server = Server::start().await;
    server.add_account("bob@example.test").await;
    let (mut alice, mut bob) = (server.login().await, server.login_as("bob@example.test").await);
    alice.ok("CREATE Team").await;
    alice.ok("SETACL Team bob@example.test lr").await;
    bob.ok("NOTIFY SET (subtree \"Other Users\" (MailboxName))").await;
    alice.ok("RENAME Team Old").await;
    assert_eq!(
        bob.line().await,
        "* LIST () \"/\" \"Other Users/alice@example.test/Old\" (\"OLDNAME\" (\"Other Users/alice@example.test/Team\"))"
    );
    alice.ok("DELETE Old").await;
    assert_eq!(bob.line().await, "* LIST (\\NonExistent) \"/\" \"Other Users/alice@example.test/Old\"");
}

#[tokio::test]
async fn who_wants_no_news_still_hears_what_it_expunges_itself() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    for message in ["one", "two", "three"] {
        client.append("INBOX", message).await;
    }
    client.ok("NOTIFY NONE").await;
    client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(client.ok("EXPUNGE").await, ["* 1 EXPUNGE"]);
    assert!(client.ok("MOVE 1 Sent").await.contains(&"* 1 EXPUNGE".to_owned()));
    assert!(client.ok("REPLACE 1 Drafts {3+}\r\nnew").await.contains(&"* 1 EXPUNGE".to_owned()));
}

#[tokio::test]
async fn new_messages_that_a_command_finds_are_fetched_too() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    client.append("INBOX", "one").await;
    client.ok("NOTIFY SET (selected (MessageNew (UID BODY.PEEK[]) MessageExpunge))").await;
    let told = client.ok("REPLACE 1 INBOX {3+}\r\nnew").await.join("\n");
    assert!(told.contains("* 1 FETCH (UID 2 BODY[] {3}"), "{told}");
}

#[tokio::test]
async fn what_is_withheld_from_who_wants_no_news_is_told_later() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    let mut other = server.inbox().await;
    client.append("INBOX", "one").await;
    client.append("INBOX", "two").await;
    client.ok("NOTIFY NONE").await;
    other.ok("NOOP").await;
    other.ok("STORE 1:2 +FLAGS (\\Flagged urgent)").await;
    assert_eq!(client.ok("FETCH 2 UID").await, ["* 2 FETCH (UID 2)"]);
    let stored = client.ok("STORE 2 +FLAGS (\\Answered)").await;
    assert!(stored.len() == 1 && stored[0].starts_with("* 2 FETCH (FLAGS ("), "{stored:?}");
    let told = client.ok("NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))").await;
    assert!(told.len() == 2 && told[0].starts_with("* FLAGS (") && told[0].contains("urgent"), "{told:?}");
    assert!(told[1].starts_with("* 1 FETCH ") && told[1].contains("\\Flagged"), "{told:?}");
}

#[tokio::test]
async fn annotations_are_told_without_being_read() {
    let server = Server::start().await;
    let store = &server.store.store;
    let account = store.account_by_address(USER).unwrap().unwrap().id;
    let annotation = |entry: &str| Annotation { entry: entry.into(), value: Some("value".into()) };
    let mut last = None;
    for n in 0..200 {
        let name = MailboxName::parse(&format!("box{n}")).unwrap();
        let mailbox = store.create_mailbox(account, name, None).await.unwrap().id;
        store.annotate(account, Some(mailbox), vec![annotation("/shared/comment")]).await.unwrap();
        last = Some(mailbox);
    }
    let mut client = server.login().await;
    client.ok("NOTIFY SET (personal (MailboxMetadataChange))").await;
    let before = store.rows_read();
    store.annotate(account, last, vec![annotation("/private/comment")]).await.unwrap();
    assert_eq!(client.line().await, "* METADATA \"box199\" /private/comment");
    assert!(store.rows_read() - before < 20, "{}", store.rows_read() - before);
}

#[tokio::test]
async fn groups_add_up_for_a_mailbox_that_several_name() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let mut other = server.login().await;
    for name in ["a/b", "c"] {
        client.ok(&format!("CREATE {name}")).await;
    }
    client.ok("NOTIFY SET (subtree (a c) (SubscriptionChange)) (subtree a/b (MailboxName)) (mailboxes (a/b) (MessageNew MessageExpunge))").await;
    other.append("c", "one").await;
    other.append("a/b", "two").await;
    assert_eq!(client.line().await, "* STATUS \"a/b\" (MESSAGES 1 UIDNEXT 2)");
    other.ok("SUBSCRIBE a/b").await;
    assert_eq!(client.line().await, "* LIST (\\Subscribed) \"/\" \"a/b\"");
    other.ok("RENAME c d").await;
    other.ok("DELETE a/b").await;
    let mut told = client.line().await;
    // Its messages may be seen to go first.
    if told == "* STATUS \"a/b\" (MESSAGES 0 UIDNEXT 2)" {
        told = client.line().await;
    }
    assert_eq!(told, "* LIST (\\NonExistent) \"/\" \"a/b\"");
}

/// What was shared, and is again, is followed once, whatever happened in between.
#[tokio::test]
async fn what_is_shared_again_is_told_of_again() {
    let server = Server::start().await;
    server.add_account("bob@example.test").await;
    let (mut alice, mut bob) = (server.login().await, server.login_as("bob@example.test").await);
    alice.ok("CREATE Team").await;
    bob.ok("NOTIFY SET (subtree \"Other Users\" (MessageNew MessageExpunge MailboxName))").await;
    let shared = "\"Other Users/alice@example.test/Team\"";
    for messages in 1..4 {
        alice.ok("SETACL Team anyone lr").await;
        assert_eq!(bob.line().await, format!("* LIST () \"/\" {shared}"));
        alice.append("Team", "one").await;
        assert_eq!(
            bob.line().await,
            format!("* STATUS {shared} (MESSAGES {messages} UIDNEXT {})", messages + 1)
        );
        alice.ok("DELETEACL Team anyone").await;
        assert_eq!(bob.line().await, format!("* LIST (\\NonExistent) \"/\" {shared}"));
    }
}
