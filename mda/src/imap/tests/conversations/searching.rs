//! SEARCH, in the forms in which results come.

use super::*;

#[tokio::test]
async fn results_come_in_three_forms() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    for subject in ["one", "two", "three", "two"] {
        client.append("INBOX", &MESSAGE.replace("Hello", subject)).await;
    }
    client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    client.ok("EXPUNGE").await;
    assert_eq!(client.ok("SEARCH SUBJECT two").await, ["* SEARCH 1 3"]);
    assert_eq!(client.ok("UID SEARCH SUBJECT two").await, ["* SEARCH 2 4"]);
    assert_eq!(client.ok("SEARCH TEXT nothing").await, ["* SEARCH"]);
    let (untagged, _) = client.command("UID SEARCH RETURN (MIN MAX ALL COUNT) 1:*").await;
    assert!(untagged[0].starts_with("* ESEARCH (TAG \"t"), "{untagged:?}");
    assert!(untagged[0].ends_with(") UID MIN 2 MAX 4 ALL 2:4 COUNT 3"), "{untagged:?}");
    let (untagged, _) = client.command("SEARCH RETURN (MIN COUNT) TEXT nothing").await;
    assert!(untagged[0].ends_with(") COUNT 0"), "{untagged:?}");
    client.ok("ENABLE IMAP4rev2").await;
    let (untagged, _) = client.command("SEARCH ALL").await;
    assert!(untagged[0].ends_with(") ALL 1:3"), "{untagged:?}");
    assert!(client.fails("SEARCH CHARSET KOI8-R TEXT x").await.starts_with("NO [BADCHARSET"));
    assert!(!client.ok("SEARCH 9").await.join("").contains("ALL"), "it is no error (RFC 7377 §2)");
}

#[tokio::test]
async fn a_saved_result_names_messages() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    for _ in 0..3 {
        client.append("INBOX", MESSAGE).await;
    }
    assert_eq!(client.ok("SEARCH RETURN (SAVE) 2:3").await, Vec::<String>::new());
    assert_eq!(client.ok("FETCH $ UID").await, ["* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)"]);
    client.ok("UID SEARCH RETURN (SAVE MAX) ALL").await;
    assert_eq!(client.ok("UID SEARCH $").await, ["* SEARCH 3"]);
    client.ok("STORE $ +FLAGS.SILENT (\\Deleted)").await;
    client.ok("EXPUNGE").await;
    assert_eq!(client.ok("FETCH $ UID").await, Vec::<String>::new());
    client.ok("SEARCH RETURN (SAVE) ALL").await;
    let wrong = client.fails("SEARCH RETURN (SAVE) SUBJECT {1+}\r\n\u{e9}").await;
    assert!(wrong.starts_with("BAD"), "{wrong}");
    assert_eq!(client.ok("UID SEARCH $").await, ["* SEARCH 1 2"], "what is wrong changes nothing");
    client.fails("SEARCH RETURN (SAVE) CHARSET X ALL").await;
    assert_eq!(client.ok("UID SEARCH $").await, ["* SEARCH"]);
}
