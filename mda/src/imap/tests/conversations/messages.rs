//! Messages: appended, fetched, flagged, moved, removed.

use super::*;

#[tokio::test]
async fn select_tells_what_a_client_needs() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.append("INBOX (\\Seen)", MESSAGE).await;
    client.append("INBOX ($Junk)", MESSAGE).await;
    let (untagged, tagged) = client.command("SELECT inbox").await;
    assert_eq!(tagged, "OK [READ-WRITE] SELECT completed");
    let told = untagged.join("\n");
    for expected in [
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk)",
        "* 2 EXISTS",
        "* 0 RECENT",
        "[UNSEEN 2]",
        "[PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk \\*)]",
        "[UIDVALIDITY ",
        "[UIDNEXT 3]",
    ] {
        assert!(told.contains(expected), "{expected} in {told}");
    }
    client.ok("ENABLE IMAP4rev2").await;
    let told = client.ok("EXAMINE INBOX").await.join("\n");
    assert!(told.contains("[CLOSED]") && told.contains("* LIST () \"/\" \"INBOX\""), "{told}");
    assert!(!told.contains("RECENT") && told.contains("[PERMANENTFLAGS ()]"), "{told}");
}

#[tokio::test]
async fn what_was_appended_comes_back_the_same() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    let date = "\"02-Feb-2024 03:04:05 +0100\"";
    let (untagged, tagged) = client
        .command(&format!("APPEND INBOX (\\Flagged $a) {date} {{{}+}}\r\n{MESSAGE}", MESSAGE.len()))
        .await;
    assert!(tagged.starts_with("OK [APPENDUID ") && tagged.contains(" 1] "), "{tagged}");
    assert!(untagged.contains(&"* 1 EXISTS".into()), "{untagged:?}");
    assert_eq!(
        client.ok("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE UID BODY.PEEK[])").await,
        [format!(
            "* 1 FETCH (FLAGS (\\Flagged $a) INTERNALDATE \"02-Feb-2024 02:04:05 +0000\" RFC822.SIZE {0} UID 1 \
             BODY[] {{{0}}}\r\n{MESSAGE})",
            MESSAGE.len()
        )]
    );
}

#[tokio::test]
async fn a_large_message_is_streamed_in_and_out() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    let line = "x".repeat(76) + "\r\n";
    let message = format!("Subject: large\r\n\r\n{}", line.repeat(20_000));
    client.send(&format!("a APPEND INBOX {{{}}}\r\n", message.len())).await;
    assert!(client.line().await.starts_with("+ "));
    client.send(&format!("{message}\r\n")).await;
    assert!(client.responses("a").await.1.starts_with("OK [APPENDUID"));
    let fetched = client.ok("UID FETCH 1 BODY.PEEK[]").await;
    assert_eq!(fetched, [format!("* 1 FETCH (UID 1 BODY[] {{{}}}\r\n{message})", message.len())]);
    let middle = &message[1_000_000..1_000_050];
    assert_eq!(
        client.ok("FETCH 1 BODY.PEEK[]<1000000.50>").await,
        [format!("* 1 FETCH (BODY[]<1000000> {{50}}\r\n{middle})")]
    );
    let text = "* 1 FETCH (BODY[TEXT]<0> {4}\r\nxxxx BODY[1]<1559999> {1}\r\n\n)";
    assert_eq!(client.ok("FETCH 1 (BODY.PEEK[TEXT]<0.4> BODY.PEEK[1]<1559999.9>)").await, [text]);
}

#[tokio::test]
async fn append_wants_a_mailbox_and_takes_bare_line_ends() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    assert!(client.append("nowhere", MESSAGE).await.starts_with("NO [TRYCREATE]"));
    // The literal was not taken for commands.
    client.ok("NOOP").await;
    assert!(client.append("INBOX (\\Foo)", MESSAGE).await.starts_with("BAD"));
    client.append("INBOX", "Subject: x\n\nbody\n").await;
    assert_eq!(
        client.ok("FETCH 1 BODY.PEEK[]").await,
        ["* 1 FETCH (BODY[] {20}\r\nSubject: x\r\n\r\nbody\r\n)"]
    );
}

