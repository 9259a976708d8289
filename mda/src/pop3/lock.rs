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
    logins: Arc<Mutex<HashMap<AccountId, Instant>>>,
}

/// Logins that are remembered at most.
const MAX_LOGINS: usize = 65_536;

/// A session's hold on a maildrop; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    locks: Locks,
    account: AccountId,
}

impl Locks {
    /// Notes a login, unless the last one of this account is less than `delay` ago.
    pub(crate) fn admit(&self, account: AccountId, delay: Duration, now: Instant) -> bool {
        if delay.is_zero() {
            return true;
        }
        let mut logins = self.logins.lock();
        if logins.get(&account).is_some_and(|last| now.duration_since(*last) < delay) {
            return false;
        }
        if logins.len() >= MAX_LOGINS {
            logins.retain(|_, last| now.duration_since(*last) < delay);
        }
        if logins.len() < MAX_LOGINS {
            logins.insert(account, now);
        }
        true
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
        assert!(locks.admit(AccountId(1), delay, now));
        assert!(!locks.admit(AccountId(1), delay, now + delay / 2));
        assert!(locks.admit(AccountId(2), delay, now + delay / 2));
        assert!(locks.admit(AccountId(1), delay, now + delay));
        assert!(locks.admit(AccountId(1), Duration::ZERO, now + delay));
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
