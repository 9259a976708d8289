//! Who is who: lets people in by IMAP, POP3 and, through `Directory`, by submission.
//!
//! Guessing is made slow and useless: passwords are kept as Argon2id hashes and as keys for SCRAM; an unknown user takes
//! as long as a known one and is told of a salt as good as any; each failure holds its answer back for longer; and at a
//! limit per user and per network further attempts are refused unseen. What a polling client proved a short while ago
//! is remembered, so that it does not pay Argon2 again.
//!
//! [`Authenticator::authenticate`] checks a password, [`Authenticator::begin`] begins an exchange of any mechanism.
//! Whatever fails is logged here, in one line.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use parking_lot::Mutex;
use sasl::Mechanism;
use subtle::ConstantTimeEq as _;
use tokio::time::{Instant, sleep};

use self::{
    certificates::Certificates,
    hasher::{Hasher, Turn},
    offer::{Offers, Possible},
    remembered::{Login, Remembered},
    renewals::Renewals,
    secret::Salt,
    sessions::Sessions,
    throttle::Throttle,
    uses::Uses,
};
use crate::{
    config::{PasswordsConfig, SaslConfig},
    metrics::Protocol,
    store::{self, Account, AccountId, AppPassword, MailStore, Password, Protocols, ScramKeys},
};

pub(crate) use self::certificates::is_fingerprint;
pub use self::{
    client::{Client, Tls, decode, decode_initial, encode},
    decoy::Decoy,
    exchange::{Exchange, Progress, SaslError},
    foreign::{ImportError, import},
    sessions::Stay,
    tokens::{Tokens, TokensError},
};

mod certificates;
mod client;
mod decoy;
mod exchange;
mod foreign;
mod hasher;
mod network;
mod offer;
mod remembered;
mod renewals;
mod secret;
mod sessions;
mod throttle;
mod tokens;
mod uses;

#[cfg(test)]
mod tests;

/// Octets of a password at most.
pub const MAX_PASSWORD: usize = sasl::MAX_FIELD;

/// Accounts that are read at a time to see whether any has keys for SCRAM.
const PAGE: usize = 1000;

/// Lets people in. Cheap to clone; all clones share their limits and their memory.
#[derive(Clone)]
pub struct Authenticator {
    inner: Arc<Inner>,
    certificates: Arc<Certificates>,
    tokens: Option<Arc<Tokens>>,
}

struct Inner {
    accounts: Box<dyn Accounts>,
    hasher: Hasher,
    throttle: Mutex<Throttle>,
    remembered: Mutex<Remembered>,
    renewals: Mutex<Renewals>,
    decoy: Decoy,
    offers: Offers,
    iterations: u32,
    /// Some account has keys for SCRAM.
    any_keys: AtomicBool,
    uses: Mutex<Uses>,
    sessions: Arc<Sessions>,
}

/// Where accounts and their passwords stand: the mail store.
trait Accounts: Send + Sync {
    /// The account of an address, which must be in the form that addresses are compared in.
    fn by_address(&self, key: &str) -> store::Result<Option<Account>>;

    /// Replaces a password that is still the one of this hash.
    fn renew(
        &self,
        account: AccountId,
        password: Password,
        instead_of: String,
    ) -> BoxFuture<'_, store::Result<bool>>;
}

impl<S: MailStore> Accounts for S {
    fn by_address(&self, key: &str) -> store::Result<Option<Account>> {
        self.account_by_address(key)
    }

    fn renew(
        &self,
        account: AccountId,
        password: Password,
        instead_of: String,
    ) -> BoxFuture<'_, store::Result<bool>> {
        Box::pin(self.set_password(account, password, Some(instead_of)))
    }
}

/// Why a client was not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no such user, or the password is another. Which of the two is not told.
    #[error("wrong user name or password")]
    Wrong,
    /// This user or this network failed too often; the password was not looked at.
    #[error("too many failed logins, try again in {} s", retry_after.as_secs().max(1))]
    Throttled {
        /// When the next attempt will be looked at.
        retry_after: Duration,
    },
    /// It cannot be told now: the store failed, or the machine is too busy. For the log, not for the client.
    #[error("authentication is not available: {0}")]
    Unavailable(String),
}

