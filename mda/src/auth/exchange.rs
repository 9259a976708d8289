//! An exchange of some mechanism with one client, held against the accounts.

use std::time::Duration;

use sasl::scram::{Hash, Keys, Verifier};
use sasl::{Claim, Context, Mechanism, Offer, Step};

use super::{AuthError, Authenticator, Client, Refusal, allows, fold};
use crate::store::{Account, AppPassword, ScramKeys};

/// An exchange that is under way.
pub struct Exchange {
    authenticator: Authenticator,
    client: Client,
    inner: sasl::Exchange,
    /// Whom the client has said to be; empty before that.
    username: String,
    /// It is refused, and has yet to take note.
    refused: bool,
}

/// How an exchange goes on.
#[derive(Debug)]
pub enum Progress {
    /// Send this, and take what the client says to it to [`Exchange::respond`].
    Challenge(Vec<u8>),
    /// It is let in.
    Done(Box<Account>),
}

/// Why an exchange came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// The client was not offered this mechanism.
    #[error("the mechanism is not offered")]
    Mechanism,
    /// The client does not keep to the mechanism.
    #[error(transparent)]
    Protocol(sasl::Error),
    /// It was not let in.
    #[error(transparent)]
    Refused(#[from] AuthError),
}

impl Authenticator {
    /// Begins an exchange of the mechanism of this name, with the response that came with the command if there was one.
    pub async fn begin(
        &self,
        mechanism: &str,
        client: Client,
        initial: Option<&[u8]>,
    ) -> Result<(Exchange, Progress), SaslError> {
        let offered = self.mechanisms(&client);
        let mechanism = Mechanism::parse(mechanism).filter(|known| offered.contains(known));
        let mechanism = mechanism.ok_or(SaslError::Mechanism)?;
        let binds = |mechanism: &Mechanism| mechanism.scram().is_some_and(|(_, binds)| binds);
        let offer = if offered.iter().any(binds) { Offer::WithBinding } else { Offer::WithoutBinding };
        let bindings = client.tls.as_ref().map(|tls| tls.bindings.clone()).unwrap_or_default();
        match sasl::Exchange::start(mechanism, Context { bindings, offer }, initial) {
            Ok((exchange, step)) => {
                let username = String::new();
                let mut exchange = Exchange {
                    authenticator: self.clone(),
                    client,
                    inner: exchange,
                    username,
                    refused: false,
                };
                let progress = exchange.step(step).await?;
                Ok((exchange, progress))
            }
            Err(error) => Err(failed(self, mechanism, "", &client, error).await),
        }
    }
}

impl Exchange {
    /// Takes what the client has said.
    pub async fn respond(&mut self, response: &[u8]) -> Result<Progress, SaslError> {
        if let Err(refusal) = self.check_proof() {
            return Err(self.refuse(refusal).await.into());
        }
        match self.inner.respond(response) {
            Err(_) if self.refused => Err(AuthError::Wrong.into()),
            Ok(step) => self.step(step).await,
            Err(error) => {
                let mechanism = self.inner.mechanism();
                Err(failed(&self.authenticator, mechanism, &self.username, &self.client, error).await)
            }
        }
    }

    /// May what comes next be looked at, if it is a proof? Asked again now that it is there: of a thousand exchanges begun
    /// at once, all but a few have failed meanwhile. Nothing is awaited between this and the count of the failure.
    fn check_proof(&self) -> Result<(), Refusal> {
        if self.inner.mechanism().scram().is_none() || self.username.is_empty() {
            return Ok(());
        }
        self.authenticator.check_network(&self.client)?;
        self.authenticator.check_user(&fold(&self.username))
    }

