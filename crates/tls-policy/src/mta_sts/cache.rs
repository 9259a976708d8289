//! The policies that are known, by domain (RFC 8461 §3.3, §5.1).
//!
//! A policy holds until its `max_age` is over, whatever becomes of the domain's record, its policy host or the way to
//! them: who can cut these off must not be able to take the policy away. A record with another id makes the policy be
//! fetched anew; until that succeeds the old one holds.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{Policy, Record, RecordError, record_name, select};
use crate::snapshot::{Loaded, Snapshot, SnapshotError};
use crate::tls_rpt::ResultType;

#[cfg(test)]
mod tests;

/// The version of the file.
const VERSION: u32 = 1;
/// Octets that all policies may take together, in memory and, nearly, in the file: room for 10,000 of a few hosts each.
const MOST_OCTETS: usize = 16 << 20;
/// Octets that one takes beside its hosts and names.
const OVERHEAD: usize = 256;
/// Before a fetch that failed is tried again for the same record (RFC 8461 §3.3 suggests this).
const RETRY_AFTER: Duration = Duration::from_mins(5);
/// A policy that is older is fetched again, used or not, so that one who cuts off the domain's HTTPS has to do so for the
/// whole `max_age` (RFC 8461 §10.2).
const REFRESH_AFTER: Duration = Duration::from_hours(24);

/// Where records and policies are looked up.
pub trait Source: Send + Sync + 'static {
    /// The TXT records at a name, each with its strings joined; empty if there are none.
    ///
    /// # Errors
    /// Nothing is known now; says why.
    fn texts(&self, name: String) -> BoxFuture<'static, Result<Vec<String>, String>>;

    /// The policy file of a domain: what [`policy_host`](super::policy_host) serves over HTTPS at
    /// [`POLICY_PATH`](super::POLICY_PATH), not redirected and not larger than
    /// [`MAX_POLICY_SIZE`](super::MAX_POLICY_SIZE).
    fn policy_file(&self, domain: String) -> BoxFuture<'static, Result<Vec<u8>, FetchError>>;
}

/// Why a policy file could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The policy host showed a certificate that is not good.
    #[error("{0}")]
    Certificate(String),
    /// It was not reached, or did not answer as it should.
    #[error("{0}")]
    Unavailable(String),
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Policies; those that were used least recently make room. They also do when all take more than 16 MiB.
    pub policies: usize,
}

/// What holds for a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Its policy, if it has one.
    pub policy: Option<Arc<Policy>>,
    /// Why there is none, or not the newest, although the domain says that there is.
    pub trouble: Option<Trouble>,
}

/// What is wrong with a domain's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// For reports.
    pub result: ResultType,
    /// In words.
    pub reason: String,
}

/// Policies by domain. Clones share them.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    source: Arc<dyn Source>,
    limits: CacheLimits,
    file: Snapshot,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: HashMap<String, Held>,
    /// Fetches that failed: for which id, what was wrong, until when it is not tried again.
    failed: HashMap<String, Failed>,
    /// Fetches under way.
    fetching: HashMap<String, Fetch>,
    /// Something is not in the file yet.
    is_changed: bool,
}

type Fetch = Shared<BoxFuture<'static, Result<Arc<Policy>, Trouble>>>;

struct Failed {
    id: String,
    trouble: Trouble,
    until: u64,
}

/// A policy with what is needed to know how long it holds. Times are seconds since the epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Held {
    id: String,
    fetched_at: u64,
    used_at: u64,
    #[serde(with = "shared")]
    policy: Arc<Policy>,
}

/// A shared value in a file is the value.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(value: &Arc<T>, to: S) -> Result<S::Ok, S::Error> {
        T::serialize(value, to)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(from).map(Arc::new)
    }
}

impl State {
    /// Drops what was used least recently until the rest is within the limits.
    fn make_room(&mut self, limits: CacheLimits) {
        let mut octets: usize = self.held.iter().map(|(domain, held)| held.octets(domain)).sum();
        while self.held.len() > limits.policies.max(1) || octets > MOST_OCTETS {
            let least_recently_used = self.held.iter().min_by_key(|(_, held)| held.used_at);
            let Some((domain, held)) = least_recently_used else { return };
            octets -= held.octets(domain);
            let domain = domain.clone();
            self.held.remove(&domain);
            self.is_changed = true;
        }
    }
}

impl Held {
    fn octets(&self, domain: &str) -> usize {
        OVERHEAD + domain.len() + self.id.len() + self.policy.octets()
    }

    fn holds(&self, now: u64) -> bool {
        now < self.fetched_at.saturating_add(self.policy.max_age)
    }
}

impl Cache {
    /// Reads what was known before. Blocks. A damaged file is an empty one; that is logged.
    pub fn open(path: PathBuf, source: Arc<dyn Source>, limits: CacheLimits) -> Result<Self, SnapshotError> {
        let file = Snapshot::new(path, "mta-sts", VERSION);
        let held = match file.load()? {
            Loaded::State(held) => held,
            Loaded::Nothing => HashMap::new(),
            Loaded::Damaged(reason) => {
                tracing::error!(path = %file.path().display(), reason, "the known MTA-STS policies are lost; they are fetched again");
                HashMap::new()
            }
        };
        let mut state = State { held, ..State::default() };
        state.make_room(limits);
        let state = Mutex::new(state);
        Ok(Self(Arc::new(Inner { source, limits, file, state })))
    }

