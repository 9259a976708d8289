//! What is noted at mailboxes: annotations, rights, and what others than their owners have seen.

use super::accounts::recorded;
use super::{Check, Findings, found};
use crate::store::record::{AnnotationState, Counters, Nothing, RightsState, SeenState};
use crate::store::table::Table;
use crate::store::{LocalStore, Result, keys};

impl Check<'_> {
    pub(super) fn notes(&mut self) -> Result<()> {
        let store = self.store;
        let notes = self.steadily("annotations, rights and marks", |table, findings| {
            let annotations = annotations(store, table, findings)?;
            noted(table, findings)?;
            let rights = rights(store, table, findings)?;
            grants(table, findings)?;
            Ok(annotations + rights + seen(store, table, findings)?)
        })?;
        self.tell("annotations, rights and marks", notes)
    }
}

fn annotations(store: &LocalStore, table: &Table, findings: &mut Findings) -> Result<u64> {
    let mut number = 0;
    for row in table.scan::<AnnotationState>(keys::within(keys::ANNOTATIONS)) {
        let Some((key, row)) = found(findings, row)? else { continue };
        number += 1;
        let AnnotationState { mailbox, account, entry, modseq, .. } = &row.value;
        let which = || format!("annotation {entry} of mailbox {mailbox} for account {account}");
        findings.expect(key[..] == keys::annotation(*mailbox, *account, entry), || {
            format!("{}: stands under another key", which())
        });
        let is_there = (*mailbox == 0 || table.contains(&keys::mailbox(*mailbox))?)
            && (*account == 0 || table.contains(&keys::account(*account))?);
        findings.expect(is_there, || {
            format!("{}: what it is noted at, or who noted it, does not exist", which())
        });
        let is_found = *account == 0 || table.contains(&keys::noted_at(*account, *mailbox))?;
        findings.expect(is_found, || format!("{}: is not found by the account", which()));
        let is_known = *modseq == 0 || knows(table, *mailbox, *modseq, findings)?;
        findings.expect(is_known, || format!("{}: is newer than the mailbox", which()));
        recorded(store, findings, row.at, which);
    }
    Ok(number)
}

/// Where an account is said to have annotations, it has some.
fn noted(table: &Table, findings: &mut Findings) -> Result<()> {
    for row in table.scan::<Nothing>(keys::within(keys::NOTED)) {
        let Some((key, _)) = found(findings, row)? else { continue };
        let (account, mailbox) = (keys::last_u64(&key[..key.len() - 8]), keys::last_u64(&key));
        let of_it = keys::within(&keys::annotations_of(mailbox, account));
        findings.expect(table.first_key(of_it)?.is_some(), || {
            format!("annotations of account {account} at mailbox {mailbox}: are found and not there")
        });
    }
    Ok(())
}

fn rights(store: &LocalStore, table: &Table, findings: &mut Findings) -> Result<u64> {
    let mut number = 0;
    for row in table.scan::<RightsState>(keys::within(keys::RIGHTS)) {
        let Some((key, row)) = found(findings, row)? else { continue };
        number += 1;
        let RightsState { mailbox, account, negative, .. } = row.value;
        let which = || format!("rights of account {account} at mailbox {mailbox}");
        findings.expect(key[..] == keys::rights(mailbox, account, negative), || {
            format!("{}: stand under another key", which())
        });
        findings.expect(table.contains(&keys::mailbox(mailbox))?, || format!("{}: no such mailbox", which()));
        let is_there = account == 0 || table.contains(&keys::account(account))?;
        findings.expect(is_there, || format!("{}: no such account", which()));
        let (granted, withdrawn) = (keys::granted_at(account, mailbox), keys::withdrawn_at(account, mailbox));
        let (right, wrong) = if says_something(table, mailbox, account, findings)? {
            (granted, withdrawn)
        } else {
            (withdrawn, granted)
        };
        let indexed = table.contains(&right)? && !table.contains(&wrong)?;
        findings.expect(indexed, || format!("{}: are not found by the account as they should be", which()));
        recorded(store, findings, row.at, which);
    }
    Ok(number)
}

fn says_something(table: &Table, mailbox: u64, account: u64, findings: &mut Findings) -> Result<bool> {
    let mut says = false;
    for negative in [false, true] {
        let row = found(findings, table.get::<RightsState>(&keys::rights(mailbox, account, negative)))?;
        says |= row.flatten().is_some_and(|row| !row.value.rights.is_empty());
    }
    Ok(says)
}

/// What is found by an account is there.
fn grants(table: &Table, findings: &mut Findings) -> Result<()> {
    for prefix in [keys::GRANTED, keys::WITHDRAWN] {
        for row in table.scan::<Nothing>(keys::within(prefix)) {
            let Some((key, _)) = found(findings, row)? else { continue };
            let (account, mailbox) = (keys::last_u64(&key[..key.len() - 8]), keys::last_u64(&key));
            let mut is_there = false;
            for negative in [false, true] {
                is_there |= table.contains(&keys::rights(mailbox, account, negative))?;
            }
            findings.expect(is_there, || {
                format!("rights of account {account} at mailbox {mailbox}: are found and not there")
            });
        }
    }
    Ok(())
}

fn seen(store: &LocalStore, table: &Table, findings: &mut Findings) -> Result<u64> {
    let mut number = 0;
    for row in table.scan::<SeenState>(keys::within(keys::SEEN)) {
        let Some((key, row)) = found(findings, row)? else { continue };
        number += 1;
        let state = &row.value;
        let (mailbox, account) = (state.mailbox, state.account);
        let which = || format!("what account {account} has seen of mailbox {mailbox}, block {}", state.block);
        findings.expect(key[..] == keys::seen(mailbox, account, state.block), || {
            format!("{}: stands under another key", which())
        });
        findings.expect(state.is_in_order(), || format!("{}: its marks are in disorder", which()));
        let is_known = knows(table, mailbox, state.modseq, findings)?;
        findings.expect(is_known, || format!("{}: is newer than the mailbox", which()));
        recorded(store, findings, row.at, which);
    }
    Ok(number)
}

/// No change of a mailbox is newer than its last.
fn knows(table: &Table, mailbox: u64, modseq: u64, findings: &mut Findings) -> Result<bool> {
    let counters = found(findings, table.get::<Counters>(&keys::counters(mailbox)))?.flatten();
    Ok(counters.is_some_and(|counters| modseq <= counters.value.highest_modseq))
}
