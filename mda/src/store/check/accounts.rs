//! Accounts, addresses, aliases, subscriptions, and what was removed.

use journal::Position;

use super::{Check, Findings, found, marks};
use crate::store::record::{AccountState, AliasState, DomainState, Nothing, Removed, SubscriptionState};
use crate::store::table::Table;
use crate::store::{LocalStore, Result, keys};

impl Check<'_> {
    pub(super) fn accounts(&mut self) -> Result<()> {
        let store = self.store;
        self.report.accounts = self.steadily("accounts", |table, findings| {
            let accounts = accounts(store, table, findings)?;
            addresses(table, findings)?;
            aliases(store, table, findings)?;
            alias_targets(table, findings)?;
            subscriptions(store, table, findings)?;
            domains(store, table, findings)?;
            removed(table, findings)?;
            Ok(accounts)
        })?;
        self.tell("accounts", self.report.accounts)
    }
}

fn accounts(store: &LocalStore, table: &Table, findings: &mut Findings) -> Result<u64> {
    let greatest = marks(table)?.account;
    let mut number = 0;
    for row in table.scan::<AccountState>(keys::within(keys::ACCOUNTS)) {
        let Some((key, row)) = found(findings, row)? else { continue };
        number += 1;
        let account = row.value;
        let who = || format!("account {} ({})", account.id, account.name);
        findings.expect(key[..] == keys::account(account.id), || {
            format!("{}: stands under another number", who())
        });
        findings.expect(account.id <= greatest, || format!("{}: its number was never taken", who()));
        findings.expect(account.addresses.contains(&account.name), || {
            format!("{}: its name is none of its addresses", who())
        });
        for address in &account.addresses {
            let listed = table.contains(&keys::address(address, account.id))?;
            findings.expect(listed, || format!("{}: the address {address} does not lead to it", who()));
        }
        findings.expect(!table.contains(&keys::removed_account(account.id))?, || {
            format!("{}: was removed and is there", who())
        });
        let inbox = keys::within(&keys::listed_name(account.id, "INBOX"));
        let inboxes = table.scan::<Nothing>(inbox).count();
        findings.expect(inboxes == 1, || format!("{}: has {inboxes} INBOXes", who()));
        recorded(store, findings, row.at, who);
    }
    Ok(number)
}

fn addresses(table: &Table, findings: &mut Findings) -> Result<()> {
    let mut before = Vec::new();
    for row in table.scan::<Nothing>(keys::within(keys::ADDRESSES)) {
        let Some((key, _)) = found(findings, row)? else { continue };
        let id = keys::last_u64(&key);
        let prefix = &key[..key.len().saturating_sub(8)];
        let address = String::from_utf8_lossy(&prefix[1..prefix.len().max(2) - 1]).into_owned();
        findings.expect(before != prefix, || format!("address {address}: belongs to two accounts"));
        before = prefix.to_vec();
        let account = found(findings, table.get::<AccountState>(&keys::account(id)))?.flatten();
        let holds = account.is_some_and(|account| account.value.addresses.contains(&address));
        findings
            .expect(holds, || format!("address {address}: leads to account {id}, which does not have it"));
    }
    Ok(())
}

fn aliases(store: &LocalStore, table: &Table, findings: &mut Findings) -> Result<()> {
    for row in table.scan::<AliasState>(keys::within(keys::ALIASES)) {
        let Some((key, row)) = found(findings, row)? else { continue };
        let AliasState { address, targets, .. } = &row.value;
        findings.expect(key[..] == keys::alias(address), || {
            format!("alias {address}: stands under another name")
        });
        for target in targets {
            let indexed = table.contains(&keys::alias_target(target, address))?;
            findings.expect(indexed, || format!("alias {address}: is not found by its target {target}"));
        }
        recorded(store, findings, row.at, || format!("alias {address}"));
    }
    Ok(())
}

