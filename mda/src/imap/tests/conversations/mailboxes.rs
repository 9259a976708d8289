//! Mailboxes: made, listed, renamed, removed.

use super::*;

#[tokio::test]
async fn a_new_account_has_its_mailboxes() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let listed = client.ok("LIST \"\" *").await;
    assert!(listed.contains(&"* LIST (\\HasNoChildren) \"/\" \"INBOX\"".to_owned()), "{listed:?}");
    for special_use in SpecialUse::ALL.map(SpecialUse::as_str) {
        assert_eq!(listed.iter().filter(|line| line.contains(special_use)).count(), 1, "{listed:?}");
    }
    assert_eq!(client.ok("LIST (SPECIAL-USE) \"\" *").await.len(), 5);
    assert_eq!(client.ok("LIST \"\" \"\"").await, ["* LIST (\\Noselect) \"/\" \"\""]);
    assert_eq!(client.ok("NAMESPACE").await, ["* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) NIL"]);
}

#[tokio::test]
async fn names_are_modified_utf7_until_rev2_is_enabled() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.ok("CREATE Entw&APw-rfe/1").await;
    assert_eq!(
        client.ok("LIST \"\" Entw*").await,
        [
            "* LIST (\\HasChildren) \"/\" \"Entw&APw-rfe\"",
            "* LIST (\\HasNoChildren) \"/\" \"Entw&APw-rfe/1\"",
        ]
    );
    assert!(client.fails("CREATE \"a&b\"").await.starts_with("BAD"));
    assert_eq!(client.ok("ENABLE IMAP4rev2").await, ["* ENABLED IMAP4rev2"]);
    assert_eq!(
        client.ok("LIST \"\" \"Entwürfe/%\"").await,
        ["* LIST (\\HasNoChildren) \"/\" \"Entwürfe/1\""]
    );
    client.ok("STATUS \"Entwürfe\" (MESSAGES)").await;
}

#[tokio::test]
async fn create_rename_and_delete() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.ok("CREATE a/b/").await;
    assert!(client.fails("CREATE a/b").await.starts_with("NO [ALREADYEXISTS]"));
    assert!(client.fails("CREATE inbox").await.starts_with("NO"));
    assert!(client.fails("CREATE a//b").await.starts_with("NO [CANNOT]"));
    assert!(client.fails("DELETE a").await.starts_with("NO [HASCHILDREN]"));
    assert!(client.fails("DELETE INBOX").await.starts_with("NO [CANNOT]"));
    assert!(client.fails("DELETE nowhere").await.starts_with("NO [NONEXISTENT]"));
    client.ok("RENAME a c/d").await;
    let names = client.ok("LIST \"\" (a* c*)").await;
    assert!(names.iter().map(|name| name.rsplit(' ').next().unwrap()).eq(["\"c\"", "\"c/d\"", "\"c/d/b\""]));
    client.ok("DELETE c/d/b").await;
    assert!(client.fails("SELECT c/d/b").await.starts_with("NO [NONEXISTENT]"));
    assert!(client.fails("CREATE x (USE (\\Sent \\Trash))").await.starts_with("NO [USEATTR]"));
    assert!(client.fails("CREATE x (USE (\\Foo))").await.starts_with("NO [USEATTR]"));
}

#[tokio::test]
async fn uidvalidity_is_never_used_again() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let mut last = 0;
    for _ in 0..3 {
        client.ok("CREATE x").await;
        let status = client.ok("STATUS x (UIDVALIDITY)").await.join("");
        let validity = status.trim_end_matches(')').rsplit(' ').next().unwrap().parse::<u32>().unwrap();
        assert!(validity > last, "{validity} after {last}");
        last = validity;
        client.ok("DELETE x").await;
    }
}

