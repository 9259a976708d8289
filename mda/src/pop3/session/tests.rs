use base64::{Engine as _, prelude::BASE64_STANDARD};
use proptest::prelude::*;

use super::*;

const OPEN: Policy = Policy { tls_available: true, plaintext_auth: true, max_errors: 5 };
const STRICT: Policy = Policy { plaintext_auth: false, ..OPEN };

fn say(session: &mut Session, line: &str) -> Action {
    session.line(&Line::Whole(line.as_bytes()))
}

fn reply(session: &mut Session, line: &str) -> String {
    match say(session, line) {
        Action::Reply(text) => text,
        other => panic!("{line}: {other:?}"),
    }
}

fn maildrop() -> Maildrop {
    Maildrop::new(17, [(4, 120), (7, 200), (9, 50)])
}

fn logged_in() -> Session {
    let mut session = Session::new(OPEN, false);
    session.logged_in(Ok(maildrop()));
    session
}

fn plain(username: &str, password: &str) -> Plain {
    Plain { username: username.to_owned(), password: password.to_owned() }
}

#[test]
fn user_and_pass_log_in() {
    let mut session = Session::new(OPEN, false);
    assert!(reply(&mut session, "USER bob@example.test").starts_with("+OK"));
    assert_eq!(say(&mut session, "PASS a b "), Action::LogIn(plain("bob@example.test", "a b ")));
    assert_eq!(session.logged_in(Ok(maildrop())), Action::Reply("+OK 3 messages (370 octets)\r\n".into()));
    assert!(session.is_logged_in());
}

#[test]
fn pass_without_user_is_refused_also_after_a_failure() {
    let mut session = Session::new(OPEN, false);
    assert!(reply(&mut session, "PASS secret").starts_with("-ERR"));
    say(&mut session, "USER bob@example.test");
    say(&mut session, "PASS wrong");
    let Action::Reply(text) = session.logged_in(Err(LoginFailure::Credentials)) else { panic!() };
    assert!(text.starts_with("-ERR [AUTH]"));
    assert!(reply(&mut session, "PASS again").starts_with("-ERR"));
}

#[test]
fn auth_plain_with_and_without_initial_response() {
    let response = BASE64_STANDARD.encode("\0bob\0secret");
    let mut session = Session::new(OPEN, false);
    assert_eq!(say(&mut session, &format!("AUTH PLAIN {response}")), Action::LogIn(plain("bob", "secret")));
    assert_eq!(reply(&mut session, "AUTH PLAIN"), "+ \r\n");
    assert_eq!(say(&mut session, &response), Action::LogIn(plain("bob", "secret")));
}

#[test]
fn auth_that_is_cancelled_or_malformed_is_an_error_for_that_attempt_alone() {
    let mut session = Session::new(OPEN, false);
    for response in ["*", "!!!", "", "=", "AGJvYg=="] {
        session.errors = 0;
        assert_eq!(reply(&mut session, "AUTH PLAIN"), "+ \r\n");
        assert!(reply(&mut session, response).starts_with("-ERR"), "{response:?}");
        assert!(reply(&mut session, "CAPA").starts_with("+OK"), "a command again after {response:?}");
    }
    reply(&mut session, "AUTH PLAIN");
    let Action::Reply(text) = session.line(&Line::TooLong) else { panic!() };
    assert!(text.starts_with("-ERR"));
    assert!(reply(&mut session, "CAPA").starts_with("+OK"));
    assert!(reply(&mut session, "AUTH CRAM-MD5").starts_with("-ERR"));
}

#[test]
fn a_password_in_clear_is_refused_where_the_policy_says_so() {
    let mut session = Session::new(STRICT, false);
    for line in ["USER bob", "PASS secret", "AUTH PLAIN", "AUTH PLAIN AGJvYgBi"] {
        session.errors = 0;
        assert!(reply(&mut session, line).starts_with("-ERR TLS"), "{line}");
    }
    assert_eq!(say(&mut session, "STLS"), Action::StartTls("+OK begin TLS\r\n".into()));
    session.secured();
    assert!(reply(&mut session, "USER bob").starts_with("+OK"));
}

#[test]
fn tls_begins_once_and_forgets_what_came_before() {
    let mut session = Session::new(OPEN, false);
    reply(&mut session, "USER mallory");
    say(&mut session, "STLS");
    session.secured();
    assert!(reply(&mut session, "PASS secret").starts_with("-ERR"), "USER came before TLS");
    assert!(reply(&mut session, "STLS").starts_with("-ERR"));
    let mut session = logged_in();
    assert!(reply(&mut session, "STLS").starts_with("-ERR"), "not after logging in");
    let mut session = Session::new(Policy { tls_available: false, ..OPEN }, false);
    assert!(reply(&mut session, "STLS").starts_with("-ERR"));
}

#[test]
fn capabilities_tell_what_works_now() {
    let mut clear = Session::new(STRICT, false);
    let text = reply(&mut clear, "CAPA");
    assert!(text.contains("\r\nSTLS\r\n") && !text.contains("SASL") && !text.contains("USER"), "{text}");
    let mut secure = Session::new(STRICT, true);
    let text = reply(&mut secure, "CAPA");
    assert!(!text.contains("STLS") && text.contains("\r\nSASL PLAIN\r\n") && text.contains("\r\nUSER\r\n"));
    for capability in ["TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE"] {
        assert!(text.contains(&format!("\r\n{capability}\r\n")), "{capability}");
    }
    assert!(text.ends_with("\r\n.\r\n"));
    assert!(!reply(&mut logged_in(), "CAPA").contains("STLS"));
}

