//! From the greeting to the first transaction.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

#[test]
fn a_server_without_ehlo_gets_helo() {
    let mut dialogue = Dialogue::new(options(), false);
    assert_eq!(dialogue.hears("220 old.test\r\n"), "EHLO client.test\r\n");
    assert_eq!(dialogue.hears("502 what?\r\n"), "HELO client.test\r\n");
    dialogue.hears("250 old.test\r\n");
    assert_eq!(dialogue.event, Event::Ready);
    assert_eq!(*dialogue.session.extensions(), Extensions::default());
}

#[test]
fn a_server_that_refuses_is_quoted() {
    for greeting in ["554 5.7.1 no service\r\n", "421 4.3.2 busy\r\n", "450 later\r\n"] {
        let mut dialogue = Dialogue::new(options(), false);
        dialogue.hears(greeting);
        let failure = dialogue.failure();
        assert!(failure.from_peer && failure.stage == Stage::Greeting);
        assert_eq!(format!("{}\r\n", failure.reply), greeting);
        dialogue.goes_on();
        assert_eq!(dialogue.event, Event::Closed);
    }
}

#[test]
fn what_is_no_smtp_is_a_transient_failure() {
    let mut dialogue = Dialogue::new(options(), false);
    dialogue.hears("SSH-2.0-OpenSSH_9.9\r\n");
    assert!(dialogue.failure().reply.is_transient() && !dialogue.failure().from_peer);
}

#[test]
fn tls_is_taken_when_offered_and_nothing_before_it_counts() {
    let mut dialogue = Dialogue::new(options(), false);
    dialogue.hears("220 mx\r\n");
    assert_eq!(dialogue.hears("250-mx\r\n250-SIZE 1\r\n250 STARTTLS\r\n"), "STARTTLS\r\n");
    // CVE-2011-0411 the other way round: replies that were put behind the server's.
    dialogue.hears("220 go\r\n250-mx\r\n250 AUTH PLAIN\r\n");
    assert_eq!(dialogue.event, Event::StartTls);
    dialogue.session.input().extend_from_slice(b"250 evil\r\n");
    dialogue.session.tls_established();
    assert_eq!(dialogue.goes_on(), "EHLO client.test\r\n");
    assert_eq!(dialogue.event, Event::Wait(Stage::Hello));
    dialogue.hears("250-mx\r\n250 DSN\r\n");
    assert_eq!(dialogue.event, Event::Ready);
    assert!(dialogue.session.is_tls());
    assert_eq!(*dialogue.session.extensions(), Extensions { dsn: true, ..Extensions::default() });
}

#[test]
fn tls_that_is_welcome_can_be_refused() {
    let mut dialogue = Dialogue::new(options(), false);
    dialogue.hears("220 mx\r\n");
    dialogue.hears("250-mx\r\n250 STARTTLS\r\n");
    dialogue.hears("454 4.7.0 no certificate\r\n");
    assert_eq!(dialogue.event, Event::Ready);
    assert_eq!(dialogue.session.start_tls_refusal().unwrap().code, 454);
}

#[test]
fn tls_that_is_required_cannot() {
    let required = Options { start_tls: StartTls::Required, ..options() };
    let mut dialogue = Dialogue::new(required.clone(), false);
    dialogue.hears("220 mx\r\n");
    dialogue.hears("250-mx\r\n250 STARTTLS\r\n");
    dialogue.hears("454 4.7.0 no certificate\r\n");
    assert_eq!((dialogue.failure().stage, dialogue.failure().reply.code), (Stage::StartTls, 454));

    let mut dialogue = Dialogue::new(required, false);
    dialogue.hears("220 mx\r\n");
    assert_eq!(dialogue.hears("250 mx\r\n"), "");
    assert!(!dialogue.failure().from_peer && dialogue.failure().reply.is_transient());
}

fn with_credentials(password: &str) -> Options {
    let password = Password::new(password);
    let credentials = Credentials { authorization: None, username: "alice".into(), password };
    Options { credentials: Some(credentials), ..options() }
}

const SCRAM: &str = "250-mx\r\n250 AUTH LOGIN PLAIN SCRAM-SHA-256\r\n";

/// A session that has begun to prove the password; with the client's nonce.
fn proving() -> (Dialogue, String) {
    let mut dialogue = Dialogue::new(with_credentials("secret"), true);
    dialogue.hears("220 mx\r\n");
    let said = dialogue.hears(SCRAM);
    let initial = said.strip_prefix("AUTH SCRAM-SHA-256 ").unwrap().trim_end();
    let first = String::from_utf8(STANDARD.decode(initial).unwrap()).unwrap();
    let nonce = first.strip_prefix("n,,n=alice,r=").unwrap().to_owned();
    (dialogue, nonce)
}

fn challenge(text: &str) -> String {
    format!("334 {}\r\n", STANDARD.encode(text))
}

#[test]
fn a_password_is_proved_rather_than_sent() {
    let (mut dialogue, nonce) = proving();
    let server_first = format!("r={nonce}server,s={},i=4096", STANDARD.encode("salt"));
    let response = dialogue.hears(&challenge(&server_first));
    assert!(!response.contains(&STANDARD.encode("secret")));
    let response = String::from_utf8(STANDARD.decode(response.trim_end()).unwrap()).unwrap();
    let (without_proof, _) = response.split_once(",p=").unwrap();
    let signed = format!("n=alice,r={nonce},{server_first},{without_proof}");
    let proof = server_proof("secret", b"salt", &signed);
    assert_eq!(dialogue.hears(&challenge(&format!("v={proof}"))), "\r\n");
    dialogue.hears("235 2.7.0 yes\r\n");
    assert_eq!(dialogue.event, Event::Ready);
}

