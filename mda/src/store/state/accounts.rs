//! Accounts, domains, mailboxes and subscriptions.

use journal::Position;

use super::State;
use crate::store::record::{
    AccountState, AliasState, Change, Counters, DomainState, MailboxState, Nothing, Removed,
    SubscriptionState,
};
use crate::store::{MailboxName, Result, keys};

impl State {
    pub(super) fn apply_accounts(&mut self, at: Position, change: &Change) -> Result<()> {
        for domain in &change.domains {
            self.pending.put(keys::domain(domain), at, &Nothing {});
        }
        for domain in &change.domain_states {
            self.domain_state(at, domain)?;
        }
        for account in &change.accounts {
            self.account(at, account)?;
        }
        for removed in &change.removed_accounts {
            self.remove_account(at, *removed)?;
        }
        change.aliases.iter().try_for_each(|alias| self.alias(at, alias))
    }

    pub(super) fn apply_mailboxes(&mut self, at: Position, change: &Change) -> Result<()> {
        for mailbox in &change.mailboxes {
            self.mailbox(at, mailbox)?;
        }
        for removed in &change.removed_mailboxes {
            self.remove_mailbox(at, *removed)?;
        }
        for subscription in &change.subscriptions {
            self.subscription(at, subscription)?;
        }
        Ok(())
    }

    fn domain_state(&mut self, at: Position, domain: &DomainState) -> Result<()> {
        let key = keys::domain_state(&domain.name);
        let old = self.pending.get::<DomainState>(&key)?;
        if old.as_ref().is_none_or(|old| (old.value.revision, old.at) < (domain.revision, at)) {
            self.put_state(key, at, old.as_ref(), domain);
        }
        Ok(())
    }

    fn account(&mut self, at: Position, account: &AccountState) -> Result<()> {
        if self.pending.contains(&keys::removed_account(account.id))? {
            return Ok(());
        }
        let key = keys::account(account.id);
        let old = self.pending.get::<AccountState>(&key)?;
        if let Some(old) = &old {
            if (old.value.revision, old.at) > (account.revision, at) {
                return Ok(());
            }
            self.delete_addresses(&old.value);
        }
        for address in &account.addresses {
            self.pending.put(keys::address(address, account.id), at, &Nothing {});
        }
        self.put_state(key, at, old.as_ref(), account);
        Ok(())
    }

    fn remove_account(&mut self, at: Position, removed: Removed) -> Result<()> {
        self.pending.put(keys::removed_account(removed.id), at, &removed);
        if let Some(old) = self.pending.get::<AccountState>(&keys::account(removed.id))? {
            self.delete_addresses(&old.value);
            self.delete_state(keys::account(removed.id), &old);
        }
        self.delete_states::<SubscriptionState>(&keys::subscriptions(removed.id))?;
        self.remove_notes_of_account(removed.id)?;
        self.news.removed_accounts.insert(removed.id);
        Ok(())
    }

    fn alias(&mut self, at: Position, alias: &AliasState) -> Result<()> {
        let key = keys::alias(&alias.address);
        let old = self.pending.get::<AliasState>(&key)?;
        if let Some(old) = &old {
            if (old.value.revision, old.at) > (alias.revision, at) {
                return Ok(());
            }
            for target in &old.value.targets {
                self.pending.delete(keys::alias_target(target, &alias.address));
            }
        }
        for target in &alias.targets {
            self.pending.put(keys::alias_target(target, &alias.address), at, &Nothing {});
        }
        self.put_state(key, at, old.as_ref(), alias);
        Ok(())
    }

    fn delete_addresses(&mut self, account: &AccountState) {
        for address in &account.addresses {
            self.pending.delete(keys::address(address, account.id));
        }
    }

    fn mailbox(&mut self, at: Position, mailbox: &MailboxState) -> Result<()> {
        if self.pending.contains(&keys::removed_mailbox(mailbox.id))? {
            return Ok(());
        }
        let old = self.pending.get::<MailboxState>(&keys::mailbox(mailbox.id))?;
        if let Some(old) = &old {
            if (old.value.revision, old.at) > (mailbox.revision, at) {
                return Ok(());
            }
            self.pending.delete(keys::listed(old.value.account, &old.value.name, old.value.id));
            let inbox = MailboxName::inbox();
            if old.value.name == inbox.as_str() && mailbox.name != inbox.as_str() {
                self.news.former_inboxes.insert(mailbox.id);
            }
        }
        if !self.pending.contains(&keys::counters(mailbox.id))? {
            self.pending.put(keys::counters(mailbox.id), at, &Counters::fresh());
        }
        self.pending.put(keys::listed(mailbox.account, &mailbox.name, mailbox.id), at, &Nothing {});
        self.put_state(keys::mailbox(mailbox.id), at, old.as_ref(), mailbox);
        self.news.accounts.insert(mailbox.account);
        self.tell_grantees(mailbox.id)
    }

    /// The mailbox is gone at once; its rows go by and by ([`State::purge`]), so that a large mailbox does not hold up
    /// the changes behind it.
    fn remove_mailbox(&mut self, at: Position, removed: Removed) -> Result<()> {
        let key = keys::removed_mailbox(removed.id);
        if !self.pending.contains(&key)? {
            self.pending.put(keys::leftover(removed.id), at, &Nothing {});
        }
        self.pending.put(key, at, &removed);
        if let Some(old) = self.pending.get::<MailboxState>(&keys::mailbox(removed.id))? {
            self.pending.delete(keys::listed(old.value.account, &old.value.name, old.value.id));
            self.delete_state(keys::mailbox(removed.id), &old);
            self.news.accounts.insert(old.value.account);
        }
        self.pending.delete(keys::counters(removed.id));
        self.tell_grantees(removed.id)?;
        self.remove_notes_of_mailbox(removed.id)?;
        self.news.removed_mailboxes.insert(removed.id);
        Ok(())
    }

    fn subscription(&mut self, at: Position, subscription: &SubscriptionState) -> Result<()> {
        if self.pending.contains(&keys::removed_account(subscription.account))? {
            return Ok(());
        }
        let key = keys::subscription(subscription.account, &subscription.name);
        let old = self.pending.get::<SubscriptionState>(&key)?;
        if old.as_ref().is_some_and(|old| (old.value.revision, old.at) > (subscription.revision, at)) {
            return Ok(());
        }
        self.put_state(key, at, old.as_ref(), subscription);
        self.news.accounts.insert(subscription.account);
        Ok(())
    }
}
