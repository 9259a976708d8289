//! Accounts and domains.

use super::*;

#[tokio::test]
async fn an_account_comes_with_its_mailboxes_and_its_domain() {
    let (bed, alice) = Bed::with_account().await;
    assert_eq!(names(&bed.store, alice), ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]);
    assert_eq!(mailbox(&bed.store, alice, "Junk").special_use, Some(SpecialUse::Junk));
    assert_eq!(bed.store.subscriptions(alice).unwrap().len(), 6);
    assert!(bed.store.is_local_domain("example.test").unwrap());
    assert!(!bed.store.is_local_domain("example.org").unwrap());
    let account = bed.store.account_by_address("alice@example.test").unwrap().unwrap();
    assert_eq!((account.id, account.addresses), (alice, vec!["alice@example.test".to_owned()]));
    assert_eq!(bed.store.account_by_address("alice@example.tes").unwrap(), None);
}

#[tokio::test]
async fn a_name_is_one_accounts_even_when_two_ask_at_once() {
    let bed = Bed::new();
    let new = || NewAccount {
        name: "bob@example.test".to_owned(),
        password_hash: String::new(),
        domain: "example.test".to_owned(),
    };
    let (first, second) = tokio::join!(bed.store.create_account(new()), bed.store.create_account(new()));
    assert_eq!([&first, &second].iter().filter(|made| made.is_ok()).count(), 1);
    assert!(matches!(first.and(second), Err(StoreError::AlreadyExists)));
}

#[tokio::test]
async fn accounts_are_listed_by_name_in_pages() {
    let bed = Bed::new();
    for user in ["c", "a", "b"] {
        create_account(&bed.store, &format!("{user}@example.test")).await;
    }
    let page = |after, limit| {
        let accounts = bed.store.accounts(after, limit).unwrap();
        accounts.into_iter().map(|account| account.name).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 2), ["a@example.test", "b@example.test"]);
    assert_eq!(page(Some("b@example.test"), 2), ["c@example.test"]);
    assert_eq!(page(Some("c@example.test"), 2), Vec::<String>::new());
}

#[tokio::test]
async fn a_password_is_replaced_and_stays_so() {
    let (bed, alice) = Bed::with_account().await;
    bed.store.set_password(alice, "new".to_owned()).await.unwrap();
    assert_eq!(bed.store.account(alice).unwrap().password_hash, "new");
    let bed = bed.reopened().await;
    assert_eq!(bed.store.account(alice).unwrap().password_hash, "new");
    let unknown = bed.store.set_password(AccountId(99), "new".to_owned()).await;
    assert!(matches!(unknown, Err(StoreError::NoSuchAccount)));
}

#[tokio::test]
async fn a_removed_account_is_gone_with_its_mail_and_its_name_is_free() {
    let (bed, alice) = Bed::with_account().await;
    let placed = deliver(&bed.store, alice, "first").await;
    let email = bed.store.row(placed.mailbox, placed.uid).unwrap().unwrap().email;
    bed.store.remove_account(alice).await.unwrap();

    assert!(matches!(bed.store.account(alice), Err(StoreError::NoSuchAccount)));
    assert!(matches!(bed.store.mailboxes(alice), Err(StoreError::NoSuchAccount)));
    assert!(matches!(bed.store.status(placed.mailbox), Err(StoreError::NoSuchMailbox)));
    let again = create_account(&bed.store, "alice@example.test").await;
    assert_ne!(again, alice);
    assert_eq!(bed.store.status(inbox(&bed.store, again).id).unwrap().messages, 0);

    let bed = bed.reopened().await;
    bed.store.purge(placed.mailbox.0).unwrap();
    assert!(matches!(bed.store.read(email, 0..9).await, Err(StoreError::Expunged)));
    assert_eq!(bed.store.account_by_address("alice@example.test").unwrap().unwrap().id, again);
}

#[tokio::test]
async fn usage_counts_all_mailboxes() {
    let (bed, alice) = Bed::with_account().await;
    deliver(&bed.store, alice, "12345").await;
    append(&bed.store, alice, "Sent", "123", Flags::none()).await;
    assert_eq!(bed.store.usage(alice).unwrap(), Usage { messages: 2, octets: 8 });
}
