//! Annotations of mailboxes and of the server.

use super::client::{Server, USER};
use crate::store::{Annotation, MailStore as _, MailboxName};

#[tokio::test]
async fn what_is_set_is_got_and_what_is_taken_away_is_gone() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client
        .ok("SETMETADATA INBOX (/Shared/comment \"all\" /private/comment {2+}\r\nme /private/a/b {1+}\r\nx)")
        .await;
    let told =
        client.ok("GETMETADATA INBOX (/shared/comment /private/comment /private/none /private/none)").await;
    assert_eq!(
        told,
        ["* METADATA \"INBOX\" (/shared/comment \"all\" /private/comment \"me\" /private/none NIL)"]
    );
    client.ok("SETMETADATA INBOX (/private/comment NIL)").await;
    let told = client.ok("GETMETADATA INBOX /private/comment").await;
    assert_eq!(told, ["* METADATA \"INBOX\" (/private/comment NIL)"]);
    client.logout().await;
    let server = server.reopened().await;
    let mut client = server.login().await;
    assert_eq!(
        client.ok("GETMETADATA INBOX /shared/comment").await,
        ["* METADATA \"INBOX\" (/shared/comment \"all\")"]
    );
    client.ok("RENAME INBOX old").await;
    let told = client.ok("GETMETADATA INBOX /shared/comment").await;
    assert_eq!(told, ["* METADATA \"INBOX\" (/shared/comment NIL)"]);
    assert_eq!(client.ok("GETMETADATA old /shared/comment").await.len(), 1);
}

#[tokio::test]
async fn entries_below_are_got_as_deep_as_is_asked() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client
        .ok("SETMETADATA \"\" (/private/f \"0\" /private/f/a \"1\" /private/f/a/b \"2\" /private/fa \"3\")")
        .await;
    for (depth, entries) in [
        ("0", "/private/f \"0\""),
        ("1", "/private/f \"0\" /private/f/a \"1\""),
        ("infinity", "/private/f \"0\" /private/f/a \"1\" /private/f/a/b \"2\""),
    ] {
        let told = client.ok(&format!("GETMETADATA (DEPTH {depth}) \"\" (/private/f)")).await;
        assert_eq!(told, [format!("* METADATA \"\" ({entries})")]);
    }
}

#[tokio::test]
async fn large_values_are_left_out_and_counted() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let value = "v".repeat(2_000);
    client.ok(&format!("SETMETADATA INBOX (/private/a \"x\" /private/b {{2000+}}\r\n{value})")).await;
    let (told, tagged) = client.command("GETMETADATA (MAXSIZE 1999) INBOX (/private/a /private/b)").await;
    assert_eq!(told, ["* METADATA \"INBOX\" (/private/a \"x\")"]);
    assert!(tagged.starts_with("OK [METADATA LONGENTRIES 2000]"), "{tagged}");
    let told = client.ok("GETMETADATA INBOX (MAXSIZE 2000 DEPTH 0) /private/b").await;
    assert_eq!(told, [format!("* METADATA \"INBOX\" (/private/b {{2000}}\r\n{value})")]);
}

#[tokio::test]
async fn limits_and_refusals() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let value = "v".repeat(16 * 1024 + 1);
    let refused =
        client.fails(&format!("SETMETADATA INBOX (/private/a {{{}+}}\r\n{value})", value.len())).await;
    assert!(refused.starts_with("NO [METADATA MAXSIZE 16384]"), "{refused}");
    for batch in 0..3 {
        let entries: Vec<String> = (0..100).map(|n| format!("/private/{batch}/{n} \"x\"")).collect();
        let (_, tagged) = client.command(&format!("SETMETADATA INBOX ({})", entries.join(" "))).await;
        assert_eq!(tagged.starts_with("NO [METADATA TOOMANY]"), batch == 2, "{tagged}");
    }
    assert!(client.fails("SETMETADATA \"\" (/shared/comment \"x\")").await.starts_with("NO [NOPERM]"));
    assert!(client.fails("GETMETADATA Nowhere /shared/comment").await.starts_with("NO [NONEXISTENT]"));
    for wrong in [
        "SETMETADATA INBOX (/vendor/x \"x\")",
        "SETMETADATA INBOX (/private \"x\")",
        "SETMETADATA INBOX (/private/* \"x\")",
        "SETMETADATA INBOX (/private//x \"x\")",
        "SETMETADATA INBOX ()",
        "GETMETADATA INBOX",
        "GETMETADATA (DEPTH 2) INBOX /private/x",
    ] {
        assert!(client.fails(wrong).await.starts_with("BAD"), "{wrong}");
    }
}

