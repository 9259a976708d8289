//! STARTTLS and AUTH.

use super::*;

#[test]
fn starttls_forgets_everything_said_before() {
    let mut served = Served::with_recipient(config());
    assert_eq!(served.code("STARTTLS"), 220);
    assert_eq!(served.heard, ["abort Reset", "tls"]);
    assert!(served.session.is_tls());
    assert_eq!(served.session.hello(), None);
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 503);
    assert!(!served.say("EHLO client.test").contains("STARTTLS"));
    assert_eq!(served.code("STARTTLS"), 503);
}

/// CVE-2011-0411, CVE-2021-33515: a command behind STARTTLS would be taken for one that came under TLS.
#[test]
fn octets_behind_starttls_end_the_session() {
    for injected in ["MAIL FROM:<evil@example.test>\r\n", "x", "\r\n"] {
        let mut served = Served::with_recipient(config());
        served.feed(format!("STARTTLS\r\n{injected}").as_bytes());
        assert!(served.said().starts_with("554 5.5.0 "), "{injected:?}");
        assert_eq!(served.heard, ["abort Closed"], "{injected:?}");
        assert!(served.closed && !served.session.is_tls(), "{injected:?}");
    }
}

#[test]
fn octets_before_the_handshake_never_count() {
    let mut session = Session::new(Arc::new(config()), false);
    session.poll();
    session.answer(Reply::plain(220, ""));
    session.input().extend_from_slice(b"STARTTLS\r\n");
    assert_eq!(session.poll(), Event::StartTls);
    session.input().extend_from_slice(b"EHLO evil.test\r\n");
    session.tls_established();
    session.output().clear();
    assert_eq!(session.poll(), Event::Read);
    assert!(session.output().is_empty());
}

#[test]
fn auth_needs_tls() {
    let mut served = Served::greeted(config(), false);
    assert_eq!(served.code("AUTH PLAIN AGFsaWNlAHNlY3JldA=="), 538);
    assert!(served.heard.is_empty());
}

#[test]
fn auth_once_and_before_the_transaction() {
    let mut served = Served::new(config(), true);
    assert_eq!(served.code("AUTH PLAIN AGFsaWNlAHNlY3JldA=="), 503);
    served.say("EHLO client.test");
    served.say("MAIL FROM:<a@example.test>");
    assert_eq!(served.code("AUTH PLAIN AGFsaWNlAHNlY3JldA=="), 503);
    served.say("RSET");
    assert_eq!(served.code("AUTH CRAM-MD5"), 504);
    assert_eq!(served.say("AUTH PLAIN AGFsaWNlAHNlY3JldA=="), "235 2.7.0 Yes\r\n");
    assert!(served.session.is_authenticated());
    assert_eq!(served.code("AUTH PLAIN AGFsaWNlAHNlY3JldA=="), 503);
    assert_eq!(served.heard.last().unwrap(), "authenticate alice");
}

#[test]
fn no_starttls_behind_auth() {
    let mut served = Served::greeted(Config { starttls: true, ..config() }, true);
    served.say("AUTH PLAIN AGFsaWNlAHNlY3JldA==");
    assert_eq!(served.code("STARTTLS"), 503);
}

#[test]
fn mail_can_need_tls_and_auth() {
    let strict = Config { mail_needs_tls: true, mail_needs_auth: true, ..config() };
    let mut served = Served::greeted(strict, false);
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 530);
    served.say("STARTTLS");
    served.say("EHLO client.test");
    assert_eq!(served.say("MAIL FROM:<a@example.test>"), "530 5.7.0 Authentication required\r\n");
    served.say("AUTH PLAIN AGFsaWNlAHNlY3JldA==");
    assert_eq!(served.code("MAIL FROM:<a@example.test>"), 250);
}

#[test]
fn login_takes_three_lines() {
    let mut served = Served::greeted(config(), true);
    assert_eq!(served.say("AUTH LOGIN"), "334 VXNlcm5hbWU6\r\n");
    assert_eq!(served.say("YWxpY2U="), "334 UGFzc3dvcmQ6\r\n");
    assert_eq!(served.code("c2VjcmV0"), 235);
}

