//! Modseqs, resynchronisation, ids, save dates, and clients that know no message numbers.

use super::client::{Client, Server, USER};
use crate::imap::Stream;
use crate::metrics::Metrics;
use crate::store::{MailStore as _, MailboxName};

const MESSAGE: &str = "Subject: Hello\r\n\r\nHow are you?\r\n";

/// A server whose INBOX has messages with the UIDs 1 to 5. An empty mailbox is at modseq 1, so they have 2 to 6.
async fn five() -> Server {
    let server = Server::start().await;
    let mut client = server.login().await;
    for _ in 0..5 {
        client.append("INBOX", MESSAGE).await;
    }
    server
}

async fn validity<T: Stream>(client: &mut Client<T>) -> String {
    let status = client.ok("STATUS INBOX (UIDVALIDITY)").await.join("");
    status.trim_end_matches(')').rsplit(' ').next().unwrap().to_owned()
}

mod condstore {
    use super::*;

    #[tokio::test]
    async fn whoever_shows_interest_is_told_modseqs_from_then_on() {
        let server = five().await;
        for (interest, tells_highest) in [
            ("FETCH 1 MODSEQ", true),
            ("FETCH 1 FLAGS (CHANGEDSINCE 1)", true),
            ("STATUS Trash (HIGHESTMODSEQ)", true),
            ("SEARCH MODSEQ 1", true),
            ("STORE 1 (UNCHANGEDSINCE 1) +FLAGS x", true),
            ("ENABLE CONDSTORE", true),
            ("SELECT INBOX (CONDSTORE)", false),
        ] {
            let (mut client, mut other) = (server.inbox().await, server.inbox().await);
            let told = client.ok(interest).await.join("\n");
            assert_eq!(
                told.contains("* OK [HIGHESTMODSEQ "),
                tells_highest || told.contains("EXISTS"),
                "{told}"
            );
            other.ok("STORE 2 FLAGS (\\Seen)").await;
            other.ok("STORE 2 FLAGS ()").await;
            let news = client.ok("NOOP").await.join("");
            assert!(news.starts_with("* 2 FETCH (UID 2 MODSEQ ("), "{interest}: {news}");
            assert!(!client.ok("FETCH 1 MODSEQ").await.join("").contains("HIGHESTMODSEQ"));
        }
    }

    #[tokio::test]
    async fn select_and_status_tell_the_highest() {
        let server = five().await;
        let mut client = server.login().await;
        let status = client.ok("STATUS INBOX (HIGHESTMODSEQ)").await;
        assert_eq!(status, ["* STATUS \"INBOX\" (HIGHESTMODSEQ 6)"]);
        assert!(client.ok("SELECT INBOX").await.join("\n").contains("* OK [HIGHESTMODSEQ 6]"));
        assert!(client.ok("EXAMINE Trash").await.join("\n").contains("* OK [HIGHESTMODSEQ 1]"));
    }

