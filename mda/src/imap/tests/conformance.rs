//! What RFC 9051 and RFC 3501 show in their examples and forbid in their grammar, section by section.

use tokio::io::{AsyncWriteExt as _, DuplexStream};

use super::client::{Client, Server, USER};

/// Where it stands, the command with our names in it, and how the command must end.
type Line = (&'static str, &'static str, &'static str);

/// The part tree of RFC 9051 §6.4.5.1.
const TREE: &str = "Subject: tree\r\nContent-Type: multipart/mixed; boundary=A\r\n\r\n\
    --A\r\n\r\none\r\n\
    --A\r\nContent-Type: application/octet-stream\r\n\r\ntwo\r\n\
    --A\r\nContent-Type: message/rfc822\r\n\r\nSubject: three\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n\
    --B\r\n\r\nthree.one\r\n--B\r\nContent-Type: application/octet-stream\r\n\r\nthree.two\r\n--B--\r\n\
    --A\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n\
    --C\r\nContent-Type: image/gif\r\nContent-ID: <gif>\r\n\r\nfour.one\r\n\
    --C\r\nContent-Type: message/rfc822\r\n\r\nSubject: four.two\r\nContent-Type: multipart/mixed; boundary=D\r\n\r\n\
    --D\r\n\r\nfour.two.one\r\n\
    --D\r\nContent-Type: multipart/alternative; boundary=E\r\n\r\n\
    --E\r\n\r\nfour.two.two.one\r\n--E\r\nContent-Type: text/html\r\n\r\nfour.two.two.two\r\n--E--\r\n\
    --D--\r\n--C--\r\n--A--\r\n";

const NOT_AUTHENTICATED: &[Line] = &[
    ("6.1.1", "CAPABILITY", "OK"),
    ("6.1.2", "NOOP", "OK"),
    ("6.2.1", "starttls", "BAD"),
    ("6.2.2", "AUTHENTICATE GSSAPI", "NO"),
    ("6.2.2", "AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=", "NO [AUTHENTICATIONFAILED]"),
    ("6.2.2", "AUTHENTICATE PLAIN\r\n*", "BAD"),
    ("6.2.2", "AUTHENTICATE PLAIN\r\ndGVz=dAB0", "BAD"),
    ("6.2.2", "AUTHENTICATE PLAIN =", "BAD"),
    ("6.2.3", "LOGIN SMITH SESAME", "NO [AUTHENTICATIONFAILED]"),
    ("4.3", "LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man", "NO [AUTHENTICATIONFAILED]"),
    ("3.1", "SELECT INBOX", "BAD"),
    ("3.1", "ENABLE IMAP4rev2", "BAD"),
    ("3.1", "IDLE", "BAD"),
    ("3.1", "NAMESPACE", "BAD"),
    ("3.1", "APPEND INBOX {1+}\r\nx", "BAD"),
    ("3.1", "FETCH 1 FLAGS", "BAD"),
];

const AUTHENTICATED: &[Line] = &[
    ("6.3.1", "ENABLE CONDSTORE X-GOOD-IDEA", "OK"),
    ("6.3.1", "ENABLE X-GOOD-IDEA", "OK"),
    ("6.2.3", "LOGIN a b", "BAD"),
    ("6.2.2", "AUTHENTICATE PLAIN", "BAD"),
    ("6.2.1", "STARTTLS", "BAD"),
    ("6.3.4", "CREATE owatagusiam/", "OK"),
    ("6.3.4", "CREATE owatagusiam/blurdybloop", "OK"),
    ("6.3.5", "CREATE foo", "OK"),
    ("6.3.5", "CREATE foo/bar", "OK"),
    ("6.3.5", "CREATE blurdybloop", "OK"),
    ("6.3.5", "DELETE blurdybloop", "OK"),
    ("6.3.5", "DELETE foo", "NO [HASCHILDREN]"),
    ("6.3.5", "DELETE foo/bar", "OK"),
    ("6.3.5", "DELETE foo", "OK"),
    ("6.3.6", "CREATE {3}\r\nfoo", "OK"),
    ("6.3.6", "RENAME foo {5}\r\nzowie", "OK"),
    ("6.3.6", "RENAME INBOX old-mail", "OK"),
    ("6.3.6", "RENAME old-mail zowie", "NO [ALREADYEXISTS]"),
    ("6.3.7", "SUBSCRIBE #news.comp.mail.mime", "OK"),
    ("6.3.8", "UNSUBSCRIBE #news.comp.mail.mime", "OK"),
    ("6.3.9", "LIST #news.comp.mail.misc \"\"", "OK"),
    ("6.3.9", "LIST /usr/staff/jones \"\"", "OK"),
    ("6.3.9", "LIST ~/Mail/ %", "OK"),
    ("6.3.9", "LIST {0+}\r\n {1+}\r\n%", "OK"),
    ("6.3.9", "LIST \"\" \"&broken\"", "OK"),
    ("6.3.9", "LIST () \"\" % RETURN ()", "OK"),
    ("6.3.9", "LIST (SUBSCRIBED SUBSCRIBED) \"\" %", "OK"),
    ("6.3.9", "LIST (REMOTE SUBSCRIBED) \"\" * RETURN (CHILDREN SUBSCRIBED)", "OK"),
    ("6.3.9", "LIST (X-UNKNOWN) \"\" *", "BAD"),
    ("6.3.9", "LIST \"\" * RETURN (X-UNKNOWN)", "BAD"),
    ("6.3.9.1", "LIST (RECURSIVEMATCH) \"\" *", "BAD"),
    ("6.3.9.1", "LIST (RECURSIVEMATCH REMOTE) \"\" *", "BAD"),
    ("6.3.9.8", "LIST \"\" (% music/rock)", "OK"),
    ("6.3.9.8", "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" % RETURN (STATUS (MESSAGES))", "OK"),
    ("RFC 3501 6.3.9", "LSUB \"#news.\" \"comp.%\"", "OK"),
    ("6.3.10", "NAMESPACE", "OK"),
    ("6.3.10", "LIST \"\" \"Other Users/%\"", "OK"),
    ("6.3.11", "status INBOX (uidnext messages)", "OK"),
    ("6.3.11", "STATUS nowhere (MESSAGES)", "NO [NONEXISTENT]"),
    ("6.3.12", "APPEND nowhere (\\Seen) {1+}\r\nx", "NO [TRYCREATE]"),
    ("6.3.12", "APPEND {5}\r\nINBOX (\\Seen) \" 7-Feb-1994 21:52:25 -0800\" {1}\r\nx", "OK [APPENDUID"),
    ("6.3.12", "APPEND INBOX () {1+}\r\nx", "OK [APPENDUID"),
    ("6.3.12", "APPEND INBOX ~{1}\r\nx", "OK [APPENDUID"),
    ("6.3.13", "IDLE\r\nDONE", "OK"),
    ("6.3.13", "IDLE\r\ndone", "OK"),
    ("7.1", "create \"///////\"", "NO [CANNOT]"),
    ("3.2", "FETCH 1 FLAGS", "BAD"),
    ("3.2", "CLOSE", "BAD"),
    ("3.2", "UNSELECT", "BAD"),
    ("3.2", "EXPUNGE", "BAD"),
    ("3.2", "CHECK", "BAD"),
    ("3.2", "UID COPY 1 INBOX", "BAD"),
    ("6.5", "XPIG-LATIN", "BAD"),
    ("7.1.3", "SELECT nowhere", "NO [NONEXISTENT]"),
    ("6.3.3", "EXAMINE INBOX", "OK [READ-ONLY]"),
    ("6.3.3", "STORE 1 +FLAGS (\\Seen)", "NO"),
    ("6.3.3", "EXPUNGE", "NO"),
    ("6.4.1", "CLOSE", "OK"),
    ("6.3.2", "SELECT \"inBOX\"", "OK [READ-WRITE]"),
    ("6.4.2", "UNSELECT", "OK"),
];

/// INBOX has three messages.
const SELECTED: &[Line] = &[
    ("RFC 3501 6.4.1", "CHECK", "OK"),
    ("6.4.4", "SEARCH RETURN (MIN COUNT) FLAGGED", "OK"),
    ("6.4.4", "SEARCH RETURN () FLAGGED", "OK"),
    ("6.4.4", "SEARCH RETURN (X-UNKNOWN) ALL", "BAD"),
    ("6.4.4", "SEARCH TEXT \"string not in mailbox\"", "OK"),
    ("6.4.4", "SEARCH CHARSET UTF-8 TEXT {12}\r\nотпуск", "OK"),
    ("6.4.4", "SEARCH CHARSET {5+}\r\nutf-8 SUBJECT \"отпуск\"", "OK"),
    ("6.4.4", "SEARCH CHARSET US-ASCII BODY x", "OK"),
    ("6.4.4", "SEARCH CHARSET KOI8-R TEXT {4}\r\nXXXX", "NO [BADCHARSET"),
    ("6.4.4", "UID SEARCH RETURN (MIN MAX) 1:5000 UNSEEN", "OK"),
    ("6.4.4", "SEARCH ANSWERED BCC a BEFORE 1-Jan-2020 BODY b CC c DELETED DRAFT", "OK"),
    ("6.4.4", "SEARCH FLAGGED FROM \"d\" HEADER Message-ID \"\" KEYWORD $Junk LARGER 4294967296", "OK"),
    ("6.4.4", "SEARCH NOT SEEN ON \"01-Feb-1994\" OR TO x (SENTBEFORE 1-Feb-1994 SENTON 2-Feb-1994)", "OK"),
    ("6.4.4", "SEARCH SENTSINCE 1-Feb-1994 SINCE 1-Feb-1994 SMALLER 1 SUBJECT s TEXT t UID 1:*,3", "OK"),
    ("6.4.4", "SEARCH UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNKEYWORD $Junk UNSEEN 1:*", "OK"),
    ("RFC 3501 6.4.4", "SEARCH OR NEW OR OLD RECENT", "OK"),
    ("6.4.4.1", "SEARCH RETURN (SAVE) SINCE 1-Feb-1994", "OK"),
    ("6.4.4.1", "FETCH $ (UID INTERNALDATE FLAGS BODY.PEEK[HEADER])", "OK"),
    ("6.4.4.1", "UID SEARCH UID $ SMALLER 4096", "OK"),
    ("6.4.4.1", "SEARCH CHARSET UTF-8 (OR $ 1,3000:3021) TEXT {8+}\r\nмать", "OK"),
    ("6.4.4.1", "COPY $ Archive", "OK"),
    ("6.4.4.1", "STORE $ +FLAGS.Silent (\\Flagged)", "OK"),
    ("6.4.5", "FETCH 2:3 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])", "OK"),
    ("6.4.5", "fetch 1 full", "OK"),
    ("6.4.5", "FETCH 1 ALL", "OK"),
    ("6.4.5", "FETCH 1 fast", "OK"),
    ("6.4.5", "FETCH 1 (ALL)", "BAD"),
    ("6.4.5", "fetch 1 body[header]", "OK"),
    ("6.4.5", "FETCH 1 BODY[HEADER.FIELDS.NOT ({4+}\r\nDate \"x\\\\y\")]<0.10>", "OK"),
    ("6.4.5", "FETCH 1 BODY.PEEK[1.2.3.MIME]<4294967296.1>", "OK"),
    ("6.4.5", "FETCH 1 BODY[MIME]", "BAD"),
    ("6.4.5", "FETCH 1 BODY[0]", "BAD"),
    ("6.4.5", "FETCH 1 BODY[1.]", "BAD"),
    ("6.4.5", "FETCH 1 BODY[HEADER.FIELDS ()]", "BAD"),
    ("6.4.5", "FETCH 1 BODY[]<0.0>", "BAD"),
    ("6.4.5", "FETCH 1 BODY[]<0>", "BAD"),
    ("6.4.5", "FETCH 1 ()", "BAD"),
    ("6.4.5", "FETCH 0 FLAGS", "BAD"),
    ("6.4.5", "FETCH 4294967296 FLAGS", "BAD"),
    ("6.4.5", "FETCH 1 (BINARY[1] BINARY.PEEK[]<0.1> BINARY.SIZE[1] BODY BODYSTRUCTURE ENVELOPE)", "OK"),
    ("6.4.5", "FETCH 1 (RFC822.SIZE UID INTERNALDATE)", "OK"),
    ("RFC 3501 6.4.5", "FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT)", "OK"),
    ("6.4.6", "STORE 2:3 +FLAGS (\\Deleted)", "OK"),
    ("6.4.6", "store 1 +flags \\deleted", "OK"),
    ("6.4.6", "STORE 1 -FLAGS.SILENT \\Deleted \\Seen $Forwarded", "OK"),
    ("6.4.6", "STORE 1 FLAGS ()", "OK"),
    ("6.4.6", "STORE 1 FLAGS (\\Recent)", "OK"),
    ("6.4.6", "STORE 1 FLAGS (\\*)", "BAD"),
    ("6.4.6", "STORE 1 FLAGS", "BAD"),
    ("6.4.6", "STORE 1 +FLAGS.QUIET (\\Seen)", "BAD"),
    ("6.4.7", "COPY 2:3 MEETING", "NO [TRYCREATE]"),
    ("6.4.7", "UID COPY 305:310 Archive", "OK"),
    ("6.4.7", "COPY 4 Archive", "BAD"),
    ("6.4.8", "UID MOVE 42:69 Archive", "OK"),
    ("6.4.8", "MOVE 1 nowhere", "NO [TRYCREATE]"),
    ("6.4.9", "UID FETCH 4827313:4828442 FLAGS", "OK"),
    ("6.4.9", "UID EXPUNGE 3000:3002", "OK"),
    ("6.4.9", "UID FETCH *:5000 UID", "OK"),
    ("6.4.9", "UID NOOP", "BAD"),
    ("6.3.11", "STATUS INBOX (MESSAGES UNSEEN DELETED SIZE)", "OK"),
    ("6.4.3", "EXPUNGE", "OK"),
    ("7.1.2", "COPY 1 nowhere", "NO [TRYCREATE]"),
    ("6.4.4.1", "SEARCH RETURN (SAVE) KEYWORD $Junk", "OK"),
    ("6.4.4.1", "FETCH $ FLAGS", "OK"),
    ("6.3.2", "SELECT nowhere", "NO [NONEXISTENT]"),
    ("6.3.2", "FETCH 1 FLAGS", "BAD"),
];

/// RFC 9051 §2.2.2: anything else than what the grammar says is refused with BAD.
const NO_COMMANDS: &[&str] = &[
    "",
    " NOOP",
    "NOOP ",
    "NOOP x",
    "UID",
    "UID FETCH",
    "LIST",
    "LIST \"\"",
    "LIST  \"\" *",
    "LIST \"\" * ",
    "LIST \"\" ()",
    "LIST \"\" (a b",
    "LIST \"\" *RETURN (CHILDREN)",
    "STATUS INBOX",
    "STATUS INBOX ()",
    "STATUS INBOX MESSAGES",
    "STATUS INBOX (MESSAGES X)",
    "SELECT",
    "SELECT INBOX x",
    "SELECT IN(BOX",
    "SELECT \"INBOX",
    "SELECT \"IN\\BOX\"",
    "SELECT {3+}\r\na\0b",
    "SELECT ~{5+}\r\nINBOX",
    "SELECT IN\"BOX\"",
    "CREATE a*",
    "CREATE a%",
    "RENAME a",
    "ENABLE",
    "NAMESPACE x",
    "APPEND INBOX",
    "APPEND INBOX x",
    "APPEND INBOX (\\Seen {1+}\r\nx",
    "APPEND INBOX \"7-Feb-1994 21:52:25 -0800\" {1+}\r\nx",
    "APPEND INBOX \"31-Feb-1994 21:52:25 -0800\" {1+}\r\nx",
    "APPEND INBOX \"01-Feb-1994 24:00:00 -0800\" {1+}\r\nx",
    "APPEND INBOX \"01-Feb-1994 21:52:25\" {1+}\r\nx",
    "APPEND INBOX {1+}\r\nx y",
    "FETCH",
    "FETCH 1",
    "FETCH 1,",
    "FETCH 1: FLAGS",
    "FETCH 1:2:3 FLAGS",
    "FETCH $,1 FLAGS",
    "FETCH 1 FLAGS UID",
    "FETCH 1 (FLAGS  UID)",
    "FETCH 1 (FLAGS UID",
    "FETCH 1 BODY.PEEK",
    "FETCH 1 BODY[",
    "FETCH 1 BODY[TEXT",
    "FETCH 1 BODY[HEADER.FIELDS]",
    "FETCH 1 BINARY[1.MIME]",
    "SEARCH",
    "SEARCH ()",
    "SEARCH (ALL",
    "SEARCH OR ALL",
    "SEARCH NOT",
    "SEARCH SINCE 32-Jan-2020",
    "SEARCH SINCE 1-Foo-2020",
    "SEARCH SINCE \"1-Jan-2020",
    "SEARCH HEADER Subject",
    "SEARCH CHARSET UTF-8",
    "SEARCH RETURN ALL ALL",
    "SEARCH BODY \"\u{0}\"",
    "STORE 1 (\\Seen)",
    "STORE 1 +FLAGS(\\Seen)",
    "COPY 1",
    "COPY INBOX 1",
    "EXPUNGE 1",
    "UID EXPUNGE",
    "CLOSE x",
];

async fn hold(client: &mut Client<DuplexStream>, lines: &[Line]) {
    for (section, command, expected) in lines {
        let (untagged, tagged) = client.command(command).await;
        assert!(tagged.starts_with(expected), "{section}: {command}: {tagged}");
        if command.to_ascii_uppercase().starts_with("UID FETCH *") {
            assert_eq!(untagged.len(), 1, "{command}: {untagged:?}");
        }
    }
}

async fn three_messages(server: &Server) -> Client<DuplexStream> {
    let mut client = server.login().await;
    for _ in 0..3 {
        client.append("INBOX", "Subject: hello\r\n\r\nbody\r\n").await;
    }
    client
}

#[tokio::test]
async fn the_examples_hold_in_each_state() {
    let server = Server::with(|options| options.limits.session_errors = 100).await;
    let mut client = server.connect().await;
    hold(&mut client, NOT_AUTHENTICATED).await;
    hold(&mut server.login().await, AUTHENTICATED).await;
    let mut client = three_messages(&server).await;
    client.ok("DELETE old-mail").await;
    client.ok("SELECT INBOX").await;
    let (messages, _) = client.command("STATUS INBOX (MESSAGES)").await;
    assert!(messages[0].ends_with("(MESSAGES 6)"), "{messages:?}");
    client.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)").await;
    client.ok("EXPUNGE").await;
    hold(&mut client, SELECTED).await;
}

#[tokio::test]
async fn the_examples_hold_for_those_who_know_the_newer_protocol() {
    let server = Server::with(|options| options.limits.session_errors = 100).await;
    let mut client = three_messages(&server).await;
    client.ok("ENABLE IMAP4rev2").await;
    client.ok("SELECT INBOX").await;
    hold(&mut client, SELECTED).await;
}

#[tokio::test]
async fn what_is_no_command_is_bad_and_the_session_goes_on() {
    let server = Server::start().await;
    let mut client = three_messages(&server).await;
    client.ok("SELECT INBOX").await;
    for (index, command) in NO_COMMANDS.iter().enumerate() {
        let tag = format!("n{index}");
        client.send(&format!("{tag} {command}\r\n")).await;
        let (untagged, tagged) = client.responses(&tag).await;
        assert!(tagged.starts_with("BAD"), "{command:?}: {untagged:?} {tagged}");
        client.ok("NOOP").await;
    }
    // RFC 9051 §7.1.3: without a tag the answer has none.
    for line in ["", "* NOOP", "+ NOOP", "\u{e9} NOOP"] {
        client.send(&format!("{line}\r\n")).await;
        let answer = client.line().await;
        assert!(answer.starts_with("* BAD "), "{line:?}: {answer}");
        client.ok("NOOP").await;
    }
    assert_eq!(client.ok("STATUS INBOX (MESSAGES)").await, ["* STATUS \"INBOX\" (MESSAGES 3)"]);
}

#[tokio::test]
async fn parts_are_numbered_as_in_the_rfc() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.append("INBOX", TREE).await;
    client.ok("SELECT INBOX").await;
    for (section, expected) in [
        ("1", "{3}\r\none"),
        ("1.MIME", "{2}\r\n\r\n"),
        ("2", "{3}\r\ntwo"),
        ("3.HEADER.FIELDS (Subject)", "{18}\r\nSubject: three\r\n\r\n"),
        ("3.HEADER.FIELDS.NOT (Content-Type)", "{18}\r\nSubject: three\r\n\r\n"),
        ("3.MIME", "{32}\r\nContent-Type: message/rfc822\r\n\r\n"),
        ("3.1", "{9}\r\nthree.one"),
        ("3.2", "{9}\r\nthree.two"),
        ("4.1", "{8}\r\nfour.one"),
        ("4.1.MIME", "{46}\r\nContent-Type: image/gif\r\nContent-ID: <gif>\r\n\r\n"),
        ("4.2.HEADER.FIELDS (SUBJECT)", "{21}\r\nSubject: four.two\r\n\r\n"),
        ("4.2.1", "{12}\r\nfour.two.one"),
        ("4.2.2.1", "{16}\r\nfour.two.two.one"),
        ("4.2.2.2", "{16}\r\nfour.two.two.two"),
        ("4.2.2.2.MIME", "{27}\r\nContent-Type: text/html\r\n\r\n"),
        ("1.1", "NIL"),
        ("1.HEADER", "NIL"),
        ("4.HEADER", "NIL"),
        ("4.TEXT", "NIL"),
        ("5", "NIL"),
    ] {
        let fetched = client.ok(&format!("FETCH 1 BODY.PEEK[{section}]")).await.join("");
        assert_eq!(fetched, format!("* 1 FETCH (BODY[{section}] {expected})"));
    }
    let text = client.ok("FETCH 1 BODY.PEEK[3.TEXT]<0.16>").await.join("");
    assert_eq!(text, "* 1 FETCH (BODY[3.TEXT]<0> {16}\r\n--B\r\n\r\nthree.one)");
    let beyond = client.ok("FETCH 1 BODY.PEEK[1]<3.1>").await.join("");
    assert!(matches!(beyond.as_str(), "* 1 FETCH (BODY[1]<3> {0}\r\n)" | "* 1 FETCH (BODY[1]<3> \"\")"));
}

