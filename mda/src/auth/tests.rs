mod app_passwords;
mod scram;
mod without_passwords;

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::testing::{TestStore, authenticator_with, cheap_passwords};

const ALICE: &str = "alice@example.test";
const HOME: &str = "192.0.2.7";
const ELSEWHERE: &str = "198.51.100.9";

/// A store with one account, and what checks its password. From here on time passes only when everyone waits.
async fn setup(config: PasswordsConfig) -> (TestStore, Authenticator) {
    let store = TestStore::open();
    let authenticator = authenticator_with(&store, &config, &SaslConfig::default());
    let password = authenticator.make_password(ALICE, "right").await.unwrap();
    store.create_account_with(ALICE, password).await;
    tokio::time::pause();
    (store, authenticator)
}

fn nowhere() -> Client {
    Client { address: None, ..from(HOME) }
}

fn from(address: &str) -> Client {
    Client { address: Some(address.parse().unwrap()), protocol: Protocol::Imap, tls: None }
}

fn config() -> PasswordsConfig {
    PasswordsConfig { failures_per_user: 4, failures_per_network: 8, ..cheap_passwords() }
}

#[tokio::test]
async fn the_right_password_gives_the_account_however_the_name_is_spelt() {
    let (_store, authenticator) = setup(config()).await;
    for name in [ALICE, "Alice@EXAMPLE.test"] {
        let account = authenticator.authenticate(name, "right", &from(HOME)).await.unwrap();
        assert_eq!(account.name, ALICE);
    }
}

#[tokio::test]
async fn wrong_password_and_unknown_user_look_and_cost_the_same() {
    let (_store, authenticator) = setup(config()).await;
    for name in [ALICE, "nobody@example.test", "no address"] {
        let start = Instant::now();
        assert_eq!(
            authenticator.authenticate(name, "wrong", &from(HOME)).await,
            Err(AuthError::Wrong),
            "{name}"
        );
        assert!(start.elapsed() >= *config().failure_delay, "{name} was answered at once");
    }
}

#[tokio::test]
async fn passwords_that_cannot_be_are_wrong() {
    let (_store, authenticator) = setup(config()).await;
    for password in ["", &"a".repeat(MAX_PASSWORD + 1)] {
        assert_eq!(authenticator.authenticate(ALICE, password, &from(HOME)).await, Err(AuthError::Wrong));
    }
}

#[tokio::test]
async fn failures_are_answered_later_and_later_and_then_unseen() {
    let (_store, authenticator) = setup(config()).await;
    let mut last = Duration::ZERO;
    for _ in 0..config().failures_per_user {
        let start = Instant::now();
        assert_eq!(authenticator.authenticate(ALICE, "wrong", &from(HOME)).await, Err(AuthError::Wrong));
        assert!(start.elapsed() > last);
        last = start.elapsed();
    }
    let refused = authenticator.authenticate(ALICE, "right", &from(ELSEWHERE)).await;
    let Err(AuthError::Throttled { retry_after }) = refused else { panic!("{refused:?}") };
    tokio::time::advance(retry_after).await;
    assert!(authenticator.authenticate(ALICE, "right", &from(ELSEWHERE)).await.is_ok());
}

#[tokio::test]
async fn one_network_is_limited_over_all_users() {
    let (_store, authenticator) = setup(config()).await;
    for user in 0..=config().failures_per_network {
        let _ = authenticator.authenticate(&format!("user{user}@example.test"), "wrong", &from(HOME)).await;
    }
    let refused = authenticator.authenticate(ALICE, "right", &from(HOME)).await;
    assert!(matches!(refused, Err(AuthError::Throttled { .. })), "{refused:?}");
    assert!(authenticator.authenticate(ALICE, "right", &from(ELSEWHERE)).await.is_ok());
}

