use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::message::{Final, First};
use super::server::{Begun, Proved};
use super::*;
use crate::{Binding, Context, Error, Offer};

/// What an RFC's example says, line by line.
struct Example {
    hash: Hash,
    client_first: &'static str,
    server_nonce: &'static str,
    salt: &'static str,
    server_first: &'static str,
    client_final: &'static str,
    server_final: &'static str,
}

/// RFC 5802 §5.
const SHA_1: Example = Example {
    hash: Hash::Sha1,
    client_first: "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    server_nonce: "3rfcNHYJY1ZVvWVs7j",
    salt: "QSXCR+Q6sek8bf92",
    server_first: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    client_final: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    server_final: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
};

/// RFC 7677 §3.
const SHA_256: Example = Example {
    hash: Hash::Sha256,
    client_first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
    server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    server_final: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};

fn verifier(hash: Hash, salt: &str, passwords: &[&str]) -> Verifier {
    let salt = STANDARD.decode(salt).unwrap();
    let iterations = NonZeroU32::new(4096).unwrap();
    let candidates =
        passwords.iter().map(|password| Keys::derive(hash, password, &salt, iterations)).collect();
    Verifier { salt, iterations: 4096, candidates }
}

fn run(example: &Example, passwords: &[&str], client_final: &str) -> Result<Proved, Error> {
    let first = example.client_first.as_bytes();
    let begun = Begun::with_nonce(example.hash, false, &Context::default(), first, example.server_nonce)?;
    assert_eq!(begun.username, "user");
    let (server_first, challenged) = begun.challenge(verifier(example.hash, example.salt, passwords));
    assert_eq!(server_first, example.server_first);
    challenged.verify(client_final.as_bytes())
}

#[test]
fn the_examples_of_the_standards() {
    for example in [SHA_1, SHA_256] {
        let proved = run(&example, &["pencil"], example.client_final).unwrap();
        assert_eq!(proved.server_final, example.server_final);
    }
}

#[test]
fn any_password_of_the_user_is_right_and_no_other() {
    let proved = run(&SHA_256, &["pen", "pencil", "ink"], SHA_256.client_final).unwrap();
    assert_eq!(proved.server_final, SHA_256.server_final);
    for wrong in [&["pen"][..], &[]] {
        assert_eq!(run(&SHA_256, wrong, SHA_256.client_final).unwrap_err(), Error::Proof);
    }
}

#[test]
fn a_proof_of_another_exchange_is_refused() {
    let other = SHA_256.client_final.replace("k0,", "k1,");
    assert_eq!(run(&SHA_256, &["pencil"], &other).unwrap_err(), Error::Malformed);
    let cut = SHA_256.client_final.replace("p=dHzb", "p=");
    assert_eq!(run(&SHA_256, &["pencil"], &cut).unwrap_err(), Error::Proof);
    let unbound = SHA_256.client_final.replace("c=biws", "c=eSws");
    assert_eq!(run(&SHA_256, &["pencil"], &unbound).unwrap_err(), Error::Binding);
}

fn begin(binds: bool, context: &Context, first: &str) -> Result<Begun, Error> {
    Begun::with_nonce(Hash::Sha256, binds, context, first.as_bytes(), "ours")
}

#[test]
fn the_channel_is_bound_if_the_mechanism_says_so_and_only_then() {
    let bindings = Binding { tls_exporter: Some(b"secret".to_vec()), tls_server_end_point: None };
    let offered = Context { bindings, offer: Offer::WithBinding };
    assert!(begin(true, &offered, "p=tls-exporter,,n=user,r=x").is_ok());
    // A kind that this connection has not, or that nobody has.
    for kind in ["tls-server-end-point", "tls-unique", ""] {
        let refused = begin(true, &offered, &format!("p={kind},,n=user,r=x")).err();
        assert_eq!(refused, Some(Error::Binding), "{kind}");
    }
    assert_eq!(begin(false, &offered, "p=tls-exporter,,n=user,r=x").err(), Some(Error::Binding));
    assert_eq!(begin(true, &offered, "n,,n=user,r=x").err(), Some(Error::Malformed));
}

#[test]
fn a_client_that_was_deceived_about_bindings_is_refused() {
    let offered = Context { offer: Offer::WithBinding, ..Context::default() };
    assert_eq!(begin(false, &offered, "y,,n=user,r=x").err(), Some(Error::Binding));
    assert!(begin(false, &offered, "n,,n=user,r=x").is_ok());
    assert!(begin(false, &Context::default(), "y,,n=user,r=x").is_ok());
}

#[test]
fn a_channel_that_is_another_is_refused() {
    let context = |secret: &str| Context {
        bindings: Binding { tls_exporter: Some(secret.into()), tls_server_end_point: None },
        offer: Offer::WithBinding,
    };
    let begun = begin(true, &context("here"), "p=tls-exporter,,n=user,r=x").unwrap();
    let (_, challenged) = begun.challenge(verifier(Hash::Sha256, "AAAA", &["pencil"]));
    let there = STANDARD.encode("p=tls-exporter,,there");
    let refused = challenged.verify(format!("c={there},r=xours,p=AAAA").as_bytes());
    assert_eq!(refused.unwrap_err(), Error::Binding);
}

#[test]
fn names_may_hold_commas_and_equals_signs() {
    let username = |first| begin(false, &Context::default(), first).map(|begun| begun.username);
    assert_eq!(username("n,,n=a=2Cb=3Dc,r=x"), Ok("a,b=c".to_owned()));
    assert_eq!(username("n,a=user,n=user,r=x"), Ok("user".to_owned()));
    assert_eq!(username("n,a=,n=user,r=x"), Ok("user".to_owned()));
    assert_eq!(username("n,a=other,n=user,r=x"), Err(Error::Proxy));
    for malformed in [
        "",
        "n",
        "n,",
        "n,,",
        "n,,n=,r=x",
        "n,,n=user",
        "n,,n=user,r=",
        "n,,n=a=2cb,r=x",
        "n,,n=a=,r=x",
        "n,,m=ext,n=user,r=x",
        "x,,n=user,r=x",
        "n,b=c,n=user,r=x",
        "n,,n=user,r=a b",
    ] {
        assert_eq!(username(malformed), Err(Error::Malformed), "{malformed}");
    }
}

#[test]
fn extensions_at_the_end_are_passed_over() {
    assert!(begin(false, &Context::default(), "n,,n=user,r=x,z=ext").is_ok());
    let last = Final::parse(b"c=biws,r=xy,z=ext,p=AAAA").unwrap();
    assert_eq!(last.without_proof, "c=biws,r=xy,z=ext");
}

proptest! {
    #[test]
    fn no_message_panics(message in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = First::parse(&message);
        let _ = Final::parse(&message);
    }

    #[test]
    fn no_message_that_looks_right_panics(first in "[nyp]=?[a-z,=-]{0,20},,n=.{0,10},r=.{0,10}", last in "c=.{0,10},r=.{0,10},p=.{0,10}") {
        let _ = First::parse(first.as_bytes());
        let _ = Final::parse(last.as_bytes());
    }
}
