//! APPEND in all its forms, and REPLACE.

use super::client::{Client, Server, USER};
use crate::store::MailStore as _;
use tokio::io::DuplexStream;

const MESSAGE: &str = "Subject: Parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
    --x\r\nContent-Type: text/plain\r\n\r\nfirst\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>second\r\n--x--\r\n";

fn literal(text: &str) -> String {
    format!("{{{}+}}\r\n{text}", text.len())
}

async fn body(client: &mut Client<DuplexStream>, uid: u32) -> String {
    let fetched = client.ok(&format!("UID FETCH {uid} BODY.PEEK[]")).await;
    let (_, body) = fetched[0].split_once("}\r\n").unwrap_or_else(|| panic!("{fetched:?}"));
    body.strip_suffix(')').unwrap().to_owned()
}

#[tokio::test]
async fn several_messages_come_together() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let command = format!(
        "APPEND INBOX (\\Seen) {} (a) \" 7-Feb-1994 21:52:25 -0800\" {} {}",
        literal("one"),
        literal(&"two".repeat(100_000)),
        literal("three")
    );
    let (_, tagged) = client.command(&command).await;
    assert!(tagged.starts_with("OK [APPENDUID ") && tagged.contains(" 1:3] "), "{tagged}");
    client.ok("SELECT INBOX").await;
    let fetched = client.ok("FETCH 1:* (FLAGS RFC822.SIZE INTERNALDATE)").await;
    assert!(fetched[0].contains("FLAGS (\\Seen) RFC822.SIZE 3"), "{fetched:?}");
    assert!(fetched[1].contains("FLAGS (a) RFC822.SIZE 300000 INTERNALDATE \"08-Feb-1994"), "{fetched:?}");
    assert_eq!(body(&mut client, 3).await, "three");
}

#[tokio::test]
async fn of_several_messages_all_come_or_none() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    let one = literal("one");
    for second in ["(\\Nonsense) {3+}\r\ntwo", "UTF8 (~{3+}\r\ntwo)", "CATENATE (URL \"/x/;UID=1\")", "x"] {
        client.fails(&format!("APPEND INBOX {one} {second}")).await;
    }
    // One that waits is not asked for what is of no use any more.
    client.send(&format!("a APPEND INBOX {one} (\\Nonsense) {{3}}\r\n")).await;
    assert!(client.responses("a").await.1.starts_with("BAD"));
    assert!(client.ok("NOOP").await.is_empty());
    client.ok(&format!("APPEND INBOX {one} {one}")).await;
    assert_eq!(
        client.ok("STATUS INBOX (MESSAGES UIDNEXT)").await[0],
        "* STATUS \"INBOX\" (MESSAGES 2 UIDNEXT 3)"
    );
}

#[tokio::test]
async fn so_many_that_memory_would_be_short_are_refused() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let messages = vec![literal(&"x".repeat(60_000)); 300].join(" ");
    client.send(&format!("a APPEND INBOX {messages}\r\n")).await;
    assert!(client.responses("a").await.1.starts_with("NO [LIMIT]"));
    assert_eq!(client.ok("STATUS INBOX (MESSAGES)").await, ["* STATUS \"INBOX\" (MESSAGES 0)"]);
}

#[tokio::test]
async fn what_a_crash_leaves_of_several_messages_goes_at_the_next_start() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let one = literal("one");
    client.ok(&format!("APPEND INBOX {one} {one}")).await;
    client.logout().await;
    let server = server.reopened().await;
    let mut client = server.inbox().await;
    assert_eq!(client.ok("SEARCH ALL").await, ["* SEARCH 1 2"]);
    assert_eq!(body(&mut client, 2).await, "one");
}

