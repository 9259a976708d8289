//! Messages in order, and in threads.

use tokio::io::DuplexStream;

use super::client::{Client, Server};

/// Six messages: a conversation of three, two of one subject, and one that says nothing of itself.
async fn conversation(server: &Server) -> Client<DuplexStream> {
    let mut client = server.inbox().await;
    for (subject, from, date, more, text) in [
        ("Lunch", "\"Zoe\" <b@a.test>", "6 Feb 2024 10:00:00 +0000", "Message-ID: <1@x>\r\nTo: d@x", "a"),
        (
            "=?utf-8?q?=C3=A9t=C3=A9?=",
            "c@a.test",
            "5 Feb 2024 10:00:00 +0000",
            "Message-ID: <2@x>\r\nTo: B@x",
            "aa",
        ),
        (
            "Re: Lunch",
            "Anna <c@a.test>",
            "6 Feb 2024 20:00:00 +1100",
            "Message-ID: <3@x>\r\nReferences: <1@x>\r\nCc: y@x",
            "aaaa",
        ),
        ("Re: re: lunch", "a@a.test", "8 Feb 2024 10:00:00 +0000", "In-Reply-To: <3@x>\r\nTo: c@x", "aaa"),
        ("\u{c9}t\u{c9}", "d@a.test", "7 Feb 2024 10:00:00 +0000", "X: y", "aaaaa"),
    ] {
        let message =
            format!("Subject: {subject}\r\nFrom: {from}\r\nDate: {date}\r\n{more}\r\n\r\n{text}\r\n");
        client.append("INBOX (\\Seen) \"01-Jan-2024 00:00:00 +0000\"", &message).await;
    }
    client.append("INBOX (\\Seen) \"01-Jan-2023 00:00:00 +0000\"", "X: y\r\n\r\nno more\r\n").await;
    client
}

#[tokio::test]
async fn messages_are_sorted_by_what_the_client_names() {
    let server = Server::start().await;
    let mut client = conversation(&server).await;
    for (criteria, order) in [
        ("ARRIVAL", "6 1 2 3 4 5"),
        ("REVERSE ARRIVAL", "1 2 3 4 5 6"),
        ("DATE", "6 2 3 1 5 4"),
        ("REVERSE DATE", "4 5 1 3 2 6"),
        ("FROM", "6 4 1 2 3 5"),
        ("TO REVERSE DATE", "5 3 6 2 4 1"),
        ("CC DATE", "6 2 1 5 4 3"),
        ("SUBJECT DATE", "6 2 5 3 1 4"),
        ("DISPLAYFROM", "6 4 3 2 5 1"),
        ("REVERSE DISPLAYTO", "1 4 2 3 5 6"),
    ] {
        let sorted = client.ok(&format!("SORT ({criteria}) UTF-8 ALL")).await;
        assert_eq!(sorted, [format!("* SORT {order}")], "{criteria}");
    }
    let by_size = client.ok("SORT (SIZE) UTF-8 1:2,6").await;
    assert_eq!(by_size, ["* SORT 6 1 2"]);
    assert_eq!(client.ok("UID SORT (DATE) US-ASCII SUBJECT lunch").await, ["* SORT 3 1 4"]);
    assert_eq!(client.ok("SORT (DATE) US-ASCII SUBJECT dinner").await, ["* SORT"]);
    assert!(client.fails("SORT (DATE) KOI8-R ALL").await.starts_with("NO [BADCHARSET"));
}

#[tokio::test]
async fn the_results_of_a_sort_may_be_summed_up() {
    let server = Server::start().await;
    let mut client = conversation(&server).await;
    client.send("s SORT RETURN (MIN MAX COUNT ALL) (REVERSE ARRIVAL) UTF-8 ALL\r\n").await;
    assert_eq!(client.responses("s").await.0, ["* ESEARCH (TAG \"s\") MIN 1 MAX 6 ALL 1:6 COUNT 6"]);
    client.send("s UID SORT RETURN () (DATE) UTF-8 ALL\r\n").await;
    assert_eq!(client.responses("s").await.0, ["* ESEARCH (TAG \"s\") UID ALL 6,2:3,1,5,4"]);
    client.send("s SORT RETURN (COUNT MIN) (DATE) UTF-8 SUBJECT dinner\r\n").await;
    assert_eq!(client.responses("s").await.0, ["* ESEARCH (TAG \"s\") COUNT 0"]);
}

#[tokio::test]
async fn messages_are_put_into_threads() {
    let server = Server::start().await;
    let mut client = conversation(&server).await;
    client.ok("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    client.ok("EXPUNGE").await;
    assert_eq!(client.ok("THREAD REFERENCES UTF-8 ALL").await, ["* THREAD (5)(1 2 3)(4)"]);
    assert_eq!(client.ok("UID THREAD REFERENCES UTF-8 ALL").await, ["* THREAD (6)(1 3 4)(5)"]);
    assert_eq!(client.ok("THREAD ORDEREDSUBJECT UTF-8 ALL").await, ["* THREAD (5)(2 (1)(3))(4)"]);
    assert_eq!(client.ok("THREAD REFS UTF-8 SUBJECT lunch").await, ["* THREAD (1 2 3)"]);
    assert_eq!(client.ok("THREAD REFERENCES UTF-8 SUBJECT dinner").await, ["* THREAD"]);
    assert!(client.ok("CAPABILITY").await[0].contains("THREAD=REFERENCES"));
}

#[tokio::test]
async fn huge_headers_are_put_in_order_by_their_beginning() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    let long = " x".repeat(30_000);
    for (end, id) in [("b", "1"), ("a", "2")] {
        let message =
            format!("Subject: s{long}{end}\r\nMessage-ID: <{id}@x>\r\nReferences: <1@x>\r\n\r\nbody");
        client.append("INBOX", &message).await;
    }
    // What tells them apart is beyond what is looked at.
    assert_eq!(client.ok("SORT (SUBJECT) UTF-8 ALL").await, ["* SORT 1 2"]);
    assert_eq!(client.ok("THREAD REFERENCES UTF-8 ALL").await, ["* THREAD (1 2)"]);
    assert!(client.fails("SORT (SUBJECT REVERSE SUBJECT) UTF-8 ALL").await.starts_with("BAD"));
}

#[tokio::test]
async fn names_of_header_fields_are_not_too_many() {
    let server = Server::start().await;
    let mut client = server.inbox().await;
    let fetch = |names| format!("FETCH 1:* BODY.PEEK[HEADER.FIELDS (a{})]", " b".repeat(names));
    client.append("INBOX", "a: b\r\n\r\n").await;
    client.ok(&fetch(255)).await;
    assert!(client.fails(&fetch(256)).await.starts_with("BAD"));
}
