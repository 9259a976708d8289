//! Subaddresses, aliases, lists and catch-alls.

use super::*;

async fn alias(store: &TestStore, address: &str, targets: &[&str]) {
    put(store, address, targets, None).await;
}

async fn list(store: &TestStore, address: &str, targets: &[&str]) {
    put(store, address, targets, Some("owner@example.test")).await;
}

async fn put(store: &TestStore, address: &str, targets: &[&str], owner: Option<&str>) {
    let targets = targets.iter().map(|&target| target.to_owned()).collect();
    let alias = Alias { address: address.to_owned(), targets, owner: owner.map(str::to_owned) };
    store.store.put_alias(alias).await.unwrap();
}

fn expansion(recipients: &Recipients<LocalStore>, address: &str) -> Vec<String> {
    match recipients.resolve(address).unwrap() {
        Resolution::Alias(alias) => recipients.expand(&alias).unwrap(),
        other => panic!("{address}: {other:?}"),
    }
}

#[tokio::test]
async fn a_detail_is_the_recipients_own_affair() {
    let (store, recipients) = setup(&["bob@example.test", "bob+real@example.test"], "").await;
    alias(&store, "info@example.test", &["bob@example.test"]).await;
    assert_eq!(recipients.resolve("bob+x@example.test").unwrap(), Resolution::UnknownUser, "no separator");
    let recipients = recipients.separated_by("+");
    match recipients.resolve("Bob+Lists+rust@example.test").unwrap() {
        Resolution::Mailbox { account, key, detail } => {
            assert_eq!(account.name, "bob@example.test");
            assert_eq!(key, "bob+lists+rust@example.test", "the key of what was addressed");
            assert_eq!(detail.as_deref(), Some("Lists+rust"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(account_of(&recipients, "bob+real@example.test").as_deref(), Some("bob+real@example.test"));
    assert_eq!(expansion(&recipients, "info+x@example.test"), ["bob@example.test"]);
    for unknown in ["eve+x@example.test", "+bob@example.test"] {
        assert_eq!(recipients.resolve(unknown).unwrap(), Resolution::UnknownUser, "{unknown}");
    }
}

#[tokio::test]
async fn a_catch_all_takes_what_nobody_else_takes() {
    let (store, recipients) = setup(&["bob@example.test"], "").await;
    alias(&store, "@example.test", &["bob@example.test"]).await;
    alias(&store, "info@example.test", &["carol@remote.test"]).await;
    assert_eq!(expansion(&recipients, "whoever@example.test"), ["bob@example.test"]);
    assert_eq!(expansion(&recipients, "INFO@example.test"), ["carol@remote.test"]);
    assert_eq!(account_of(&recipients, "bob@example.test").as_deref(), Some("bob@example.test"));
    assert_eq!(account_of(&recipients, "postmaster@example.test").as_deref(), Some("bob@example.test"));
    assert_eq!(recipients.resolve("whoever@other.test").unwrap(), Resolution::Remote);
}

#[tokio::test]
async fn aliases_are_followed_to_their_ends_and_each_end_stands_once() {
    let (store, recipients) = setup(&["bob@example.test"], "").await;
    alias(&store, "all@example.test", &["some@example.test", "bob@example.test", "x@remote.test"]).await;
    alias(&store, "some@example.test", &["bob@example.test", "X@remote.test", "eve@example.test"]).await;
    assert_eq!(
        expansion(&recipients, "all@example.test"),
        ["bob@example.test", "x@remote.test", "eve@example.test"]
    );
}

#[tokio::test]
async fn circles_and_endless_chains_end() {
    let (store, recipients) = setup(&["bob@example.test"], "").await;
    alias(&store, "a@example.test", &["b@example.test"]).await;
    alias(&store, "b@example.test", &["a@example.test"]).await;
    assert!(expansion(&recipients, "a@example.test").is_empty());
    alias(&store, "b@example.test", &["a@example.test", "bob@example.test"]).await;
    assert_eq!(expansion(&recipients, "a@example.test"), ["bob@example.test"]);
    for step in 0..12 {
        let target = if step == 11 { "bob@example.test".into() } else { format!("{}@chain.test", step + 1) };
        alias(&store, &format!("{step}@chain.test"), &[&target]).await;
    }
    assert!(expansion(&recipients, "0@chain.test").is_empty());
    assert_eq!(expansion(&recipients, "5@chain.test"), ["bob@example.test"]);
}

#[tokio::test]
async fn lists_within_a_list_are_part_of_it_and_lists_behind_an_alias_are_not() {
    let (store, recipients) = setup(&["bob@example.test"], "").await;
    list(&store, "team@example.test", &["bob@example.test", "ops@example.test", "team@example.test"]).await;
    list(&store, "ops@example.test", &["carol@remote.test", "team@example.test"]).await;
    alias(&store, "help@example.test", &["team@example.test", "bob@example.test"]).await;
    assert_eq!(expansion(&recipients, "team@example.test"), ["bob@example.test", "carol@remote.test"]);
    assert_eq!(expansion(&recipients, "help@example.test"), ["team@example.test", "bob@example.test"]);
}

#[tokio::test]
async fn an_account_sends_as_aliases_that_lead_to_it_and_not_as_lists() {
    let (store, recipients) = setup(&["bob@example.test"], "").await;
    alias(&store, "info@example.test", &["sales@example.test"]).await;
    alias(&store, "sales@example.test", &["bob@example.test", "info@example.test"]).await;
    alias(&store, "@example.test", &["bob@example.test"]).await;
    alias(&store, "other@example.test", &["carol@remote.test"]).await;
    list(&store, "team@example.test", &["bob@example.test"]).await;
    let bob = store.store.account_by_address("bob@example.test").unwrap().unwrap();
    let addresses = |recipients: &Recipients<_>| recipients.addresses_of(&bob).unwrap();
    assert_eq!(addresses(&recipients), ["bob@example.test", "sales@example.test", "info@example.test"]);
    store.store.remove_alias("sales@example.test".to_owned()).await.unwrap();
    assert_eq!(addresses(&recipients), ["bob@example.test"]);
}
