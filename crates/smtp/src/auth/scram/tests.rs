use super::*;
use crate::auth::Password;

const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

fn credentials(username: &str, password: &str) -> Credentials {
    Credentials { authorization: None, username: username.into(), password: Password::new(password) }
}

/// The exchange of RFC 7677 §3, as far as the client's first message.
fn begun() -> Scram {
    Scram::with_nonce(credentials("user", "pencil"), CLIENT_NONCE.into())
}

fn hears(scram: &mut Scram, message: &str) -> Result<String, ScramError> {
    let response = scram.respond(&STANDARD.encode(message))?;
    Ok(String::from_utf8(STANDARD.decode(response).unwrap()).unwrap())
}

#[test]
fn the_exchange_of_rfc_7677() {
    let mut scram = begun();
    let first = STANDARD.decode(scram.initial_response()).unwrap();
    assert_eq!(first, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    assert_eq!(
        hears(&mut scram, SERVER_FIRST).unwrap(),
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    assert!(!scram.is_verified());
    assert_eq!(hears(&mut scram, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap(), "");
    assert!(scram.is_verified());
    assert_eq!(hears(&mut scram, "v=again"), Err(ScramError::Malformed));
}

#[test]
fn a_server_that_does_not_know_the_password_is_found_out() {
    for proof in ["v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "v=", "e=other-error", ""] {
        let mut scram = begun();
        hears(&mut scram, SERVER_FIRST).unwrap();
        assert_eq!(hears(&mut scram, proof), Err(ScramError::Impostor), "{proof}");
        assert!(!scram.is_verified());
    }
}

#[test]
fn challenges_that_are_not_ours_or_unsafe_are_refused() {
    for (challenge, error) in [
        ("r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", ScramError::Impostor),
        ("r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", ScramError::Impostor),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1", ScramError::Iterations(1)),
        (
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000",
            ScramError::Iterations(4_000_000_000),
        ),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0", ScramError::Malformed),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096", ScramError::Malformed),
        ("m=must,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", ScramError::Malformed),
        ("", ScramError::Malformed),
    ] {
        assert_eq!(hears(&mut begun(), challenge), Err(error), "{challenge}");
    }
    assert_eq!(begun().respond("!"), Err(ScramError::Malformed));
}

#[test]
fn names_are_escaped_and_nonces_are_new() {
    let acting = Credentials { authorization: Some("b,b".into()), ..credentials("a=,", "x") };
    let scram = Scram::with_nonce(acting.clone(), "N".into());
    let first = STANDARD.decode(scram.initial_response()).unwrap();
    assert_eq!(first, b"n,a=b=2Cb,n=a=3D=2C,r=N");
    let nonce = || Scram::start(acting.clone()).unwrap().nonce;
    assert_ne!(nonce(), nonce());
}

#[test]
fn what_would_need_saslprep_is_not_proved() {
    assert!(Scram::can_prove(&credentials("alice", "a secret")));
    assert!(!Scram::can_prove(&credentials("alice", "geheimnisträger")));
    assert!(!Scram::can_prove(&credentials("alice", "line\n")));
}
