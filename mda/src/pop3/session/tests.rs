use proptest::prelude::*;

use super::*;

const OPEN: Policy = Policy {
    tls_available: true,
    plaintext_auth: true,
    max_errors: 5,
    login_delay: Duration::ZERO,
    strict_utf8: false,
};
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
    let mut session = new_session(OPEN, false);
    session.logged_in(Ok(maildrop()));
    session
}

fn new_session(policy: Policy, tls: bool) -> Session {
    Session::new(policy, tls, vec![Mechanism::ScramSha256, Mechanism::Plain])
}

fn log_in(username: &str, password: &str) -> Action {
    Action::LogIn { username: username.to_owned(), password: password.to_owned() }
}

#[test]
fn user_and_pass_log_in() {
    let mut session = new_session(OPEN, false);
    assert!(reply(&mut session, "USER bob@example.test").starts_with("+OK"));
    assert_eq!(say(&mut session, "PASS a b "), log_in("bob@example.test", "a b "));
    assert_eq!(session.logged_in(Ok(maildrop())), Action::Reply("+OK 3 messages (370 octets)\r\n".into()));
    assert!(session.is_logged_in());
}

#[test]
fn pass_without_user_is_refused_also_after_a_failure() {
    let mut session = new_session(OPEN, false);
    assert!(reply(&mut session, "PASS secret").starts_with("-ERR"));
    say(&mut session, "USER bob@example.test");
    say(&mut session, "PASS wrong");
    let Action::Reply(text) = session.logged_in(Err(LoginFailure::Credentials)) else { panic!() };
    assert!(text.starts_with("-ERR [AUTH]"));
    assert!(reply(&mut session, "PASS again").starts_with("-ERR"));
}

#[test]
fn auth_begins_with_or_without_a_response_and_goes_on_by_challenges() {
    let begin = |initial: Option<&[u8]>| Action::Begin {
        mechanism: "PLAIN".to_owned(),
        initial: initial.map(<[u8]>::to_vec),
    };
    let mut session = new_session(OPEN, false);
    assert_eq!(say(&mut session, "AUTH PLAIN AGJvYgBi"), begin(Some(b"\0bob\0b")));
    assert_eq!(say(&mut session, "AUTH PLAIN ="), begin(Some(b"")));
    assert_eq!(say(&mut session, "AUTH plain"), begin(None));
    assert_eq!(session.challenge(b""), Action::Reply("+ \r\n".into()));
    assert_eq!(say(&mut session, "AGJvYgBi"), Action::Respond(b"\0bob\0b".to_vec()));
    assert_eq!(session.challenge(b"more"), Action::Reply("+ bW9yZQ==\r\n".into()));
    assert_eq!(say(&mut session, ""), Action::Respond(Vec::new()));
}

#[test]
fn auth_that_is_cancelled_or_malformed_is_an_error_for_that_attempt_alone() {
    let mut session = new_session(OPEN, false);
    for response in ["*", "!!!", "="] {
        session.errors = 0;
        say(&mut session, "AUTH PLAIN");
        session.challenge(b"");
        assert!(reply(&mut session, response).starts_with("-ERR"), "{response:?}");
        assert!(reply(&mut session, "CAPA").starts_with("+OK"), "a command again after {response:?}");
    }
    say(&mut session, "AUTH PLAIN");
    session.challenge(b"");
    let Action::Reply(text) = session.line(&Line::TooLong) else { panic!() };
    assert!(text.starts_with("-ERR"));
    assert!(reply(&mut session, "CAPA").starts_with("+OK"));
    assert!(reply(&mut session, "AUTH PLAIN !").starts_with("-ERR"));
    say(&mut session, "AUTH CRAM-MD5");
    let Action::Reply(text) = session.logged_in(Err(LoginFailure::Exchange(SaslError::Mechanism))) else {
        panic!()
    };
    assert_eq!(text, "-ERR the mechanism is not offered\r\n");
    session.errors = 0;
    say(&mut session, "AUTH PLAIN");
    let refused = SaslError::Protocol(sasl::Error::Proxy);
    let Action::Reply(text) = session.logged_in(Err(LoginFailure::Exchange(refused))) else { panic!() };
    assert!(text.starts_with("-ERR [AUTH] "), "{text}");
}

#[test]
fn for_how_long_messages_stay_is_told_to_whom_they_belong() {
    let mut session = new_session(OPEN, true);
    assert!(reply(&mut session, "CAPA").contains("\r\nEXPIRE NEVER USER\r\n"));
    assert!(reply(&mut logged_in(), "CAPA").contains("\r\nEXPIRE NEVER\r\n"));
    let retention = Duration::from_hours(24 * 30 + 23);
    session.logged_in(Ok(maildrop().kept_for(Some(retention))));
    assert!(reply(&mut session, "CAPA").contains("\r\nEXPIRE 30\r\n"));
}

#[test]
fn where_no_password_is_taken_there_is_no_user_command() {
    let mut session = Session::new(OPEN, true, vec![Mechanism::ScramSha256]);
    let text = reply(&mut session, "CAPA");
    assert!(text.contains("\r\nSASL SCRAM-SHA-256\r\n") && !text.contains("\r\nUSER\r\n"), "{text}");
    assert!(reply(&mut session, "USER bob").starts_with("-ERR"));
}