    #[tokio::test]
    async fn fetch_of_what_changed_since() {
        let server = five().await;
        let mut client = server.inbox().await;
        client.ok("UID STORE 2 +FLAGS.SILENT (\\Seen)").await;
        assert_eq!(
            client.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 5)").await,
            [
                "* OK [HIGHESTMODSEQ 7] modseqs are told from now on",
                "* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (7))",
                "* 5 FETCH (UID 5 FLAGS () MODSEQ (6))",
            ]
        );
        assert!(client.ok("FETCH 1:5 UID (CHANGEDSINCE 7)").await.is_empty());
        assert_eq!(client.ok("FETCH 1:3 UID (CHANGEDSINCE 6)").await, ["* 2 FETCH (UID 2 MODSEQ (7))"]);
    }

    #[tokio::test]
    async fn a_store_changes_only_what_has_not_changed() {
        let server = five().await;
        let mut client = server.inbox().await;
        client.ok("ENABLE CONDSTORE").await;
        let stored = client.ok("UID STORE 3 +FLAGS.SILENT (\\Seen)").await;
        assert_eq!(stored, ["* 3 FETCH (UID 3 MODSEQ (7))"]);
        let (told, tagged) = client.command("STORE 2:4 (UNCHANGEDSINCE 6) +FLAGS.SILENT (\\Deleted)").await;
        assert!(tagged.starts_with("OK [MODIFIED 3] "), "{tagged}");
        assert_eq!(
            told,
            [
                "* 2 FETCH (UID 2 MODSEQ (8))",
                "* 3 FETCH (UID 3 MODSEQ (7) FLAGS (\\Seen))",
                "* 4 FETCH (UID 4 MODSEQ (8))",
            ]
        );
        // What is so already is told too, and keeps its modseq.
        let (told, tagged) =
            client.command("UID STORE 2,3 (UNCHANGEDSINCE 8) +FLAGS.SILENT (\\Deleted)").await;
        assert!(tagged.starts_with("OK STORE"), "{tagged}");
        assert_eq!(told, ["* 2 FETCH (UID 2 MODSEQ (8))", "* 3 FETCH (UID 3 MODSEQ (9))"]);
        let (_, tagged) = client.command("UID STORE 5 (UNCHANGEDSINCE 0) FLAGS (x)").await;
        assert!(tagged.starts_with("OK [MODIFIED 5] "), "{tagged}");
    }

    #[tokio::test]
    async fn results_of_a_search_for_modseqs_come_with_the_highest() {
        let server = five().await;
        let mut client = server.inbox().await;
        client.ok("ENABLE CONDSTORE").await;
        assert_eq!(client.ok("SEARCH MODSEQ 4").await, ["* SEARCH 3 4 5 (MODSEQ 6)"]);
        assert_eq!(client.ok("SEARCH MODSEQ 7").await, ["* SEARCH"]);
        client.tagged_as("a");
        assert_eq!(
            client.ok("UID SEARCH RETURN (MIN) MODSEQ \"/flags/\\\\seen\" all 4").await,
            ["* ESEARCH (TAG \"a\") UID MIN 3 MODSEQ 4"]
        );
        client.tagged_as("b");
        assert_eq!(
            client.ok("SORT RETURN (ALL) (SUBJECT) UTF-8 MODSEQ 5").await,
            ["* ESEARCH (TAG \"b\") ALL 4:5 MODSEQ 6"]
        );
    }

    #[tokio::test]
    async fn a_message_that_is_seen_by_being_read_has_another_modseq() {
        let server = five().await;
        let mut client = server.inbox().await;
        client.ok("ENABLE CONDSTORE").await;
        let fetched = client.ok("FETCH 1 BODY[TEXT]").await.join("");
        assert!(fetched.ends_with(" FLAGS (\\Seen) UID 1 MODSEQ (7))"), "{fetched}");
    }
}

mod qresync {
    use super::*;

    #[tokio::test]
    async fn it_must_be_enabled() {
        let server = five().await;
        let mut client = server.inbox().await;
        assert!(client.fails("SELECT INBOX (QRESYNC (1 1))").await.starts_with("BAD"));
        assert!(client.fails("UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)").await.starts_with("BAD"));
        // The mailbox before stays selected.
        client.ok("CHECK").await;
        let enabled = client.ok("ENABLE QRESYNC CONDSTORE").await.join("\n");
        assert!(enabled.starts_with("* ENABLED CONDSTORE QRESYNC\n* OK [HIGHESTMODSEQ "), "{enabled}");
    }

    #[tokio::test]
    async fn what_vanishes_is_told_by_uid() {
        let server = five().await;
        let (mut client, mut other) = (server.login().await, server.inbox().await);
        client.ok("ENABLE QRESYNC").await;
        client.ok("SELECT INBOX").await;
        other.ok("STORE 1:2,4 +FLAGS.SILENT (\\Deleted)").await;
        other.ok("UID EXPUNGE 1:2").await;
        let news = client.ok("NOOP").await;
        assert_eq!(news, ["* VANISHED 1:2", "* 2 FETCH (UID 4 MODSEQ (7) FLAGS (\\Deleted))"]);
        let (untagged, tagged) = client.command("EXPUNGE").await;
        assert_eq!(untagged, ["* VANISHED 4"]);
        assert!(tagged.starts_with("OK [HIGHESTMODSEQ 9] "), "{tagged}");
        let (untagged, tagged) = client.command("UID MOVE 5 Trash").await;
        assert_eq!(untagged[1..], ["* VANISHED 5"]);
        assert!(tagged.starts_with("OK [HIGHESTMODSEQ 10] "), "{tagged}");
        assert!(client.command("EXPUNGE").await.1.starts_with("OK EXPUNGE"));
    }

