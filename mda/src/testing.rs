//! What the tests of this crate share.

use std::{path::PathBuf, time::Duration};

use proto::mda::{
    CreateAccountRequest, delivery_client::DeliveryClient, directory_client::DirectoryClient,
    mailbox_client::MailboxClient, store_client::StoreClient,
};
use service::{
    cli::Reload,
    config::{ByteSize, HttpConfig, PeerConfig},
    drain::{Drained, Shutdown},
    grpc::client::{Channels, PeerChannel, Target},
    telemetry,
    testing::Authority,
    tls::Role,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

pub(crate) use crate::store::LocalStore;
use crate::{
    Addresses, Config, RunError,
    auth::{Authenticator, Decoy},
    config::{PasswordsConfig, PlaintextAuth, SaslConfig},
    store::{Account, MailStore as _, NewAccount, Password, StoreConfig, tests::copy_dir},
};

/// The real store in a folder of its own. At the end of its test everything in it must fit together.
pub(crate) struct TestStore {
    pub(crate) store: LocalStore,
    sound_at_end: SoundAtEnd,
    dir: TempDir,
}

impl TestStore {
    pub(crate) fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = LocalStore::open(store_config(&dir)).unwrap();
        Self { sound_at_end: SoundAtEnd(store.clone()), store, dir }
    }

    /// Damages the one body that has these words.
    pub(crate) fn damage_body(&self, words: &str) {
        crate::store::tests::outlines::damage(self.dir.path(), words);
    }

    /// The same store, closed and opened again.
    pub(crate) async fn reopen(self) -> Self {
        drop(self.sound_at_end);
        self.store.close().await.unwrap();
        let (store, _) = LocalStore::open(store_config(&self.dir)).unwrap();
        Self { sound_at_end: SoundAtEnd(store.clone()), store, dir: self.dir }
    }

    /// What a machine would find that lost its power now.
    pub(crate) fn crashed(self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(self.dir.path(), dir.path());
        let (store, _) = LocalStore::open(store_config(&dir)).unwrap();
        Self { sound_at_end: SoundAtEnd(store.clone()), store, dir }
    }

    /// The same store on a disk that has less free space than must be left.
    pub(crate) async fn reopen_without_space(self) -> Self {
        drop(self.sound_at_end);
        self.store.close().await.unwrap();
        let config = StoreConfig { min_free_bytes: u64::MAX, ..store_config(&self.dir) };
        let (store, _) = LocalStore::open(config).unwrap();
        Self { sound_at_end: SoundAtEnd(store.clone()), store, dir: self.dir }
    }

    /// An account that nobody can log in to.
    pub(crate) async fn create_account(&self, name: &str) -> Account {
        self.create_account_with_hash(name, "*".to_owned()).await
    }

    pub(crate) async fn create_account_with_hash(&self, name: &str, hash: String) -> Account {
        self.create_account_with(name, Password { hash, scram: None }).await
    }

    pub(crate) async fn create_account_with(&self, name: &str, password: Password) -> Account {
        let (_, domain) = name.rsplit_once('@').unwrap();
        let account = NewAccount { name: name.to_owned(), password, domain: domain.to_owned() };
        self.store.create_account(account).await.unwrap()
    }
}

struct SoundAtEnd(LocalStore);

impl Drop for SoundAtEnd {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            crate::store::tests::assert_sound(&self.0);
        }
    }
}

fn store_config(dir: &TempDir) -> StoreConfig {
    StoreConfig { min_free_bytes: 0, cache_bytes: 1 << 20, ..StoreConfig::new(dir.path()) }
}

/// Lets the accounts of a store in.
pub(crate) fn authenticator(store: &TestStore) -> Authenticator {
    authenticator_with(store, &cheap_passwords(), &SaslConfig::default())
}

pub(crate) fn authenticator_with(
    store: &TestStore,
    passwords: &PasswordsConfig,
    sasl: &SaslConfig,
) -> Authenticator {
    Authenticator::new(store.store.clone(), passwords, sasl, Decoy::fleeting().unwrap()).unwrap()
}

