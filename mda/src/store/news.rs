//! Tells who waits for it that something changed.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::Result;
use super::state::Changed;

/// In place of an account: what happened concerns whoever watches one.
const EVERYBODY: u64 = 0;

/// The watchers of mailboxes and accounts.
#[derive(Debug, Default)]
pub(super) struct News {
    mailboxes: Mutex<HashMap<u64, watch::Sender<u64>>>,
    accounts: Mutex<HashMap<u64, watch::Sender<u64>>>,
}

impl News {
    /// Watches a mailbox. `current` reads its highest modseq: what is committed later is told, so none is missed.
    pub(super) fn mailbox(
        &self,
        mailbox: u64,
        current: impl FnOnce() -> Result<u64>,
    ) -> Result<watch::Receiver<u64>> {
        subscribe(&self.mailboxes, mailbox, current)
    }

    /// Watches an account; `current` checks that it is there.
    pub(super) fn account(
        &self,
        account: u64,
        current: impl FnOnce() -> Result<u64>,
    ) -> Result<watch::Receiver<u64>> {
        subscribe(&self.accounts, account, current)
    }

    /// Tells what was committed.
    pub(super) fn publish(&self, changed: &Changed) {
        let mut mailboxes = self.mailboxes.lock();
        for (mailbox, counters) in &changed.mailboxes {
            tell(&mut mailboxes, *mailbox, |known| {
                let is_news = *known < counters.highest_modseq;
                *known = counters.highest_modseq.max(*known);
                is_news
            });
        }
        changed.removed_mailboxes.iter().for_each(|mailbox| drop(mailboxes.remove(mailbox)));
        drop(mailboxes);

        let mut accounts = self.accounts.lock();
        if changed.accounts.contains(&EVERYBODY) {
            accounts.retain(|_, sender| !sender.is_closed());
            accounts.values().for_each(|sender| sender.send_modify(|count| *count += 1));
        }
        for account in &changed.accounts {
            tell(&mut accounts, *account, |count| {
                *count += 1;
                true
            });
        }
        changed.removed_accounts.iter().for_each(|account| drop(accounts.remove(account)));
    }
}

fn subscribe(
    watched: &Mutex<HashMap<u64, watch::Sender<u64>>>,
    id: u64,
    current: impl FnOnce() -> Result<u64>,
) -> Result<watch::Receiver<u64>> {
    let mut watched = watched.lock();
    if let Some(sender) = watched.get(&id) {
        return Ok(sender.subscribe());
    }
    let (sender, receiver) = watch::channel(current()?);
    watched.insert(id, sender);
    Ok(receiver)
}

/// Changes a watched value; forgets it when nobody watches any more.
fn tell(watched: &mut HashMap<u64, watch::Sender<u64>>, id: u64, change: impl FnOnce(&mut u64) -> bool) {
    if let Some(sender) = watched.get(&id) {
        if sender.is_closed() {
            watched.remove(&id);
        } else {
            sender.send_if_modified(change);
        }
    }
}