    #[tokio::test]
    async fn select_tells_what_a_client_missed() {
        let server = five().await;
        let mut client = server.inbox().await;
        let validity = validity(&mut client).await;
        client.ok("STORE 2,4 +FLAGS.SILENT (\\Deleted)").await;
        client.ok("EXPUNGE").await;
        client.ok("UID STORE 5 +FLAGS.SILENT (\\Seen)").await;
        client.append("INBOX", MESSAGE).await;
        client.ok("ENABLE QRESYNC").await;
        let mut missed = async |resync: &str| {
            let told = client.ok(&format!("SELECT INBOX (QRESYNC ({resync}))")).await;
            let is_missed = |line: &String| line.contains("VANISHED") || line.contains("FETCH");
            told.into_iter().filter(is_missed).collect::<Vec<_>>()
        };
        assert_eq!(
            missed(&format!("{validity} 6")).await,
            [
                "* VANISHED (EARLIER) 2,4",
                "* 3 FETCH (UID 5 MODSEQ (9) FLAGS (\\Seen))",
                "* 4 FETCH (UID 6 MODSEQ (10) FLAGS ())",
            ]
        );
        assert_eq!(
            missed(&format!("{validity} 6 1:2,5")).await,
            ["* VANISHED (EARLIER) 2", "* 3 FETCH (UID 5 MODSEQ (9) FLAGS (\\Seen))"]
        );
        // Number 2 was told to be UID 3: nothing up to there is news.
        assert_eq!(missed(&format!("{validity} 6 1:4 (1:2 1,3)")).await, ["* VANISHED (EARLIER) 4"]);
        assert!(missed(&format!("{validity} 10")).await.is_empty());
        assert!(missed("1 1").await.is_empty());
    }

    #[tokio::test]
    async fn fetch_tells_what_vanished_before_all_else() {
        let server = five().await;
        let (mut client, mut other) = (server.login().await, server.inbox().await);
        client.ok("ENABLE QRESYNC").await;
        client.ok("SELECT INBOX").await;
        other.ok("STORE 2,4 +FLAGS.SILENT (\\Deleted)").await;
        other.ok("UID EXPUNGE 2").await;
        client.ok("NOOP").await;
        other.ok("EXPUNGE").await;
        // UID 4 is known, so its end is news; that of UID 2 is not.
        assert_eq!(
            client.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 5 VANISHED)").await,
            ["* VANISHED 4", "* VANISHED (EARLIER) 2,4", "* 3 FETCH (UID 5 FLAGS () MODSEQ (6))"]
        );
    }

    #[tokio::test]
    async fn expunges_are_held_back_while_numbers_must_stay() {
        let server = five().await;
        let (mut client, mut other) = (server.login().await, server.inbox().await);
        client.ok("ENABLE QRESYNC").await;
        client.ok("SELECT INBOX").await;
        other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
        other.ok("EXPUNGE").await;
        assert!(!client.command("FETCH 2 UID").await.0.join("").contains("VANISHED"));
        assert_eq!(client.ok("UID FETCH 2 UID").await, ["* 2 FETCH (UID 2)", "* VANISHED 1"]);
    }

    /// The work is in proportion to the changes: of a large mailbox only the chunks that changed are looked at, and
    /// of the rows only those of expunges.
    #[tokio::test]
    async fn little_is_read_for_few_changes() {
        let server = five().await;
        let mut client = server.inbox().await;
        let validity = validity(&mut client).await;
        // The mailbox grows by copying itself, and much of it is expunged long before.
        for _ in 0..8 {
            client.ok("COPY 1:* INBOX").await;
        }
        client.ok("STORE 2:200 +FLAGS.SILENT (\\Deleted)").await;
        for uid in (2..200).step_by(2) {
            client.ok(&format!("UID EXPUNGE {uid}")).await;
        }
        client.ok("ENABLE QRESYNC").await;
        let since = client.ok("STATUS INBOX (HIGHESTMODSEQ)").await.join("");
        let since = since.trim_end_matches(')').rsplit(' ').next().unwrap().to_owned();
        client.ok("UID STORE 500 +FLAGS.SILENT (\\Seen)").await;
        client.ok("UID EXPUNGE 3,5").await;
        client.ok("UNSELECT").await;
        let store = &server.store.store;
        let account = store.account_by_address(USER).unwrap().unwrap();
        let inbox = store.mailbox(account.id, &MailboxName::inbox()).unwrap().unwrap();
        let before = store.rows_read();
        let told = client.ok(&format!("SELECT INBOX (QRESYNC ({validity} {since}))")).await.join("\n");
        assert!(told.contains("* VANISHED (EARLIER) 3,5\n") && told.contains("(UID 500 "), "{told}");
        assert_eq!(told.matches("FETCH").count(), 1);
        assert!(store.rows_read() - before < 10, "{}", store.rows_read() - before);
        let index = store.index(inbox.id).await.unwrap();
        let index = index.borrow();
        assert!(index.len() > 1_000);
        assert!(index.looked_at_since(since.parse().unwrap()) <= 512);
    }
}