#[tokio::test]
async fn a_full_disk_refuses_mail_and_all_else_goes_on() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.append("INBOX", MESSAGE).await;
    client.send("a LOGOUT\r\n").await;
    client.rest().await;
    let server = server.without_space().await;
    let mut client = server.inbox().await;
    let large = format!("{MESSAGE}{}", "x\r\n".repeat(50_000));
    for message in [MESSAGE, &large] {
        let refused = client.append("INBOX", message).await;
        assert!(refused.starts_with("NO [OVERQUOTA]"), "{refused}");
    }
    let fetched = client.ok("FETCH 1 BODY.PEEK[TEXT]").await;
    assert_eq!(fetched, ["* 1 FETCH (BODY[TEXT] {14}\r\nHow are you?\r\n)"]);
}

#[tokio::test]
async fn sections_of_a_message() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    let message = "Subject: outer\r\nFrom: a@b.test\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nAGhlbGxv\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nTo: c@d.test\r\n\r\ntext\r\n\
        --b\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: x-odd\r\n\r\n?\r\n--b--\r\n";
    client.append("INBOX (\\Seen)", message).await;
    for (item, expected) in [
        ("BODY[1]", "BODY[1] {8}\r\nAGhlbGxv"),
        (
            "BODY[1.MIME]",
            "BODY[1.MIME] {63}\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        ),
        ("BODY[2.HEADER]", "BODY[2.HEADER] {32}\r\nSubject: inner\r\nTo: c@d.test\r\n\r\n"),
        ("BODY[2.TEXT]", "BODY[2.TEXT] {4}\r\ntext"),
        ("BODY[2.1]", "BODY[2.1] {4}\r\ntext"),
        ("BODY[9]", "BODY[9] NIL"),
        ("BODY[1.HEADER]", "BODY[1.HEADER] NIL"),
        (
            "BODY[HEADER.FIELDS (subject X-None)]",
            "BODY[HEADER.FIELDS (subject X-None)] {18}\r\nSubject: outer\r\n\r\n",
        ),
        (
            "BODY[2.HEADER.FIELDS.NOT (Subject)]",
            "BODY[2.HEADER.FIELDS.NOT (Subject)] {16}\r\nTo: c@d.test\r\n\r\n",
        ),
        ("RFC822.SIZE", &format!("RFC822.SIZE {}", message.len())),
        ("BINARY.SIZE[1]", "BINARY.SIZE[1] 6"),
        ("BINARY[1]", "BINARY[1] ~{6}\r\n\0hello"),
        ("BINARY[1]<1.3>", "BINARY[1]<1> ~{3}\r\nhel"),
        ("BODY[1]<4.100>", "BODY[1]<4> {4}\r\nbGxv"),
        ("BODY[1]<100.1>", "BODY[1]<100> {0}\r\n"),
    ] {
        assert_eq!(
            client.ok(&format!("FETCH 1 {item}")).await,
            [format!("* 1 FETCH ({expected})")],
            "{item}"
        );
    }
    assert!(client.fails("FETCH 1 BINARY[3]").await.starts_with("NO [UNKNOWN-CTE]"));
    assert!(client.fails("FETCH 2 UID").await.starts_with("BAD"));
}

#[tokio::test]
async fn the_first_words_of_a_message_are_shown_beside_its_other_data() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    client.append("INBOX (\\Seen)", MESSAGE).await;
    client.append("INBOX (\\Seen)", "Content-Type: text/plain; charset=utf-8\r\n\r\nÜber\r\n").await;
    assert!(client.ok("CAPABILITY").await[0].contains(" PREVIEW"));
    assert_eq!(
        client.ok("FETCH 1 (PREVIEW RFC822.SIZE)").await,
        [format!("* 1 FETCH (PREVIEW \"How are you?\" RFC822.SIZE {})", MESSAGE.len())]
    );
    assert_eq!(client.ok("FETCH 2 (PREVIEW (LAZY))").await, ["* 2 FETCH (PREVIEW {5}\r\nÜber)"]);
    assert!(client.fails("FETCH 1 (PREVIEW (EAGER))").await.starts_with("BAD"));
}

