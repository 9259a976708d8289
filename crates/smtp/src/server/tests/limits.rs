//! What a session bears, and what it does not.

use super::*;

#[test]
fn a_line_that_is_too_long_is_refused_in_step() {
    let mut served = Served::greeted(config(), false);
    assert_eq!(served.code(&format!("NOOP {}", "x".repeat(2100))), 500);
    assert_eq!(served.code("NOOP"), 250);
    // Its end comes later.
    served.feed(&[b'x'; 3000]);
    assert_eq!(served.said(), "");
    served.feed(&[b'x'; 3000]);
    assert_eq!(served.code("xxx"), 500);
    assert_eq!(served.code("NOOP"), 250);
}

#[test]
fn a_line_without_end_ends_the_session() {
    let mut served = Served::greeted(config(), false);
    for _ in 0..70 {
        served.feed(&[b'x'; 1024]);
    }
    assert_eq!(served.said(), "421 4.5.2 Line without end\r\n");
    assert!(served.closed);
}

#[test]
fn a_bare_lf_ends_no_command() {
    let mut served = Served::with_recipient(config());
    served.feed(b"NOOP\nRSET\r\n");
    assert!(served.said().starts_with("500 5.5.2 "));
    assert!(served.closed);
}

#[test]
fn http_is_sent_away() {
    for request in
        ["GET / HTTP/1.1\r\nHost: x\r\n", "POST / HTTP/1.1\n", "CONNECT a:25 HTTP/1.0\r\n", "Host: a\r\n"]
    {
        let mut served = Served::new(config(), false);
        served.feed(request.as_bytes());
        assert!(served.said().starts_with("554 5.5.0 "), "{request:?}");
        assert!(served.closed, "{request:?}");
    }
}

#[test]
fn too_many_errors_end_the_session() {
    let mut served = Served::greeted(Config { max_errors: 2, ..config() }, false);
    assert_eq!(served.code("XYZZY"), 500);
    assert_eq!(served.code("DATA"), 503);
    assert_eq!(served.say("XYZZY"), "421 4.7.0 Too many errors\r\n");
    assert!(served.closed);
}

#[test]
fn too_many_refused_addresses_end_the_session() {
    let mut served = Served::greeted(Config { max_refusals: 1, ..config() }, false);
    served.say("MAIL FROM:<a@example.test>");
    assert_eq!(served.code("RCPT TO:<nobody@example.test>"), 550);
    let said = served.say("RCPT TO:<nobody@example.test>");
    assert_eq!(said, "550 5.1.1 No such user\r\n421 4.7.0 Too many addresses refused\r\n");
    assert!(served.closed);
}

#[test]
fn too_many_commands_without_a_message_end_the_session() {
    let mut served = Served::new(Config { max_idle_commands: 2, ..config() }, false);
    served.say("EHLO client.test");
    assert_eq!(served.code("RSET"), 250);
    assert_eq!(served.code("NOOP"), 421);
    assert!(served.closed);
}

#[test]
fn too_many_messages_end_the_session() {
    let mut served = Served::with_recipient(Config { max_messages: 1, ..config() });
    served.say("DATA");
    assert_eq!(served.code("."), 250);
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 421);
    assert!(served.closed);
}

#[test]
fn recipients_over_the_limit_are_for_later() {
    let mut served = Served::with_recipient(config());
    served.say("RCPT TO:<c@example.test>");
    // Those refused do not count.
    assert_eq!(served.code("RCPT TO:<nobody@example.test>"), 550);
    assert_eq!(served.code("RCPT TO:<d@example.test>"), 250);
    assert!(served.say("RCPT TO:<e@example.test>").starts_with("452 4.5.3 "));
    served.say("DATA");
    assert_eq!(served.code("."), 250);
}