mod uid_only {
    use super::*;

    #[tokio::test]
    async fn messages_have_no_numbers() {
        let server = five().await;
        let (mut client, mut other) = (server.login().await, server.inbox().await);
        assert_eq!(client.ok("ENABLE UIDONLY").await, ["* ENABLED UIDONLY"]);
        let selected = client.ok("SELECT INBOX").await.join("\n");
        assert!(!selected.contains("UNSEEN") && selected.contains("* 5 EXISTS"), "{selected}");
        for command in [
            "FETCH 1 FLAGS",
            "STORE 1 FLAGS ()",
            "SEARCH ALL",
            "COPY 1 Trash",
            "MOVE 1 Trash",
            "SORT (SIZE) UTF-8 ALL",
            "THREAD REFS UTF-8 ALL",
            "UID SEARCH NOT 1:2",
            "REPLACE 1 INBOX {1+}\r\nx",
        ] {
            let refused = client.fails(command).await;
            assert!(refused.starts_with("BAD [UIDREQUIRED]"), "{command}: {refused}");
        }
        assert_eq!(client.ok("UID FETCH 2 FLAGS").await, ["* 2 UIDFETCH (FLAGS ())"]);
        // What is asked for is told, even if it is known.
        assert_eq!(client.ok("UID FETCH 2 (UID FLAGS)").await, ["* 2 UIDFETCH (UID 2 FLAGS ())"]);
        assert_eq!(client.ok("UID STORE 2 +FLAGS (\\Deleted)").await, ["* 2 UIDFETCH (FLAGS (\\Deleted))"]);
        let read = client.ok("UID FETCH 3 BODY[TEXT]").await.join("");
        assert!(read.starts_with("* 3 UIDFETCH (BODY[TEXT]") && read.ends_with(" FLAGS (\\Seen))"), "{read}");
        other.ok("UID STORE 5 +FLAGS (x)").await;
        let news = client.ok("EXPUNGE").await;
        assert_eq!(
            news,
            [
                "* VANISHED 2",
                "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft x)",
                "* 5 UIDFETCH (FLAGS (x))"
            ]
        );
    }
}

mod more {
    use super::*;

    #[tokio::test]
    async fn mailboxes_and_messages_have_ids() {
        let server = five().await;
        let mut client = server.inbox().await;
        let (_, created) = client.command("CREATE new").await;
        let id = created
            .strip_prefix("OK [MAILBOXID (")
            .and_then(|rest| rest.split_once(')'))
            .unwrap()
            .0
            .to_owned();
        assert_eq!(
            client.ok("STATUS new (MAILBOXID)").await,
            [format!("* STATUS \"new\" (MAILBOXID ({id}))")]
        );
        client.ok("RENAME new renamed").await;
        client.ok("UID COPY 3 renamed").await;
        let fetched = client.ok("FETCH 3 (EMAILID THREADID)").await.join("");
        let email = fetched.split(['(', ')']).nth(2).unwrap().to_owned();
        assert_eq!(fetched, format!("* 3 FETCH (EMAILID ({email}) THREADID NIL)"));
        assert_eq!(client.ok(&format!("SEARCH EMAILID {email}")).await, ["* SEARCH 3"]);
        assert_eq!(client.ok("SEARCH OR EMAILID x THREADID y").await, ["* SEARCH"]);
        let selected = client.ok("SELECT renamed").await.join("\n");
        assert!(selected.contains(&format!("* OK [MAILBOXID ({id})]")), "{selected}");
        assert_eq!(client.ok(&format!("UID SEARCH EMAILID {email}")).await, ["* SEARCH 1"]);
    }

    #[tokio::test]
    async fn a_message_is_saved_when_it_comes_into_its_mailbox() {
        let server = Server::start().await;
        let mut client = server.inbox().await;
        let literal = format!("{{{}+}}\r\n{MESSAGE}", MESSAGE.len());
        client.ok(&format!("APPEND INBOX \"02-Feb-2004 03:04:05 +0000\" {literal}")).await;
        let saved = client.ok("FETCH 1 SAVEDATE").await.join("");
        assert!(saved.starts_with("* 1 FETCH (SAVEDATE \"") && !saved.contains("2004"), "{saved}");
        for (keys, found) in [
            ("SAVEDSINCE 3-Feb-2004", " 1"),
            ("SAVEDBEFORE 3-Feb-2004", ""),
            ("SAVEDON 2-Feb-2004", ""),
            ("SAVEDATESUPPORTED", " 1"),
            ("SINCE 3-Feb-2004", ""),
            ("OLDER 3600", " 1"),
            ("YOUNGER 3600", ""),
        ] {
            assert_eq!(client.ok(&format!("SEARCH {keys}")).await, [format!("* SEARCH{found}")], "{keys}");
        }
        client.append("INBOX", MESSAGE).await;
        assert_eq!(client.ok("SEARCH YOUNGER 3600").await, ["* SEARCH 2"]);
    }