    async fn step(&mut self, step: Step) -> Result<Progress, SaslError> {
        match step {
            Step::Challenge(challenge) => Ok(Progress::Challenge(challenge)),
            Step::Find(username) => {
                self.username = username;
                let verifier = match self.find() {
                    Ok(verifier) => verifier,
                    Err(refusal) => return Err(self.refuse(refusal).await.into()),
                };
                match self.inner.found(verifier) {
                    Ok(Step::Challenge(challenge)) => Ok(Progress::Challenge(challenge)),
                    _ => Err(SaslError::Protocol(sasl::Error::Malformed)),
                }
            }
            Step::Done(claim) => self.judge(claim).await,
        }
    }

    /// What is known of the user for SCRAM.
    fn find(&self) -> Result<Verifier, Refusal> {
        let user = fold(&self.username);
        self.authenticator.check_network(&self.client)?;
        self.authenticator.check_user(&user)?;
        let inner = &self.authenticator.inner;
        let known = self.authenticator.account(&user)?.and_then(|account| self.verifier(&account));
        Ok(known.unwrap_or_else(|| inner.decoy.verifier(&user, inner.iterations)))
    }

    /// The keys of all passwords of an account that can be used here. SCRAM tells the salt before it knows which of
    /// them the client has, so only those with the same salt can.
    fn verifier(&self, account: &Account) -> Option<Verifier> {
        let (hash, _) = self.inner.mechanism().scram()?;
        let usable = || usable_keys(account, &self.client);
        let first = usable().next()?;
        let alike = usable().filter(|keys| keys.salt == first.salt && keys.iterations == first.iterations);
        let candidates = alike.map(|keys| keys_of(keys, hash).clone()).collect();
        Some(Verifier { salt: first.salt.clone(), iterations: first.iterations, candidates })
    }

    async fn judge(&mut self, claim: Claim) -> Result<Progress, SaslError> {
        match claim {
            Claim::Password { username, password } => {
                let mechanism = self.inner.mechanism();
                let authenticator = &self.authenticator;
                let checked = authenticator.check_password(mechanism, &username, &password, &self.client);
                Ok(Progress::Done(Box::new(checked.await?)))
            }
            Claim::Proved { keys, .. } => match self.proved(&keys) {
                Ok(account) => Ok(Progress::Done(Box::new(account))),
                Err(refusal) => Err(self.refuse(refusal).await.into()),
            },
            Claim::Token { username, token } => self.token(username, &token).await,
            Claim::Certificate { username } => match self.certificate(username) {
                Ok(account) => Ok(Progress::Done(Box::new(account))),
                Err(refusal) => Err(self.refuse(refusal).await.into()),
            },
        }
    }

    /// The account whose password was proved, if that is still right: an exchange may take a while.
    fn proved(&self, proved: &Keys) -> Result<Account, Refusal> {
        let account = self.authenticator.account(&fold(&self.username))?;
        let hash = self.inner.mechanism().scram().map(|(hash, _)| hash);
        let holds = |account: &Account| {
            hash.is_some_and(|hash| {
                usable_keys(account, &self.client).any(|keys| keys_of(keys, hash) == proved)
            })
        };
        let changed = "the password was changed meanwhile";
        let account = account.filter(holds);
        let account =
            account.ok_or(Refusal { error: AuthError::Wrong, reason: changed, delay: Duration::ZERO })?;
        let of_program =
            |known: &&AppPassword| hash.is_some_and(|hash| keys_of(&known.scram, hash) == proved);
        if let Some(known) = account.app_passwords.iter().find(of_program) {
            self.authenticator.inner.uses.lock().note(account.id, &known.name);
        }
        Ok(account)
    }

    async fn token(&mut self, username: Option<String>, token: &str) -> Result<Progress, SaslError> {
        self.username = username.unwrap_or_default();
        let refusal = match self.token_owner(token).await {
            Ok(account) => return Ok(Progress::Done(Box::new(account))),
            Err(refusal) => refusal,
        };
        match self.refuse(refusal).await {
            // Told in the mechanism's own words first (RFC 7628 §3.2.2).
            AuthError::Wrong => {
                self.refused = true;
                self.inner.refuse().map(Progress::Challenge).ok_or(AuthError::Wrong.into())
            }
            error => Err(error.into()),
        }
    }