impl Authenticator {
    /// Lets the accounts of a store in. Fails if the Argon2 costs are out of bounds, or the store cannot be read.
    pub fn new(
        store: impl MailStore,
        passwords: &PasswordsConfig,
        sasl: &SaslConfig,
        decoy: Decoy,
    ) -> Result<Self, AuthError> {
        let now = Instant::now();
        let remembered = Remembered::new(*passwords.remember, now).ok_or_else(secret::no_randomness)?;
        let any_keys = AtomicBool::new(any_keys(&store).map_err(|error| unavailable(&error))?);
        let inner = Inner {
            accounts: Box::new(store),
            hasher: Hasher::new(passwords)?,
            throttle: Mutex::new(Throttle::new(passwords, now)),
            remembered: Mutex::new(remembered),
            renewals: Mutex::default(),
            decoy,
            offers: Offers::new(sasl),
            iterations: passwords.scram_iterations,
            any_keys,
            uses: Mutex::default(),
            sessions: Arc::default(),
        };
        Ok(Self { inner: Arc::new(inner), certificates: Arc::default(), tokens: None })
    }

    /// Takes access tokens as well.
    pub fn taking(self, tokens: Tokens) -> Self {
        Self { tokens: Some(Arc::new(tokens)), ..self }
    }

    /// Takes certificates of these fingerprints as those of these accounts.
    pub fn mapping(self, accounts: &BTreeMap<String, String>) -> Self {
        Self { certificates: Arc::new(Certificates::new(accounts)), ..self }
    }

    /// Checks that Argon2 takes the configured costs.
    pub fn check_costs(config: &PasswordsConfig) -> Result<(), AuthError> {
        Hasher::new(config).map(|_| ())
    }

    /// The mechanisms that this client can use, the strongest first.
    pub fn mechanisms(&self, client: &Client) -> Vec<Mechanism> {
        let possible = Possible {
            scram: self.inner.any_keys.load(Ordering::Relaxed),
            tokens: self.tokens.is_some(),
            certificate: self.certified(client).is_ok_and(|accounts| !accounts.is_empty()),
        };
        self.inner.offers.to(client, possible)
    }

    /// Checks a user's password.
    ///
    /// A failure is answered late, more so with each: callers just pass on what they get.
    pub async fn authenticate(
        &self,
        username: &str,
        password: &str,
        client: &Client,
    ) -> Result<Account, AuthError> {
        self.check_password(Mechanism::Plain, username, password, client).await
    }

    async fn check_password(
        &self,
        mechanism: Mechanism,
        username: &str,
        password: &str,
        client: &Client,
    ) -> Result<Account, AuthError> {
        match self.check(username, password, client).await {
            Ok(authenticated) => Ok(authenticated),
            Err(refusal) => Err(self.refuse(mechanism, username, client, refusal).await),
        }
    }

    /// Logs that a client was not let in, and holds the answer back.
    async fn refuse(
        &self,
        mechanism: Mechanism,
        username: &str,
        client: &Client,
        refusal: Refusal,
    ) -> AuthError {
        let Refusal { error, reason, delay } = refusal;
        let address = client.address.map(|address| address.to_string()).unwrap_or_default();
        let protocol = client.protocol.as_str();
        match &error {
            AuthError::Unavailable(reason) => {
                tracing::error!(client = address, protocol, %mechanism, username, reason, "login cannot be checked");
            }
            AuthError::Wrong | AuthError::Throttled { .. } => {
                tracing::info!(client = address, protocol, %mechanism, username, reason, "login failed");
            }
        }
        // No turn at a core is held any more: waiting costs the client, not the others.
        sleep(delay).await;
        error
    }

    /// Makes what is kept of a new password, of the account of this name: it may exist already.
    pub async fn make_password(&self, name: &str, password: &str) -> Result<Password, AuthError> {
        let account = self.account(name)?;
        let salt = self.salt(name, account.as_ref().and_then(secret::of_programs));
        let turn = self.inner.hasher.turn().await?;
        let made = self.inner.hasher.make(&turn, password.to_owned(), salt, None).await?;
        self.inner.any_keys.store(true, Ordering::Relaxed);
        Ok(made)
    }