#[tokio::test]
async fn a_message_is_made_of_parts_of_others() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    client.append("INBOX", MESSAGE).await;
    client.append("Drafts", "Subject: other\r\n\r\nThe other\r\n").await;
    let command = format!(
        "APPEND INBOX (\\Draft) CATENATE (URL \"/INBOX/;UID=1/;section=HEADER\" TEXT {} URL {} URL \
         \"/Drafts/;UID=1/;section=TEXT/;partial=4.5\" URL /;UID=1/;section=2.MIME)",
        literal("--x\r\n"),
        literal(";UID=1/;SECTION=1"),
    );
    client.ok(&command).await;
    let expected = "Subject: Parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
        --x\r\nfirstotherContent-Type: text/html\r\n\r\n";
    assert_eq!(body(&mut client, 2).await, expected);
    // All by URLs, and one more behind it.
    client.ok(&format!("APPEND INBOX CATENATE (URL /INBOX/;UID=1) CATENATE (TEXT {})", literal("x"))).await;
    assert_eq!(body(&mut client, 3).await, MESSAGE);
    assert_eq!(body(&mut client, 4).await, "x");
    client.ok("APPEND INBOX CATENATE (URL /INBOX/;UID=3)").await;
    assert_eq!(body(&mut client, 5).await, MESSAGE);
}

#[tokio::test]
async fn a_url_that_names_nothing_is_told() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.append("INBOX", MESSAGE).await;
    for url in [
        "/INBOX/;UID=2",
        "/INBOX;UIDVALIDITY=1/;UID=1",
        "/Nowhere/;UID=1",
        "/INBOX/;UID=1/;section=3",
        "imap://example.test/INBOX/;UID=1",
        ";UID=1",
    ] {
        let refused = client.fails(&format!("APPEND INBOX CATENATE (URL \"{url}\")")).await;
        assert!(refused.starts_with(&format!("NO [BADURL {url}]")), "{url}: {refused}");
    }
    let refused =
        client.fails(&format!("APPEND INBOX CATENATE (URL {} TEXT {{3+}}\r\nabc)", literal("\r\n]x"))).await;
    assert!(refused.starts_with("NO [BADURL x]"), "{refused}");
    client.ok("NOOP").await;
}

#[tokio::test]
async fn parts_together_have_the_limit_of_a_message() {
    let server = Server::with(|options| options.limits.message_size = service::config::ByteSize(1_000)).await;
    let mut client = server.login().await;
    client.append("INBOX", &"x".repeat(600)).await;
    let part = literal(&"y".repeat(600));
    for parts in [format!("TEXT {part} TEXT {part}"), format!("URL /INBOX/;UID=1 TEXT {part}")] {
        assert!(client.fails(&format!("APPEND INBOX CATENATE ({parts})")).await.starts_with("NO [TOOBIG]"));
    }
    client.send(&format!("a APPEND INBOX CATENATE (TEXT {part} TEXT {{1001}}\r\n")).await;
    assert!(client.responses("a").await.1.starts_with("NO [TOOBIG]"));
    client.ok(&format!("APPEND INBOX {part} {part}")).await;
}

#[tokio::test]
async fn binary_messages_stay_as_they_are() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    let message = "Content-Transfer-Encoding: binary\r\n\r\na\0b\nc\rd";
    client.ok(&format!("APPEND INBOX ~{{{}+}}\r\n{message}", message.len())).await;
    let fetched = client.ok("FETCH 1 (BINARY.PEEK[] RFC822.SIZE)").await.join("");
    assert!(fetched.contains(&format!("BINARY[] ~{{{}}}\r\n{message}", message.len())), "{fetched:?}");
    client.ok(&format!("APPEND INBOX {}", literal("a\nb"))).await;
    assert_eq!(body(&mut client, 2).await, "a\r\nb");
}

#[tokio::test]
async fn messages_in_utf8_need_it_enabled() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let message = "Subject: été\r\n\r\n";
    let append = format!("APPEND INBOX UTF8 (~{{{}+}}\r\n{message})", message.len());
    assert!(client.fails(&append).await.starts_with("BAD"));
    assert_eq!(client.ok("ENABLE UTF8=ACCEPT").await, ["* ENABLED UTF8=ACCEPT"]);
    client.ok(&append).await;
    client.ok("CREATE \"été\"").await;
    assert!(client.ok("LIST \"\" *t*").await.iter().any(|line| line.ends_with(" \"été\"")));
    client.ok("SELECT INBOX").await;
    assert_eq!(client.ok("SEARCH SUBJECT \"été\"").await, ["* SEARCH 1"]);
    assert!(client.fails("SEARCH CHARSET UTF-8 ALL").await.starts_with("BAD"));
}