#[test]
fn a_server_that_proves_nothing_is_not_believed() {
    let server_first = |nonce: &str| challenge(&format!("r={nonce}server,s={},i=4096", STANDARD.encode("x")));
    let (mut dialogue, _) = proving();
    dialogue.hears("235 2.7.0 yes\r\n");
    assert!(!dialogue.failure().from_peer && dialogue.failure().reply.is_transient());

    let (mut dialogue, nonce) = proving();
    dialogue.hears(&server_first(&nonce));
    dialogue.hears("235 2.7.0 yes\r\n");
    assert_eq!(dialogue.failure().reply.text, "The server did not prove that it knows the password");

    let (mut dialogue, nonce) = proving();
    dialogue.hears(&server_first(&nonce));
    assert_eq!(dialogue.hears(&challenge("v=AAAA")), "");
    assert_eq!(dialogue.failure().stage, Stage::Auth);

    let (mut dialogue, nonce) = proving();
    dialogue.hears(&server_first(&nonce));
    dialogue.hears("535 5.7.8 no\r\n");
    assert!(dialogue.failure().from_peer);
}

/// What a server that knows the password says at last (RFC 5802 §3).
fn server_proof(password: &str, salt: &[u8], signed: &str) -> String {
    use aws_lc_rs::{hmac, pbkdf2};
    let mut salted = [0; 32];
    let rounds = 4096.try_into().unwrap();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, password.as_bytes(), &mut salted);
    let key = |octets: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, octets);
    let server_key = hmac::sign(&key(&salted), b"Server Key");
    STANDARD.encode(hmac::sign(&key(server_key.as_ref()), signed.as_bytes()))
}

#[test]
fn a_password_beyond_ascii_goes_by_plain() {
    let mut dialogue = Dialogue::new(with_credentials("geheimnisträger"), true);
    dialogue.hears("220 mx\r\n");
    assert!(dialogue.hears(SCRAM).starts_with("AUTH PLAIN "));
}

#[test]
fn a_password_is_sent_in_clear_only_where_that_is_wanted() {
    let wanted = Options { auth_in_clear: true, ..with_credentials("secret") };
    let mut dialogue = Dialogue::new(wanted, false);
    dialogue.hears("220 mx\r\n");
    assert!(dialogue.hears("250-mx\r\n250 AUTH PLAIN\r\n").starts_with("AUTH PLAIN "));
}

#[test]
fn a_server_without_a_known_mechanism_is_tried_again() {
    let mut dialogue = Dialogue::new(with_credentials("secret"), true);
    dialogue.hears("220 mx\r\n");
    assert_eq!(dialogue.hears("250-mx\r\n250 AUTH GSSAPI\r\n"), "");
    assert!(dialogue.failure().reply.is_transient());
}

#[test]
fn plain_is_preferred() {
    let mut dialogue = Dialogue::new(with_credentials("secret"), true);
    dialogue.hears("220 mx\r\n");
    assert_eq!(dialogue.hears("250-mx\r\n250 AUTH LOGIN PLAIN\r\n"), "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n");
    dialogue.hears("235 2.7.0 yes\r\n");
    assert_eq!(dialogue.event, Event::Ready);
}

#[test]
fn a_long_response_gets_a_line_of_its_own() {
    let mut dialogue = Dialogue::new(with_credentials(&"x".repeat(600)), true);
    dialogue.hears("220 mx\r\n");
    assert_eq!(dialogue.hears("250-mx\r\n250 AUTH PLAIN\r\n"), "AUTH PLAIN\r\n");
    assert!(dialogue.hears("334 \r\n").len() > 800);
}

#[test]
fn login_is_what_remains() {
    let mut dialogue = Dialogue::new(with_credentials("secret"), true);
    dialogue.hears("220 mx\r\n");
    assert_eq!(dialogue.hears("250-mx\r\n250 AUTH LOGIN\r\n"), "AUTH LOGIN\r\n");
    assert_eq!(dialogue.hears("334 VXNlcm5hbWU6\r\n"), "YWxpY2U=\r\n");
    assert_eq!(dialogue.hears("334 UGFzc3dvcmQ6\r\n"), "c2VjcmV0\r\n");
    dialogue.hears("535 5.7.8 no\r\n");
    assert_eq!((dialogue.failure().stage, dialogue.failure().reply.code), (Stage::Auth, 535));
}

#[test]
fn a_password_is_never_sent_in_clear() {
    let mut dialogue = Dialogue::new(with_credentials("secret"), false);
    dialogue.hears("220 mx\r\n");
    assert_eq!(dialogue.hears("250-mx\r\n250 AUTH PLAIN\r\n"), "");
    assert_eq!(dialogue.failure().stage, Stage::Auth);
}

#[test]
fn a_session_ends_with_quit() {
    let mut dialogue = Dialogue::ready(options(), "");
    dialogue.session.reset();
    assert_eq!(dialogue.goes_on(), "RSET\r\n");
    dialogue.hears("250 OK\r\n");
    assert_eq!(dialogue.event, Event::Ready);
    dialogue.session.quit();
    assert_eq!(dialogue.goes_on(), "QUIT\r\n");
    dialogue.is_cut();
    assert_eq!(dialogue.event, Event::Closed);
}
