//! Who is who: checks passwords for IMAP, POP3 and, through `Directory`, for the MSA.
//!
//! Guessing is made slow and useless: passwords are kept as Argon2id hashes; an unknown user takes as long as a known
//! one; each failure holds its answer back for longer; and at a limit per user and per network further attempts are
//! refused unseen. What a polling client proved a short while ago is remembered, so that it does not pay Argon2 again.

use std::{net::IpAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use self::{
    hasher::{Hasher, Turn},
    remembered::{Login, Remembered},
    throttle::Throttle,
};
use crate::{
    config::PasswordsConfig,
    store::{self, Account, MailStore},
};

mod hasher;
mod network;
pub mod plain;
mod remembered;
mod throttle;

#[cfg(test)]
mod tests;

/// Octets of a password at most.
pub const MAX_PASSWORD: usize = 1024;

/// Checks passwords. Cheap to clone; all clones share their limits and their memory.
#[derive(Clone)]
pub struct Authenticator {
    inner: Arc<Inner>,
}

struct Inner {
    accounts: Box<dyn Accounts>,
    hasher: Hasher,
    throttle: Mutex<Throttle>,
    remembered: Mutex<Remembered>,
}

/// Where accounts and their password hashes stand: the mail store.
trait Accounts: Send + Sync {
    /// The account of an address, which must be in the form that addresses are compared in.
    fn by_address(&self, key: &str) -> store::Result<Option<Account>>;
}

impl<S: MailStore> Accounts for S {
    fn by_address(&self, key: &str) -> store::Result<Option<Account>> {
        self.account_by_address(key)
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
    /// Checks passwords of the store's accounts. Fails if the Argon2 costs are out of bounds.
    pub fn new(store: impl MailStore, config: &PasswordsConfig) -> Result<Self, AuthError> {
        let now = Instant::now();
        let remembered = Remembered::new(*config.remember, now)
            .ok_or_else(|| AuthError::Unavailable("the system gives no randomness".to_owned()))?;
        let inner = Inner {
            accounts: Box::new(store),
            hasher: Hasher::new(config)?,
            throttle: Mutex::new(Throttle::new(config, now)),
            remembered: Mutex::new(remembered),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Checks that Argon2 takes the configured costs.
    pub fn check_costs(config: &PasswordsConfig) -> Result<(), AuthError> {
        Hasher::new(config).map(|_| ())
    }

    /// Checks a user's password. `client` is where the attempt comes from, if known.
    ///
    /// A failure is answered late, more so with each: callers just pass on what they get.
    pub async fn authenticate(
        &self,
        username: &str,
        password: &str,
        client: Option<IpAddr>,
    ) -> Result<Account, AuthError> {
        match self.check(username, password, client).await {
            Ok(authenticated) => Ok(authenticated),
            Err(Refusal { error, delay }) => {
                // No turn at a core is held any more: waiting costs the client, not the others.
                sleep(delay).await;
                Err(error)
            }
        }
    }

    /// Hashes a password for storing.
    pub async fn hash(&self, password: &str) -> Result<String, AuthError> {
        let turn = self.inner.hasher.turn().await?;
        self.inner.hasher.hash(&turn, password.to_owned()).await
    }

    async fn check(
        &self,
        username: &str,
        password: &str,
        client: Option<IpAddr>,
    ) -> Result<Account, Refusal> {
        let user = fold(username);
        self.check_network(client)?;
        let account = self.account(&user)?;
        if let Some(account) = &account
            && self.inner.remembered.lock().holds(&login(account, password, client), Instant::now())
        {
            return Ok(account.clone());
        }
        self.check_user(&user)?;
        let turn = self.inner.hasher.turn().await?;
        // Again, now that it is our turn: of a thousand attempts sent at once, all but a few have failed meanwhile.
        self.check_network(client)?;
        self.check_user(&user)?;
        let right = self.verify(&turn, password, account.as_ref()).await?;
        let Some(account) = account.filter(|_| right) else {
            let delay = self.inner.throttle.lock().failed(&user, client, Instant::now());
            return Err(Refusal { error: AuthError::Wrong, delay });
        };
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
        let stored = account.map(|account| Arc::from(account.password_hash.as_str()));
        self.inner.hasher.verify(turn, password.to_owned(), stored).await
    }

    fn check_network(&self, client: Option<IpAddr>) -> Result<(), Refusal> {
        let throttle = self.inner.throttle.lock();
        throttle.check_network(client, Instant::now()).map_err(|wait| refuse(&throttle, wait))
    }

    fn check_user(&self, user: &str) -> Result<(), Refusal> {
        let throttle = self.inner.throttle.lock();
        throttle.check_user(user, Instant::now()).map_err(|wait| refuse(&throttle, wait))
    }

    fn account(&self, key: &str) -> Result<Option<Account>, AuthError> {
        self.inner.accounts.by_address(key).map_err(|error| AuthError::Unavailable(error.to_string()))
    }
}

/// An error, and how long its answer is held back.
struct Refusal {
    error: AuthError,
    delay: Duration,
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        Self { error, delay: Duration::ZERO }
    }
}

fn refuse(throttle: &Throttle, retry_after: Duration) -> Refusal {
    Refusal { error: AuthError::Throttled { retry_after }, delay: throttle.refusal_delay() }
}

fn login<'a>(account: &'a Account, password: &'a str, client: Option<IpAddr>) -> Login<'a> {
    Login { account: &account.name, password, hash: &account.password_hash, client }
}

/// The form that addresses are compared in; a name that is none is counted by its lower case.
fn fold(username: &str) -> String {
    message::Address::parse(username).map_or_else(|_| username.to_lowercase(), |address| address.key())
}
