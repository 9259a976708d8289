//! Addresses that stand for others.

use super::LocalStore;
use super::read::text;
use crate::store::record::{AliasState, Change, Nothing};
use crate::store::{Alias, Result, StoreError, keys};

impl LocalStore {
    pub(super) async fn alias_put(&self, alias: Alias) -> Result<()> {
        // An address is an account's or an alias: who changes either waits for the other.
        let _accounts = self.inner.accounts.lock().await;
        if self.read_account_by_address(&alias.address)?.is_some() {
            return Err(StoreError::AlreadyExists);
        }
        let domains = vec![alias.domain().to_owned()];
        let state = self.next_state(alias)?;
        self.propose(&Change { aliases: vec![state], domains, ..Change::default() }).await?;
        Ok(())
    }

    pub(super) async fn alias_remove(&self, address: String) -> Result<()> {
        let _accounts = self.inner.accounts.lock().await;
        if self.read_alias(&address)?.is_none() {
            return Err(StoreError::NoSuchAlias);
        }
        let state = self.next_state(Alias { address, targets: Vec::new(), owner: None })?;
        self.propose_bookkeeping(&Change { aliases: vec![state], ..Change::default() }).await?;
        Ok(())
    }

    fn next_state(&self, alias: Alias) -> Result<AliasState> {
        let revision = self.alias_state(&alias.address)?.map_or(0, |state| state.revision) + 1;
        let Alias { address, targets, owner } = alias;
        Ok(AliasState { address, revision, targets, owner: owner.unwrap_or_default() })
    }

    fn alias_state(&self, address: &str) -> Result<Option<AliasState>> {
        Ok(self.inner.table.get::<AliasState>(&keys::alias(address))?.map(|stored| stored.value))
    }

    pub(super) fn read_alias(&self, address: &str) -> Result<Option<Alias>> {
        Ok(self.alias_state(address)?.and_then(alias_of))
    }

    pub(super) fn read_aliases(&self, after: Option<&str>, limit: usize) -> Result<Vec<Alias>> {
        let all = keys::within(keys::ALIASES);
        // The least key behind it: no address holds a NUL.
        let start = after.map_or(all.start, |after| [keys::alias(after), vec![0]].concat());
        let mut aliases = Vec::new();
        for row in self.inner.table.scan::<AliasState>(start..all.end) {
            if aliases.len() >= limit {
                break;
            }
            aliases.extend(alias_of(row?.1.value));
        }
        Ok(aliases)
    }

    pub(super) fn read_aliases_to(&self, target: &str, limit: usize) -> Result<Vec<String>> {
        let prefix = keys::alias_targets(target);
        let rows = self.inner.table.scan::<Nothing>(keys::within(&prefix)).take(limit);
        rows.map(|row| text(&row?.0[prefix.len()..])).collect()
    }
}

/// `None` if the address stands for nothing any more.
fn alias_of(state: AliasState) -> Option<Alias> {
    let AliasState { address, targets, owner, .. } = state;
    (!targets.is_empty()).then(|| Alias { address, targets, owner: (!owner.is_empty()).then_some(owner) })
}