#[tokio::test]
async fn attempts_sent_all_at_once_do_not_pass_the_limit() {
    let (_store, authenticator) = setup(config()).await;
    let attempts = (0..100).map(|guess| {
        let authenticator = authenticator.clone();
        tokio::spawn(
            async move { authenticator.authenticate(ALICE, &format!("guess{guess}"), &from(HOME)).await },
        )
    });
    let attempts: Vec<_> = attempts.collect();
    let mut looked_at = 0;
    for attempt in attempts {
        looked_at += usize::from(attempt.await.unwrap() == Err(AuthError::Wrong));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let limit = config().failures_per_user as usize;
    assert!((1..limit + cores).contains(&looked_at), "{looked_at} guesses were looked at");
}

#[tokio::test]
async fn a_client_that_polls_gets_in_while_others_guess_elsewhere() {
    let (_store, authenticator) = setup(config()).await;
    assert!(authenticator.authenticate(ALICE, "right", &from(HOME)).await.is_ok());
    for _ in 0..=config().failures_per_user {
        let _ = authenticator.authenticate(ALICE, "wrong", &from(ELSEWHERE)).await;
    }
    assert!(authenticator.authenticate(ALICE, "right", &from(HOME)).await.is_ok());
    let refused = authenticator.authenticate(ALICE, "right", &from(ELSEWHERE)).await;
    assert!(matches!(refused, Err(AuthError::Throttled { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_new_password_counts_at_once_and_the_old_one_no_more() {
    let (store, authenticator) = setup(config()).await;
    let account = authenticator.authenticate(ALICE, "right", &from(HOME)).await.unwrap();
    let password = authenticator.make_password(&account.name, "new").await.unwrap();
    store.store.set_password(account.id, password, None).await.unwrap();
    assert_eq!(authenticator.authenticate(ALICE, "right", &from(HOME)).await, Err(AuthError::Wrong));
    assert!(authenticator.authenticate(ALICE, "new", &from(HOME)).await.is_ok());
}

#[tokio::test]
async fn a_removed_account_is_locked_out_at_once() {
    let (store, authenticator) = setup(config()).await;
    let account = authenticator.authenticate(ALICE, "right", &from(HOME)).await.unwrap();
    store.store.remove_account(account.id).await.unwrap();
    assert_eq!(authenticator.authenticate(ALICE, "right", &from(HOME)).await, Err(AuthError::Wrong));
}

#[tokio::test]
async fn a_stored_hash_that_cannot_be_read_is_our_fault_not_the_clients() {
    let (store, authenticator) = setup(config()).await;
    store.create_account_with_hash("bob@example.test", "not a hash".to_owned()).await;
    let refused = authenticator.authenticate("bob@example.test", "right", &from(HOME)).await;
    assert!(matches!(refused, Err(AuthError::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn costs_out_of_bounds_are_refused_when_starting() {
    let store = TestStore::open();
    let config = PasswordsConfig { passes: 0, ..config() };
    let decoy = Decoy::fleeting().unwrap();
    let refused = Authenticator::new(store.store.clone(), &config, &SaslConfig::default(), decoy);
    assert!(matches!(refused, Err(AuthError::Unavailable(_))));
}

#[tokio::test]
async fn failures_that_are_held_back_keep_nobody_else_waiting() {
    let delay = Duration::from_mins(1).into();
    let config = PasswordsConfig { failure_delay: delay, max_failure_delay: delay, ..config() };
    let (_store, authenticator) = setup(config).await;
    let failures: Vec<_> = (0..32)
        .map(|user| {
            let authenticator = authenticator.clone();
            let name = format!("user{user}@example.test");
            tokio::spawn(async move { authenticator.authenticate(&name, "wrong", &nowhere()).await })
        })
        .collect();
    // They queue for the cores first.
    tokio::task::yield_now().await;
    let start = Instant::now();
    assert!(authenticator.authenticate(ALICE, "right", &from(HOME)).await.is_ok());
    assert_eq!(start.elapsed(), Duration::ZERO);
    for failure in failures {
        assert_eq!(failure.await.unwrap(), Err(AuthError::Wrong));
    }
}
