//! Searches whose results are followed (CONTEXT=SEARCH, CONTEXT=SORT).

use service::config::ByteSize;
use tokio::io::DuplexStream;

use super::client::{Client, Server};
use crate::metrics::Metrics;

/// INBOX with so many messages, and two clients of it.
async fn two_clients(messages: usize) -> (Server, Client<DuplexStream>, Client<DuplexStream>) {
    let server = Server::start().await;
    let (mut client, mut other) = (server.inbox().await, server.inbox().await);
    for number in 1..=messages {
        other.append("INBOX", &format!("Subject: s{number}\r\n\r\nbody {number}")).await;
    }
    client.ok("NOOP").await;
    other.ok("NOOP").await;
    (server, client, other)
}

async fn follow(client: &mut Client<DuplexStream>, tag: &str, search: &str) -> Vec<String> {
    client.tagged_as(tag);
    client.ok(search).await
}

#[tokio::test]
async fn what_comes_to_match_and_no_more_is_told_behind_what_it_comes_from() {
    let (_server, mut client, mut other) = two_clients(3).await;
    assert_eq!(
        follow(&mut client, "n", "SEARCH RETURN (UPDATE COUNT) UNSEEN").await,
        ["* ESEARCH (TAG \"n\") COUNT 3"]
    );
    assert_eq!(
        follow(&mut client, "u", "UID SEARCH RETURN (CONTEXT UPDATE) FLAGGED").await,
        ["* ESEARCH (TAG \"u\") UID"]
    );
    other.ok("STORE 2 +FLAGS (\\Seen \\Flagged)").await;
    assert_eq!(
        client.ok("NOOP").await,
        [
            "* 2 FETCH (UID 2 FLAGS (\\Flagged \\Seen))",
            "* ESEARCH (TAG \"n\") REMOVEFROM (0 2)",
            "* ESEARCH (TAG \"u\") UID ADDTO (0 2)",
        ]
    );
    other.append("INBOX (\\Flagged)", "four").await;
    let told = client.ok("NOOP").await;
    assert_eq!(told[0], "* 4 EXISTS");
    let contexts = ["* ESEARCH (TAG \"n\") ADDTO (0 4)", "* ESEARCH (TAG \"u\") UID ADDTO (0 4)"];
    assert_eq!(told[told.len() - 2..], contexts, "{told:?}");
    // The client's own doing is told as well, behind the responses of its command.
    assert_eq!(
        client.ok("STORE 1 +FLAGS (\\Flagged)").await,
        ["* 1 FETCH (FLAGS (\\Flagged))", "* ESEARCH (TAG \"u\") UID ADDTO (0 1)"]
    );
    assert_eq!(client.ok("STORE 1 +FLAGS.SILENT (k)").await.len(), 1, "the new keyword, and no context");
}

