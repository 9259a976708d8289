//! SCRAM with accounts: what the mechanism itself does is tested in the `sasl` crate, and with other programs in the
//! pipeline's scenarios.

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::future::join_all;

use super::*;
use crate::auth::exchange::{Progress, SaslError};
use crate::store::Password;

/// A client that knows a password.
struct Prover {
    exchange: Exchange,
    first: String,
    challenge: String,
}

impl Prover {
    /// Says who it is, and hears salt and rounds.
    async fn begin(
        authenticator: &Authenticator,
        username: &str,
        client: &Client,
    ) -> Result<Self, SaslError> {
        let first = format!("n={username},r=abc");
        let initial = format!("n,,{first}");
        let begun = authenticator.begin("SCRAM-SHA-256", client.clone(), Some(initial.as_bytes())).await;
        let (exchange, progress) = begun?;
        let Progress::Challenge(challenge) = progress else { panic!("{progress:?}") };
        Ok(Self { exchange, first, challenge: String::from_utf8(challenge).unwrap() })
    }

    fn attribute(&self, name: &str) -> &str {
        self.challenge.split(',').find_map(|attribute| attribute.strip_prefix(name)).unwrap()
    }

    /// Proves a password, and has the server prove that it knows it too.
    async fn prove(mut self, password: &str) -> Result<Account, SaslError> {
        let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
        let salt = BASE64_STANDARD.decode(self.attribute("s=")).unwrap();
        let iterations = self.attribute("i=").parse().unwrap();
        let mut salted = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password.as_bytes(), &mut salted);
        let key = sign(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA256, key.as_ref());
        let last = format!("c=biws,r={}", self.attribute("r="));
        let signed = format!("{},{},{last}", self.first, self.challenge);
        let signature = sign(stored.as_ref(), signed.as_bytes());
        let proof: Vec<u8> =
            key.as_ref().iter().zip(signature.as_ref()).map(|(key, bits)| key ^ bits).collect();
        let last = format!("{last},p={}", BASE64_STANDARD.encode(proof));
        let Progress::Challenge(theirs) = self.exchange.respond(last.as_bytes()).await? else { panic!() };
        let expected = sign(sign(&salted, b"Server Key").as_ref(), signed.as_bytes());
        assert_eq!(theirs, format!("v={}", BASE64_STANDARD.encode(expected)).as_bytes());
        match self.exchange.respond(b"").await? {
            Progress::Done(account) => Ok(*account),
            progress @ Progress::Challenge(_) => panic!("{progress:?}"),
        }
    }
}

pub(super) async fn log_in(
    authenticator: &Authenticator,
    username: &str,
    password: &str,
) -> Result<Account, SaslError> {
    Prover::begin(authenticator, username, &from(HOME)).await?.prove(password).await
}

const WRONG: SaslError = SaslError::Refused(AuthError::Wrong);

#[tokio::test]
async fn a_password_is_proved_however_the_name_is_spelt() {
    let (_store, authenticator) = setup(config()).await;
    for name in [ALICE, "Alice@EXAMPLE.test"] {
        assert_eq!(log_in(&authenticator, name, "right").await.unwrap().name, ALICE);
    }
    assert_eq!(log_in(&authenticator, ALICE, "wrong").await, Err(WRONG));
}

#[tokio::test]
async fn who_exists_cannot_be_told_from_the_answers() {
    let (store, authenticator) = setup(config()).await;
    store.create_account_with_hash("without.keys@example.test", "*".to_owned()).await;
    for name in [ALICE, "nobody@example.test", "without.keys@example.test", "no address"] {
        let told = async || {
            let prover = Prover::begin(&authenticator, name, &from(HOME)).await.unwrap();
            (prover.attribute("s=").to_owned(), prover.attribute("i=").to_owned())
        };
        let (salt, iterations) = told().await;
        assert_eq!(told().await.0, salt, "{name} has another salt each time");
        assert_eq!((salt.len(), iterations.as_str()), (24, "4096"), "{name}");
        let start = Instant::now();
        assert_eq!(log_in(&authenticator, name, "wrong").await, Err(WRONG), "{name}");
        assert!(start.elapsed() >= *config().failure_delay, "{name} was answered at once");
    }
}

#[tokio::test]
async fn failures_count_whatever_the_mechanism() {
    let (_store, authenticator) = setup(config()).await;
    for attempt in 0..config().failures_per_user {
        let refused = if attempt % 2 == 0 {
            log_in(&authenticator, ALICE, "wrong").await.unwrap_err()
        } else {
            authenticator.authenticate(ALICE, "wrong", &from(HOME)).await.unwrap_err().into()
        };
        assert_eq!(refused, WRONG);
    }
    let refused = Prover::begin(&authenticator, ALICE, &from(ELSEWHERE)).await.err();
    assert!(matches!(refused, Some(SaslError::Refused(AuthError::Throttled { .. }))), "{refused:?}");
}

#[tokio::test]
async fn exchanges_begun_all_at_once_do_not_pass_the_limit() {
    let (_store, authenticator) = setup(config()).await;
    let (client, late) = (from(HOME), Prover::begin(&authenticator, ALICE, &from(ELSEWHERE)).await.unwrap());
    let begun = (0..100).map(|_| Prover::begin(&authenticator, ALICE, &client));
    let provers: Vec<_> = join_all(begun).await.into_iter().map(Result::unwrap).collect();
    let proved = provers.into_iter().enumerate().map(|(at, prover)| async move {
        let refused = prover.prove(&format!("guess{at}")).await;
        usize::from(refused == Err(WRONG))
    });
    let looked_at: usize = join_all(proved).await.into_iter().sum();
    assert_eq!(looked_at, config().failures_per_user as usize);
    let refused = late.prove("right").await;
    assert!(matches!(refused, Err(SaslError::Refused(AuthError::Throttled { .. }))), "{refused:?}");
}