/// RFC 9051 §6.3.9.8, examples 1 to 3, 7 to 9 and 11.
#[tokio::test]
async fn names_are_listed_as_in_the_rfc() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.ok("ENABLE IMAP4rev2").await;
    for line in client.ok("LIST (SUBSCRIBED) \"\" *").await {
        let name = line.rsplit(' ').next().unwrap().to_owned();
        client.ok(&format!("UNSUBSCRIBE {name}")).await;
    }
    for name in ["Fruit/Apple", "Fruit/Banana", "Tofu", "Vegetable/Broccoli", "Vegetable/Corn"] {
        client.ok(&format!("CREATE {name}")).await;
    }
    for name in ["inbox", "Fruit/Banana", "Fruit/Peach", "Vegetable", "Vegetable/Broccoli"] {
        client.ok(&format!("SUBSCRIBE {name}")).await;
    }
    assert_eq!(
        client.ok("LIST (SUBSCRIBED) \"\" \"*\"").await,
        [
            "* LIST (\\Subscribed \\HasNoChildren) \"/\" \"Fruit/Banana\"",
            "* LIST (\\NonExistent \\Subscribed \\HasNoChildren) \"/\" \"Fruit/Peach\"",
            "* LIST (\\Subscribed \\HasNoChildren) \"/\" \"INBOX\"",
            "* LIST (\\Subscribed \\HasChildren) \"/\" \"Vegetable\"",
            "* LIST (\\Subscribed \\HasNoChildren) \"/\" \"Vegetable/Broccoli\"",
        ]
    );
    let listed = client.ok("LIST \"\" (Fruit% Tofu Veg%) RETURN (CHILDREN SUBSCRIBED)").await;
    assert_eq!(
        listed,
        [
            "* LIST (\\HasChildren) \"/\" \"Fruit\"",
            "* LIST (\\HasNoChildren) \"/\" \"Tofu\"",
            "* LIST (\\Subscribed \\HasChildren) \"/\" \"Vegetable\"",
        ]
    );
    // Fruit is told for what is below it alone: nothing more is said of it.
    let listed =
        client.ok("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" % RETURN (MYRIGHTS STATUS (MESSAGES))").await;
    assert_eq!(
        listed,
        [
            "* LIST (\\HasChildren) \"/\" \"Fruit\" (\"CHILDINFO\" (\"SUBSCRIBED\"))",
            "* LIST (\\Subscribed \\HasNoChildren) \"/\" \"INBOX\"",
            "* MYRIGHTS \"INBOX\" lrswipkxteacd",
            "* STATUS \"INBOX\" (MESSAGES 0)",
            "* LIST (\\Subscribed \\HasChildren) \"/\" \"Vegetable\" (\"CHILDINFO\" (\"SUBSCRIBED\"))",
            "* MYRIGHTS \"Vegetable\" lrswipkxteacd",
            "* STATUS \"Vegetable\" (MESSAGES 0)",
        ]
    );
    // Example 9: what is below it need not be there.
    client.ok("SUBSCRIBE Tofu/Silken").await;
    assert_eq!(
        client.ok("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" Tofu RETURN (CHILDREN)").await,
        ["* LIST (\\HasNoChildren) \"/\" \"Tofu\" (\"CHILDINFO\" (\"SUBSCRIBED\"))"]
    );
    // §6.3.9: patterns that are not accepted match nothing, and the others what they match.
    assert_eq!(
        client.ok("LIST \"\" ({2+}\r\n\u{e9} Tofu)").await,
        ["* LIST (\\HasNoChildren) \"/\" \"Tofu\""]
    );
    // What is only too long must not seem to match nothing.
    let long = "x".repeat(1_500);
    for too_long in [format!("LIST \"\" ({long} {long}y Tofu)"), format!("LSUB {long} {long}")] {
        assert!(client.fails(&too_long).await.starts_with("NO [LIMIT]"));
    }
    assert_eq!(client.ok(&format!("LSUB \"\" {long}")).await, Vec::<String>::new());
}

#[tokio::test]
async fn mailboxes_that_may_only_be_seen_cannot_be_selected_and_say_so() {
    let server = Server::start().await;
    server.add_account("bob@example.test").await;
    let mut alice = server.login().await;
    alice.ok("CREATE Team").await;
    alice.ok("SETACL Team bob@example.test l").await;
    let mut bob = server.login_as("bob@example.test").await;
    let name = format!("\"Other Users/{USER}/Team\"");
    assert_eq!(
        bob.ok(&format!("LIST \"\" {name} RETURN (STATUS (MESSAGES))")).await,
        [format!("* LIST (\\HasNoChildren \\Noselect) \"/\" {name}")]
    );
    assert!(bob.fails(&format!("SELECT {name}")).await.starts_with("NO [NOPERM]"));
}

/// RFC 9051 §6.4.4.1 with its table 4.
#[tokio::test]
async fn what_a_search_saves_is_what_its_options_say() {
    let server = Server::start().await;
    let mut client = three_messages(&server).await;
    client.ok("SELECT INBOX").await;
    let saved = "FETCH $ UID";
    for (options, numbers) in [
        ("SAVE MIN", vec![1]),
        ("SAVE MAX", vec![3]),
        ("MAX SAVE MIN", vec![1, 3]),
        ("SAVE COUNT MIN", vec![1, 2, 3]),
        ("SAVE ALL MAX", vec![1, 2, 3]),
        ("SAVE", vec![1, 2, 3]),
    ] {
        client.ok(&format!("SEARCH RETURN ({options}) ALL")).await;
        let expected: Vec<String> =
            numbers.iter().map(|number| format!("* {number} FETCH (UID {number})")).collect();
        assert_eq!(client.ok(saved).await, expected, "{options}");
    }
    client.ok("SEARCH RETURN (SAVE) 2").await;
    client.stream.write_all(b"a SEARCH RETURN (SAVE) BODY {1+}\r\n\xff\r\n").await.unwrap();
    assert!(client.responses("a").await.1.starts_with("BAD"), "that is not UTF-8");
    // What is BAD, and what saves nothing, leaves it as it is.
    for (command, expected) in [
        ("SEARCH RETURN (SAVE) FOO", "BAD"),
        ("SEARCH CHARSET X ALL", "NO [BADCHARSET"),
        ("SEARCH ALL", "OK"),
    ] {
        let (_, tagged) = client.command(command).await;
        assert!(tagged.starts_with(expected), "{command}: {tagged}");
        assert_eq!(client.ok(saved).await, ["* 2 FETCH (UID 2)"], "{command}");
    }
    assert!(client.fails("SEARCH RETURN (SAVE) CHARSET X ALL").await.starts_with("NO [BADCHARSET"));
    assert_eq!(client.ok(saved).await, Vec::<String>::new());
}

/// RFC 9051 §5.1: INBOX in any case, alone and above other names, and names in literals.
#[tokio::test]
async fn inbox_is_one_mailbox_however_it_is_written() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.ok("CREATE \"iNbOx/Lists/\"").await;
    for name in ["inbox", "\"INBOX\"", "{5+}\r\nInBoX"] {
        assert_eq!(
            client.ok(&format!("STATUS {name} (MESSAGES)")).await,
            ["* STATUS \"INBOX\" (MESSAGES 0)"]
        );
    }
    assert_eq!(
        client.ok("LIST \"inbox\" \"/l*\"").await,
        Vec::<String>::new(),
        "only INBOX itself has no case"
    );
    assert_eq!(client.ok("LIST inbox/ %").await, ["* LIST (\\HasNoChildren) \"/\" \"INBOX/Lists\""]);
    client.append("INBOX", "x").await;
    client.ok("RENAME inbox old").await;
    client.ok("STATUS INBOX/Lists (MESSAGES)").await;
    assert_eq!(client.ok("STATUS old (MESSAGES)").await, ["* STATUS \"old\" (MESSAGES 1)"]);
    assert_eq!(client.ok("STATUS inbox (MESSAGES)").await, ["* STATUS \"INBOX\" (MESSAGES 0)"]);
}

