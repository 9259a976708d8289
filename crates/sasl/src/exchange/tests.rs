use super::*;

fn start(mechanism: Mechanism, initial: Option<&str>) -> Result<(Exchange, Step), Error> {
    Exchange::start(mechanism, Context::default(), initial.map(str::as_bytes))
}

fn password(username: &str, password: &str) -> Step {
    Step::Done(Claim::Password { username: username.to_owned(), password: password.to_owned() })
}

#[test]
fn plain_is_said_at_once_or_when_asked() {
    let (_, step) = start(Mechanism::Plain, Some("\0tim\0tanstaaf")).unwrap();
    assert_eq!(step, password("tim", "tanstaaf"));
    let (mut exchange, step) = start(Mechanism::Plain, None).unwrap();
    assert_eq!(step, Step::Challenge(Vec::new()));
    assert_eq!(exchange.respond(b"\0tim\0tanstaaf"), Ok(password("tim", "tanstaaf")));
    assert_eq!(exchange.respond(b"\0tim\0tanstaaf"), Err(Error::Malformed));
}

#[test]
fn login_asks_for_name_and_password() {
    let (mut exchange, step) = start(Mechanism::Login, None).unwrap();
    assert_eq!(step, Step::Challenge(b"Username:".to_vec()));
    assert_eq!(exchange.respond(b"tim"), Ok(Step::Challenge(b"Password:".to_vec())));
    assert_eq!(exchange.respond(b"tanstaaf"), Ok(password("tim", "tanstaaf")));
    let (_, step) = start(Mechanism::Login, Some("tim")).unwrap();
    assert_eq!(step, Step::Challenge(b"Password:".to_vec()));
}

#[test]
fn external_may_name_someone_or_leave_it_to_the_certificate() {
    let certificate =
        |username: Option<&str>| Step::Done(Claim::Certificate { username: username.map(str::to_owned) });
    assert_eq!(start(Mechanism::External, Some("")).unwrap().1, certificate(None));
    assert_eq!(start(Mechanism::External, Some("tim")).unwrap().1, certificate(Some("tim")));
}

#[test]
fn a_token_that_is_refused_is_told_so_before_the_end() {
    for mechanism in [Mechanism::OAuthBearer, Mechanism::XOAuth2] {
        let message = match mechanism {
            Mechanism::OAuthBearer => "n,a=tim,\u{1}auth=Bearer abc\u{1}\u{1}",
            _ => "user=tim\u{1}auth=Bearer abc\u{1}\u{1}",
        };
        let (mut exchange, step) = start(mechanism, Some(message)).unwrap();
        let claim = Claim::Token { username: Some("tim".into()), token: "abc".into() };
        assert_eq!(step, Step::Done(claim));
        let words = String::from_utf8(exchange.refuse().unwrap()).unwrap();
        assert!(words.starts_with("{\"status\":"), "{words}");
        assert_eq!(exchange.respond(b"\x01"), Err(Error::Refused));
    }
    let (mut exchange, _) = start(Mechanism::Plain, Some("\0tim\0tanstaaf")).unwrap();
    assert_eq!(exchange.refuse(), None);
}

#[test]
fn scram_asks_for_the_user_and_ends_when_our_proof_was_heard() {
    let (mut exchange, step) = start(Mechanism::ScramSha256, Some("n,,n=tim,r=abc")).unwrap();
    assert_eq!(step, Step::Find("tim".into()));
    assert_eq!(exchange.respond(b""), Err(Error::Malformed));
    let (mut exchange, _) = start(Mechanism::ScramSha256, Some("n,,n=tim,r=abc")).unwrap();
    let verifier = Verifier { salt: b"salt".to_vec(), iterations: 4096, candidates: Vec::new() };
    let Ok(Step::Challenge(challenge)) = exchange.found(verifier) else { panic!() };
    let challenge = String::from_utf8(challenge).unwrap();
    assert!(challenge.starts_with("r=abc") && challenge.ends_with(",s=c2FsdA==,i=4096"), "{challenge}");
    let nonce = challenge.split(',').next().unwrap();
    assert_eq!(exchange.respond(format!("c=biws,{nonce},p=AAAA").as_bytes()), Err(Error::Proof));
}

#[test]
fn what_is_too_long_is_not_looked_at() {
    let long = "a".repeat(MAX_RESPONSE + 1);
    assert_eq!(start(Mechanism::Plain, Some(&long)).unwrap_err(), Error::TooLong);
}