#[tokio::test]
async fn what_is_gone_leaves_the_results_before_its_number_goes() {
    let (_server, mut client, mut other) = two_clients(4).await;
    follow(&mut client, "n", "SEARCH RETURN (UPDATE) ALL").await;
    other.ok("STORE 2,4 +FLAGS.SILENT (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    // The numbers stay while such a command runs, and the results do not wait for that.
    let told = client.ok("SEARCH ALL").await;
    assert_eq!(told, ["* ESEARCH (TAG \"n\") REMOVEFROM (0 2,4)", "* SEARCH 1 3"]);
    assert_eq!(client.ok("NOOP").await, ["* 4 EXPUNGE", "* 2 EXPUNGE"]);
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    client.ok("NOOP").await;
    other.ok("EXPUNGE").await;
    client.send("i IDLE\r\n").await;
    assert!(client.line().await.starts_with("+ "));
    assert_eq!(client.line().await, "* ESEARCH (TAG \"n\") REMOVEFROM (0 1)");
    assert_eq!(client.line().await, "* 1 EXPUNGE");
    client.send("DONE\r\n").await;
    client.responses("i").await;
}

#[tokio::test]
async fn sorted_results_are_told_with_their_places() {
    let server = Server::start().await;
    let (mut client, mut other) = (server.inbox().await, server.inbox().await);
    for subject in ["m", "d", "x"] {
        other.append("INBOX", &format!("Subject: {subject}\r\n\r\n")).await;
    }
    let told = follow(&mut client, "s", "UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNDELETED").await;
    assert_eq!(told.last().unwrap(), "* ESEARCH (TAG \"s\") UID ALL 2,1,3");
    other.append("INBOX", "Subject: f\r\n\r\n").await;
    other.append("INBOX", "Subject: e\r\n\r\n").await;
    let told = client.ok("NOOP").await;
    assert_eq!(told.last().unwrap(), "* ESEARCH (TAG \"s\") UID ADDTO (2 5,4)");
    other.ok("UID STORE 5,3 +FLAGS (\\Deleted)").await;
    let told = client.ok("NOOP").await;
    assert_eq!(told.last().unwrap(), "* ESEARCH (TAG \"s\") UID REMOVEFROM (5 3 2 5)");
    other.ok("UID STORE 3 -FLAGS (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    let told = client.ok("NOOP").await;
    assert_eq!(told.last().unwrap(), "* ESEARCH (TAG \"s\") UID ADDTO (4 3)");
}

#[tokio::test]
async fn words_are_sought_in_what_arrives() {
    let (_server, mut client, mut other) = two_clients(1).await;
    follow(&mut client, "b", "UID SEARCH RETURN (UPDATE (UID RFC822.SIZE)) OR BODY needle SUBJECT pin").await;
    other.append("INBOX", "Subject: x\r\n\r\na needle").await;
    other.append("INBOX", "Subject: a pin\r\n\r\nx").await;
    other.append("INBOX", "Subject: x\r\n\r\nhay").await;
    let told = client.ok("NOOP").await;
    let contexts = [
        "* 2 FETCH (UID 2 RFC822.SIZE 22)",
        "* 3 FETCH (UID 3 RFC822.SIZE 19)",
        "* ESEARCH (TAG \"b\") UID ADDTO (0 2:3)",
    ];
    assert_eq!(told[told.len() - 3..], contexts, "{told:?}");
    // UIDs to come are in a range that goes up to the last; numbers are those of now.
    follow(&mut client, "r", "UID SEARCH RETURN (UPDATE) UID 3:*").await;
    follow(&mut client, "q", "UID SEARCH RETURN (UPDATE) 3:*").await;
    other.append("INBOX", "five").await;
    assert_eq!(client.ok("NOOP").await.last().unwrap(), "* ESEARCH (TAG \"r\") UID ADDTO (0 5)");
}

#[tokio::test]
async fn contexts_end_with_their_mailbox_or_when_they_are_cancelled() {
    let (_server, mut client, mut other) = two_clients(1).await;
    follow(&mut client, "a", "SEARCH RETURN (UPDATE) SEEN").await;
    client.tagged_as("a");
    assert!(client.fails("SEARCH RETURN (UPDATE) ALL").await.starts_with("BAD"));
    client.tagged_as("a");
    assert!(client.fails("SORT RETURN (UPDATE) (SIZE) UTF-8 ALL").await.starts_with("BAD"));
    client.ok("CANCELUPDATE \"a\" \"never\"").await;
    assert!(client.fails("CANCELUPDATE").await.starts_with("BAD"));
    other.ok("STORE 1 +FLAGS (\\Seen)").await;
    assert_eq!(client.ok("NOOP").await.len(), 1);
    follow(&mut client, "a", "SEARCH RETURN (UPDATE) SEEN").await;
    client.ok("SELECT INBOX").await;
    other.ok("STORE 1 -FLAGS (\\Seen)").await;
    assert_eq!(client.ok("NOOP").await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_followed_is_told_with_the_reason() {
    let (_server, mut client, _other) = two_clients(1).await;
    for search in
        ["SEARCH RETURN (UPDATE COUNT) YOUNGER 1000", "SEARCH RETURN (UPDATE COUNT) NOT OR SEEN UID *"]
    {
        let told = follow(&mut client, "x", search).await;
        assert!(told[0].starts_with("* ESEARCH (TAG \"x\") COUNT ") && told.len() == 2, "{told:?}");
        assert!(told[1].starts_with("* NO [NOUPDATE \"x\"] "), "{told:?}");
    }
    for tag in 0..16 {
        assert_eq!(follow(&mut client, &format!("m{tag}"), "SEARCH RETURN (UPDATE) ALL").await.len(), 1);
    }
    let told = follow(&mut client, "m16", "SEARCH RETURN (UPDATE) ALL").await;
    assert!(told[1].starts_with("* NO [NOUPDATE \"m16\"] "), "{told:?}");
    client.ok("CANCELUPDATE \"m3\"").await;
    assert_eq!(follow(&mut client, "m16", "SEARCH RETURN (UPDATE) ALL").await.len(), 1);
}

#[tokio::test]
async fn a_search_of_several_mailboxes_follows_the_selected_one() {
    let (_server, mut client, mut other) = two_clients(1).await;
    client.ok("UNSELECT").await;
    assert!(client.fails("ESEARCH IN (personal) RETURN (UPDATE) ALL").await.starts_with("BAD"));
    client.ok("SELECT INBOX").await;
    let told = follow(&mut client, "e", "ESEARCH IN (personal) RETURN (UPDATE COUNT) UNSEEN").await;
    assert_eq!(told.len(), 1);
    let head = told[0].strip_suffix(" COUNT 1").unwrap();
    other.append("INBOX", "two").await;
    assert_eq!(*client.ok("NOOP").await.last().unwrap(), format!("{head} ADDTO (0 2)"));
    client.ok("CREATE Work").await;
    let told = follow(&mut client, "w", "ESEARCH IN (mailboxes Work) RETURN (UPDATE COUNT) UNSEEN").await;
    assert!(told[0].starts_with("* NO [NOUPDATE \"w\"] "), "{told:?}");
}

#[tokio::test]
async fn a_part_of_the_results_comes_with_contexts_too() {
    let hide = crate::config::HideConfig { capabilities: vec!["PARTIAL".into()], ..Default::default() };
    let server = Server::with(|options| options.hide = vec![hide]).await;
    let mut client = server.inbox().await;
    client.append("INBOX", "one").await;
    client.tagged_as("p");
    let told = client.ok("UID SEARCH RETURN (PARTIAL 1:5) ALL").await;
    assert_eq!(told, ["* ESEARCH (TAG \"p\") UID PARTIAL (1:5 1)"]);
    assert!(client.fails("UID SEARCH RETURN (PARTIAL -1:-5) ALL").await.starts_with("BAD unknown"));
}

#[tokio::test]
async fn what_all_sessions_follow_has_a_bound_and_is_given_back() {
    let metrics = Metrics::default();
    let shown = metrics.imap_context_octets.clone();
    let server = Server::with(|options| {
        options.limits.imap_contexts = ByteSize::kib(32);
        options.metrics = metrics;
    })
    .await;
    let (mut client, mut other) = (server.inbox().await, server.inbox().await);
    follow(&mut client, "a", "SEARCH RETURN (UPDATE) UNSEEN").await;
    let long = format!("UID SEARCH RETURN (UPDATE COUNT) NOT TEXT {}", "x".repeat(25_000));
    assert_eq!(follow(&mut other, "b", &long).await.len(), 1);
    let told = follow(&mut client, "c", &long).await;
    assert!(told.len() == 2 && told[1].starts_with("* NO [NOUPDATE \"c\"] the server follows"), "{told:?}");
    // What grows beyond it ends as well.
    let sorted = follow(&mut client, "s", "UID SORT RETURN (UPDATE COUNT) (SUBJECT) UTF-8 ALL").await;
    assert_eq!(sorted.len(), 1, "{sorted:?}");
    other.append("INBOX", &format!("Subject: {}\r\n\r\n", "y".repeat(1_000))).await;
    for _ in 0..3 {
        other.ok("COPY 1:* INBOX").await;
        other.ok("NOOP").await;
    }
    let told = client.ok("NOOP").await;
    assert!(told.last().unwrap().starts_with("* NO [NOUPDATE \"s\"] "), "{told:?}");
    assert!(told.contains(&"* ESEARCH (TAG \"a\") ADDTO (0 1:8)".to_owned()), "{told:?}");
    assert!(shown.get() > 25_000, "{}", shown.get());
    other.ok("CANCELUPDATE \"b\"").await;
    assert_eq!(follow(&mut client, "c", &long).await.len(), 1);
    client.logout().await;
    other.logout().await;
    assert_eq!(shown.get(), 0);
}

#[tokio::test]
async fn one_session_has_a_bound_of_its_own_and_what_is_to_be_fetched_counts() {
    let (_server, mut client, _other) = two_clients(1).await;
    let fields = format!("BODY.PEEK[HEADER.FIELDS ({})]", ["a"; 256].join(" "));
    let items = vec![fields; 450].join(" ");
    let told = follow(&mut client, "a", &format!("SEARCH RETURN (UPDATE ({items}) COUNT) ALL")).await;
    assert!(told[1].ends_with("there are too many results to keep them"), "{told:?}");
}

#[tokio::test]
async fn no_more_is_read_for_one_change_than_its_bound() {
    let (_server, mut client, mut other) = two_clients(0).await;
    other.append("INBOX", &format!("Subject: x\r\n\r\n{}needle", "y".repeat(9 << 20))).await;
    client.ok("NOOP").await;
    follow(&mut client, "t", "UID SEARCH RETURN (UPDATE) TEXT needle").await;
    follow(&mut client, "b", "UID SEARCH RETURN (UPDATE) BODY needle").await;
    follow(&mut client, "f", "UID SEARCH RETURN (UPDATE) UNSEEN").await;
    // Read once for both.
    other.ok("UID COPY 1 INBOX").await;
    let told = client.ok("NOOP").await;
    for tag in ["t", "b", "f"] {
        assert!(told.contains(&format!("* ESEARCH (TAG \"{tag}\") UID ADDTO (0 2)")), "{told:?}");
    }
    other.ok("UID COPY 1:2 INBOX").await;
    let told = client.ok("NOOP").await;
    assert!(told.contains(&"* ESEARCH (TAG \"b\") UID ADDTO (0 3:4)".to_owned()), "{told:?}");
    other.ok("UID COPY 1:3 INBOX").await;
    let told = client.ok("NOOP").await;
    for tag in ["t", "b"] {
        let refused = format!("* NO [NOUPDATE \"{tag}\"] too much would have to be read");
        assert!(told.iter().any(|line| line.starts_with(&refused)), "{told:?}");
    }
    assert!(told.contains(&"* ESEARCH (TAG \"f\") UID ADDTO (0 5:7)".to_owned()), "{told:?}");
    other.append("INBOX", "a needle").await;
    assert_eq!(client.ok("NOOP").await.last().unwrap(), "* ESEARCH (TAG \"f\") UID ADDTO (0 8)");
}

#[tokio::test]
async fn what_a_notified_client_is_fetched_is_told_to_contexts_at_once() {
    let (_server, mut client, mut other) = two_clients(0).await;
    follow(&mut client, "u", "UID SEARCH RETURN (UPDATE) UNSEEN").await;
    client.ok("NOTIFY SET (selected (MessageNew (UID BODY[TEXT]) MessageExpunge FlagChange))").await;
    other.append("INBOX", "one\r\n\r\nbody").await;
    let mut heard = Vec::new();
    while !heard.iter().any(|line: &String| line.contains("REMOVEFROM")) {
        heard.push(client.line().await);
    }
    let at = |what: &str| heard.iter().position(|line| line.contains(what)).unwrap();
    assert!(at("ADDTO (0 1)") < at("BODY[TEXT]") && at("BODY[TEXT]") < at("REMOVEFROM (0 1)"), "{heard:?}");
    other.ok("STORE 1 -FLAGS (\\Seen)").await;
    assert!(client.line().await.contains(" FETCH "));
    assert_eq!(client.line().await, "* ESEARCH (TAG \"u\") UID ADDTO (0 1)");
    // Who wants to hear nothing of the selected mailbox hears of its results with the next command.
    client.ok("NOTIFY NONE").await;
    other.append("INBOX", "two").await;
    client.ok("NOOP").await;
}

#[tokio::test]
async fn ones_own_expunge_and_move_are_told_before_the_numbers_go() {
    let (_server, mut client, _other) = two_clients(4).await;
    follow(&mut client, "n", "SEARCH RETURN (UPDATE) ALL").await;
    follow(&mut client, "s", "UID SORT RETURN (UPDATE) (REVERSE SUBJECT) UTF-8 ALL").await;
    client.ok("STORE 2:3 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(
        client.ok("EXPUNGE").await,
        [
            "* ESEARCH (TAG \"n\") REMOVEFROM (0 2:3)",
            "* ESEARCH (TAG \"s\") UID REMOVEFROM (2 3,2)",
            "* 3 EXPUNGE",
            "* 2 EXPUNGE"
        ]
    );
    let told = client.ok("MOVE 2 Trash").await;
    let told: Vec<&String> = told.iter().filter(|line| !line.contains("COPYUID")).collect();
    assert_eq!(
        told,
        [
            "* ESEARCH (TAG \"n\") REMOVEFROM (0 2)",
            "* ESEARCH (TAG \"s\") UID REMOVEFROM (1 4)",
            "* 2 EXPUNGE"
        ]
    );
}

#[tokio::test]
async fn who_speaks_of_no_numbers_hears_of_none() {
    let (_server, mut client, mut other) = two_clients(2).await;
    follow(&mut client, "n", "SEARCH RETURN (UPDATE) SEEN").await;
    client.ok("ENABLE UIDONLY").await;
    other.ok("STORE 2 +FLAGS (\\Seen)").await;
    let told = client.ok("NOOP").await;
    assert_eq!(told.last().unwrap(), "* ESEARCH (TAG \"n\") UID ADDTO (0 2)");
}

#[tokio::test]
async fn a_tag_that_would_hide_the_end_of_a_code_is_not_followed() {
    let (_server, mut client, _other) = two_clients(1).await;
    client.tagged_as("a]1");
    assert!(client.fails("SEARCH RETURN (UPDATE) ALL").await.starts_with("BAD"));
    client.tagged_as("a]1");
    client.ok("SEARCH RETURN (ALL) ALL").await;
}
