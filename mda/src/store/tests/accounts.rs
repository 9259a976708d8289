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
        password: Password::default(),
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
    let password = Password { hash: "new".to_owned(), scram: Some(Box::new(scram_keys())) };
    assert!(bed.store.set_password(alice, password.clone(), None).await.unwrap());
    assert_eq!(bed.store.account(alice).unwrap().password, password);
    let bed = bed.reopened().await;
    assert_eq!(bed.store.account(alice).unwrap().password, password);
    let unknown = bed.store.set_password(AccountId(99), password, None).await;
    assert!(matches!(unknown, Err(StoreError::NoSuchAccount)));
}

#[tokio::test]
async fn a_password_that_was_changed_meanwhile_is_not_replaced() {
    let (bed, alice) = Bed::with_account().await;
    let password = |hash: &str| Password { hash: hash.to_owned(), scram: None };
    let old = bed.store.account(alice).unwrap().password.hash;
    assert!(bed.store.set_password(alice, password("new"), Some(old.clone())).await.unwrap());
    assert!(!bed.store.set_password(alice, password("newer"), Some(old)).await.unwrap());
    assert_eq!(bed.store.account(alice).unwrap().password, password("new"));
}

#[tokio::test]
async fn app_passwords_are_kept_beside_the_password_until_they_are_removed() {
    let (bed, alice) = Bed::with_account().await;
    let protocols = Protocols { imap: true, pop3: false, submission: true };
    let phone = app_password("phone", protocols);
    bed.store.add_app_password(alice, phone.clone()).await.unwrap();
    bed.store.add_app_password(alice, app_password("laptop", Protocols::default())).await.unwrap();
    let again = bed.store.add_app_password(alice, phone.clone()).await;
    assert!(matches!(again, Err(StoreError::AlreadyExists)));
    bed.store.set_password(alice, Password::default(), None).await.unwrap();
    let bed = bed.reopened().await;
    assert!(bed.store.account(alice).unwrap().app_passwords[0] == phone);
    assert!(bed.store.remove_app_password(alice, "phone".to_owned()).await.unwrap());
    assert!(!bed.store.remove_app_password(alice, "phone".to_owned()).await.unwrap());
    let bed = bed.reopened().await;
    let names = bed.store.account(alice).unwrap().app_passwords.into_iter().map(|password| password.name);
    assert_eq!(names.collect::<Vec<_>>(), ["laptop"]);
}

#[tokio::test]
async fn an_account_has_only_so_many_app_passwords() {
    let (bed, alice) = Bed::with_account().await;
    let mut made = 0;
    let refused = loop {
        let password = app_password(&made.to_string(), Protocols::default());
        match bed.store.add_app_password(alice, password).await {
            Ok(()) => made += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(made, 100);
    assert!(matches!(refused, StoreError::OverLimit { limit: 100, .. }));
}

fn app_password(name: &str, protocols: Protocols) -> AppPassword {
    AppPassword {
        name: name.to_owned(),
        digest: vec![7; 32],
        scram: scram_keys(),
        protocols,
        created_at: Timestamp::from_second(1_700_000_000).unwrap(),
    }
}

fn scram_keys() -> ScramKeys {
    let keys = |octet| sasl::scram::Keys { stored: vec![octet; 32], server: vec![octet + 1; 32] };
    ScramKeys { salt: b"salt".to_vec(), iterations: 10_000, sha1: keys(1), sha256: keys(3) }
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