    /// Makes up a password for one program: the password, and what is kept of it.
    pub async fn make_app_password(
        &self,
        account: &Account,
        name: String,
        protocols: Protocols,
    ) -> Result<(String, AppPassword), AuthError> {
        let password = secret::generate()?;
        let beside = account.password.scram.as_deref().or_else(|| secret::of_programs(account));
        let salt = self.salt(&account.name, beside);
        let turn = self.inner.hasher.turn().await?;
        let scram = self.inner.hasher.keys(&turn, password.clone(), salt).await?;
        self.inner.any_keys.store(true, Ordering::Relaxed);
        let digest = secret::digest(&password);
        let kept = AppPassword { name, digest, scram, protocols, created_at: Timestamp::now() };
        Ok((password, kept))
    }

    /// What a password is salted with: as the account's others are, if there are any.
    fn salt(&self, name: &str, others: Option<&ScramKeys>) -> Salt {
        Salt::beside(others, self.inner.decoy.salt(name), self.inner.iterations)
    }

    /// When a program's password was last used, as far as is remembered.
    pub fn app_password_last_used(&self, account: AccountId, name: &str) -> Option<Timestamp> {
        self.inner.uses.lock().last(account, name)
    }

    /// Forgets when a program's password was last used: the next of its name is another. Its sessions end, and so do all
    /// others of the account: their programs log in again, if they still can.
    pub fn app_password_removed(&self, account: AccountId, name: &str) {
        self.inner.uses.lock().forget(account, name);
        self.inner.sessions.end(account);
    }

    /// What let the account's sessions in is nothing any more: they end.
    pub fn credentials_changed(&self, account: AccountId) {
        self.inner.sessions.end(account);
    }

    /// Whoever was let in just now stays in for as long as this is not over.
    pub fn stay(&self, account: &Account) -> Stay {
        let stay = self.inner.sessions.begin(account.id);
        // A password that was changed in between ends what it let in too.
        let now = self.account(&account.name).ok().flatten();
        let still = |now: &Account| {
            self.inner.renewals.lock().is_still(account.id, &account.password.hash, &now.password.hash)
                && account.app_passwords.iter().all(|known| now.app_passwords.contains(known))
        };
        if !now.as_ref().is_some_and(still) {
            stay.over().cancel();
        }
        stay
    }

    async fn check(&self, username: &str, password: &str, client: &Client) -> Result<Account, Refusal> {
        let user = fold(username);
        self.check_network(client)?;
        let account = self.account(&user)?;
        if let Some(account) = &account
            && self.inner.remembered.lock().holds(&login(account, password, client), Instant::now())
        {
            return Ok(account.clone());
        }
        self.check_user(&user)?;
        if let Some(account) = &account
            && let Some(known) = app_password(account, password, client.protocol)
        {
            self.inner.uses.lock().note(account.id, &known.name);
            return Ok(account.clone());
        }
        let turn = self.inner.hasher.turn().await?;
        // Again, now that it is our turn: of a thousand attempts sent at once, all but a few have failed meanwhile.
        self.check_network(client)?;
        self.check_user(&user)?;
        let right = self.verify(&turn, password, account.as_ref()).await?;
        let Some(account) = account.filter(|_| right) else {
            return Err(self.failed(&user, client, "wrong user name or password"));
        };
        let account = self.renew(&turn, account, password).await;
        self.inner.remembered.lock().insert(&login(&account, password, client), Instant::now());
        Ok(account)
    }

    async fn verify(
        &self,
        turn: &Turn,
        password: &str,
        account: Option<&Account>,
    ) -> Result<bool, AuthError> {
        if password.len() > MAX_PASSWORD {
            return Ok(false);
        }
        let stored = account.map(|account| Arc::from(account.password.hash.as_str()));
        self.inner.hasher.verify(turn, password.to_owned(), stored).await
    }

