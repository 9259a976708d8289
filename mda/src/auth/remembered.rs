//! Passwords that were right a short while ago, so that polling clients do not pay Argon2 each time.
//!
//! What is kept is a keyed hash (HMAC-SHA-256 under a key that never leaves this process) over account, password *and*
//! the stored hash: a password that was changed, or an account that was removed and made anew, has another stored hash,
//! so that what was remembered no longer fits from that moment on.
//!
//! An entry holds for one network only. Else it would let an attacker elsewhere guess at the price of an HMAC.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use aws_lc_rs::{hmac, rand::SystemRandom};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use super::network::Network;

#[cfg(test)]
mod tests;

/// Entries in memory at most, in each of the two generations.
const MAX_ENTRIES: usize = 32_768;

/// Right passwords of late.
pub(super) struct Remembered {
    key: hmac::Key,
    lifetime: Duration,
    // As in the throttle: the old generation is dropped when the young one is full or its time is over.
    young: HashMap<Place, Entry>,
    old: HashMap<Place, Entry>,
    turned_at: Instant,
}

/// An account as seen from one network.
type Place = (String, Network);

#[derive(Clone, Copy)]
struct Entry {
    tag: [u8; 32],
    until: Instant,
}

impl Remembered {
    /// `None` if the system has no randomness to make a key of.
    pub(super) fn new(lifetime: Duration, now: Instant) -> Option<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
        Some(Self { key, lifetime, young: HashMap::new(), old: HashMap::new(), turned_at: now })
    }

    /// Was this password right for this account and stored hash, from this network, a short while ago?
    pub(super) fn holds(&self, login: &Login<'_>, now: Instant) -> bool {
        let Some(place) = login.place() else { return false };
        let Some(entry) = self.young.get(&place).or_else(|| self.old.get(&place)) else { return false };
        now < entry.until && bool::from(self.tag(login).ct_eq(&entry.tag))
    }

    /// Remembers a password that was right just now.
    pub(super) fn insert(&mut self, login: &Login<'_>, now: Instant) {
        let Some(place) = login.place() else { return };
        if self.lifetime.is_zero() {
            return;
        }
        let due = now.saturating_duration_since(self.turned_at) >= self.lifetime;
        if due || self.young.len() >= MAX_ENTRIES {
            self.old = std::mem::take(&mut self.young);
            self.turned_at = now;
        }
        let entry = Entry { tag: self.tag(login), until: now + self.lifetime };
        self.young.insert(place, entry);
    }

    fn tag(&self, login: &Login<'_>) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [login.account, login.password, login.hash] {
            // Lengths first, so that no two logins run together into the same octets.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }
}

/// One attempt, and what it is checked against.
pub(super) struct Login<'a> {
    pub(super) account: &'a str,
    pub(super) password: &'a str,
    /// The stored hash.
    pub(super) hash: &'a str,
    pub(super) client: Option<IpAddr>,
}

impl Login<'_> {
    /// `None` for clients at unknown places: nothing is remembered for those.
    fn place(&self) -> Option<Place> {
        Some((self.account.to_owned(), self.client?.into()))
    }
}
