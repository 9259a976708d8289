//! How often a user and a network may fail to log in, and what each failure costs.
//!
//! A leaky bucket per user and per network: a failure fills it, time empties it. No I/O and no clock: the caller says
//! what time it is.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::Duration,
};

use tokio::time::Instant;

use super::network::Network;
use crate::config::PasswordsConfig;

#[cfg(test)]
mod tests;

/// Buckets in memory at most, in each of the two generations.
const MAX_BUCKETS: usize = 65_536;

/// Failed logins per user and per network.
#[derive(Debug)]
pub(super) struct Throttle {
    per_user: Limit,
    per_network: Limit,
    delay: Duration,
    delay_max: Duration,
    /// Names are kept as keyed hashes, so that a bucket's size does not depend on what a client sends.
    names: RandomState,
    buckets: Buckets,
}

/// So many failures in so long a time.
#[derive(Clone, Copy, Debug)]
struct Limit {
    failures: f64,
    window: Duration,
}

impl Throttle {
    pub(super) fn new(config: &PasswordsConfig, now: Instant) -> Self {
        let window = (*config.failure_window).max(Duration::from_secs(1));
        let limit = |failures: u32| Limit { failures: f64::from(failures.max(1)), window };
        Self {
            per_user: limit(config.failures_per_user),
            per_network: limit(config.failures_per_network),
            delay: *config.failure_delay,
            delay_max: *config.max_failure_delay,
            names: RandomState::new(),
            buckets: Buckets::new(window, MAX_BUCKETS, now),
        }
    }

    /// May anyone from this network try a password? If not: in how long.
    pub(super) fn check_network(&self, client: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        client.map_or(Ok(()), |client| self.check(Key::Network(client.into()), self.per_network, now))
    }

    /// May anyone try a password for this user? If not: in how long. A client that names nobody (a token or a
    /// certificate says who it is) is limited by its network alone: else one could lock out all of them.
    pub(super) fn check_user(&self, user: &str, now: Instant) -> Result<(), Duration> {
        if user.is_empty() { Ok(()) } else { self.check(self.user(user), self.per_user, now) }
    }

    /// Counts a failure, and tells how long its answer is to be held back.
    #[allow(clippy::cast_sign_loss, reason = "a level is never negative")]
    pub(super) fn failed(&mut self, user: &str, client: Option<IpAddr>, now: Instant) -> Duration {
        let user = if user.is_empty() { 0.0 } else { self.buckets.fill(self.user(user), self.per_user, now) };
        let network = client.map_or(0.0, |client| {
            // A network holds many users: it is slowed at the same share of its limit as a user is.
            let level = self.buckets.fill(Key::Network(client.into()), self.per_network, now);
            level * self.per_user.failures / self.per_network.failures
        });
        let doublings = (user.max(network).ceil() as u32).saturating_sub(1).min(16);
        self.delay.saturating_mul(1 << doublings).min(self.delay_max)
    }

    /// What an attempt costs that was refused unseen.
    pub(super) fn refusal_delay(&self) -> Duration {
        self.delay_max
    }

    fn check(&self, key: Key, limit: Limit, now: Instant) -> Result<(), Duration> {
        let level = self.buckets.level(key, limit, now);
        let excess = level + 1.0 - limit.failures;
        // A bucket that is full but for rounding is full.
        if excess <= 1e-6 { Ok(()) } else { Err(limit.window.mul_f64(excess / limit.failures)) }
    }

    fn user(&self, name: &str) -> Key {
        Key::User(self.names.hash_one(name))
    }
}

/// Whose bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    User(u64),
    Network(Network),
}

/// A bounded table of buckets that forgets those which have run empty.
///
/// Two generations: what is touched moves into the young one; when that is full or a window has passed, the old one is
/// dropped as a whole. So an untouched bucket lives for one window at least, unless attackers fill the table, then the
/// longest untouched go first, and no operation takes more than constant time.
#[derive(Debug)]
struct Buckets {
    window: Duration,
    capacity: usize,
    young: HashMap<Key, Bucket>,
    old: HashMap<Key, Bucket>,
    turned_at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Failures not yet forgiven, at `at`.
    level: f64,
    at: Instant,
}

impl Buckets {
    fn new(window: Duration, capacity: usize, now: Instant) -> Self {
        Self { window, capacity, young: HashMap::new(), old: HashMap::new(), turned_at: now }
    }

    fn level(&self, key: Key, limit: Limit, now: Instant) -> f64 {
        let Some(bucket) = self.young.get(&key).or_else(|| self.old.get(&key)) else { return 0.0 };
        let passed = now.saturating_duration_since(bucket.at);
        let forgiven = limit.failures * passed.as_secs_f64() / limit.window.as_secs_f64();
        (bucket.level - forgiven).max(0.0)
    }

    /// Adds one failure; the new level.
    fn fill(&mut self, key: Key, limit: Limit, now: Instant) -> f64 {
        let level = self.level(key, limit, now) + 1.0;
        let due = now.saturating_duration_since(self.turned_at) >= self.window;
        if due || (self.young.len() >= self.capacity && !self.young.contains_key(&key)) {
            self.old = std::mem::take(&mut self.young);
            self.turned_at = now;
        }
        self.young.insert(key, Bucket { level, at: now });
        level
    }
}