    /// Now that the password is known, makes what should be kept of it, if that is not there yet. The login does not
    /// fail if this does.
    async fn renew(&self, turn: &Turn, account: Account, password: &str) -> Account {
        let is_up_to_date = self.inner.hasher.is_up_to_date(&account.password.hash);
        let salt = self.salt(&account.name, secret::of_programs(&account));
        if account.password.scram.as_deref().is_some_and(|keys| salt.is_of(keys)) && is_up_to_date {
            return account;
        }
        let renewed = async {
            let old = account.password.hash.clone();
            let hashed = is_up_to_date.then(|| old.clone());
            let password = self.inner.hasher.make(turn, password.to_owned(), salt, hashed).await?;
            // Others may be letting somebody in by the old one; who proved it stays in.
            self.inner.renewals.lock().note(account.id, &old, &password.hash);
            let renewed = self.inner.accounts.renew(account.id, password.clone(), old).await;
            Ok::<_, AuthError>(renewed.map_err(|error| unavailable(&error))?.then_some(password))
        };
        match renewed.await {
            Ok(Some(password)) => {
                self.inner.any_keys.store(true, Ordering::Relaxed);
                tracing::info!(account = account.name, "password is kept in its new form from now on");
                Account { password, ..account }
            }
            // It was changed meanwhile, maybe by another login that brought it into its new form: what was proved is the
            // old one, which was right when we looked.
            Ok(None) => account,
            Err(error) => {
                tracing::warn!(account = account.name, %error, "cannot keep a password in its new form");
                account
            }
        }
    }

    /// The accounts that a client's certificate may be of.
    fn certified(&self, client: &Client) -> Result<Vec<Account>, AuthError> {
        let certificate = client.tls.as_ref().and_then(|tls| tls.certificate.as_ref());
        let names = certificate.map(|certificate| self.certificates.names(certificate)).unwrap_or_default();
        let mut accounts = Vec::new();
        for name in names {
            accounts.extend(self.account(&name)?.filter(|account| account.name == name));
        }
        Ok(accounts)
    }

    /// Counts a failure.
    fn failed(&self, user: &str, client: &Client, reason: &'static str) -> Refusal {
        let delay = self.inner.throttle.lock().failed(user, client.address, Instant::now());
        Refusal { error: AuthError::Wrong, reason, delay }
    }

    fn check_network(&self, client: &Client) -> Result<(), Refusal> {
        let throttle = self.inner.throttle.lock();
        throttle.check_network(client.address, Instant::now()).map_err(|wait| throttled(&throttle, wait))
    }

    fn check_user(&self, user: &str) -> Result<(), Refusal> {
        let throttle = self.inner.throttle.lock();
        throttle.check_user(user, Instant::now()).map_err(|wait| throttled(&throttle, wait))
    }

    fn account(&self, key: &str) -> Result<Option<Account>, AuthError> {
        self.inner.accounts.by_address(key).map_err(|error| unavailable(&error))
    }
}

/// An error, why it is one, and how long its answer is held back.
#[derive(Debug)]
struct Refusal {
    error: AuthError,
    /// For the log.
    reason: &'static str,
    delay: Duration,
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        Self { error, reason: "", delay: Duration::ZERO }
    }
}

fn throttled(throttle: &Throttle, retry_after: Duration) -> Refusal {
    let reason = "too many failed logins";
    Refusal { error: AuthError::Throttled { retry_after }, reason, delay: throttle.refusal_delay() }
}

fn unavailable(error: &store::StoreError) -> AuthError {
    AuthError::Unavailable(error.to_string())
}

fn any_keys(store: &impl MailStore) -> store::Result<bool> {
    let mut after = None;
    loop {
        let page = store.accounts(after.as_deref(), PAGE)?;
        let Some(last) = page.last() else { return Ok(false) };
        if page.iter().any(|account| account.password.scram.is_some() || !account.app_passwords.is_empty()) {
            return Ok(true);
        }
        after = Some(last.name.clone());
    }
}

/// The program's password that this is, where it may be used.
fn app_password<'a>(account: &'a Account, password: &str, protocol: Protocol) -> Option<&'a AppPassword> {
    if account.app_passwords.is_empty() {
        return None;
    }
    let digest = secret::digest(password);
    let usable = account.app_passwords.iter().filter(|known| allows(known.protocols, protocol));
    usable.into_iter().find(|known| bool::from(known.digest.ct_eq(&digest)))
}

fn allows(protocols: Protocols, protocol: Protocol) -> bool {
    match protocol {
        Protocol::Imap => protocols.imap,
        Protocol::Pop3 => protocols.pop3,
        Protocol::Grpc => protocols.submission,
    }
}

fn login<'a>(account: &'a Account, password: &'a str, client: &Client) -> Login<'a> {
    Login { account: &account.name, password, hash: &account.password.hash, client: client.address }
}

/// The form that addresses are compared in; a name that is none is counted by its lower case.
fn fold(username: &str) -> String {
    message::Address::parse(username).map_or_else(|_| username.to_lowercase(), |address| address.key())
}
