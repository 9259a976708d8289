//! What clients say and hear, over the real store.

use std::time::Duration;

use super::client::{PASSWORD, Server, USER};
use crate::config::PlaintextAuth;
use crate::store::{MailStore as _, MailboxName, SpecialUse};

const MESSAGE: &str = "Date: Tue, 6 Feb 2024 10:00:00 +0000\r\nFrom: Bob <bob@example.test>\r\n\
    To: alice@example.test\r\nSubject: Hello\r\nMessage-ID: <1@example.test>\r\n\r\nHow are you?\r\n";

mod authentication {
    use super::*;

    #[tokio::test]
    async fn login_needs_the_right_password() {
        let server = Server::start().await;
        let mut client = server.connect().await;
        assert!(client.fails(&format!("LOGIN {USER} wrong")).await.starts_with("NO [AUTHENTICATIONFAILED]"));
        assert!(client.fails("SELECT INBOX").await.starts_with("BAD"));
        let (_, tagged) =
            client.command(&format!("LOGIN {{{}+}}\r\n{USER} \"{PASSWORD}\"", USER.len())).await;
        assert!(tagged.starts_with("OK [CAPABILITY IMAP4rev1 IMAP4rev2 "), "{tagged}");
        assert!(client.fails(&format!("LOGIN {USER} \"{PASSWORD}\"")).await.starts_with("BAD"));
    }

    #[tokio::test]
    async fn plain_with_and_without_an_initial_response() {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        let server = Server::start().await;
        let response = BASE64_STANDARD.encode(format!("\0{USER}\0{PASSWORD}"));
        let mut client = server.connect().await;
        client.ok(&format!("AUTHENTICATE PLAIN {response}")).await;
        let mut client = server.connect().await;
        client.send("a AUTHENTICATE plain\r\n").await;
        assert_eq!(client.line().await, "+ ");
        client.send(&format!("{response}\r\n")).await;
        assert!(client.responses("a").await.1.starts_with("OK"));
    }

    #[tokio::test]
    async fn a_broken_sasl_response_is_an_error_of_that_command_alone() {
        let server = Server::start().await;
        let mut client = server.connect().await;
        for bad in ["*", "!!!", "=", "AA=="] {
            client.send(&format!("a AUTHENTICATE PLAIN\r\n{bad}\r\n")).await;
            assert!(client.responses("a").await.1.starts_with("BAD"), "{bad}");
        }
        assert!(client.fails("AUTHENTICATE GSSAPI").await.starts_with("NO"));
        client.ok(&format!("LOGIN {USER} \"{PASSWORD}\"")).await;
    }

    #[tokio::test]
    async fn a_sasl_line_of_64_kib_ends_that_session() {
        let server = Server::start().await;
        let mut client = server.connect().await;
        client.send("a AUTHENTICATE PLAIN\r\n").await;
        assert_eq!(client.line().await, "+ ");
        client.send(&"A".repeat(16 * 1024)).await;
        assert!(client.rest().await.starts_with("* BYE"));
    }

    #[tokio::test]
    async fn no_password_in_clear_unless_allowed() {
        let server = Server::with(|options| options.plaintext_auth = PlaintextAuth::Never).await;
        let mut client = server.connect().await;
        let capabilities = client.ok("CAPABILITY").await.join("");
        assert!(capabilities.contains("LOGINDISABLED") && !capabilities.contains("AUTH="), "{capabilities}");
        for command in [&format!("LOGIN {USER} \"{PASSWORD}\""), "AUTHENTICATE PLAIN AGEAYg=="] {
            assert!(client.fails(command).await.starts_with("NO [PRIVACYREQUIRED]"));
        }
    }
}

mod limits {
    use super::*;

    #[tokio::test]
    async fn many_errors_end_the_session() {
        let server = Server::with(|options| options.limits.session_errors = 3).await;
        let mut client = server.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n\r\n").await;
        let heard = client.rest().await;
        assert!(heard.starts_with("GET BAD") && heard.ends_with("* BYE too many errors\r\n"), "{heard}");
    }

    #[tokio::test]
    async fn a_long_session_may_err_now_and_then() {
        let server = Server::with(|options| options.limits.session_errors = 3).await;
        let mut client = server.login().await;
        for _ in 0..10 {
            assert!(client.fails("NONSENSE").await.starts_with("BAD"));
            assert!(client.fails("FETCH").await.starts_with("BAD"));
            client.ok("NOOP").await;
        }
    }

    #[tokio::test]
    async fn a_literal_before_login_is_tiny() {
        let server = Server::start().await;
        let mut client = server.connect().await;
        assert!(client.fails("LOGIN {13000}").await.starts_with("NO [TOOBIG]"));
        // Not even an APPEND may announce more.
        assert!(client.fails("APPEND INBOX {13000}").await.starts_with("NO [TOOBIG]"));
        client.ok("NOOP").await;
        client.send("a LOGIN {13000+}\r\n").await;
        assert!(client.rest().await.starts_with("* BYE [TOOBIG]"));
    }

    #[tokio::test]
    async fn a_message_beyond_the_limit_is_refused_before_it_comes() {
        let server = Server::with(|options| options.limits.message_size = "1kB".parse().unwrap()).await;
        let mut client = server.login().await;
        assert!(client.ok("CAPABILITY").await.join("").contains("APPENDLIMIT=1000"));
        assert!(client.fails("APPEND INBOX {1001}").await.starts_with("NO [TOOBIG]"));
        client.ok("NOOP").await;
        client.send("a APPEND INBOX {1001+}\r\n").await;
        assert!(client.rest().await.starts_with("* BYE [TOOBIG]"));
    }

    #[tokio::test]
    async fn the_end_of_the_service_is_told() {
        let server = Server::start().await;
        let mut idle = server.inbox().await;
        idle.send("a IDLE\r\n").await;
        assert_eq!(idle.line().await, "+ idling");
        let client = server.connect().await;
        server.shutdown.cancel();
        assert_eq!(idle.rest().await, "* BYE the server is shutting down\r\n");
        assert_eq!(client.rest().await, "* BYE the server is shutting down\r\n");
    }

    #[tokio::test]
    async fn logout_says_bye_and_ends() {
        let server = Server::start().await;
        let mut client = server.login().await;
        client.send("a LOGOUT\r\nb NOOP\r\n").await;
        let heard = client.rest().await;
        assert!(heard.starts_with("* BYE ") && heard.ends_with("a OK LOGOUT completed\r\n"), "{heard}");
    }
}

mod mailboxes {
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
        assert_eq!(
            client.ok("NAMESPACE").await,
            ["* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) NIL"]
        );
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
        assert!(names.iter().map(|name| name.rsplit(' ').next().unwrap()).eq([
            "\"c\"",
            "\"c/d\"",
            "\"c/d/b\""
        ]));
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
}

mod messages {
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
        let fetched =
            client.ok("FETCH 1 (RFC822.SIZE BODY.PEEK[] BODY.PEEK[TEXT]<0.2> BINARY.PEEK[1])").await;
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
        assert_eq!(
            client.ok("FETCH 1:2 FLAGS").await,
            ["* 1 FETCH (FLAGS ())", "* 2 FETCH (FLAGS (\\Seen))"]
        );
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
        assert_eq!(
            other.ok("STORE 1 +FLAGS.SILENT (\\Seen)").await,
            ["* 1 FETCH (FLAGS (\\Answered \\Seen))"]
        );
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
}

mod searching {
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
}

mod news {
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
}