/// RFC 9051 §7.5.1: which message a number names does not change under FETCH, STORE and SEARCH, also where they come one
/// behind the other.
#[tokio::test]
async fn pipelined_numbers_mean_what_they_meant() {
    let server = Server::start().await;
    let mut client = three_messages(&server).await;
    client.ok("SELECT INBOX").await;
    let mut other = server.inbox().await;
    other.ok("STORE 1 +FLAGS (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    client
        .send("a FETCH 2:3 UID\r\nb STORE 3 +FLAGS (\\Flagged)\r\nc SEARCH UID 3\r\nd FETCH 3 (UID FLAGS)\r\ne NOOP\r\n")
        .await;
    for tag in ["a", "b", "c", "d"] {
        let (untagged, tagged) = client.responses(tag).await;
        assert!(tagged.starts_with("OK"), "{tagged}");
        assert!(!untagged.iter().any(|line| line.ends_with(" EXPUNGE")), "{tag}: {untagged:?}");
        match tag {
            "a" => assert!(untagged.contains(&"* 2 FETCH (UID 2)".to_owned()), "{untagged:?}"),
            "c" => assert_eq!(untagged, ["* SEARCH 3"]),
            "d" => assert_eq!(untagged, ["* 3 FETCH (UID 3 FLAGS (\\Flagged))"]),
            _ => {}
        }
    }
    assert_eq!(client.responses("e").await.0, ["* 1 EXPUNGE"]);
}

/// RFC 9051 §6.3.6: whoever has INBOX selected while it is renamed would wait for mail in vain, and mark and expunge what
/// is elsewhere now.
#[tokio::test]
async fn nobody_goes_on_in_an_inbox_that_was_renamed() {
    let server = Server::start().await;
    let mut client = three_messages(&server).await;
    client.ok("SELECT INBOX").await;
    let mut idling = server.inbox().await;
    idling.send("i IDLE\r\n").await;
    assert!(idling.line().await.starts_with("+ "));
    assert!(client.ok("RENAME INBOX old").await.join("").contains("[CLOSED]"));
    assert!(idling.rest().await.starts_with("* BYE"));
    assert!(client.fails("FETCH 1 FLAGS").await.starts_with("BAD"));
    assert!(client.ok("SELECT INBOX").await.contains(&"* 0 EXISTS".to_owned()));
    assert!(client.ok("SELECT old").await.contains(&"* 3 EXISTS".to_owned()));
    // Any other mailbox stays what it is under another name.
    client.ok("RENAME old older").await;
    assert_eq!(client.ok("FETCH 3 UID").await, ["* 3 FETCH (UID 3)"]);
}

/// Reading a large mailbox takes long, and its name may be given away meanwhile.
#[test]
fn nobody_begins_in_an_inbox_that_was_renamed_while_it_was_read() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
    runtime.unwrap().block_on(async {
        let server = Server::start().await;
        three_messages(&server).await.logout().await;
        let server = server.reopened().await;
        let (mut client, mut other) = (server.login().await, server.login().await);
        // Whoever reads a mailbox waits for this.
        let (go_on, waiting) = std::sync::mpsc::channel();
        let before = tokio::task::spawn_blocking(move || waiting.recv());
        client.send("s SELECT INBOX\r\n").await;
        other.ok("RENAME INBOX old").await;
        assert_eq!(client.unread(), b"");
        go_on.send(()).unwrap();
        before.await.unwrap().unwrap();
        let (told, tagged) = client.responses("s").await;
        assert!(tagged.starts_with("OK [READ-WRITE]"), "{tagged}");
        assert!(told.contains(&"* 0 EXISTS".to_owned()), "{told:?}");
        other.append("INBOX", "new").await;
        assert!(client.ok("NOOP").await.contains(&"* 1 EXISTS".to_owned()));
    });
}