/// Costs that are too low for anything but tests.
pub(crate) fn cheap_passwords() -> PasswordsConfig {
    PasswordsConfig {
        memory: ByteSize::kib(64),
        passes: 1,
        scram_iterations: 4096,
        ..PasswordsConfig::default()
    }
}

/// The whole service on ports of loopback that the kernel chose.
pub(crate) struct TestService {
    pub(crate) addresses: Addresses,
    pub(crate) authority: Authority,
    pub(crate) shutdown: Shutdown,
    running: JoinHandle<Option<Result<(), RunError>>>,
    data: TempDir,
}

impl TestService {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let mut config = config(&authority, data.path().into());
        change(&mut config);
        let service = crate::build(config, telemetry::registry(), &Reload::default()).await.unwrap();
        let addresses = service.addresses().clone();
        let shutdown = Shutdown::new();
        // As the process' main does.
        let running = shutdown.spawn(service.run(shutdown.clone()));
        Self { addresses, authority, shutdown, running, data }
    }

    /// Drains the service and waits until it has ended.
    pub(crate) async fn stop(self) {
        assert_eq!(self.shutdown.graceful(Duration::from_secs(20)).await, Drained::Cleanly);
        self.running.await.unwrap().expect("it was not cut off").unwrap();
    }

    /// Waits until the service has ended by itself, and gives the reason.
    pub(crate) async fn ended(self) -> RunError {
        self.running.await.unwrap().expect("it was not cut off").unwrap_err()
    }

    /// Damages the one body that has these words.
    pub(crate) fn damage_body(&self, words: &str) {
        crate::store::tests::outlines::damage(self.data.path(), words);
    }

    /// A connection to the gRPC services, under this role.
    pub(crate) async fn channel(&self, role: Role) -> PeerChannel {
        let target = Target { role: Role::Mda, service: "waypost.mda.v1.Directory" };
        let config = PeerConfig::at([self.addresses.grpc.to_string()]);
        let channels = Channels::new(&config, target, Some(self.authority.identity(role))).unwrap();
        // It outlives the test: a channel picked from it must not lose its connection.
        Box::leak(Box::new(channels)).pick().await.unwrap()
    }

    pub(crate) async fn delivery(&self, role: Role) -> DeliveryClient<PeerChannel> {
        DeliveryClient::new(self.channel(role).await)
    }

    pub(crate) async fn directory(&self, role: Role) -> DirectoryClient<PeerChannel> {
        DirectoryClient::new(self.channel(role).await)
    }

    pub(crate) async fn mailbox(&self, role: Role) -> MailboxClient<PeerChannel> {
        MailboxClient::new(self.channel(role).await)
    }

    pub(crate) async fn store(&self, role: Role) -> StoreClient<PeerChannel> {
        StoreClient::new(self.channel(role).await)
    }

    pub(crate) async fn create_account(&self, address: &str, password: &str) {
        let request = CreateAccountRequest {
            address: address.to_owned(),
            password: password.to_owned(),
            ..CreateAccountRequest::default()
        };
        self.directory(Role::Operator).await.create_account(request).await.unwrap();
    }
}

/// The configuration of an MDA in this folder, on ports of loopback that the kernel chooses.
fn config(authority: &Authority, data_dir: PathBuf) -> Config {
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let mut config = Config {
        hostname: "mail.example.test".to_owned(),
        data_dir,
        plaintext_auth: PlaintextAuth::Loopback,
        grpc: authority.grpc(Role::Mda),
        http: HttpConfig { listen: anywhere },
        tls: Some(authority.issue("public", &[])),
        passwords: cheap_passwords(),
        ..Config::default()
    };
    for listener in [&mut config.imap, &mut config.imaps, &mut config.pop3, &mut config.pop3s] {
        listener.listen = vec![anywhere];
    }
    config.store.min_free_space = ByteSize(0);
    config
}
