//! Argon2id, off the async workers and never more at once than there are cores.

use std::{num::NonZero, sync::Arc, thread, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::{self, phc::PasswordHash},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{AuthError, foreign, secret::Salt};
use crate::config::PasswordsConfig;
use crate::store::{Password, ScramKeys};

/// How long a login waits for its turn. Longer, and its client has given up.
const MAX_WAIT: Duration = Duration::from_secs(15);

/// Makes and checks password hashes in PHC form (`$argon2id$v=19$m=…`).
pub(super) struct Hasher {
    argon2: Argon2<'static>,
    turns: Arc<Semaphore>,
    /// The hash of no one's password, for users who do not exist.
    dummy: Arc<str>,
}

/// One's turn to use a core: held while hashing, and by the caller until it has noted the outcome.
#[derive(Clone)]
pub(super) struct Turn(#[allow(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

impl Hasher {
    /// Fails if the costs are out of Argon2's bounds.
    pub(super) fn new(config: &PasswordsConfig) -> Result<Self, AuthError> {
        let memory_kib = u32::try_from(*config.memory / 1024).unwrap_or(u32::MAX);
        let params = Params::new(memory_kib, config.passes, config.lanes, None)
            .map_err(|error| AuthError::Unavailable(format!("argon2 costs: {error}")))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let dummy = hash(&argon2, "no one's password")?.into();
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self { argon2, turns: Arc::new(Semaphore::new(cores)), dummy })
    }

    pub(super) async fn turn(&self) -> Result<Turn, AuthError> {
        match timeout(MAX_WAIT, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn(Arc::new(permit))),
            Ok(Err(_)) | Err(_) => Err(AuthError::Unavailable("too many logins at the same time".to_owned())),
        }
    }

    /// Whether a hash is as one made here would be, with the costs that new ones have.
    pub(super) fn is_up_to_date(&self, hash: &str) -> bool {
        let Ok(hash) = PasswordHash::new(hash) else { return false };
        let Ok(params) = Params::try_from(&hash) else { return false };
        let ours = self.argon2.params();
        let costs = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        hash.algorithm.as_str() == Algorithm::Argon2id.as_str()
            && hash.version == Some(Version::V0x13.into())
            && costs(&params) == costs(ours)
    }

    /// Makes what is kept of a password; of one that is kept as it should be already the hash stays.
    pub(super) async fn make(
        &self,
        turn: &Turn,
        password: String,
        salt: Salt,
        hashed: Option<String>,
    ) -> Result<Password, AuthError> {
        let argon2 = self.argon2.clone();
        let work = move || {
            let hash = match hashed {
                Some(hash) => hash,
                None => hash(&argon2, &sasl::prepare(&password))?,
            };
            Ok(Password { hash, scram: Some(Box::new(salt.keys(&password))) })
        };
        blocking(turn, work).await?
    }

    /// The keys of a password for SCRAM alone.
    pub(super) async fn keys(
        &self,
        turn: &Turn,
        password: String,
        salt: Salt,
    ) -> Result<ScramKeys, AuthError> {
        blocking(turn, move || salt.keys(&password)).await
    }

    /// Checks a password against a stored hash, with the costs that it was made with; without one it takes as long, and
    /// is wrong. Hashes of before passwords were prepared are of the password as it came.
    pub(super) async fn verify(
        &self,
        turn: &Turn,
        password: String,
        stored: Option<Arc<str>>,
    ) -> Result<bool, AuthError> {
        let argon2 = self.argon2.clone();
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| Arc::clone(&self.dummy));
        let work = move || {
            let prepared = sasl::prepare(&password);
            Ok(verify(&argon2, &prepared, &stored)?
                || (*prepared != password && verify(&argon2, &password, &stored)?))
        };
        let right = blocking(turn, work).await??;
        Ok(right && known)
    }
}

async fn blocking<T: Send + 'static>(
    turn: &Turn,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AuthError> {
    // Held by the thread too: a client that hangs up does not free a core that is still busy.
    let turn = turn.clone();
    let work = move || {
        let result = work();
        drop(turn);
        result
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| AuthError::Unavailable(format!("password hashing ended early: {error}")))
}

fn hash(argon2: &Argon2<'_>, password: &str) -> Result<String, AuthError> {
    let hash: PasswordHash = argon2
        .hash_password(password.as_bytes())
        .map_err(|error| AuthError::Unavailable(format!("hash a password: {error}")))?;
    Ok(hash.to_string())
}

fn verify(argon2: &Argon2<'_>, password: &str, stored: &str) -> Result<bool, AuthError> {
    if let Some(checked) = foreign::verify(password, stored) {
        return checked
            .map_err(|error| AuthError::Unavailable(format!("stored password hash is unreadable: {error}")));
    }
    let stored = PasswordHash::new(stored)
        .map_err(|error| AuthError::Unavailable(format!("stored password hash is unreadable: {error}")))?;
    // Compares in constant time.
    match argon2.verify_password(password.as_bytes(), &stored) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(AuthError::Unavailable(format!("verify a password: {error}"))),
    }
}
