//! Addresses that stand for others.

use super::*;
use crate::store::Alias;

fn alias(address: &str, targets: &[&str]) -> Alias {
    let targets = targets.iter().map(|&target| target.to_owned()).collect();
    Alias { address: address.to_owned(), targets, owner: None }
}

#[tokio::test]
async fn an_alias_is_made_replaced_and_removed() {
    let (bed, _) = Bed::with_account().await;
    let store = &bed.store;
    store.put_alias(alias("info@new.test", &["alice@example.test", "x@remote.test"])).await.unwrap();
    assert!(store.is_local_domain("new.test").unwrap());
    assert_eq!(store.aliases_to("x@remote.test", 10).unwrap(), ["info@new.test"]);
    let list =
        Alias { owner: Some("alice@example.test".into()), ..alias("info@new.test", &["y@remote.test"]) };
    store.put_alias(list.clone()).await.unwrap();
    assert_eq!(store.alias("info@new.test").unwrap(), Some(list));
    assert!(store.aliases_to("x@remote.test", 10).unwrap().is_empty());
    store.remove_alias("info@new.test".into()).await.unwrap();
    assert_eq!(store.alias("info@new.test").unwrap(), None);
    assert!(store.aliases_to("y@remote.test", 10).unwrap().is_empty());
    let again = store.remove_alias("info@new.test".into()).await;
    assert!(matches!(again, Err(StoreError::NoSuchAlias)));
}

#[tokio::test]
async fn an_address_is_an_accounts_or_an_alias() {
    let (bed, _) = Bed::with_account().await;
    let taken = bed.store.put_alias(alias("alice@example.test", &["x@remote.test"])).await;
    assert!(matches!(taken, Err(StoreError::AlreadyExists)));
    bed.store.put_alias(alias("info@example.test", &["alice@example.test"])).await.unwrap();
    let new = NewAccount {
        name: "info@example.test".to_owned(),
        password: Password::default(),
        domain: "example.test".to_owned(),
    };
    assert!(matches!(bed.store.create_account(new).await, Err(StoreError::AlreadyExists)));
}

#[tokio::test]
async fn aliases_are_listed_by_address_in_pages_without_those_that_are_gone() {
    let bed = Bed::new();
    for user in ["c", "a", "b", "d"] {
        bed.store.put_alias(alias(&format!("{user}@example.test"), &["x@remote.test"])).await.unwrap();
    }
    bed.store.remove_alias("b@example.test".into()).await.unwrap();
    let page = |after, limit| {
        let aliases = bed.store.aliases(after, limit).unwrap();
        aliases.into_iter().map(|alias| alias.address).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 2), ["a@example.test", "c@example.test"]);
    assert_eq!(page(Some("c@example.test"), 2), ["d@example.test"]);
}

#[tokio::test]
async fn aliases_outlive_a_crash_a_rebuild_and_reclaim() {
    let (bed, alice) = Bed::with_account().await;
    bed.store.put_alias(alias("info@example.test", &["alice@example.test"])).await.unwrap();
    bed.store.put_alias(alias("gone@example.test", &["alice@example.test"])).await.unwrap();
    bed.store.remove_alias("gone@example.test".into()).await.unwrap();
    let check = |bed: &Bed| {
        assert_eq!(bed.store.alias("info@example.test").unwrap().unwrap().targets, ["alice@example.test"]);
        assert_eq!(bed.store.alias("gone@example.test").unwrap(), None);
        assert_eq!(bed.store.aliases_to("alice@example.test", 10).unwrap(), ["info@example.test"]);
    };
    check(&bed);
    check(&bed.crashed());
    // More records, so that the aliases' segment is not the newest.
    for n in 0..20 {
        deliver(&bed.store, alice, &format!("{n} {}", "x".repeat(10_000))).await;
    }
    let store = bed.store.clone();
    let reclaim =
        move || store.segments().into_iter().filter(|it| store.reclaim_segment(*it).unwrap()).count();
    assert!(tokio::task::spawn_blocking(reclaim).await.unwrap() > 0);
    check(&bed);
    let crashed = bed.crashed();
    crashed.store.close().await.unwrap();
    LocalStore::rebuild(config(crashed.dir.path()), |_| ()).unwrap();
    check(&Bed { store: open(crashed.dir.path()), dir: crashed.dir });
}