    /// The account whose token this is, if it is the one that the client names.
    async fn token_owner(&self, token: &str) -> Result<Account, Refusal> {
        let user = fold(&self.username);
        let authenticator = &self.authenticator;
        let tokens = authenticator.tokens.as_ref();
        let tokens = tokens.ok_or_else(|| AuthError::Unavailable("nobody knows tokens".to_owned()))?;
        authenticator.check_network(&self.client)?;
        let named = |owner: &str| self.username.is_empty() || fold(owner) == user;
        if let Some((owner, hash)) = tokens.recall(token).filter(|(owner, _)| named(owner)) {
            let account = authenticator.account(&fold(&owner))?;
            if let Some(account) = account.filter(|account| account.password.hash == hash) {
                return Ok(account);
            }
        }
        authenticator.check_user(&user)?;
        let good = tokens.ask(token).await.map_err(AuthError::Unavailable)?;
        let Some(good) = good else {
            return Err(authenticator.failed(&user, &self.client, "the token is not valid"));
        };
        if !named(&good.user) {
            return Err(authenticator.failed(&user, &self.client, "the token is another's"));
        }
        let Some(account) = authenticator.account(&fold(&good.user))? else {
            return Err(authenticator.failed(&user, &self.client, "the token's owner has no account"));
        };
        tokens.remember(token, &good, &account.password.hash);
        Ok(account)
    }

    /// The account whose certificate the client has shown, if it is the one that it names.
    fn certificate(&mut self, username: Option<String>) -> Result<Account, Refusal> {
        self.username = username.unwrap_or_default();
        let user = fold(&self.username);
        let authenticator = &self.authenticator;
        authenticator.check_network(&self.client)?;
        let mut accounts = authenticator.certified(&self.client)?;
        accounts.retain(|account| self.username.is_empty() || account.name == user);
        match accounts.pop() {
            Some(account) if accounts.iter().all(|other| other.id == account.id) => Ok(account),
            _ => {
                Err(authenticator.failed(&user, &self.client, "the certificate is not that account's alone"))
            }
        }
    }

    async fn refuse(&self, refusal: Refusal) -> AuthError {
        let mechanism = self.inner.mechanism();
        self.authenticator.refuse(mechanism, &self.username, &self.client, refusal).await
    }
}

/// What a client's breach of a mechanism comes to: a wrong proof is a failed login, the rest an error of its own.
async fn failed(
    authenticator: &Authenticator,
    mechanism: Mechanism,
    username: &str,
    client: &Client,
    error: sasl::Error,
) -> SaslError {
    let reason = match error {
        sasl::Error::Proof => "wrong user name or password",
        sasl::Error::Binding => "the channel binding does not fit this connection",
        sasl::Error::Random => {
            let refusal = super::secret::no_randomness().into();
            return authenticator.refuse(mechanism, username, client, refusal).await.into();
        }
        error => return SaslError::Protocol(error),
    };
    let refusal = authenticator.failed(&fold(username), client, reason);
    authenticator.refuse(mechanism, username, client, refusal).await.into()
}

/// Keys of the account's password, and of those for programs that speak what the client speaks.
fn usable_keys<'a>(account: &'a Account, client: &Client) -> impl Iterator<Item = &'a ScramKeys> {
    let protocol = client.protocol;
    let programs = account.app_passwords.iter().filter(move |password| allows(password.protocols, protocol));
    account.password.scram.as_deref().into_iter().chain(programs.map(|password| &password.scram))
}

fn keys_of(keys: &ScramKeys, hash: Hash) -> &Keys {
    match hash {
        Hash::Sha1 => &keys.sha1,
        Hash::Sha256 => &keys.sha256,
    }
}
