//! Where changes to an account are put in order, and numbers are taken.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::record::Counters;
use super::table::Table;
use super::{Result, StoreError, Usage, keys};

/// The gates of all accounts in use.
#[derive(Debug, Default)]
pub(super) struct Gates {
    gates: Mutex<HashMap<u64, Arc<Gate>>>,
}

/// One account's gate.
///
/// Whoever proposes a change keeps the gate until the change is applied. So a gate that nobody holds has nothing in
/// flight, and what it knows is what is committed.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Held, until it is applied, by every change that depends on what is there: to the list of mailboxes, and to
    /// messages that exist. New messages do not wait for it.
    pub(super) changes: tokio::sync::Mutex<()>,
    /// Held from taking numbers to [`journal::Journal::append`]: the log has them in order.
    pub(super) heads: Mutex<Heads>,
}

/// The numbers that come next, those in flight included.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// Mailboxes are being deleted or renamed: new messages wait until it is known which there are.
    pub(super) restructuring: bool,
    mailboxes: HashMap<u64, Head>,
    /// What the account holds, all additions in flight included, and no removals in flight; `None` if it was not
    /// counted yet.
    usage: Option<Usage>,
    /// How often it was counted.
    counted: u64,
    /// Octets of the annotations that the account answers for, those in flight included; `None` if they were not counted
    /// yet. What goes with a mailbox of another's is counted until then.
    pub(super) noted: Option<u64>,
}

/// The next numbers of one mailbox.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    uid_next: u32,
    highest_modseq: u64,
}

/// Gates kept although nobody holds them, so that a busy account's numbers need not be read again.
const IDLE_GATES: usize = 16_384;

impl Gates {
    pub(super) fn of(&self, account: u64) -> Arc<Gate> {
        let mut gates = self.gates.lock();
        if gates.len() >= IDLE_GATES && !gates.contains_key(&account) {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        }
        Arc::clone(gates.entry(account).or_default())
    }
}

impl Gate {
    /// Marks that mailboxes come and go, until the guard is dropped.
    pub(super) fn restructure(&self) -> Restructuring<'_> {
        self.heads.lock().restructuring = true;
        Restructuring(self)
    }
}

/// Ends a restructuring.
pub(super) struct Restructuring<'a>(&'a Gate);

impl Drop for Restructuring<'_> {
    fn drop(&mut self) {
        self.0.heads.lock().restructuring = false;
    }
}

impl Heads {
    /// The head of a mailbox; from the committed rows when nothing was proposed before.
    pub(super) fn of(&mut self, table: &Table, mailbox: u64) -> Result<&mut Head> {
        match self.mailboxes.entry(mailbox) {
            std::collections::hash_map::Entry::Occupied(head) => Ok(head.into_mut()),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                let counters =
                    table.get::<Counters>(&keys::counters(mailbox))?.ok_or(StoreError::NoSuchMailbox)?.value;
                let Counters { uid_next, highest_modseq, .. } = counters;
                Ok(vacant.insert(Head { uid_next, highest_modseq }))
            }
        }
    }

    /// What the account holds; `count` sums up what is committed, when nothing is in flight.
    pub(super) fn usage(&mut self, count: impl FnOnce() -> Result<Usage>) -> Result<Usage> {
        if let Some(usage) = self.usage {
            return Ok(usage);
        }
        let usage = count()?;
        self.usage = Some(usage);
        self.counted += 1;
        Ok(usage)
    }

    /// Tells one count from another.
    pub(super) fn counted(&self) -> u64 {
        self.counted
    }

    pub(super) fn add_to_usage(&mut self, more: Usage) {
        if let Some(usage) = &mut self.usage {
            usage.messages += more.messages;
            usage.octets += more.octets;
        }
    }

    pub(super) fn take_from_usage(&mut self, less: Usage) {
        if let Some(usage) = &mut self.usage {
            usage.messages = usage.messages.saturating_sub(less.messages);
            usage.octets = usage.octets.saturating_sub(less.octets);
        }
    }

    /// It is counted anew when it is next asked for.
    pub(super) fn forget_usage(&mut self) {
        self.usage = None;
        self.noted = None;
    }

    /// Forgets a mailbox that is gone.
    pub(super) fn forget(&mut self, mailbox: u64) {
        self.mailboxes.remove(&mailbox);
    }
}

impl Head {
    /// Takes the next UID.
    pub(super) fn take_uid(&mut self) -> Result<u32> {
        if self.uid_next == u32::MAX {
            return Err(StoreError::OverLimit {
                what: "messages of one mailbox",
                limit: u64::from(u32::MAX),
            });
        }
        self.uid_next += 1;
        Ok(self.uid_next - 1)
    }

    /// Takes the next modseq.
    pub(super) fn take_modseq(&mut self) -> u64 {
        self.highest_modseq += 1;
        self.highest_modseq
    }
}
