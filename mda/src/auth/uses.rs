//! When passwords for programs were last used. In memory: nobody's login waits for the disk to note it.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::store::AccountId;

/// Passwords that are remembered at most.
const MAX_ENTRIES: usize = 65_536;

/// The last use of each password for a program, since this process began.
#[derive(Debug, Default)]
pub(super) struct Uses(HashMap<(AccountId, String), Timestamp>);

impl Uses {
    /// Notes that a password was used now. When there are too many to remember, all are forgotten.
    pub(super) fn note(&mut self, account: AccountId, name: &str) {
        if self.0.len() >= MAX_ENTRIES {
            self.0.clear();
        }
        self.0.insert((account, name.to_owned()), Timestamp::now());
    }

    pub(super) fn forget(&mut self, account: AccountId, name: &str) {
        self.0.remove(&(account, name.to_owned()));
    }

    pub(super) fn last(&self, account: AccountId, name: &str) -> Option<Timestamp> {
        self.0.get(&(account, name.to_owned())).copied()
    }
}