#[tokio::test]
async fn subscriptions_outlive_mailboxes() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.ok("CREATE a/b").await;
    client.ok("SUBSCRIBE a/b").await;
    client.ok("SUBSCRIBE gone").await;
    let subscribed = client.ok("LIST (SUBSCRIBED) \"\" *").await;
    assert!(
        subscribed.contains(&"* LIST (\\NonExistent \\Subscribed \\HasNoChildren) \"/\" \"gone\"".into())
    );
    assert!(subscribed.contains(&"* LIST (\\Subscribed \\HasNoChildren) \"/\" \"a/b\"".into()));
    assert_eq!(
        client.ok("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" a").await,
        ["* LIST (\\HasChildren) \"/\" \"a\" (\"CHILDINFO\" (\"SUBSCRIBED\"))"]
    );
    client.ok("CREATE x/y/Old (USE (\\Archive))").await;
    assert_eq!(
        client.ok("LIST (SPECIAL-USE RECURSIVEMATCH) \"\" x*").await,
        ["* LIST (\\HasNoChildren \\Archive) \"/\" \"x/y/Old\""],
        "which says enough of those above it"
    );
    assert_eq!(
        client.ok("LIST (SPECIAL-USE RECURSIVEMATCH) \"\" x%").await,
        ["* LIST (\\HasChildren) \"/\" \"x\" (\"CHILDINFO\" (\"SPECIAL-USE\"))"]
    );
    let both = "LIST (SPECIAL-USE SUBSCRIBED RECURSIVEMATCH) \"\" x";
    assert_eq!(client.ok(both).await, Vec::<String>::new(), "it is not subscribed");
    client.ok("SUBSCRIBE x/y/Old").await;
    assert_eq!(
        client.ok(both).await,
        ["* LIST (\\HasChildren) \"/\" \"x\" (\"CHILDINFO\" (\"SUBSCRIBED\" \"SPECIAL-USE\"))"]
    );
    let lsub = client.ok("LSUB \"\" %").await;
    assert!(lsub.contains(&"* LSUB (\\Noselect) \"/\" \"a\"".into()), "{lsub:?}");
    client.ok("UNSUBSCRIBE gone").await;
    assert!(!client.ok("LSUB \"\" *").await.join("").contains("gone"));
}

#[tokio::test]
async fn status_counts_what_was_committed() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.append("INBOX (\\Seen \\Deleted)", MESSAGE).await;
    client.append("INBOX", MESSAGE).await;
    let size = 2 * MESSAGE.len();
    assert_eq!(
        client.ok("STATUS inbox (MESSAGES UNSEEN DELETED SIZE UIDNEXT RECENT)").await,
        [format!("* STATUS \"INBOX\" (MESSAGES 2 UNSEEN 1 DELETED 1 SIZE {size} UIDNEXT 3 RECENT 0)")]
    );
    let listed = client.ok("LIST \"\" INBOX RETURN (CHILDREN STATUS (MESSAGES))").await;
    assert_eq!(listed[1], "* STATUS \"INBOX\" (MESSAGES 2)");
}

#[tokio::test]
async fn a_selected_mailbox_that_is_deleted_ends_the_session_of_others() {
    let server = Server::start().await;
    let (mut one, mut other) = (server.login().await, server.login().await);
    one.ok("CREATE x").await;
    one.ok("SELECT x").await;
    other.ok("SELECT x").await;
    one.send("i IDLE\r\n").await;
    one.line().await;
    assert!(other.ok("DELETE x").await.join("").contains("[CLOSED]"));
    assert!(one.rest().await.starts_with("* BYE"));
    other.ok("NOOP").await;
}

#[tokio::test]
async fn a_mailbox_that_is_damaged_is_told_of_as_such_and_others_can_be_selected() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.append("INBOX", MESSAGE).await;
    client.append("Archive", MESSAGE).await;
    let store = &server.store.store;
    let account = store.account_by_address(USER).unwrap().unwrap().id;
    let archive = store.mailbox(account, &MailboxName::parse("Archive").unwrap()).unwrap().unwrap().id;
    store.spoil_leaves(archive);
    let (_, tagged) = client.command("SELECT Archive").await;
    assert!(tagged.starts_with("NO [CORRUPTION]"), "{tagged}");
    client.ok("SELECT INBOX").await;
    // The same once more makes it good.
    store.spoil_leaves(archive);
    client.ok("SELECT Archive").await;
}