#[tokio::test]
async fn a_header_too_long_for_its_outline_is_read_and_searched_all_the_same() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    let to = "someone@example.test,\r\n ".repeat(2_000);
    let message = format!("To: {to}last@example.test\r\nSubject: Hello\r\nX-Odd: very\r\n\r\nbody\r\n");
    client.append("INBOX (\\Seen)", &message).await;
    let fetched = client.ok("FETCH 1 BODY[HEADER.FIELDS (Subject)]").await;
    assert_eq!(fetched, ["* 1 FETCH (BODY[HEADER.FIELDS (Subject)] {18}\r\nSubject: Hello\r\n\r\n)"]);
    assert!(client.ok("FETCH 1 ENVELOPE").await[0].contains("\"last\" \"example.test\""));
    for found in ["TO last@example.test", "SUBJECT hello", "HEADER X-Odd very", "BODY body"] {
        assert_eq!(client.ok(&format!("SEARCH {found}")).await, ["* SEARCH 1"], "{found}");
    }
    assert_eq!(client.ok("SEARCH HEADER X-Odd rarely").await, ["* SEARCH"]);
}

#[tokio::test]
async fn no_literal_holds_nul_and_sizes_stay_true() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    client.append("INBOX", "Subject: x\r\n\r\na\0b\r\n").await;
    let fetched = client.ok("FETCH 1 (RFC822.SIZE BODY.PEEK[] BODY.PEEK[TEXT]<0.2> BINARY.PEEK[1])").await;
    let told = fetched.iter().find(|line| line.contains("FETCH")).unwrap();
    assert!(told.contains("RFC822.SIZE 19 BODY[] {19}\r\n"), "{told}");
    assert!(told.contains("BODY[TEXT]<0> {2}\r\na\u{fffd} "), "{told}");
    // A literal8 may hold it.
    assert!(told.contains("BINARY[1] ~{5}\r\na\0b\r\n"), "{told}");
    assert_eq!(told.matches('\0').count(), 1, "{told}");
}

#[tokio::test]
async fn reading_a_message_marks_it_as_seen_and_peeking_does_not() {
    let server = Server::start().await;
    let mut client = server.login().await;
    for _ in 0..3 {
        client.append("INBOX", MESSAGE).await;
    }
    client.ok("EXAMINE INBOX").await;
    client.ok("FETCH 1 BODY[]").await;
    client.ok("SELECT INBOX").await;
    client.ok("FETCH 1:* BODY.PEEK[HEADER]").await;
    client.ok("FETCH 1:* RFC822.HEADER").await;
    assert_eq!(client.ok("SEARCH SEEN").await, ["* SEARCH"]);
    let fetched = client.ok("FETCH 2 BODY[TEXT]").await;
    assert_eq!(fetched, ["* 2 FETCH (BODY[TEXT] {14}\r\nHow are you?\r\n FLAGS (\\Seen))"]);
    assert_eq!(client.ok("SEARCH SEEN").await, ["* SEARCH 2"]);
}

#[tokio::test]
async fn store_changes_flags_and_tells_them() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    client.append("INBOX", MESSAGE).await;
    client.append("INBOX", MESSAGE).await;
    assert_eq!(
        client.ok("STORE 1:2 +FLAGS (\\Flagged)").await,
        ["* 1 FETCH (FLAGS (\\Flagged))", "* 2 FETCH (FLAGS (\\Flagged))",]
    );
    assert_eq!(client.ok("UID STORE 2 FLAGS \\Seen").await, ["* 2 FETCH (UID 2 FLAGS (\\Seen))"]);
    assert_eq!(client.ok("STORE 1 -FLAGS.SILENT (\\Flagged)").await, Vec::<String>::new());
    assert_eq!(client.ok("FETCH 1:2 FLAGS").await, ["* 1 FETCH (FLAGS ())", "* 2 FETCH (FLAGS (\\Seen))"]);
    let told = client.ok("STORE 1 +FLAGS ($New)").await;
    assert_eq!(
        told,
        ["* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $New)", "* 1 FETCH (FLAGS ($New))",]
    );
    client.ok("EXAMINE INBOX").await;
    assert!(client.fails("STORE 1 FLAGS ()").await.starts_with("NO"));
    assert!(client.fails("EXPUNGE").await.starts_with("NO"));
}