#[tokio::test]
async fn a_password_that_changes_during_an_exchange_is_not_let_in() {
    let (store, authenticator) = setup(config()).await;
    let account = log_in(&authenticator, ALICE, "right").await.unwrap();
    let prover = Prover::begin(&authenticator, ALICE, &from(HOME)).await.unwrap();
    let password = authenticator.make_password(&account.name, "new").await.unwrap();
    store.store.set_password(account.id, password, None).await.unwrap();
    assert_eq!(prover.prove("right").await, Err(WRONG));
    assert!(log_in(&authenticator, ALICE, "new").await.is_ok());
}

#[tokio::test]
async fn keys_are_made_when_the_password_is_first_seen() {
    let store = TestStore::open();
    let authenticator = authenticator_with(&store, &config(), &SaslConfig::default());
    let Password { hash, .. } = authenticator.make_password(ALICE, "right").await.unwrap();
    store.create_account_with_hash(ALICE, hash.clone()).await;
    let authenticator = authenticator_with(&store, &config(), &SaslConfig::default());
    // Nobody could use it yet.
    assert!(!authenticator.mechanisms(&from(HOME)).contains(&Mechanism::ScramSha256));
    assert!(authenticator.authenticate(ALICE, "right", &from(HOME)).await.is_ok());
    assert!(authenticator.mechanisms(&from(HOME)).contains(&Mechanism::ScramSha256));
    assert!(log_in(&authenticator, ALICE, "right").await.is_ok());
    assert_eq!(store.store.account_by_address(ALICE).unwrap().unwrap().password.hash, hash);
    // After a restart too.
    let authenticator = authenticator_with(&store, &config(), &SaslConfig::default());
    assert!(authenticator.mechanisms(&from(HOME)).contains(&Mechanism::ScramSha256));
}

#[tokio::test]
async fn letters_that_can_be_written_in_two_ways_are_the_same() {
    let store = TestStore::open();
    let authenticator = authenticator_with(&store, &config(), &SaslConfig::default());
    let password = authenticator.make_password(ALICE, "p\u{e4}ss").await.unwrap();
    store.create_account_with(ALICE, password).await;
    assert!(authenticator.authenticate(ALICE, "pa\u{308}ss", &from(HOME)).await.is_ok());
    assert!(log_in(&authenticator, ALICE, "p\u{e4}ss").await.is_ok());
}

#[tokio::test]
async fn clients_of_a_network_can_be_offered_something_else() {
    let store = TestStore::open();
    let text = "mechanisms = ['PLAIN', 'scram-sha-256']\n\
        [[exceptions]]\nnetworks = ['192.0.2.0/24']\nmechanisms = ['LOGIN']";
    let authenticator = authenticator_with(&store, &config(), &toml::from_str(text).unwrap());
    authenticator.make_password(ALICE, "right").await.unwrap();
    assert_eq!(authenticator.mechanisms(&from(HOME)), [Mechanism::Login]);
    assert_eq!(authenticator.mechanisms(&from(ELSEWHERE)), [Mechanism::ScramSha256, Mechanism::Plain]);
    let refused = authenticator.begin("PLAIN", from(HOME), None).await.err();
    assert_eq!(refused, Some(SaslError::Mechanism));
}

#[tokio::test]
async fn channels_are_bound_where_there_is_tls() {
    let (_store, authenticator) = setup(config()).await;
    let bindings = sasl::Binding { tls_exporter: Some(vec![7; 32]), tls_server_end_point: None };
    let secure = Client { tls: Some(Tls { bindings, certificate: None }), ..from(HOME) };
    assert_eq!(authenticator.mechanisms(&secure)[0], Mechanism::ScramSha256Plus);
    assert_eq!(authenticator.mechanisms(&from(HOME))[0], Mechanism::ScramSha256);
    // Whoever took the `-PLUS` out of what we offered has deceived this client.
    let deceived = authenticator.begin("SCRAM-SHA-256", secure, Some(b"y,,n=alice@example.test,r=abc")).await;
    assert_eq!(deceived.err(), Some(WRONG));
}

#[tokio::test]
async fn no_change_of_a_password_shows_in_its_salt() {
    let (store, authenticator) = setup(config()).await;
    let salt = async |name: &str| {
        let prover = Prover::begin(&authenticator, name, &from(HOME)).await.unwrap();
        prover.attribute("s=").to_owned()
    };
    // Nobody knows this one yet, then without keys, then with some.
    let name = "late@example.test";
    let before = salt(name).await;
    let Password { hash, .. } = authenticator.make_password(name, "right").await.unwrap();
    let account = store.create_account_with_hash(name, hash).await;
    assert_eq!(salt(name).await, before);
    authenticator.authenticate(name, "right", &from(HOME)).await.unwrap();
    assert_eq!(salt(name).await, before, "its keys were made at login");
    let password = authenticator.make_password(name, "new").await.unwrap();
    store.store.set_password(account.id, password, None).await.unwrap();
    assert_eq!(salt(name).await, before);
    log_in(&authenticator, name, "new").await.unwrap();
}
