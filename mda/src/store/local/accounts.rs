//! Changes to accounts and domains.

use jiff::Timestamp;

use super::LocalStore;
use crate::store::record::{AccountState, Change, MailboxState, Removed, SubscriptionState};
use crate::store::{
    Account, AccountId, AppPassword, MailboxName, NewAccount, Password, Result, SpecialUse, StoreError,
};

/// Passwords for single programs that an account may have.
const MAX_APP_PASSWORDS: usize = 100;

impl LocalStore {
    pub(super) async fn account_create(&self, new: NewAccount) -> Result<Account> {
        let _accounts = self.inner.accounts.lock().await;
        if self.read_account_by_address(&new.name)?.is_some() || self.read_alias(&new.name)?.is_some() {
            return Err(StoreError::AlreadyExists);
        }
        let (id, _) = self.take(|marks| {
            marks.account += 1;
            marks.account
        });
        let account = AccountState {
            id,
            revision: 1,
            addresses: vec![new.name.clone()],
            name: new.name,
            password_hash: new.password.hash,
            created_at: Timestamp::now().as_second(),
            scram: new.password.scram.map(|keys| (*keys).into()),
            app_passwords: Vec::new(),
            quota: None,
        };
        let mailboxes =
            standard_mailboxes().map(|(name, special_use)| self.new_mailbox(id, &name, special_use));
        let mut change = Change {
            accounts: vec![account],
            domains: vec![new.domain],
            mailboxes: mailboxes.collect(),
            ..Change::default()
        };
        change.subscriptions = change.mailboxes.iter().map(subscribed).collect();
        change.marks = self.take(|_| ()).1;
        self.propose(&change).await?;
        self.read_account(AccountId(id))
    }

    pub(super) async fn account_set_password(
        &self,
        account: AccountId,
        password: Password,
        instead_of: Option<String>,
    ) -> Result<bool> {
        self.change_account(account, |state| {
            if instead_of.is_some_and(|hash| hash != state.password_hash) {
                return Ok(false);
            }
            state.password_hash = password.hash;
            state.scram = password.scram.map(|keys| (*keys).into());
            Ok(true)
        })
        .await
    }

    pub(super) async fn account_add_app_password(
        &self,
        account: AccountId,
        password: AppPassword,
    ) -> Result<()> {
        self.change_account(account, |state| {
            if state.app_passwords.iter().any(|known| known.name == password.name) {
                return Err(StoreError::AlreadyExists);
            }
            if state.app_passwords.len() >= MAX_APP_PASSWORDS {
                let limit = MAX_APP_PASSWORDS as u64;
                return Err(StoreError::OverLimit { what: "app passwords", limit });
            }
            state.app_passwords.push(password.into());
            Ok(true)
        })
        .await?;
        Ok(())
    }

    pub(super) async fn account_remove_app_password(&self, account: AccountId, name: String) -> Result<bool> {
        self.change_account(account, |state| {
            let before = state.app_passwords.len();
            state.app_passwords.retain(|known| known.name != name);
            Ok(state.app_passwords.len() < before)
        })
        .await
    }

    /// Changes an account's state, if `change` says that it did.
    async fn change_account(
        &self,
        account: AccountId,
        change: impl FnOnce(&mut AccountState) -> Result<bool>,
    ) -> Result<bool> {
        let _accounts = self.inner.accounts.lock().await;
        let mut state = self.account_state(account)?.ok_or(StoreError::NoSuchAccount)?;
        let changed = change(&mut state)?;
        if changed {
            state.revision += 1;
            self.propose(&Change { accounts: vec![state], ..Change::default() }).await?;
        }
        Ok(changed)
    }

    pub(super) async fn account_remove(&self, account: AccountId) -> Result<()> {
        let _accounts = self.inner.accounts.lock().await;
        let gate = self.inner.gates.of(account.0);
        let _changes = gate.changes.lock().await;
        self.account_state(account)?.ok_or(StoreError::NoSuchAccount)?;
        let mut mailboxes: Vec<_> =
            self.read_mailboxes(account)?.iter().map(|mailbox| mailbox.id.0).collect();
        mailboxes.extend(self.kept_mailbox_id(account)?);
        let restructuring = gate.restructure();
        let change = Change {
            removed_accounts: vec![Removed { id: account.0, ..Removed::default() }],
            removed_mailboxes: mailboxes.iter().map(|id| Removed { id: *id, ..Removed::default() }).collect(),
            ..Change::default()
        };
        self.propose_bookkeeping(&change).await?;
        for mailbox in mailboxes {
            self.mailbox_is_gone(&gate, mailbox);
        }
        drop(restructuring);
        Ok(())
    }

    pub(super) async fn domain_add(&self, domain: String) -> Result<()> {
        if !self.read_is_local(&domain)? {
            self.propose(&Change { domains: vec![domain], ..Change::default() }).await?;
        }
        Ok(())
    }
}

/// What every account has from the start.
fn standard_mailboxes() -> impl Iterator<Item = (MailboxName, Option<SpecialUse>)> {
    let special = SpecialUse::ALL.into_iter().filter_map(|special| {
        let name = MailboxName::parse(special.as_str().trim_start_matches('\\')).ok()?;
        Some((name, Some(special)))
    });
    std::iter::once((MailboxName::inbox(), None)).chain(special)
}

fn subscribed(mailbox: &MailboxState) -> SubscriptionState {
    SubscriptionState { account: mailbox.account, name: mailbox.name.clone(), revision: 1, subscribed: true }
}
