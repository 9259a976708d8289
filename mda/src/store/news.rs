//! Tells who waits for it that something changed.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::rights::Noted;
use super::state::Changed;
use super::{AccountId, Result};

/// In place of an account: what happened concerns whoever watches one.
const EVERYBODY: u64 = 0;

type Watched<K, V> = Mutex<HashMap<K, watch::Sender<V>>>;

/// The watchers of mailboxes and accounts.
#[derive(Debug, Default)]
pub(super) struct News {
    mailboxes: Watched<u64, u64>,
    accounts: Watched<u64, u64>,
    /// By mailbox, and for the server by account; the other is 0.
    notes: Watched<(u64, u64), Arc<Noted>>,
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

    /// Watches the annotations of a mailbox, or of an account at the server.
    pub(super) fn notes(
        &self,
        mailbox: u64,
        account: u64,
        current: impl FnOnce() -> Result<()>,
    ) -> Result<watch::Receiver<Arc<Noted>>> {
        subscribe(&self.notes, (mailbox, account), || current().map(|()| Arc::default()))
    }

    /// Tells what was committed.
    pub(super) fn publish(&self, changed: &Changed) {
        let mut mailboxes = self.mailboxes.lock();
        for (mailbox, counters) in &changed.mailboxes {
            tell(&mut mailboxes, mailbox, |known| {
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
            tell(&mut accounts, account, |count| {
                *count += 1;
                true
            });
        }
        changed.removed_accounts.iter().for_each(|account| drop(accounts.remove(account)));
        drop(accounts);
        self.publish_notes(changed);
    }

    fn publish_notes(&self, changed: &Changed) {
        let mut notes = self.notes.lock();
        for note in &changed.notes {
            let place = (note.mailbox, if note.mailbox == 0 { note.account } else { 0 });
            tell(&mut notes, &place, |noted| {
                let entry = (AccountId(note.account), note.entry.clone());
                Arc::make_mut(noted).insert(entry, note.revision);
                true
            });
        }
        changed.removed_mailboxes.iter().for_each(|mailbox| drop(notes.remove(&(*mailbox, 0))));
        changed.removed_accounts.iter().for_each(|account| drop(notes.remove(&(0, *account))));
    }
}

fn subscribe<K: Hash + Eq, V>(
    watched: &Watched<K, V>,
    id: K,
    current: impl FnOnce() -> Result<V>,
) -> Result<watch::Receiver<V>> {
    let mut watched = watched.lock();
    if let Some(sender) = watched.get(&id) {
        return Ok(sender.subscribe());
    }
    let (sender, receiver) = watch::channel(current()?);
    watched.insert(id, sender);
    Ok(receiver)
}

/// Changes a watched value; forgets it when nobody watches any more.
fn tell<K: Hash + Eq, V>(
    watched: &mut HashMap<K, watch::Sender<V>>,
    id: &K,
    change: impl FnOnce(&mut V) -> bool,
) {
    if let Some(sender) = watched.get(id) {
        if sender.is_closed() {
            watched.remove(id);
        } else {
            sender.send_if_modified(change);
        }
    }
}
