//! Tokens and certificates.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use service::tls::ClientCertificate;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::config::OAuthConfig;

/// An authorization server that knows one token, `good`, of Alice.
struct AuthorizationServer {
    config: OAuthConfig,
    asked: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

impl AuthorizationServer {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let client_secret_file = folder.path().join("secret");
        std::fs::write(&client_secret_file, "s3cret\n").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let introspection = format!("http://{}/introspect", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let mut length = 0;
                while !String::from_utf8_lossy(&request[..length]).contains("token_type_hint") {
                    length += stream.read(&mut request[length..]).await.unwrap();
                }
                counted.fetch_add(1, Ordering::SeqCst);
                let request = String::from_utf8_lossy(&request[..length]);
                // `mail:s3cret`
                assert!(request.contains("authorization: Basic bWFpbDpzM2NyZXQ="), "{request}");
                let good = request.contains("\r\n\r\ntoken=good&");
                let body = if good {
                    format!(
                        "{{\"active\": true, \"username\": \"{ALICE}\", \"scope\": \"openid mail\", \
                         \"aud\": [\"web\", \"waypost\"]}}"
                    )
                } else {
                    "{\"active\": false}".to_owned()
                };
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let config = OAuthConfig {
            introspection,
            client_id: "mail".into(),
            client_secret_file,
            ..OAuthConfig::default()
        };
        Self { config, asked, _folder: folder }
    }

