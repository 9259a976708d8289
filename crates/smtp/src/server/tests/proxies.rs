//! XCLIENT, early talkers, and the extensions that a listener may or may not offer.

use super::*;

/// Behind EHLO, from a proxy that is trusted.
fn proxied() -> Served {
    let mut served = Served::connected(config(), false);
    served.session.trust_proxy();
    served.feed(b"");
    served.said();
    let said = served.say("EHLO proxy.test");
    assert!(said.contains("XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"), "{said}");
    served.heard.clear();
    served
}

#[test]
fn a_trusted_proxy_speaks_for_its_client_and_the_session_begins_anew() {
    let mut served = proxied();
    let said = served.say("XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE]");
    assert_eq!(said, "220 mx.example.test ESMTP\r\n");
    assert!(served.heard[0].contains("address: Some(192.0.2.7)"), "{:?}", served.heard);
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 503, "EHLO is due again");
    assert_eq!(served.code("EHLO client.test"), 250);
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 250);
}

#[test]
fn a_client_behind_a_proxy_cannot_speak_for_others_itself() {
    let mut served = proxied();
    served.say("XCLIENT ADDR=192.0.2.6");
    served.say("XCLIENT ADDR=192.0.2.7 HELO=client.test");
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 250);
    served.say("RSET");
    assert_eq!(served.code("XCLIENT ADDR=127.0.0.1 LOGIN=alice"), 550);
    assert!(!served.session.is_authenticated());
    assert!(!served.say("EHLO client.test").contains("XCLIENT"));
}

#[test]
fn the_hello_and_the_login_that_a_proxy_tells_of_are_the_clients() {
    let mut served = proxied();
    served.say("XCLIENT HELO=client.test PROTO=SMTP LOGIN=alice");
    let hello = Hello { name: "client.test".into(), esmtp: false };
    assert_eq!(served.session.hello(), Some(&hello));
    assert!(served.session.is_authenticated());
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 250);
}

#[test]
fn a_client_that_is_refused_behind_its_proxy_is_sent_away() {
    let mut served = proxied();
    let said = served.say("XCLIENT ADDR=127.0.0.1");
    assert_eq!(said, "554 5.7.1 Not you\r\n");
    assert!(served.closed);
}

#[test]
fn a_stranger_is_offered_no_xclient_and_changes_nothing_by_it() {
    let mut served = Served::new(config(), false);
    assert!(!served.say("EHLO client.test").contains("XCLIENT"));
    assert_eq!(served.code("XCLIENT ADDR=192.0.2.7 LOGIN=alice"), 550);
    assert!(!served.session.is_authenticated());
    assert!(served.heard.is_empty(), "{:?}", served.heard);
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 250);
}

#[test]
fn xclient_has_its_place() {
    let mut served = proxied();
    assert_eq!(served.code("XCLIENT COLOUR=red"), 555);
    assert_eq!(served.code("XCLIENT"), 501);
    served.say("MAIL FROM:<a@example.test>");
    assert_eq!(served.code("XCLIENT ADDR=192.0.2.7"), 503);
    served.say("RSET");
    // What was sent behind it was sent for another client.
    served.feed(b"XCLIENT ADDR=192.0.2.7\r\nMAIL FROM:<b@example.test>\r\n");
    assert!(served.closed);
}

#[test]
fn an_early_talker_is_refused_with_all_that_it_pipelined() {
    let mut served = Served::connected(config(), false);
    served.feed(b"EHLO x\r\nMAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n");
    assert_eq!(served.said(), "554 5.5.0 Wait for the greeting\r\n");
    assert_eq!(served.heard, ["connected"]);
    assert!(served.closed);
}

#[test]
fn an_early_talker_may_be_noted_in_place_of_refused() {
    let mut served = Served::connected(Config { refuse_early_talkers: false, ..config() }, false);
    served.feed(b"EHLO client.test\r\n");
    let said = served.said();
    assert!(said.starts_with("220 mx.example.test ESMTP\r\n250-mx.example.test\r\n"), "{said}");
    assert!(served.session.is_early_talker());
}

#[test]
fn priority_is_understood_where_it_is_offered() {
    let mut served = Served::greeted(Config { mt_priority: true, ..config() }, false);
    assert!(served.say("EHLO client.test").contains("MT-PRIORITY\r\n"));
    assert_eq!(served.code("MAIL FROM:<a@example.test> MT-PRIORITY=12"), 501);
    assert_eq!(served.code("MAIL FROM:<a@example.test> MT-PRIORITY=-9"), 250);
    let mut served = Served::greeted(config(), false);
    assert_eq!(served.code("MAIL FROM:<a@example.test> MT-PRIORITY=1"), 555);
}

#[test]
fn binary_content_comes_through_bdat_as_it_is_and_never_through_data() {
    let mut served = Served::greeted(Config { binary_mime: true, ..config() }, false);
    assert!(served.say("EHLO client.test").contains("BINARYMIME\r\n"));
    served.say("MAIL FROM:<a@example.test> BODY=BINARYMIME");
    served.say("RCPT TO:<b@example.test>");
    assert_eq!(served.code("DATA"), 503);
    served.heard.clear();
    served.feed(b"BDAT 4\r\na\rb\nBDAT 3 LAST\r\n\0\n\r");
    assert_eq!(served.heard, ["begin", "finish a\\rb\\n\\x00\\n\\r"]);
    // The next message is not binary any more.
    served.say("MAIL FROM:<a@example.test>");
    served.say("RCPT TO:<b@example.test>");
    served.heard.clear();
    served.feed(b"BDAT 3 LAST\r\na\nb");
    assert_eq!(served.heard, ["begin", "finish a\\r\\nb"]);
}

#[test]
fn commands_and_errors_are_counted_over_the_whole_session() {
    let mut served = Served::greeted(config(), false);
    assert_eq!(served.session.tally(), Tally { commands: 1, errors: 0 });
    served.say("FOO");
    served.say("MAIL FROM:<a@example.test>");
    served.say("RCPT TO:<nobody@example.test>");
    assert_eq!(served.session.tally(), Tally { commands: 4, errors: 2 });
}