    /// What holds for mail to `domain`, which is in ASCII and lower case. Waits for a policy that is not known yet.
    pub async fn policy(&self, domain: &str, now: SystemTime) -> Applied {
        let now = seconds(now);
        let record = match self.0.source.texts(record_name(domain)).await {
            Ok(texts) => select(texts.iter().map(String::as_str)),
            // What is known goes on holding.
            Err(_) => Err(RecordError::None),
        };
        let held = self.0.held(domain, now);
        let Ok(Record { id }) = record else {
            return Applied { policy: held.map(|held| held.policy), trouble: None };
        };
        match held {
            Some(held) if held.id == id => Applied { policy: Some(held.policy), trouble: None },
            held => match self.fetch(domain, id, now).await {
                Ok(policy) => Applied { policy: Some(policy), trouble: None },
                Err(trouble) => Applied { policy: held.map(|held| held.policy), trouble: Some(trouble) },
            },
        }
    }

    /// Fetches the policies anew that have been held for a day, one after the other. Those that are over go.
    pub async fn refresh(&self, now: SystemTime) {
        let now = seconds(now);
        for domain in self.0.due(now) {
            let texts = self.0.source.texts(record_name(&domain)).await;
            // Without a record the policy holds until it is over.
            let Ok(Record { id }) = select(texts.unwrap_or_default().iter().map(String::as_str)) else {
                continue;
            };
            if let Err(trouble) = self.fetch(&domain, id, now).await {
                tracing::info!(domain, reason = trouble.reason, "an MTA-STS policy could not be refreshed");
            }
        }
    }

    /// Writes what is known to the file, if it has changed. Blocks.
    pub fn save(&self) -> std::io::Result<()> {
        let held = {
            let mut state = self.0.state.lock();
            if !std::mem::take(&mut state.is_changed) {
                return Ok(());
            }
            state.held.clone()
        };
        let saved = self.0.file.save(&held);
        if saved.is_err() {
            self.0.state.lock().is_changed = true;
        }
        saved
    }

    /// Fetches a policy: once, however many wait for it, and to its end, even if none of them does any longer.
    async fn fetch(&self, domain: &str, id: String, now: u64) -> Result<Arc<Policy>, Trouble> {
        let fetch = {
            let mut state = self.0.state.lock();
            if let Some(failed) = state.failed.get(domain)
                && failed.id == id
                && now < failed.until
            {
                return Err(failed.trouble.clone());
            }
            if let Some(fetch) = state.fetching.get(domain) {
                fetch.clone()
            } else {
                let fetch = Arc::clone(&self.0).begin(domain.to_owned(), id, now);
                state.fetching.insert(domain.to_owned(), fetch.clone());
                fetch
            }
        };
        fetch.await
    }
}

impl Inner {
    fn begin(self: Arc<Self>, domain: String, id: String, now: u64) -> Fetch {
        let fetching = tokio::spawn(async move {
            let fetched = match self.source.policy_file(domain.clone()).await {
                Ok(file) => Policy::parse(&file)
                    .map_err(|error| trouble(ResultType::StsPolicyInvalid, &domain, &error.to_string())),
                Err(FetchError::Certificate(reason)) => {
                    Err(trouble(ResultType::StsWebpkiInvalid, &domain, &reason))
                }
                Err(FetchError::Unavailable(reason)) => {
                    Err(trouble(ResultType::StsPolicyFetchError, &domain, &reason))
                }
            };
            self.end(&domain, id, now, fetched.map(Arc::new))
        });
        let interrupted = |_| Err(trouble(ResultType::StsPolicyFetchError, "", "the fetch was interrupted"));
        async move { fetching.await.unwrap_or_else(interrupted) }.boxed().shared()
    }

    fn end(
        &self,
        domain: &str,
        id: String,
        now: u64,
        fetched: Result<Arc<Policy>, Trouble>,
    ) -> Result<Arc<Policy>, Trouble> {
        let mut state = self.state.lock();
        state.fetching.remove(domain);
        match &fetched {
            Ok(policy) => {
                state.failed.remove(domain);
                let held = Held { id, fetched_at: now, used_at: now, policy: Arc::clone(policy) };
                state.held.insert(domain.to_owned(), held);
                state.is_changed = true;
                state.make_room(self.limits);
            }
            Err(trouble) => {
                if state.failed.len() >= self.limits.policies {
                    state.failed.retain(|_, failed| now < failed.until);
                }
                if state.failed.len() < self.limits.policies {
                    let until = now.saturating_add(RETRY_AFTER.as_secs());
                    state.failed.insert(domain.to_owned(), Failed { id, trouble: trouble.clone(), until });
                }
            }
        }
        fetched
    }

    /// The policy that is known and not over.
    fn held(&self, domain: &str, now: u64) -> Option<Held> {
        let mut state = self.state.lock();
        let held = state.held.get_mut(domain).filter(|held| held.holds(now))?;
        held.used_at = now;
        Some(held.clone())
    }

    /// Drops the policies that are over, and names those that are to be fetched again.
    fn due(&self, now: u64) -> Vec<String> {
        let mut state = self.state.lock();
        let before = state.held.len();
        state.held.retain(|_, held| held.holds(now));
        state.is_changed |= state.held.len() != before;
        let is_due = |held: &Held| {
            let age = now.saturating_sub(held.fetched_at);
            age >= REFRESH_AFTER.as_secs().min(held.policy.max_age / 2)
        };
        state.held.iter().filter(|(_, held)| is_due(held)).map(|(domain, _)| domain.clone()).collect()
    }
}

fn trouble(result: ResultType, domain: &str, reason: &str) -> Trouble {
    Trouble { result, reason: format!("the MTA-STS policy of {domain} cannot be used: {reason}") }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