#[test]
fn what_goes_wrong_in_auth_is_the_end_of_that_exchange_only() {
    let mut served = Served::greeted(config(), true);
    assert_eq!(served.say("AUTH PLAIN"), "334 \r\n");
    assert_eq!(served.code("*"), 501);
    assert_eq!(served.code("AUTH PLAIN not-base64!"), 501);
    served.say("AUTH LOGIN");
    assert_eq!(served.code("%%%"), 501);
    assert_eq!(served.code("NOOP"), 250);
    assert_eq!(served.code("AUTH PLAIN AGFsaWNlAHNlY3JldA=="), 235);
}

#[test]
fn a_response_of_64_kib_is_refused_in_step() {
    let response = "A".repeat(63 * 1024);
    let mut served = Served::greeted(config(), true);
    served.say("AUTH LOGIN");
    assert_eq!(served.say(&response), "500 5.5.6 Authentication line too long\r\n");
    assert_eq!(served.code(&format!("AUTH PLAIN {response}")), 500);
    assert_eq!(served.code("NOOP"), 250);
    // Twelve KiB are a line of AUTH, though of no other command.
    assert_eq!(served.code(&format!("AUTH PLAIN {}", "A".repeat(12_000))), 501);
    served.say("AUTH LOGIN");
    served.feed(&b"A".repeat(70 * 1024));
    assert_eq!(served.said(), "421 4.5.2 Line without end\r\n");
    assert!(served.closed);
}

#[test]
fn whoever_guesses_passwords_is_cut_off() {
    let mut served = Served::greeted(Config { max_auth_failures: 2, ..config() }, true);
    assert_eq!(served.say("AUTH PLAIN AGFsaWNlAHdyb25n"), "535 5.7.8 No\r\n");
    let said = served.say("AUTH PLAIN AGFsaWNlAHdyb25n");
    assert_eq!(said, "535 5.7.8 No\r\n421 4.7.0 Too many failed authentications\r\n");
    assert!(served.closed);
}

#[test]
fn mechanisms_that_only_the_handler_knows_are_its_to_speak() {
    let mut served = Served::new(config(), true);
    served.session.offer(vec!["SCRAM-SHA-256", "PLAIN"]);
    let said = served.say("EHLO client.test");
    assert!(said.contains(" AUTH SCRAM-SHA-256 PLAIN\r\n") && !said.contains("LOGIN"), "{said}");
    assert_eq!(served.code("AUTH LOGIN"), 504);
    assert_eq!(served.say("AUTH scram-sha-256 bixh"), "334 bW9yZQ==\r\n");
    assert_eq!(served.say("d3Jvbmc="), "535 5.7.8 No\r\n");
    assert_eq!(served.say("AUTH SCRAM-SHA-256"), "334 bW9yZQ==\r\n");
    assert_eq!(served.code("*"), 501);
    assert_eq!(served.say("AUTH SCRAM-SHA-256 ="), "334 bW9yZQ==\r\n");
    assert_eq!(served.code("!"), 501);
    served.say("AUTH SCRAM-SHA-256");
    assert_eq!(served.say("cmlnaHQ="), "235 2.7.0 Yes\r\n");
    assert!(served.session.is_authenticated());
    let heard = [
        "exchange SCRAM-SHA-256 Some([110, 44, 97])",
        "response wrong",
        "exchange SCRAM-SHA-256 None",
        "exchange cancelled",
        "exchange SCRAM-SHA-256 Some([])",
        "exchange cancelled",
    ];
    assert_eq!(served.heard[..6], heard);
}

#[test]
fn nothing_is_offered_in_clear_whatever_the_handler_offers() {
    let mut served = Served::new(config(), false);
    served.session.offer(vec!["SCRAM-SHA-256"]);
    assert!(!served.say("EHLO client.test").contains("AUTH"));
    assert_eq!(served.code("AUTH SCRAM-SHA-256"), 538);
}
