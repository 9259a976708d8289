//! One POP3 session at a time may have a maildrop (RFC 1939 §4).

use std::{collections::HashSet, sync::Arc};

use parking_lot::Mutex;

use crate::store::AccountId;

/// The maildrops that sessions hold. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Locks {
    held: Arc<Mutex<HashSet<AccountId>>>,
}

/// A session's hold on a maildrop; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    locks: Locks,
    account: AccountId,
}

impl Locks {
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
