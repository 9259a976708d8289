//! Passwords for programs.

use super::scram::log_in;
use super::*;
use crate::auth::exchange::SaslError;

const MAIL: Protocols = Protocols { imap: true, pop3: false, submission: true };

async fn add(store: &TestStore, authenticator: &Authenticator, name: &str) -> String {
    let account = store.store.account_by_address(ALICE).unwrap().unwrap();
    let made = authenticator.make_app_password(&account, name.to_owned(), MAIL).await;
    let (password, kept) = made.unwrap();
    store.store.add_app_password(account.id, kept).await.unwrap();
    password
}

#[tokio::test]
async fn it_opens_what_it_was_made_for_and_nothing_else() {
    let (store, authenticator) = setup(config()).await;
    let password = add(&store, &authenticator, "phone").await;
    for (protocol, opens) in [(Protocol::Imap, true), (Protocol::Grpc, true), (Protocol::Pop3, false)] {
        let client = Client { protocol, ..from(HOME) };
        let checked = authenticator.authenticate(ALICE, &password, &client).await;
        assert_eq!(checked.is_ok(), opens, "{protocol:?}");
    }
    let spelt = password.to_uppercase().replace('-', " ");
    assert!(authenticator.authenticate(ALICE, &spelt, &from(HOME)).await.is_ok());
    assert!(authenticator.authenticate(ALICE, "right", &from(HOME)).await.is_ok());
}

#[tokio::test]
async fn it_is_wrong_from_the_moment_it_is_removed() {
    let (store, authenticator) = setup(config()).await;
    let (phone, laptop) =
        (add(&store, &authenticator, "phone").await, add(&store, &authenticator, "laptop").await);
    let account = authenticator.authenticate(ALICE, &phone, &from(HOME)).await.unwrap();
    assert!(authenticator.app_password_last_used(account.id, "phone").is_some());
    assert_eq!(authenticator.app_password_last_used(account.id, "laptop"), None);
    assert!(store.store.remove_app_password(account.id, "phone".into()).await.unwrap());
    assert_eq!(authenticator.authenticate(ALICE, &phone, &from(HOME)).await, Err(AuthError::Wrong));
    assert!(authenticator.authenticate(ALICE, &laptop, &from(HOME)).await.is_ok());
}

#[tokio::test]
async fn it_is_proved_by_scram_beside_the_password() {
    let (store, authenticator) = setup(config()).await;
    let phone = add(&store, &authenticator, "phone").await;
    let account = log_in(&authenticator, ALICE, &phone).await.unwrap();
    assert!(authenticator.app_password_last_used(account.id, "phone").is_some());
    assert!(log_in(&authenticator, ALICE, "right").await.is_ok());
    // Another password for the account leaves those of the programs as they are.
    let password = authenticator.make_password(&account.name, "new").await.unwrap();
    store.store.set_password(account.id, password, None).await.unwrap();
    assert!(log_in(&authenticator, ALICE, &phone).await.is_ok());
    assert!(log_in(&authenticator, ALICE, "new").await.is_ok());
    store.store.remove_app_password(account.id, "phone".into()).await.unwrap();
    let refused = log_in(&authenticator, ALICE, &phone).await;
    assert_eq!(refused, Err(SaslError::Refused(AuthError::Wrong)));
}
