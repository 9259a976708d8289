//! Sessions that are logged in, so that they end when what let them in is nothing any more.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::store::AccountId;

/// By account: what ends its sessions, and how many there are.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<AccountId, (CancellationToken, usize)>>);

/// A session's being logged in; ends when it is dropped, or is over before.
#[derive(Debug)]
pub struct Stay {
    sessions: Arc<Sessions>,
    account: AccountId,
    over: CancellationToken,
}

impl Sessions {
    pub(super) fn begin(self: &Arc<Self>, account: AccountId) -> Stay {
        let mut sessions = self.0.lock();
        let (all, number) = sessions.entry(account).or_default();
        *number += 1;
        Stay { sessions: Arc::clone(self), account, over: all.child_token() }
    }

    /// Ends all sessions of an account; those that begin later are others.
    pub(super) fn end(&self, account: AccountId) {
        if let Some((all, _)) = self.0.lock().get_mut(&account) {
            std::mem::take(all).cancel();
        }
    }
}

impl Stay {
    /// Given when it is over.
    pub fn over(&self) -> &CancellationToken {
        &self.over
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut sessions = self.sessions.0.lock();
        if let Some((_, number)) = sessions.get_mut(&self.account) {
            *number -= 1;
            if *number == 0 {
                sessions.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_one_account_end_together_and_nobody_elses() {
        let sessions = Arc::<Sessions>::default();
        let (one, other) = (sessions.begin(AccountId(1)), sessions.begin(AccountId(1)));
        let others = sessions.begin(AccountId(2));
        sessions.end(AccountId(1));
        let later = sessions.begin(AccountId(1));
        let over = [&one, &other, &others, &later].map(|stay| stay.over().is_cancelled());
        assert_eq!(over, [true, true, false, false]);
        drop((one, other, others));
        sessions.end(AccountId(1));
        assert!(later.over().is_cancelled());
        drop(later);
        assert!(sessions.0.lock().is_empty());
    }
}
