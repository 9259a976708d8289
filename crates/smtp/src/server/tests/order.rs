//! The order of commands, and the extensions.

use super::*;

#[test]
fn a_message_is_taken() {
    let mut served = Served::greeted(config(), false);
    assert_eq!(served.say("MAIL FROM:<alice@example.test> SIZE=100"), "250 2.1.0 OK\r\n");
    assert_eq!(served.say("RCPT TO:<bob@example.test>"), "250 2.1.5 OK\r\n");
    assert!(served.say("DATA").starts_with("354 "));
    assert_eq!(served.say("Subject: x\r\n\r\n..dot\r\n."), "250 2.0.0 Taken\r\n");
    assert_eq!(served.say("QUIT"), "221 2.0.0 Bye\r\n");
    assert!(served.closed && served.session.is_quit());
    let expected = [
        "mail alice@example.test",
        "rcpt bob@example.test",
        "begin",
        "finish Subject: x\\r\\n\\r\\n.dot\\r\\n",
    ];
    assert_eq!(served.heard, expected);
}

#[test]
fn commands_out_of_order_are_refused() {
    let mut served = Served::new(config(), false);
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 503);
    assert_eq!(served.code("RCPT TO:<a@example.test>"), 503);
    assert_eq!(served.code("DATA"), 503);
    served.say("EHLO client.test");
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 250);
    assert_eq!(served.code("DATA"), 503);
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 503);
    assert_eq!(served.code("RCPT TO:<nobody@example.test>"), 550);
    assert_eq!(served.code("DATA"), 554);
}

#[test]
fn rset_and_ehlo_drop_the_transaction() {
    for command in ["RSET", "EHLO again.test", "HELO again.test"] {
        let mut served = Served::with_recipient(config());
        assert_eq!(served.code(command), 250);
        assert_eq!(served.heard, ["abort Reset"]);
        assert_eq!(served.code("RCPT TO:<bob@example.test>"), 503);
        assert_eq!(served.code("MAIL FROM:<a@example.test>"), 250);
    }
}

#[test]
fn a_connection_that_ends_drops_the_transaction() {
    let mut served = Served::with_recipient(config());
    served.say("DATA");
    served.feed(b"half a mess");
    served.session.disconnected();
    served.feed(b"");
    assert_eq!(served.heard, ["begin", "abort Closed"]);
    assert!(served.closed);
}

#[test]
fn every_extension_is_offered_before_auth() {
    let mut served = Served::new(config(), true);
    let said = served.say("EHLO client.test");
    for keyword in [
        "PIPELINING",
        "SIZE 1000",
        "8BITMIME",
        "SMTPUTF8",
        "CHUNKING",
        "ENHANCEDSTATUSCODES",
        "DSN",
        "AUTH PLAIN LOGIN",
        "REQUIRETLS",
        "LIMITS MAILMAX=1000 RCPTMAX=3",
    ] {
        assert!(said.contains(&format!("{keyword}\r\n")), "{keyword}: {said}");
    }
    assert!(!said.contains("STARTTLS"));
}

#[test]
fn in_clear_starttls_is_offered_and_auth_is_not() {
    let mut served = Served::new(config(), false);
    let said = served.say("EHLO client.test");
    assert!(said.contains("STARTTLS"), "{said}");
    assert!(!said.contains("AUTH") && !said.contains("REQUIRETLS"), "{said}");
}

#[test]
fn helo_has_no_extensions() {
    let mut served = Served::new(config(), false);
    assert_eq!(served.say("HELO client.test"), "250 mx.example.test\r\n");
    assert_eq!(served.code("MAIL FROM:<a@example.test> SIZE=10"), 555);
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 250);
    assert_eq!(served.code("RCPT TO:<b@example.test> NOTIFY=NEVER"), 555);
    assert_eq!(served.code("RCPT TO:<b@example.test>"), 250);
    assert_eq!(served.session.hello(), Some(&Hello { name: "client.test".into(), esmtp: false }));
}

#[test]
fn only_what_is_offered_can_be_asked_for() {
    let mut served = Served::greeted(config(), false);
    assert_eq!(served.code("MAIL FROM:<a@example.test> BODY=BINARYMIME"), 504);
    assert_eq!(served.code("MAIL FROM:<a@example.test> REQUIRETLS"), 555);
    assert_eq!(served.code("MAIL FROM:<ä@example.test>"), 553);
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 250);
    assert_eq!(served.code("RCPT TO:<ö@example.test>"), 553);
    served.say("RSET");
    assert_eq!(served.code("MAIL FROM:<ä@example.test> SMTPUTF8"), 250);
    assert_eq!(served.code("RCPT TO:<ö@example.test>"), 250);
}

#[test]
fn postmaster_is_this_servers() {
    let mut served = Served::greeted(config(), false);
    served.say("MAIL FROM:<>");
    assert_eq!(served.code("RCPT TO:<Postmaster>"), 250);
    assert_eq!(served.heard, ["mail ", "rcpt postmaster@mx.example.test"]);
}

#[test]
fn pipelined_commands_are_answered_in_their_order() {
    let mut served = Served::greeted(config(), false);
    served.feed(
        b"MAIL FROM:<a@example.test>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n",
    );
    let said = served.said();
    let codes: Vec<&str> = said.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, ["250", "550", "250", "354"]);
    assert!(served.session.is_pipelined());
    // The next transaction behind the end of the message, in one go.
    served.feed(b"x\r\n.\r\nMAIL FROM:<a@example.test>\r\nRCPT TO:<bob@example.test>\r\nQUIT\r\n");
    let said = served.said();
    let codes: Vec<&str> = said.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, ["250", "250", "250", "221"]);
    assert_eq!(served.heard.last().unwrap(), "abort Closed");
}

#[test]
fn whoever_talks_before_the_greeting_is_refused() {
    let mut served = Served::connected(config(), false);
    served.feed(b"EHLO client.test\r\n");
    assert!(served.said().starts_with("554 5.5.0 "));
    assert!(served.closed);
}

#[test]
fn whoever_does_not_wait_for_a_reply_that_matters_is_refused() {
    for group in ["EHLO a.test\r\nMAIL FROM:<>\r\n", "DATA\r\nSubject: x\r\n", "AUTH LOGIN\r\nYQ==\r\n"] {
        let mut served = Served::with_recipient(config());
        served.feed(group.as_bytes());
        assert!(served.said().starts_with("554 5.5.0 "), "{group}");
        assert!(served.closed, "{group}");
        assert_eq!(served.heard, ["abort Closed"], "{group}");
    }
}

#[test]
fn a_refused_connection_hears_why() {
    let mut session = Session::new(Arc::new(config()), false);
    assert_eq!(session.poll(), Event::Connected);
    session.answer(Reply::fixed(421, 3, 2, "Too busy"));
    assert_eq!(session.poll(), Event::Close);
    assert_eq!(&session.output()[..], b"421 4.3.2 Too busy\r\n");
}

#[test]
fn a_service_that_stops_closes_idle_sessions_only() {
    let mut served = Served::with_recipient(config());
    assert!(!served.session.is_idle());
    served.say("RSET");
    assert!(served.session.is_idle());
    served.session.close(&Reply::fixed(421, 3, 2, "Stopping"));
    assert_eq!(served.session.poll(), Event::Close);
    assert_eq!(&served.session.output()[..], b"421 4.3.2 Stopping\r\n");
}
