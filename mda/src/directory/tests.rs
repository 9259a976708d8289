use tonic::Code;

use super::*;
use crate::testing::{LocalStore, TestStore, authenticator, authenticator_with, cheap_passwords};

fn setup() -> (TestStore, DirectoryService<LocalStore>) {
    let store = TestStore::open();
    let directory = letting_in(&store, authenticator(&store));
    (store, directory)
}

fn letting_in(store: &TestStore, authenticator: Authenticator) -> DirectoryService<LocalStore> {
    let recipients = Recipients::new(store.store.clone(), "").unwrap();
    DirectoryService::new(store.store.clone(), recipients, authenticator, Metrics::default())
}

async fn create(
    directory: &DirectoryService<LocalStore>,
    address: &str,
    password: &str,
) -> Result<Account, Status> {
    let request = CreateAccountRequest {
        address: address.to_owned(),
        password: password.to_owned(),
        ..CreateAccountRequest::default()
    };
    directory.create_account(Request::new(request)).await.map(Response::into_inner)
}

async fn authenticate(
    directory: &DirectoryService<LocalStore>,
    username: &str,
    password: &str,
) -> AuthenticateResponse {
    let request = AuthenticateRequest {
        username: username.to_owned(),
        password: password.to_owned(),
        client_address: "192.0.2.1".to_owned(),
    };
    directory.authenticate(Request::new(request)).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_new_account_can_log_in_and_gets_mail_under_its_folded_address() {
    let (_store, directory) = setup();
    let account = create(&directory, "Bob@Example.test", "secret").await.unwrap();
    assert_eq!(account.address, "bob@example.test");
    assert!(account.created_at.is_some());
    let answer = authenticate(&directory, "bob@EXAMPLE.test", "secret").await;
    assert!(answer.authenticated);
    assert_eq!(answer.account, "bob@example.test");
    assert_eq!(answer.addresses, ["bob@example.test"]);
}

#[tokio::test]
async fn resolve_answers_for_each_address_in_order() {
    let (_store, directory) = setup();
    create(&directory, "bob@example.test", "secret").await.unwrap();
    let addresses =
        ["eve@example.test", "BOB@example.test", "bob@elsewhere.test"].map(str::to_owned).to_vec();
    let request = Request::new(ResolveRequest { addresses: addresses.clone(), expand: false });
    let resolutions = directory.resolve(request).await.unwrap().into_inner().resolutions;
    let expected = [
        (ResolutionKind::UnknownUser, ""),
        (ResolutionKind::Mailbox, "bob@example.test"),
        (ResolutionKind::Remote, ""),
    ];
    for ((resolution, address), (kind, account)) in resolutions.iter().zip(&addresses).zip(expected) {
        assert_eq!(
            (&resolution.address, resolution.kind(), resolution.account.as_str()),
            (address, kind, account)
        );
    }
    let malformed = Request::new(ResolveRequest { addresses: vec!["bob".to_owned()], expand: false });
    assert_eq!(directory.resolve(malformed).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn accounts_that_cannot_be_are_refused_with_a_reason() {
    let (_store, directory) = setup();
    for (address, password) in [
        ("bob", "secret"),
        ("bob@[192.0.2.1]", "secret"),
        ("\"b o b\"@example.test", "secret"),
        ("bob@example.test", ""),
        ("bob@example.test", "a\0b"),
        ("bob@example.test", &"a".repeat(MAX_PASSWORD + 1)),
    ] {
        let status = create(&directory, address, password).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{address}");
        assert!(!status.message().is_empty());
    }
    create(&directory, "bob@example.test", "secret").await.unwrap();
    let status = create(&directory, "BOB@example.test", "other").await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn wrong_credentials_are_an_answer_and_too_many_an_error() {
    let (_store, directory) = setup();
    create(&directory, "bob@example.test", "secret").await.unwrap();
    tokio::time::pause();
    assert!(!authenticate(&directory, "bob@example.test", "wrong").await.authenticated);
    let request = || {
        Request::new(AuthenticateRequest { username: "bob@example.test".to_owned(), ..Default::default() })
    };
    let mut last = directory.authenticate(request()).await;
    for _ in 0..cheap_passwords().failures_per_user {
        last = directory.authenticate(request()).await;
    }
    assert_eq!(last.unwrap_err().code(), Code::ResourceExhausted);
    let bad = AuthenticateRequest { client_address: "home".to_owned(), ..Default::default() };
    assert_eq!(directory.authenticate(Request::new(bad)).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_password_is_not_taken_as_it_is_where_that_is_not_offered() {
    let store = TestStore::open();
    let listed = "mechanisms = ['SCRAM-SHA-256']\n\
        [[exceptions]]\nnetworks = ['198.51.100.0/24']\nmechanisms = ['LOGIN']";
    let sasl = toml::from_str(listed).unwrap();
    let directory = letting_in(&store, authenticator_with(&store, &cheap_passwords(), &sasl));
    create(&directory, "bob@example.test", "secret").await.unwrap();
    let log_in = |client_address: &str| {
        let request = AuthenticateRequest {
            username: "bob@example.test".to_owned(),
            password: "secret".to_owned(),
            client_address: client_address.to_owned(),
        };
        directory.authenticate(Request::new(request))
    };
    assert_eq!(log_in("192.0.2.1").await.unwrap_err().code(), Code::Unimplemented);
    assert!(log_in("198.51.100.1").await.unwrap().into_inner().authenticated);
}

#[tokio::test]
async fn a_password_is_changed_and_an_account_removed_under_its_name_only() {
    let (_store, directory) = setup();
    create(&directory, "bob@example.test", "secret").await.unwrap();
    let change = |address: &str| {
        Request::new(SetPasswordRequest {
            address: address.to_owned(),
            password: "new".to_owned(),
            ..SetPasswordRequest::default()
        })
    };
    assert_eq!(directory.set_password(change("eve@example.test")).await.unwrap_err().code(), Code::NotFound);
    directory.set_password(change("bob@example.test")).await.unwrap();
    assert!(authenticate(&directory, "bob@example.test", "new").await.authenticated);

    let remove = || Request::new(RemoveAccountRequest { address: "bob@example.test".to_owned() });
    directory.remove_account(remove()).await.unwrap();
    assert_eq!(directory.remove_account(remove()).await.unwrap_err().code(), Code::NotFound);
    assert!(!authenticate(&directory, "bob@example.test", "new").await.authenticated);
}

#[tokio::test]
async fn accounts_are_listed_by_name_a_page_at_a_time() {
    let (_store, directory) = setup();
    for name in ["carl", "adam", "bob"] {
        create(&directory, &format!("{name}@example.test"), "secret").await.unwrap();
    }
    let mut names = Vec::new();
    let mut pages = 0;
    let mut page_token = String::new();
    loop {
        let request = Request::new(ListAccountsRequest { page_size: 2, page_token });
        let page = directory.list_accounts(request).await.unwrap().into_inner();
        names.extend(page.accounts.into_iter().map(|account| account.address));
        pages += 1;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["adam@example.test", "bob@example.test", "carl@example.test"]);
    assert_eq!(pages, 2);
}

#[tokio::test]
async fn a_domain_becomes_local_once_and_for_all() {
    let (store, directory) = setup();
    for domain in ["Example.TEST", "example.test"] {
        let request = Request::new(AddDomainRequest { domain: domain.to_owned() });
        directory.add_domain(request).await.unwrap();
    }
    assert_eq!(store.store.domains().unwrap(), ["example.test"]);
    for domain in ["", "a..b", "[192.0.2.1]"] {
        let request = Request::new(AddDomainRequest { domain: domain.to_owned() });
        assert_eq!(
            directory.add_domain(request).await.unwrap_err().code(),
            Code::InvalidArgument,
            "{domain}"
        );
    }
}

async fn put(
    directory: &DirectoryService<LocalStore>,
    address: &str,
    targets: &[&str],
    owner: &str,
) -> Result<(), Status> {
    let targets = targets.iter().map(|&target| target.to_owned()).collect();
    let alias = proto::mda::Alias { address: address.to_owned(), targets, owner: owner.to_owned() };
    directory.put_alias(Request::new(PutAliasRequest { alias: Some(alias) })).await.map(drop)
}

#[tokio::test]
async fn aliases_and_lists_are_resolved_with_where_their_mail_goes() {
    let (_store, directory) = setup();
    create(&directory, "bob@example.test", "secret").await.unwrap();
    put(&directory, "Info@example.test", &["Bob@example.test", "Carol@Remote.test"], "").await.unwrap();
    put(&directory, "team@example.test", &["info@example.test"], "bob@example.test").await.unwrap();
    let addresses = vec!["INFO@example.test".to_owned(), "team@example.test".to_owned()];
    let resolve = async |expand| {
        let request = ResolveRequest { addresses: addresses.clone(), expand };
        directory.resolve(Request::new(request)).await.unwrap().into_inner().resolutions
    };
    let [info, team] = &resolve(true).await[..] else { panic!() };
    assert_eq!((info.kind(), &*info.owner), (ResolutionKind::Alias, ""));
    // Whether case matters elsewhere is not known here.
    assert_eq!(info.targets, ["bob@example.test", "Carol@Remote.test"]);
    assert_eq!((team.kind(), &*team.owner), (ResolutionKind::List, "bob@example.test"));
    assert_eq!(team.targets, info.targets);
    assert!(resolve(false).await.iter().all(|resolution| resolution.targets.is_empty()));
    let answer = authenticate(&directory, "bob@example.test", "secret").await;
    assert_eq!(answer.addresses, ["bob@example.test", "info@example.test"]);
}

#[tokio::test]
async fn aliases_that_cannot_be_are_refused_with_a_reason() {
    let (_store, directory) = setup();
    create(&directory, "bob@example.test", "secret").await.unwrap();
    let many: Vec<String> = (0..1001).map(|n| format!("{n}@remote.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (address, targets, owner) in [
        ("info", &["bob@example.test"][..], ""),
        ("@", &["bob@example.test"], ""),
        ("@[192.0.2.1]", &["bob@example.test"], ""),
        ("info@example.test", &[], ""),
        ("info@example.test", &["bob"], ""),
        ("info@example.test", &["INFO@example.test"], ""),
        ("info@example.test", &["bob@example.test"], "owner"),
        ("info@example.test", &["bob@example.test"], "info@example.test"),
        ("info@example.test", &many, ""),
    ] {
        let refused = put(&directory, address, targets, owner).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{address} {targets:?} {owner}");
    }
    let taken = put(&directory, "bob@example.test", &["x@remote.test"], "").await.unwrap_err();
    assert_eq!(taken.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn aliases_are_listed_in_pages_and_removed_by_address() {
    let (_store, directory) = setup();
    for address in ["c@example.test", "@example.test", "a@example.test"] {
        put(&directory, address, &["x@remote.test", "x@remote.test"], "").await.unwrap();
    }
    let page = async |page_token: &str| {
        let request = ListAliasesRequest { page_size: 2, page_token: page_token.to_owned() };
        directory.list_aliases(Request::new(request)).await.unwrap().into_inner()
    };
    let first = page("").await;
    let addresses: Vec<_> = first.aliases.iter().map(|alias| alias.address.as_str()).collect();
    assert_eq!(addresses, ["@example.test", "a@example.test"]);
    assert_eq!(first.aliases[0].targets, ["x@remote.test"]);
    let last = page(&first.next_page_token).await;
    assert_eq!((last.aliases.len(), &*last.next_page_token), (1, ""));
    let remove = || Request::new(RemoveAliasRequest { address: "@Example.test".to_owned() });
    directory.remove_alias(remove()).await.unwrap();
    assert_eq!(directory.remove_alias(remove()).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn quotas_are_set_and_who_has_used_his_up_is_told() {
    let (store, directory) = setup();
    create(&directory, "bob@example.test", "secret").await.unwrap();
    let resolve = || async {
        let addresses = vec!["bob@example.test".to_owned()];
        let request = Request::new(ResolveRequest { addresses, expand: false });
        directory.resolve(request).await.unwrap().into_inner().resolutions.remove(0).full
    };
    assert!(!resolve().await);
    let quota = proto::mda::Quota { messages: Some(5), octets: Some(1) };
    let request = SetDomainQuotaRequest { domain: "EXAMPLE.test".to_owned(), quota: Some(quota) };
    directory.set_domain_quota(Request::new(request)).await.unwrap();
    let quota = proto::mda::Quota { messages: None, octets: Some(0) };
    let request = SetQuotaRequest { address: "bob@example.test".to_owned(), quota: Some(quota) };
    let account = directory.set_quota(Request::new(request)).await.unwrap().into_inner();
    assert_eq!(account.quota, Some(quota));
    assert_eq!(account.limits, Some(proto::mda::Quota { messages: Some(5), octets: None }));

    let bob = store.store.account_by_address("bob@example.test").unwrap().unwrap().id;
    for _ in 0..5 {
        let append = store::Append {
            mailbox: store::MailboxName::inbox(),
            message_id: message::MessageId::new(),
            flags: store::Flags::none(),
            internal_date: jiff::Timestamp::UNIX_EPOCH,
            body: store::BodySource::Bytes("x".into()),
        };
        store.store.append(bob, append).await.unwrap();
    }
    assert!(resolve().await);
    let domains =
        directory.list_domains(Request::new(ListDomainsRequest {})).await.unwrap().into_inner().domains;
    assert_eq!((domains[0].name.as_str(), domains[0].quota.unwrap().messages), ("example.test", Some(5)));
    let request = SetQuotaRequest { address: "nobody@example.test".to_owned(), quota: None };
    assert_eq!(directory.set_quota(Request::new(request)).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn an_app_password_was_not_used_because_another_of_its_name_was() {
    let (_store, directory) = setup();
    let address = || "bob@example.test".to_owned();
    create(&directory, &address(), "secret").await.unwrap();
    let add = || {
        let request = AddAppPasswordRequest { address: address(), name: "phone".into(), protocols: vec![] };
        directory.add_app_password(Request::new(request))
    };
    let last_used = async || {
        let listed =
            directory.list_app_passwords(Request::new(ListAppPasswordsRequest { address: address() }));
        listed.await.unwrap().into_inner().app_passwords[0].last_used_at
    };
    let password = add().await.unwrap().into_inner().password;
    assert!(authenticate(&directory, &address(), &password).await.authenticated);
    assert!(last_used().await.is_some());
    let request = RemoveAppPasswordRequest { address: address(), name: " phone ".into() };
    directory.remove_app_password(Request::new(request)).await.unwrap();
    add().await.unwrap();
    assert_eq!(last_used().await, None);
}
