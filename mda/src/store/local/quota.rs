//! Quotas: how much an account may hold (RFC 9208).
//!
//! What an account holds is summed up once and then kept with its gate: an addition is counted there before it is
//! proposed, so that additions at the same time never come to more than is allowed together.

use std::sync::Arc;

use super::LocalStore;
use super::together::NOBODY;
use crate::store::gate::{Gate, Heads};
use crate::store::record::{Change, DomainState, QuotaState};
use crate::store::{Account, AccountId, Quota, QuotaStatus, Result, StoreError, Usage, keys};

/// Whose addition it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addition {
    /// A delivery: it may go beyond the octets by the configured grace.
    Delivery,
    /// A client's: it may not.
    Client,
}

/// Messages that were counted before they are there. Dropped, it takes them back; it must not be dropped while the
/// gate's `heads` are held.
#[derive(Debug)]
pub(super) struct Reservation {
    gate: Arc<Gate>,
    usage: Usage,
    counted: u64,
}

impl Reservation {
    /// The messages are there.
    pub(super) fn keep(mut self) {
        self.usage = Usage::default();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.usage == Usage::default() {
            return;
        }
        let mut heads = self.gate.heads.lock();
        // After a recount it is not among what was counted.
        if heads.counted() == self.counted {
            heads.take_from_usage(self.usage);
        }
    }
}

impl LocalStore {
    /// Counts messages that are about to be added; `instead_of` goes by the same record, and is to be
    /// [released](Self::release) afterwards.
    pub(super) fn reserve(
        &self,
        gate: &Arc<Gate>,
        heads: &mut Heads,
        account: AccountId,
        more: Usage,
        instead_of: Usage,
        addition: Addition,
    ) -> Result<Reservation> {
        if account == NOBODY {
            // Nothing limits what nobody holds, in as many mailboxes as there are accounts.
            let (gate, usage) = (Arc::clone(gate), Usage::default());
            return Ok(Reservation { gate, usage, counted: heads.counted() });
        }
        let limits = self.limits(account)?;
        let usage = self.counted_usage(heads, account)?;
        let after = Usage {
            messages: (usage.messages + more.messages).saturating_sub(instead_of.messages),
            octets: (usage.octets + more.octets).saturating_sub(instead_of.octets),
        };
        let grace = if addition == Addition::Delivery { self.inner.config.quota_grace_bytes } else { 0 };
        limits.check(after, grace)?;
        heads.add_to_usage(more);
        Ok(Reservation { gate: Arc::clone(gate), usage: more, counted: heads.counted() })
    }

    /// Messages are gone. Whoever calls this had [counted](Self::count) before they went.
    pub(super) fn release(gate: &Gate, less: Usage) {
        gate.heads.lock().take_from_usage(less);
    }

    /// Sees to it that what the account holds is known before it becomes less.
    pub(super) fn count(&self, gate: &Gate, account: AccountId) -> Result<()> {
        if account == NOBODY {
            return Ok(());
        }
        self.counted_usage(&mut gate.heads.lock(), account).map(drop)
    }

    fn counted_usage(&self, heads: &mut Heads, account: AccountId) -> Result<Usage> {
        heads.usage(|| self.sum_of_mailboxes(account))
    }

    /// One message more would not be taken for a delivery.
    pub(super) fn read_is_full(&self, account: AccountId) -> Result<bool> {
        let limits = self.limits(account)?;
        if limits == Quota::default() {
            return Ok(false);
        }
        let gate = self.inner.gates.of(account.0);
        let usage = self.counted_usage(&mut gate.heads.lock(), account)?;
        let after = Usage { messages: usage.messages + 1, octets: usage.octets + 1 };
        Ok(limits.check(after, self.inner.config.quota_grace_bytes).is_err())
    }

    pub(super) fn read_quota(&self, account: AccountId) -> Result<QuotaStatus> {
        let own = self.account_state(account)?.ok_or(StoreError::NoSuchAccount)?.quota;
        let own = own.map_or_else(Quota::default, quota_of);
        Ok(QuotaStatus { own, limits: self.limits(account)?, usage: self.read_usage(account)? })
    }

    pub(super) fn read_domain_quota(&self, domain: &str) -> Result<Quota> {
        let state = self.domain_state(domain)?.and_then(|state| state.quota);
        Ok(state.map_or_else(Quota::default, quota_of))
    }

    pub(super) async fn account_set_quota(&self, account: AccountId, quota: Quota) -> Result<Account> {
        let _accounts = self.inner.accounts.lock().await;
        let mut state = self.account_state(account)?.ok_or(StoreError::NoSuchAccount)?;
        state.revision += 1;
        state.quota = Some(state_of(quota));
        self.propose(&Change { accounts: vec![state], ..Change::default() }).await?;
        self.read_account(account)
    }

    pub(super) async fn domain_set_quota(&self, domain: String, quota: Quota) -> Result<()> {
        let _accounts = self.inner.accounts.lock().await;
        if !self.read_is_local(&domain)? {
            return Err(StoreError::NoSuchDomain);
        }
        let revision = self.domain_state(&domain)?.map_or(0, |state| state.revision) + 1;
        let state = DomainState { name: domain, revision, quota: Some(state_of(quota)) };
        self.propose(&Change { domain_states: vec![state], ..Change::default() }).await?;
        Ok(())
    }

    /// What holds for an account: its own quota, or its domain's where it has none.
    fn limits(&self, account: AccountId) -> Result<Quota> {
        let account = self.account_state(account)?.ok_or(StoreError::NoSuchAccount)?;
        let own = account.quota.map_or_else(Quota::default, quota_of);
        let domain = account.name.rsplit_once('@').map_or("", |(_, domain)| domain);
        let inherited = self.read_domain_quota(domain)?;
        let limit = |own: Option<u64>, inherited: Option<u64>| own.or(inherited).filter(|limit| *limit > 0);
        Ok(Quota {
            messages: limit(own.messages, inherited.messages),
            octets: limit(own.octets, inherited.octets),
        })
    }

    fn domain_state(&self, domain: &str) -> Result<Option<DomainState>> {
        Ok(self.inner.table.get::<DomainState>(&keys::domain_state(domain))?.map(|stored| stored.value))
    }
}

impl Quota {
    /// Whether an account may hold so much.
    fn check(self, usage: Usage, grace: u64) -> Result<()> {
        if let Some(limit) = self.messages.filter(|limit| usage.messages > *limit) {
            return Err(StoreError::OverQuota { what: "messages", limit });
        }
        if let Some(limit) = self.octets.filter(|limit| usage.octets > limit.saturating_add(grace)) {
            return Err(StoreError::OverQuota { what: "octets", limit });
        }
        Ok(())
    }
}

/// What messages of these sizes take.
pub(super) fn usage_of(sizes: impl ExactSizeIterator<Item = u64>) -> Usage {
    Usage { messages: sizes.len() as u64, octets: sizes.sum() }
}

fn quota_of(state: QuotaState) -> Quota {
    Quota { messages: state.messages, octets: state.octets }
}

fn state_of(quota: Quota) -> QuotaState {
    QuotaState { messages: quota.messages, octets: quota.octets }
}
