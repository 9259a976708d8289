use proptest::prelude::*;

use super::*;

fn done(step: Result<Step, AuthError>) -> Credentials {
    match step {
        Ok(Step::Done(credentials)) => credentials,
        other => panic!("{other:?}"),
    }
}

fn challenged(step: Result<Step, AuthError>) -> (Exchange, Reply) {
    match step {
        Ok(Step::Challenge(exchange, reply)) => (exchange, reply),
        other => panic!("{other:?}"),
    }
}

fn error(step: Result<Step, AuthError>) -> AuthError {
    match step {
        Err(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn plain_with_and_without_an_initial_response() {
    // The example of RFC 4954 §4.1.
    let credentials = done(Exchange::start(Mechanism::Plain, Some("dGVzdAB0ZXN0ADEyMzQ=")));
    assert_eq!(credentials.authorization.as_deref(), Some("test"));
    assert_eq!((credentials.username.as_str(), credentials.password.reveal()), ("test", "1234"));
    let (exchange, challenge) = challenged(Exchange::start(Mechanism::Plain, None));
    assert_eq!(challenge, Reply::plain(334, ""));
    assert_eq!(done(exchange.respond(b"dGVzdAB0ZXN0ADEyMzQ")), credentials);
}

#[test]
fn login_asks_for_name_and_password() {
    let (exchange, challenge) = challenged(Exchange::start(Mechanism::Login, None));
    assert_eq!(challenge, Reply::plain(334, "VXNlcm5hbWU6"));
    let (exchange, challenge) = challenged(exchange.respond(b"YWxpY2U="));
    assert_eq!(challenge, Reply::plain(334, "UGFzc3dvcmQ6"));
    let credentials = done(exchange.respond(b"c2VjcmV0"));
    assert_eq!((credentials.username.as_str(), credentials.password.reveal()), ("alice", "secret"));
    // The name can come with the command.
    let (exchange, _) = challenged(Exchange::start(Mechanism::Login, Some("YWxpY2U=")));
    assert_eq!(done(exchange.respond(b"c2VjcmV0")), credentials);
}

#[test]
fn an_exchange_can_be_cancelled() {
    let (exchange, _) = challenged(Exchange::start(Mechanism::Login, None));
    assert_eq!(error(exchange.respond(b"*")), AuthError::Cancelled);
}

#[test]
fn malformed_responses_are_refused() {
    for response in ["!", "YQ", "=", "AAA=", "YQBiAGMAZA==", "/////w=="] {
        assert_eq!(
            error(Exchange::start(Mechanism::Plain, Some(response))),
            AuthError::Malformed,
            "{response}"
        );
    }
    assert_eq!(error(Exchange::start(Mechanism::Login, Some("="))), AuthError::Malformed);
}

#[test]
fn a_password_is_never_printed() {
    let credentials =
        Credentials { authorization: None, username: "alice".into(), password: Password::new("secret") };
    assert!(!format!("{credentials:?}").contains("secret"));
}

proptest! {
    #[test]
    fn what_the_client_sends_the_server_reads(username in "[^\0]{1,50}", password in "[^\0]{1,50}") {
        let credentials = Credentials { authorization: None, username, password: Password::new(password) };
        let plain = credentials.plain_response();
        prop_assert_eq!(&done(Exchange::start(Mechanism::Plain, Some(&plain))), &credentials);
        let [name, secret] = credentials.login_responses();
        let (exchange, _) = challenged(Exchange::start(Mechanism::Login, Some(&name)));
        prop_assert_eq!(&done(exchange.respond(secret.as_bytes())), &credentials);
    }
}