#[tokio::test]
async fn binary_values_and_lists_with_values() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.ok("SETMETADATA Sent (/shared/x ~{3+}\r\na\0b)").await;
    let told = client.ok("LIST \"\" S* RETURN (METADATA (/shared/x /shared/y))").await;
    assert!(told[0].starts_with("* LIST "), "{told:?}");
    assert_eq!(told[1], "* METADATA \"Sent\" (/shared/x ~{3}\r\na\0b /shared/y NIL)");
    // Of what is listed only because of something below it nothing more is told.
    client.ok("CREATE above").await;
    client.ok("CREATE above/below").await;
    client.ok("CREATE above/other").await;
    client.ok("SUBSCRIBE above/below").await;
    client.ok("SUBSCRIBE above/other").await;
    let listing = "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (above above/b*) \
                   RETURN (METADATA (/shared/x) MYRIGHTS STATUS (MESSAGES))";
    let told = client.ok(listing).await;
    assert!(told[0].ends_with("\"above\" (\"CHILDINFO\" (\"SUBSCRIBED\"))"), "{told:?}");
    assert!(told[1].starts_with("* LIST (\\Subscribed") && told[1].ends_with("\"above/below\""), "{told:?}");
    assert_eq!(told.len(), 5, "{told:?}");
}

#[tokio::test]
async fn a_mailbox_changes_with_what_is_noted_at_it() {
    let server = Server::start().await;
    let (mut client, mut other) = (server.login().await, server.inbox().await);
    let modseq = "STATUS INBOX (HIGHESTMODSEQ)";
    let before = client.ok(modseq).await;
    client.ok("SETMETADATA INBOX (/shared/a \"x\")").await;
    let after = client.ok(modseq).await;
    assert_ne!(before, after);
    client.ok("SETMETADATA \"\" (/private/a \"x\")").await;
    assert_eq!(client.ok(modseq).await, after);
    assert!(other.ok("NOOP").await.is_empty(), "no message has changed");
    other.append("INBOX", "a\r\n\r\n").await;
    assert_ne!(client.ok(modseq).await, after);
}

#[tokio::test]
async fn what_a_mailbox_is_for_is_an_annotation_that_nobody_sets() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let told = client.ok("GETMETADATA Sent /private/specialuse").await;
    assert_eq!(told, ["* METADATA \"Sent\" (/private/specialuse \"\\\\Sent\")"]);
    let told = client.ok("GETMETADATA INBOX /private/specialuse").await;
    assert_eq!(told, ["* METADATA \"INBOX\" (/private/specialuse NIL)"]);
    for refused in ["INBOX (/private/specialuse \"\\\\Junk\")", "Sent (/private/specialuse NIL)"] {
        let refused = client.fails(&format!("SETMETADATA {refused}")).await;
        assert!(refused.starts_with("NO [CANNOT]"), "{refused}");
    }
    // One that was set before that counts, and can be taken away.
    let store = &server.store.store;
    let account = store.account_by_address(USER).unwrap().unwrap().id;
    let inbox = store.mailbox(account, &MailboxName::parse("INBOX").unwrap()).unwrap().unwrap().id;
    let set = Annotation { entry: "/private/specialuse".into(), value: Some("\\Junk".into()) };
    store.annotate(account, Some(inbox), vec![set]).await.unwrap();
    client.ok("SETMETADATA INBOX (/private/specialuse NIL)").await;
    assert!(store.annotations(account, Some(inbox)).unwrap().is_empty());
}
