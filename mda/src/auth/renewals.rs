//! Hashes of passwords that took the place of others of the same password.

use std::collections::VecDeque;

use crate::store::AccountId;

/// The last so many are known: they matter to logins that are just going on.
const KNOWN: usize = 1_024;

/// Which hashes are of the same password, only in a newer form.
#[derive(Debug, Default)]
pub(super) struct Renewals(VecDeque<Renewal>);

#[derive(Debug, PartialEq, Eq)]
struct Renewal {
    account: AccountId,
    before: String,
    after: String,
}

impl Renewals {
    /// To be noted before it is kept. Whether it will be does not matter: no other hash is equal to it.
    pub(super) fn note(&mut self, account: AccountId, before: &str, after: &str) {
        if before == after {
            return;
        }
        if self.0.len() == KNOWN {
            self.0.pop_front();
        }
        self.0.push_back(Renewal { account, before: before.to_owned(), after: after.to_owned() });
    }

    /// An account's hash is still what it was, or one of the same password.
    pub(super) fn is_still(&self, account: AccountId, before: &str, now: &str) -> bool {
        let is_this = |renewal: &Renewal| {
            (renewal.account, &*renewal.before, &*renewal.after) == (account, before, now)
        };
        before == now || self.0.iter().any(is_this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_renewals_are_known() {
        let mut renewals = Renewals::default();
        renewals.note(AccountId(1), "a", "a");
        assert!(renewals.0.is_empty());
        renewals.note(AccountId(1), "a", "b");
        for (account, before, now, is_still) in [
            (1, "a", "b", true),
            (1, "b", "b", true),
            (1, "b", "a", false),
            (2, "a", "b", false),
            (1, "a", "c", false),
        ] {
            assert_eq!(
                renewals.is_still(AccountId(account), before, now),
                is_still,
                "{account} {before} {now}"
            );
        }
        for _ in 0..KNOWN {
            renewals.note(AccountId(2), "a", "b");
        }
        assert_eq!(renewals.0.len(), KNOWN);
        assert!(!renewals.is_still(AccountId(1), "a", "b"));
    }
}