#[test]
fn a_password_in_clear_is_refused_where_the_policy_says_so() {
    let mut session = new_session(STRICT, false);
    for line in ["USER bob", "PASS secret", "AUTH PLAIN", "AUTH PLAIN AGJvYgBi"] {
        session.errors = 0;
        assert!(reply(&mut session, line).starts_with("-ERR TLS"), "{line}");
    }
    assert_eq!(say(&mut session, "STLS"), Action::StartTls("+OK begin TLS\r\n".into()));
    session.secured(vec![Mechanism::Plain]);
    assert!(reply(&mut session, "USER bob").starts_with("+OK"));
}

#[test]
fn tls_begins_once_and_forgets_what_came_before() {
    let mut session = new_session(OPEN, false);
    reply(&mut session, "USER mallory");
    say(&mut session, "STLS");
    session.secured(vec![Mechanism::Plain]);
    assert!(reply(&mut session, "PASS secret").starts_with("-ERR"), "USER came before TLS");
    assert!(reply(&mut session, "STLS").starts_with("-ERR"));
    let mut session = logged_in();
    assert!(reply(&mut session, "STLS").starts_with("-ERR"), "not after logging in");
    let mut session = new_session(Policy { tls_available: false, ..OPEN }, false);
    assert!(reply(&mut session, "STLS").starts_with("-ERR"));
}

#[test]
fn capabilities_tell_what_works_now() {
    let mut clear = new_session(STRICT, false);
    let text = reply(&mut clear, "CAPA");
    assert!(
        text.contains("\r\nSTLS\r\n") && !text.contains("SASL") && !text.contains("\r\nUSER\r\n"),
        "{text}"
    );
    let mut secure = new_session(STRICT, true);
    let text = reply(&mut secure, "CAPA");
    assert!(
        !text.contains("STLS")
            && text.contains("\r\nSASL SCRAM-SHA-256 PLAIN\r\n")
            && text.contains("\r\nUSER\r\n")
    );
    for capability in ["TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "LANG", "UTF8 USER"] {
        assert!(text.contains(&format!("\r\n{capability}\r\n")), "{capability}");
    }
    assert!(text.ends_with("\r\n.\r\n"));
    assert!(!reply(&mut logged_in(), "CAPA").contains("STLS"));
}

#[test]
fn the_time_between_logins_is_told_where_there_is_a_limit() {
    let policy = Policy { login_delay: Duration::from_mins(15), ..OPEN };
    assert!(reply(&mut new_session(policy, true), "CAPA").contains("\r\nLOGIN-DELAY 900\r\n"));
    assert!(!reply(&mut new_session(OPEN, true), "CAPA").contains("LOGIN-DELAY"));
}

#[test]
fn english_is_the_only_language() {
    for mut session in [new_session(OPEN, true), logged_in()] {
        assert_eq!(reply(&mut session, "LANG"), "+OK languages follow\r\nen English\r\n.\r\n");
        assert!(reply(&mut session, "LANG *").starts_with("+OK en "));
        assert!(reply(&mut session, "LANG EN").starts_with("+OK en "));
        assert!(reply(&mut session, "LANG de").starts_with("-ERR en "));
    }
}

#[test]
fn utf8_is_taken_by_clients_that_say_so_and_by_all_where_the_policy_is_lax() {
    let mut session = new_session(OPEN, false);
    assert!(session.takes_utf8());
    session.policy.strict_utf8 = true;
    assert!(!session.takes_utf8());
    assert!(reply(&mut session, "UTF8").starts_with("+OK"));
    assert!(session.takes_utf8());
    session.secured(Vec::new());
    assert!(!session.takes_utf8(), "UTF8 came before TLS");
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
    let message = Message { uid: 7, octets: 200, deleted: false, unreadable: false };
    assert_eq!(say(&mut session, "RETR 2"), Action::Send { message, lines: None });
    assert_eq!(say(&mut session, "TOP 2 5"), Action::Send { message, lines: Some(5) });
}

#[test]
fn quit_commits_what_was_deleted() {
    let mut session = logged_in();
    say(&mut session, "DELE 1");
    say(&mut session, "DELE 3");
    assert_eq!(say(&mut session, "QUIT"), Action::Commit { uids: vec![4, 9] });
    assert!(matches!(say(&mut new_session(OPEN, false), "QUIT"), Action::Close(_)));
}

#[test]
fn commands_of_the_other_state_are_refused() {
    let mut session = new_session(OPEN, false);
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
    let mut session = new_session(OPEN, false);
    for _ in 1..OPEN.max_errors {
        assert!(reply(&mut session, "XYZZY").starts_with("-ERR"));
    }
    assert!(matches!(say(&mut session, "XYZZY"), Action::Close(text) if text.starts_with("-ERR")));
}

#[test]
fn failures_that_pass_do_not_make_clients_ask_for_another_password() {
    for failure in [
        LoginFailure::Throttled,
        LoginFailure::Temporary,
        LoginFailure::Permanent,
        LoginFailure::TooSoon,
        LoginFailure::InUse,
    ] {
        let Action::Reply(text) = new_session(OPEN, false).logged_in(Err(failure)) else { panic!() };
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
        let mut session = new_session(Policy { max_errors: u32::MAX, ..OPEN }, false);
        for line in lines {
            match say(&mut session, &line) {
                Action::Reply(text) | Action::Close(text) | Action::StartTls(text) => {
                    let valid = text.starts_with("+OK ") || text.starts_with("-ERR ") || text == "+ \r\n";
                    prop_assert!(valid && text.ends_with("\r\n"), "{}", text);
                }
                Action::LogIn { .. } | Action::Respond(_) => {
                    session.logged_in(Ok(maildrop()));
                }
                Action::Begin { .. } => {
                    session.challenge(b"");
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