#[test]
fn stat_list_and_uidl_show_what_is_not_deleted_under_lasting_numbers() {
    let mut session = logged_in();
    assert_eq!(reply(&mut session, "STAT"), "+OK 3 370\r\n");
    assert_eq!(reply(&mut session, "LIST 2"), "+OK 2 200\r\n");
    assert_eq!(reply(&mut session, "UIDL 2"), "+OK 2 17.7\r\n");
    assert!(reply(&mut session, "DELE 2").starts_with("+OK"));
    assert_eq!(reply(&mut session, "STAT"), "+OK 2 170\r\n");
    assert_eq!(reply(&mut session, "LIST"), "+OK 2 messages (170 octets)\r\n1 120\r\n3 50\r\n.\r\n");
    assert!(reply(&mut session, "UIDL").ends_with("\r\n1 17.4\r\n3 17.9\r\n.\r\n"));
    for line in ["LIST 2", "UIDL 2", "RETR 2", "TOP 2 1"] {
        session.errors = 0;
        assert!(reply(&mut session, line).starts_with("-ERR"), "{line}");
    }
    assert!(reply(&mut session, "DELE 2").starts_with("-ERR"), "deleted already");
    assert!(reply(&mut session, "RSET").starts_with("+OK"));
    assert_eq!(reply(&mut session, "STAT"), "+OK 3 370\r\n");
}

#[test]
fn numbers_that_name_no_message_are_refused() {
    let mut session = logged_in();
    for line in ["RETR 4", "LIST 4294967295", "TOP 9 1", "DELE 4"] {
        session.errors = 0;
        assert!(reply(&mut session, line).starts_with("-ERR no such message"), "{line}");
    }
}

#[test]
fn retr_and_top_name_the_message() {
    let mut session = logged_in();
    let message = Message { uid: 7, octets: 200, deleted: false };
    assert_eq!(say(&mut session, "RETR 2"), Action::Send { message, lines: None });
    assert_eq!(say(&mut session, "TOP 2 5"), Action::Send { message, lines: Some(5) });
}

#[test]
fn quit_commits_what_was_deleted() {
    let mut session = logged_in();
    say(&mut session, "DELE 1");
    say(&mut session, "DELE 3");
    assert_eq!(say(&mut session, "QUIT"), Action::Commit { uids: vec![4, 9] });
    assert!(matches!(say(&mut Session::new(OPEN, false), "QUIT"), Action::Close(_)));
}

#[test]
fn commands_of_the_other_state_are_refused() {
    let mut session = Session::new(OPEN, false);
    for line in ["STAT", "LIST", "UIDL", "RETR 1", "TOP 1 1", "DELE 1", "RSET", "NOOP"] {
        session.errors = 0;
        assert!(reply(&mut session, line).starts_with("-ERR"), "{line}");
    }
    let mut session = logged_in();
    for line in ["USER bob", "PASS secret", "AUTH PLAIN"] {
        assert!(reply(&mut session, line).starts_with("-ERR"), "{line}");
    }
}

#[test]
fn too_many_errors_end_the_session() {
    let mut session = Session::new(OPEN, false);
    for _ in 1..OPEN.max_errors {
        assert!(reply(&mut session, "XYZZY").starts_with("-ERR"));
    }
    assert!(matches!(say(&mut session, "XYZZY"), Action::Close(text) if text.starts_with("-ERR")));
}

#[test]
fn failures_that_pass_do_not_make_clients_ask_for_another_password() {
    for failure in [LoginFailure::Throttled, LoginFailure::Temporary, LoginFailure::InUse] {
        let Action::Reply(text) = Session::new(OPEN, false).logged_in(Err(failure)) else { panic!() };
        assert!(text.starts_with("-ERR [") && !text.contains("[AUTH]"), "{text}");
    }
}

/// Commands with arguments that mean something about as often as not.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let line = prop_oneof![
        "(USER|PASS|AUTH PLAIN|STLS|CAPA|STAT|LIST|UIDL|RSET|NOOP|QUIT)( [a-z=*]{0,3})?",
        "(LIST|UIDL|RETR|DELE) [0-5]",
        "TOP [0-5] [0-3]",
        ".{0,20}",
    ];
    proptest::collection::vec(line, 0..60)
}

proptest! {
    #[test]
    fn every_line_gets_one_answer_and_only_marked_messages_go(lines in lines()) {
        let mut session = Session::new(Policy { max_errors: u32::MAX, ..OPEN }, false);
        for line in lines {
            match say(&mut session, &line) {
                Action::Reply(text) | Action::Close(text) | Action::StartTls(text) => {
                    let valid = text.starts_with("+OK ") || text.starts_with("-ERR ") || text == "+ \r\n";
                    prop_assert!(valid && text.ends_with("\r\n"), "{}", text);
                }
                Action::LogIn(_) => {
                    session.logged_in(Ok(maildrop()));
                }
                Action::Send { message, .. } => prop_assert!(!message.deleted),
                Action::Commit { uids } => {
                    let State::Transaction(maildrop) = &session.state else { panic!("not logged in") };
                    let (remaining, _) = maildrop.totals();
                    prop_assert_eq!(uids.len() + remaining, 3);
                }
            }
        }
    }
}