    #[tokio::test]
    async fn parts_of_results() {
        let server = five().await;
        let mut client = server.inbox().await;
        assert_eq!(
            client.ok("UID FETCH 1:* UID (PARTIAL -1:-2)").await,
            ["* 4 FETCH (UID 4)", "* 5 FETCH (UID 5)"]
        );
        assert_eq!(client.ok("UID FETCH 2:* UID (PARTIAL 1:1)").await, ["* 2 FETCH (UID 2)"]);
        let told = client.ok("UID FETCH 1:* UID (PARTIAL 1:2 CHANGEDSINCE 2)").await;
        assert_eq!(told[1..], ["* 2 FETCH (UID 2 MODSEQ (3))"]);
        client.tagged_as("a");
        assert_eq!(
            client.ok("SEARCH RETURN (PARTIAL -2:-3 COUNT) ALL").await,
            ["* ESEARCH (TAG \"a\") PARTIAL (-2:-3 3:4) COUNT 5"]
        );
        client.tagged_as("b");
        assert_eq!(
            client.ok("UID SEARCH RETURN (SAVE PARTIAL 6:9) ALL").await,
            ["* ESEARCH (TAG \"b\") UID PARTIAL (6:9 NIL)"]
        );
        client.tagged_as("c");
        assert_eq!(
            client.ok("SORT RETURN (PARTIAL 1:3) (SUBJECT) UTF-8 ALL").await,
            ["* ESEARCH (TAG \"c\") PARTIAL (1:3 1:3)"]
        );
        client.ok("SEARCH RETURN (SAVE PARTIAL 2:3) ALL").await;
        assert_eq!(client.ok("FETCH $ UID").await, ["* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)"]);
    }
}

#[tokio::test]
async fn the_last_message_is_told_as_vanished_too() {
    let server = Server::start().await;
    let mut other = server.inbox().await;
    for message in ["one", "two"] {
        other.append("INBOX", message).await;
    }
    other.ok("STORE 2 +FLAGS (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    let mut client = server.login().await;
    client.ok("ENABLE QRESYNC").await;
    client.ok("SELECT INBOX").await;
    let told = client.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 2 VANISHED)").await;
    assert!(told.contains(&"* VANISHED (EARLIER) 2".to_owned()), "{told:?}");
}

#[tokio::test]
async fn flags_are_told_of_messages_that_cannot_be_read_too() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    // Longer than what is kept beside the body.
    client
        .append("INBOX", &format!("Subject: one\r\n\r\n{}the end of it\r\n", "and on\r\n".repeat(500)))
        .await;
    client.ok("ENABLE CONDSTORE").await;
    server.store.damage_body("the end of it");
    let (told, tagged) = client.command("FETCH 1 BODY[]").await;
    assert!(tagged.starts_with("NO [CORRUPTION]"), "{tagged}");
    assert!(told.iter().any(|line| line.contains("MODSEQ (") && line.contains("FLAGS (\\Seen)")), "{told:?}");
    let mut other = server.inbox().await;
    other.ok("STORE 1 +FLAGS (\\Flagged)").await;
    let (told, _) = client.command("FETCH 1 (UID FLAGS MODSEQ BODY.PEEK[])").await;
    assert!(told.iter().any(|line| line.contains("\\Flagged")), "{told:?}");
    // The same once more makes it good.
    server.store.damage_body("uhe end of it");
}

#[tokio::test]
async fn a_message_that_cannot_be_read_to_its_end_is_counted() {
    let metrics = Metrics::default();
    let counted = metrics.store_errors.clone();
    let server = Server::with(|options| options.metrics = metrics).await;
    let mut client = server.inbox().await;
    // So long that its beginning is out when its end is read.
    client
        .append("INBOX", &format!("Subject: one\r\n\r\n{}the end of it\r\n", "and on\r\n".repeat(200_000)))
        .await;
    server.store.damage_body("the end of it");
    client.send("a FETCH 1 BODY.PEEK[]\r\n").await;
    let told = client.rest().await;
    assert!(told.starts_with("* 1 FETCH (") && !told.contains("the end"), "{} octets", told.len());
    assert_eq!(counted.get(), 1);
    // The same once more makes it good.
    server.store.damage_body("uhe end of it");
}