/// A message may be as large as any: that the command before it is wrong is said before it comes, and ends nothing.
#[tokio::test]
async fn a_wrong_append_is_refused_before_its_message_comes() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let size = 300 * 1024;
    for wrong in ["\"7-Feb-1994 21:52:25 -0800\"", "(\\Seen x\"", "() x"] {
        client.send(&format!("a APPEND INBOX {wrong} {{{size}}}\r\n")).await;
        let answer = client.line().await;
        assert!(answer.starts_with("a BAD "), "{wrong}: {answer}");
        client.send(&format!("b APPEND INBOX {wrong} {{{size}+}}\r\n{}\r\n", "x".repeat(size))).await;
        let answer = client.line().await;
        assert!(answer.starts_with("b BAD "), "{wrong}: {answer}");
        client.ok("NOOP").await;
    }
    // Where the literal is a name, nothing is known to be wrong yet.
    client.ok("APPEND {5}\r\nINBOX {1}\r\nx").await;
    assert_eq!(client.ok("STATUS INBOX (MESSAGES)").await, ["* STATUS \"INBOX\" (MESSAGES 1)"]);
}

#[tokio::test]
async fn a_mechanism_that_is_hidden_is_as_one_that_is_unknown() {
    let hide = crate::config::HideConfig { capabilities: vec!["AUTH=PLAIN".into()], ..Default::default() };
    let server = Server::with(|options| options.hide = vec![hide]).await;
    let mut client = server.connect().await;
    for mechanism in ["PLAIN", "GSSAPI"] {
        assert!(client.fails(&format!("AUTHENTICATE {mechanism}")).await.starts_with("NO "), "{mechanism}");
    }
}