fn alias_targets(table: &Table, findings: &mut Findings) -> Result<()> {
    for row in table.scan::<Nothing>(keys::within(keys::ALIAS_TARGETS)) {
        let Some((key, _)) = found(findings, row)? else { continue };
        let text = String::from_utf8_lossy(&key[1..]).into_owned();
        let Some((target, address)) = text.split_once('\0') else {
            findings.add(format!("target of an alias: its key {text:?} has no alias"));
            continue;
        };
        let alias = found(findings, table.get::<AliasState>(&keys::alias(address)))?.flatten();
        let leads = alias.is_some_and(|alias| alias.value.targets.iter().any(|known| known == target));
        findings
            .expect(leads, || format!("target {target}: of the alias {address}, which does not lead to it"));
    }
    Ok(())
}

fn subscriptions(store: &LocalStore, table: &Table, findings: &mut Findings) -> Result<()> {
    for row in table.scan::<SubscriptionState>(keys::within(keys::SUBSCRIPTIONS)) {
        let Some((key, row)) = found(findings, row)? else { continue };
        let SubscriptionState { account, name, .. } = &row.value;
        let which = || format!("subscription of account {account} to {name}");
        findings.expect(key[..] == keys::subscription(*account, name), || {
            format!("{}: stands under another name", which())
        });
        findings
            .expect(table.contains(&keys::account(*account))?, || format!("{}: no such account", which()));
        recorded(store, findings, row.at, which);
    }
    Ok(())
}

fn domains(store: &LocalStore, table: &Table, findings: &mut Findings) -> Result<()> {
    for row in table.scan::<Nothing>(keys::within(keys::DOMAINS)) {
        let Some((key, row)) = found(findings, row)? else { continue };
        recorded(store, findings, row.at, || format!("domain {}", String::from_utf8_lossy(&key[1..])));
    }
    for row in table.scan::<DomainState>(keys::within(keys::DOMAIN_STATES)) {
        let Some((key, row)) = found(findings, row)? else { continue };
        let name = &row.value.name;
        findings.expect(key[..] == keys::domain_state(name), || format!("domain {name}: under another name"));
        findings.expect(table.contains(&keys::domain(name))?, || format!("domain {name}: is not local"));
        recorded(store, findings, row.at, || format!("domain {name}"));
    }
    Ok(())
}

fn removed(table: &Table, findings: &mut Findings) -> Result<()> {
    for row in table.scan::<Removed>(keys::within(keys::REMOVED_ACCOUNTS)) {
        let Some((key, row)) = found(findings, row)? else { continue };
        let id = row.value.id;
        findings.expect(key[..] == keys::removed_account(id), || {
            format!("removed account {id}: under another number")
        });
        for (what, prefix) in
            [("mailboxes", keys::listed_account(id)), ("subscriptions", keys::subscriptions(id))]
        {
            let left = table.scan::<Nothing>(keys::within(&prefix)).next().is_some();
            findings.expect(!left, || format!("removed account {id}: has {what}"));
        }
    }
    for row in table.scan::<Removed>(keys::within(keys::REMOVED_MAILBOXES)) {
        let Some((key, row)) = found(findings, row)? else { continue };
        let id = row.value.id;
        findings.expect(key[..] == keys::removed_mailbox(id), || {
            format!("removed mailbox {id}: under another number")
        });
        for (what, key) in [("a state", keys::mailbox(id)), ("counters", keys::counters(id))] {
            let left = table.contains(&key)?;
            findings.expect(!left, || format!("removed mailbox {id}: has {what}"));
        }
    }
    Ok(())
}

/// What a row says must stand in the journal, or the rows could not be made anew.
pub(super) fn recorded(
    store: &LocalStore,
    findings: &mut Findings,
    at: Position,
    what: impl FnOnce() -> String,
) {
    findings
        .expect(store.is_in_journal(at), || format!("{}: its record at {at} is not in the journal", what()));
}