    fn authenticator(&self, store: &TestStore) -> Authenticator {
        let passwords = PasswordsConfig { failure_delay: Duration::ZERO.into(), ..config() };
        authenticator_with(store, &passwords, &SaslConfig::default())
            .taking(Tokens::new(&self.config).unwrap())
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn bearer(authenticator: &Authenticator, user: &str, token: &str) -> Result<Progress, SaslError> {
    let message = format!("n,a={user},\u{1}auth=Bearer {token}\u{1}\u{1}");
    let begun = authenticator.begin("OAUTHBEARER", from(HOME), Some(message.as_bytes())).await;
    let (mut exchange, progress) = begun?;
    match progress {
        Progress::Challenge(words) => {
            assert!(words.starts_with(b"{\"status\":"));
            exchange.respond(b"\x01").await
        }
        done @ Progress::Done(_) => Ok(done),
    }
}

#[tokio::test]
async fn a_good_token_lets_its_owner_in_and_is_asked_about_once() {
    let (store, server) = (TestStore::open(), AuthorizationServer::start().await);
    let authenticator = server.authenticator(&store);
    let password = authenticator.make_password(ALICE, "right").await.unwrap();
    let alice = store.create_account_with(ALICE, password).await;
    for _ in 0..2 {
        let Ok(Progress::Done(account)) = bearer(&authenticator, ALICE, "good").await else { panic!() };
        assert_eq!(account.name, ALICE);
    }
    assert_eq!(server.asked(), 1);
    // A new password ends what was remembered.
    let password = authenticator.make_password(&alice.name, "new").await.unwrap();
    store.store.set_password(alice.id, password, None).await.unwrap();
    assert!(bearer(&authenticator, ALICE, "good").await.is_ok());
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn a_token_of_another_or_of_nobody_is_refused() {
    let (store, server) = (TestStore::open(), AuthorizationServer::start().await);
    let authenticator = server.authenticator(&store);
    store.create_account_with_hash(ALICE, "*".into()).await;
    store.create_account_with_hash("bob@example.test", "*".into()).await;
    for (user, token) in [(ALICE, "bad"), ("bob@example.test", "good")] {
        let refused = bearer(&authenticator, user, token).await.map(|_| ());
        assert_eq!(refused, Err(SaslError::Refused(AuthError::Wrong)), "{user} {token}");
    }
}

#[tokio::test]
async fn without_an_authorization_server_tokens_are_not_offered() {
    let (_store, authenticator) = setup(config()).await;
    let offered = authenticator.mechanisms(&from(HOME));
    assert!(!offered.contains(&Mechanism::OAuthBearer) && !offered.contains(&Mechanism::External));
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_is_no_wrong_password() {
    let store = TestStore::open();
    let mut server = AuthorizationServer::start().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    server.config.introspection = format!("http://{nobody}/");
    let refused = bearer(&server.authenticator(&store), ALICE, "good").await;
    assert!(matches!(refused, Err(SaslError::Refused(AuthError::Unavailable(_)))), "{refused:?}");
    for address in ["ftp://example.test/", "http://example.test/", "nonsense"] {
        server.config.introspection = address.to_owned();
        assert!(Tokens::new(&server.config).is_err(), "{address}");
    }
}

fn showing(fingerprint: &str, emails: &[&str]) -> Client {
    let emails = emails.iter().map(|&address| address.to_owned()).collect();
    let certificate = Some(ClientCertificate { fingerprint: fingerprint.to_owned(), emails });
    Client { tls: Some(Tls { certificate, ..Tls::default() }), ..from(HOME) }
}

async fn external(authenticator: &Authenticator, client: Client, name: &str) -> Option<String> {
    let begun = authenticator.begin("EXTERNAL", client, Some(name.as_bytes())).await;
    match begun {
        Ok((_, Progress::Done(account))) => Some(account.name),
        _ => None,
    }
}

#[tokio::test]
async fn a_certificate_is_of_whom_it_names_or_the_operator_says() {
    const BOB: &str = "bob@example.test";
    let (store, authenticator) = setup(config()).await;
    store.create_account_with_hash(BOB, "*".into()).await;
    let fingerprint = "ab".repeat(32);
    let accounts = BTreeMap::from([(fingerprint.to_uppercase(), BOB.to_owned())]);
    let authenticator = authenticator.mapping(&accounts);
    let log_in = |client, name| external(&authenticator, client, name);
    let alice = Some(ALICE.to_owned());
    assert_eq!(log_in(showing("00", &["Alice@Example.test"]), "").await, alice);
    assert_eq!(log_in(showing("00", &[ALICE, BOB]), ALICE).await, alice);
    assert_eq!(log_in(showing(&fingerprint, &[ALICE]), "").await, Some(BOB.to_owned()));
    // Of two people, of somebody else, of nobody.
    assert_eq!(log_in(showing("00", &[ALICE, BOB]), "").await, None);
    assert_eq!(log_in(showing("00", &[ALICE]), BOB).await, None);
    assert_eq!(log_in(showing("00", &["carol@example.test"]), "").await, None);
    let nobody = showing("00", &["carol@example.test"]);
    assert!(!authenticator.mechanisms(&nobody).contains(&Mechanism::External));
}

#[tokio::test]
async fn logins_that_meet_while_a_hash_is_renewed_all_stay_in() {
    let store = TestStore::open();
    let authenticator = authenticator_with(&store, &config(), &SaslConfig::default());
    let hash = import("{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW").unwrap();
    store.create_account_with_hash(ALICE, hash).await;
    // This one is still to be let in when the next has renewed the hash.
    let slow = store.store.account_by_address(ALICE).unwrap().unwrap();
    let client = from(HOME);
    let (one, other) = tokio::join!(
        authenticator.authenticate(ALICE, "U*U", &client),
        authenticator.authenticate(ALICE, "U*U", &client)
    );
    for account in [&slow, &one.unwrap(), &other.unwrap()] {
        assert!(!authenticator.stay(account).over().is_cancelled());
    }
    let password = authenticator.make_password(ALICE, "new").await.unwrap();
    store.store.set_password(slow.id, password, None).await.unwrap();
    assert!(authenticator.stay(&slow).over().is_cancelled(), "that is another password");
}

#[tokio::test]
async fn a_hash_of_another_system_becomes_one_of_ours_at_the_first_right_login() {
    let store = TestStore::open();
    let authenticator = authenticator_with(&store, &config(), &SaslConfig::default());
    let hash = import("{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW").unwrap();
    store.create_account_with_hash(ALICE, hash.clone()).await;
    assert_eq!(authenticator.authenticate(ALICE, "wrong", &from(HOME)).await, Err(AuthError::Wrong));
    assert!(authenticator.authenticate(ALICE, "U*U", &from(HOME)).await.is_ok());
    let kept = store.store.account_by_address(ALICE).unwrap().unwrap().password;
    assert!(kept.hash.starts_with("$argon2id$") && kept.scram.is_some());
    assert!(authenticator.authenticate(ALICE, "U*U", &from(HOME)).await.is_ok());
    assert!(scram::log_in(&authenticator, ALICE, "U*U").await.is_ok());
}

#[tokio::test]
async fn a_hash_of_other_costs_is_replaced_at_the_first_right_login() {
    let store = TestStore::open();
    let costs = |passes| PasswordsConfig { passes, ..config() };
    let before = authenticator_with(&store, &costs(1), &SaslConfig::default());
    let password = before.make_password(ALICE, "right").await.unwrap();
    store.create_account_with(ALICE, password).await;
    let authenticator = authenticator_with(&store, &costs(2), &SaslConfig::default());
    assert!(authenticator.authenticate(ALICE, "right", &from(HOME)).await.is_ok());
    let kept = store.store.account_by_address(ALICE).unwrap().unwrap().password;
    assert!(kept.hash.contains(",t=2,"), "{}", kept.hash);
    scram::log_in(&authenticator, ALICE, "right").await.unwrap();
    assert!(authenticator.authenticate(ALICE, "right", &from(HOME)).await.is_ok());
}

#[tokio::test]
async fn a_token_that_was_granted_for_something_else_is_refused() {
    let (store, mut server) = (TestStore::open(), AuthorizationServer::start().await);
    store.create_account_with_hash(ALICE, "*".into()).await;
    for (scopes, audience, good) in [
        (&["mail"][..], Some("waypost"), true),
        (&["mail", "openid"], None, true),
        (&["mail", "admin"], None, false),
        (&[], Some("elsewhere"), false),
    ] {
        server.config.scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        server.config.audience = audience.map(str::to_owned);
        let outcome = bearer(&server.authenticator(&store), ALICE, "good").await;
        assert_eq!(outcome.is_ok(), good, "{scopes:?} {audience:?}");
    }
}