#[tokio::test]
async fn a_silent_store_still_tells_what_others_did() {
    let server = Server::start().await;
    let (mut one, mut other) = (server.inbox().await, server.inbox().await);
    one.append("INBOX", MESSAGE).await;
    other.ok("NOOP").await;
    one.ok("STORE 1 +FLAGS (\\Answered)").await;
    assert_eq!(other.ok("STORE 1 +FLAGS.SILENT (\\Seen)").await, ["* 1 FETCH (FLAGS (\\Answered \\Seen))"]);
    assert_eq!(one.ok("NOOP").await, ["* 1 FETCH (UID 1 FLAGS (\\Answered \\Seen))"]);
    assert_eq!(one.ok("NOOP").await, Vec::<String>::new());
}

#[tokio::test]
async fn expunge_removes_what_is_marked() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    for _ in 0..5 {
        client.append("INBOX", MESSAGE).await;
    }
    client.ok("STORE 1,3,5 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(client.ok("UID EXPUNGE 2:3").await, ["* 3 EXPUNGE"]);
    assert_eq!(client.ok("EXPUNGE").await, ["* 4 EXPUNGE", "* 1 EXPUNGE"]);
    assert_eq!(client.ok("FETCH 1:* UID").await, ["* 1 FETCH (UID 2)", "* 2 FETCH (UID 4)"]);
    client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    client.ok("UNSELECT").await;
    assert!(client.ok("STATUS INBOX (MESSAGES)").await[0].ends_with("(MESSAGES 2)"));
    client.ok("SELECT INBOX").await;
    assert_eq!(client.ok("CLOSE").await, Vec::<String>::new());
    assert!(client.ok("STATUS INBOX (MESSAGES)").await[0].ends_with("(MESSAGES 1)"));
    assert!(client.fails("FETCH 1 UID").await.starts_with("BAD"));
}

#[tokio::test]
async fn numbers_stay_during_fetch_store_and_search() {
    let server = Server::start().await;
    let (mut one, mut other) = (server.inbox().await, server.inbox().await);
    for _ in 0..3 {
        one.append("INBOX", MESSAGE).await;
    }
    other.ok("NOOP").await;
    one.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    one.ok("EXPUNGE").await;
    for command in ["FETCH 2 UID", "STORE 2 +FLAGS.SILENT (\\Seen)", "SEARCH ALL"] {
        let told = other.ok(command).await.join("\n");
        assert!(!told.contains("EXPUNGE"), "{command}: {told}");
    }
    assert!(other.fails("FETCH 1 UID").await.starts_with("NO [EXPUNGEISSUED]"));
    assert_eq!(other.ok("FETCH 3 UID").await, ["* 3 FETCH (UID 3)"]);
    assert!(other.ok("UID FETCH 3 FLAGS").await.contains(&"* 1 EXPUNGE".to_owned()));
    assert_eq!(other.ok("FETCH 2 UID").await, ["* 2 FETCH (UID 3)"]);
}

#[tokio::test]
async fn copy_and_move_tell_the_new_uids() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    for flags in ["(\\Seen)", "($x)", "()"] {
        client.append(&format!("INBOX {flags}"), MESSAGE).await;
    }
    assert!(client.fails("COPY 1 nowhere").await.starts_with("NO [TRYCREATE]"));
    client.ok("CREATE x").await;
    let (_, tagged) = client.command("COPY 2:3 x").await;
    assert!(tagged.starts_with("OK [COPYUID ") && tagged.contains(" 2:3 1:2] "), "{tagged}");
    // What the target holds already is no obstacle.
    let (untagged, tagged) = client.command("UID MOVE 2,99 x").await;
    assert!(tagged.starts_with("OK "), "{tagged}");
    assert!(untagged[0].starts_with("* OK [COPYUID ") && untagged[0].contains(" 2 3] "), "{untagged:?}");
    assert_eq!(untagged[1..], ["* 2 EXPUNGE"]);
    let (untagged, _) = client.command("UID MOVE 99 x").await;
    assert_eq!(untagged, Vec::<String>::new());
    client.ok("SELECT x").await;
    assert_eq!(
        client.ok("FETCH 1:* (UID FLAGS)").await,
        ["* 1 FETCH (UID 1 FLAGS ($x))", "* 2 FETCH (UID 2 FLAGS ())", "* 3 FETCH (UID 3 FLAGS ($x))",]
    );
}
