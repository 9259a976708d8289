use super::*;
use crate::testing::{LocalStore, TestStore};

mod aliases;

async fn setup(accounts: &[&str], postmaster: &str) -> (TestStore, Recipients<LocalStore>) {
    let store = TestStore::open();
    for account in accounts {
        store.create_account(account).await;
    }
    let recipients = Recipients::new(store.store.clone(), postmaster).unwrap();
    (store, recipients)
}

fn account_of(recipients: &Recipients<LocalStore>, path: &str) -> Option<String> {
    match recipients.resolve(path).unwrap() {
        Resolution::Mailbox { account, .. } => Some(account.name),
        _ => None,
    }
}

#[tokio::test]
async fn case_does_not_matter() {
    let (_store, recipients) = setup(&["bob@example.test"], "").await;
    for path in ["bob@example.test", "BOB@Example.TEST", "\"bob\"@example.test"] {
        assert_eq!(account_of(&recipients, path).as_deref(), Some("bob@example.test"), "{path}");
    }
}

#[tokio::test]
async fn unknown_users_and_foreign_domains_are_told_apart() {
    let (store, recipients) = setup(&["bob@example.test"], "").await;
    store.store.add_domain("empty.test".to_owned()).await.unwrap();
    assert_eq!(recipients.resolve("eve@example.test").unwrap(), Resolution::UnknownUser);
    assert_eq!(recipients.resolve("eve@empty.test").unwrap(), Resolution::UnknownUser);
    assert_eq!(recipients.resolve("eve@sub.example.test").unwrap(), Resolution::Remote);
    assert_eq!(recipients.resolve("postmaster@elsewhere.test").unwrap(), Resolution::Remote);
    assert!(matches!(recipients.resolve("eve"), Err(ResolveError::Address(_))));
}

#[tokio::test]
async fn postmaster_reaches_the_oldest_account_of_the_domain_or_of_all() {
    let (store, recipients) = setup(&["zoe@example.test", "adam@example.test", "carl@other.test"], "").await;
    store.store.add_domain("empty.test".to_owned()).await.unwrap();
    assert_eq!(account_of(&recipients, "Postmaster@example.test").as_deref(), Some("zoe@example.test"));
    assert_eq!(account_of(&recipients, "postmaster@other.test").as_deref(), Some("carl@other.test"));
    assert_eq!(account_of(&recipients, "postmaster@empty.test").as_deref(), Some("zoe@example.test"));
    assert_eq!(account_of(&recipients, "PostMaster").as_deref(), Some("zoe@example.test"));

    store.create_account("ann@empty.test").await;
    recipients.account_created();
    assert_eq!(account_of(&recipients, "postmaster@empty.test").as_deref(), Some("ann@empty.test"));

    let zoe = store.store.account_by_address("zoe@example.test").unwrap().unwrap();
    store.store.remove_account(zoe.id).await.unwrap();
    assert_eq!(account_of(&recipients, "postmaster@example.test").as_deref(), Some("adam@example.test"));
}

#[tokio::test]
async fn postmaster_is_who_was_configured_unless_there_is_an_account_of_that_name() {
    let (store, recipients) = setup(&["zoe@example.test", "adam@other.test"], "Adam@other.test").await;
    assert_eq!(account_of(&recipients, "postmaster@example.test").as_deref(), Some("adam@other.test"));
    store.create_account("postmaster@example.test").await;
    assert_eq!(
        account_of(&recipients, "postmaster@example.test").as_deref(),
        Some("postmaster@example.test")
    );
}

#[tokio::test]
async fn a_store_without_accounts_has_no_postmaster() {
    let (store, recipients) = setup(&[], "").await;
    store.store.add_domain("empty.test".to_owned()).await.unwrap();
    assert_eq!(recipients.resolve("postmaster@empty.test").unwrap(), Resolution::UnknownUser);
}