#[tokio::test]
async fn a_message_takes_anothers_place() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    for text in ["one", "two", "three"] {
        client.append("INBOX", text).await;
    }
    client.ok("NOOP").await;
    let (untagged, tagged) = client.command(&format!("REPLACE 2 INBOX (\\Draft) {}", literal("new"))).await;
    assert!(tagged.starts_with("OK REPLACE"), "{tagged}");
    assert!(untagged[0].starts_with("* OK [APPENDUID ") && untagged[0].contains(" 4] "), "{untagged:?}");
    assert!(untagged.contains(&"* 2 EXPUNGE".to_owned()), "{untagged:?}");
    assert_eq!(client.ok("UID SEARCH ALL").await, ["* SEARCH 1 3 4"]);
    client.ok(&format!("UID REPLACE 3 Drafts {}", literal("elsewhere"))).await;
    assert_eq!(client.ok("UID SEARCH ALL").await, ["* SEARCH 1 4"]);
    client.ok("UID REPLACE * INBOX CATENATE (URL ;UID=1)").await;
    assert_eq!(client.ok("UID SEARCH ALL").await, ["* SEARCH 1 5"]);
    assert_eq!(body(&mut client, 5).await, "one");
    for wrong in [
        format!("REPLACE 3 INBOX {}", literal("x")),
        format!("UID REPLACE 4 INBOX {}", literal("x")),
        format!("REPLACE 1 Nowhere {}", literal("x")),
        format!("REPLACE 1 INBOX {0} {0}", literal("x")),
    ] {
        client.fails(&wrong).await;
    }
    assert_eq!(client.ok("UID SEARCH ALL").await, ["* SEARCH 1 5"]);
    client.ok("EXAMINE INBOX").await;
    assert!(client.fails(&format!("REPLACE 1 INBOX {}", literal("x"))).await.starts_with("NO"));
}

#[tokio::test]
async fn a_message_that_is_gone_is_not_replaced() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    client.append("INBOX", "one").await;
    client.ok("NOOP").await;
    let account = server.store.store.account_by_address(USER).unwrap().unwrap();
    let inbox = server.store.store.mailbox(account.id, &crate::store::MailboxName::inbox()).unwrap().unwrap();
    let all = crate::store::UidSet::all();
    server.store.store.expunge(inbox.id, all, false).await.unwrap();
    let refused = client.fails(&format!("UID REPLACE 1 INBOX {}", literal("x"))).await;
    assert!(refused.starts_with("NO [EXPUNGEISSUED]"), "{refused}");
    assert_eq!(client.ok("STATUS INBOX (MESSAGES)").await[0], "* STATUS \"INBOX\" (MESSAGES 0)");
}

#[tokio::test]
async fn a_message_without_octets_calls_all_of_it_off() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    assert!(client.fails("APPEND INBOX {3+}\r\nabc {0+}\r\n").await.starts_with("NO"));
    assert!(client.fails("APPEND INBOX {0}").await.starts_with("NO"));
    assert_eq!(client.ok("STATUS INBOX (MESSAGES)").await, ["* STATUS \"INBOX\" (MESSAGES 0)"]);
}

#[tokio::test]
async fn messages_of_one_command_are_not_too_large_together() {
    let server = Server::with(|options| options.limits.message_size = service::config::ByteSize(1_000)).await;
    let mut client = server.inbox().await;
    client.append("INBOX", &"x".repeat(1000)).await;
    let all = |times| format!("APPEND Sent{}", " CATENATE (URL \"/INBOX/;UID=1\")".repeat(times));
    client.ok(&all(20)).await;
    assert!(client.fails(&all(21)).await.starts_with("NO [LIMIT]"));
}
