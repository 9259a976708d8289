//! One POP3 session at a time may have a maildrop (RFC 1939 §4), and not too soon after the one before (RFC 2449 §6.5).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::store::AccountId;

/// The maildrops that sessions hold. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Locks {
    held: Arc<Mutex<HashSet<AccountId>>>,
    logins: Arc<Mutex<Logins>>,
}

/// Logins that are remembered at most, in each of the two generations.
const MAX_LOGINS: usize = 65_536;

/// When accounts last logged in. The older generation is dropped as a whole once the delay has passed, or there are too
/// many: then the longest past are forgotten.
#[derive(Debug, Default)]
struct Logins {
    young: HashMap<AccountId, Instant>,
    old: HashMap<AccountId, Instant>,
    turned_at: Option<Instant>,
}

impl Logins {
    fn last(&self, account: AccountId) -> Option<Instant> {
        self.young.get(&account).or_else(|| self.old.get(&account)).copied()
    }

    fn note(&mut self, account: AccountId, delay: Duration, now: Instant) {
        let turned_at = *self.turned_at.get_or_insert(now);
        if now.duration_since(turned_at) >= delay || self.young.len() >= MAX_LOGINS {
            self.old = std::mem::take(&mut self.young);
            self.turned_at = Some(now);
        }
        self.young.insert(account, now);
    }
}

/// A session's hold on a maildrop; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    locks: Locks,
    account: AccountId,
}

impl Locks {
    /// Whether the last login of this account is less than `delay` ago.
    pub(crate) fn is_too_soon(&self, account: AccountId, delay: Duration, now: Instant) -> bool {
        let last = self.logins.lock().last(account);
        last.is_some_and(|last| now.duration_since(last) < delay)
    }

    /// Notes a login that has opened its maildrop.
    pub(crate) fn note(&self, account: AccountId, delay: Duration, now: Instant) {
        if !delay.is_zero() {
            self.logins.lock().note(account, delay, now);
        }
    }

    /// `None` if another session holds it.
    pub(crate) fn lock(&self, account: AccountId) -> Option<Lock> {
        self.held.lock().insert(account).then(|| Lock { locks: self.clone(), account })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.locks.held.lock().remove(&self.account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_keep_their_distance() {
        let (locks, now, delay) = (Locks::default(), Instant::now(), Duration::from_mins(1));
        assert!(!locks.is_too_soon(AccountId(1), delay, now), "nobody has logged in yet");
        locks.note(AccountId(1), delay, now);
        assert!(locks.is_too_soon(AccountId(1), delay, now + delay / 2));
        assert!(!locks.is_too_soon(AccountId(2), delay, now + delay / 2));
        assert!(!locks.is_too_soon(AccountId(1), delay, now + delay));
        assert!(!locks.is_too_soon(AccountId(1), Duration::ZERO, now));
        // However long others have logged in since, each keeps its own distance.
        locks.note(AccountId(2), delay, now + delay / 2);
        locks.note(AccountId(3), delay, now + delay);
        assert!(locks.is_too_soon(AccountId(2), delay, now + delay));
        locks.note(AccountId(3), delay, now + delay * 2);
        assert_eq!(locks.logins.lock().last(AccountId(1)), None);
    }

    #[test]
    fn there_is_a_distance_for_any_number_of_accounts() {
        let (locks, now, delay) = (Locks::default(), Instant::now(), Duration::from_mins(1));
        let last = 3 * MAX_LOGINS as u64;
        (0..=last).for_each(|account| locks.note(AccountId(account), delay, now));
        assert!(locks.is_too_soon(AccountId(last), delay, now));
        let logins = locks.logins.lock();
        assert!(logins.young.len() + logins.old.len() <= 2 * MAX_LOGINS);
    }

    #[test]
    fn a_maildrop_is_held_once_until_it_is_let_go() {
        let locks = Locks::default();
        let first = locks.lock(AccountId(1));
        assert!(first.is_some());
        assert!(locks.lock(AccountId(1)).is_none());
        assert!(locks.lock(AccountId(2)).is_some());
        drop(first);
        assert!(locks.lock(AccountId(1)).is_some());
    }
}
