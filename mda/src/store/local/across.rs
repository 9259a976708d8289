//! Copies and moves between mailboxes of different accounts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::LocalStore;
use super::change::{copy_of, expunged};
use super::quota::{Addition, Reservation, usage_of};
use crate::store::gate::Gate;
use crate::store::record::{Change, Placed};
use crate::store::{
    AccountId, Copied, Destination, Flags, MailboxId, Result, Rights, StoreError, Uid, UidSet, Usage,
};

/// Messages of one such copy or move, which happens whole or not at all: they have to fit into one record.
const MAX_ACROSS: usize = 5_000;

enum Attempt {
    /// Mailboxes of the target's account are coming and going.
    Wait(Arc<Gate>),
    Proposed(Copied, Option<Reservation>, journal::Append<()>),
}

impl LocalStore {
    pub(super) async fn messages_across(
        &self,
        mailbox: MailboxId,
        uids: UidSet,
        to: Destination,
        moved: bool,
    ) -> Result<Copied> {
        let owner = AccountId(self.mailbox_state(mailbox)?.ok_or(StoreError::NoSuchMailbox)?.account);
        let gate = self.inner.gates.of(owner.0);
        let _changes = gate.changes.lock().await;
        if self.uids_now(mailbox, &uids).await?.len() > MAX_ACROSS {
            let limit = MAX_ACROSS as u64;
            return Err(StoreError::OverLimit { what: "messages of one copy to another account", limit });
        }
        let rows = self.placed_now(mailbox, uids).await?;
        let gone = usage_of(rows.iter().map(|row| row.size));
        let leaves = moved && to.account != owner;
        if leaves {
            self.count(&gate, owner)?;
        }
        loop {
            match self.try_across(owner, mailbox, &rows, &to, moved)? {
                Attempt::Wait(gate) => drop(gate.changes.lock().await),
                Attempt::Proposed(copied, reserved, append) => {
                    append.await?;
                    if let Some(reserved) = reserved {
                        reserved.keep();
                    }
                    if leaves {
                        Self::release(&gate, gone);
                    }
                    return Ok(copied);
                }
            }
        }
    }

    fn try_across(
        &self,
        owner: AccountId,
        mailbox: MailboxId,
        rows: &[Placed],
        to: &Destination,
        moved: bool,
    ) -> Result<Attempt> {
        // Dropped after the heads, if something fails.
        let mut reserved: Option<Reservation> = None;
        // Ascending, as deliveries take them.
        let gates: BTreeMap<AccountId, Arc<Gate>> =
            [owner, to.account].map(|account| (account, self.inner.gates.of(account.0))).into();
        let mut heads: BTreeMap<AccountId, _> =
            gates.iter().map(|(account, gate)| (*account, gate.heads.lock())).collect();
        // Of the source's account the gate's changes are held.
        if to.account != owner
            && heads.get(&to.account).is_some_and(|heads| heads.restructuring)
            && let Some(gate) = gates.get(&to.account)
        {
            return Ok(Attempt::Wait(Arc::clone(gate)));
        }
        let target = self.read_mailbox(to.account, &to.mailbox)?.ok_or(StoreError::NoSuchMailbox)?;
        // A move within an account adds nothing. What is added is counted only now that no mailbox can go: with one that
        // goes the count begins anew, and what is on its way would be missing from it.
        if !moved || to.account != owner {
            let more = usage_of(rows.iter().map(|row| row.size));
            if let (Some(gate), Some(heads)) = (gates.get(&to.account), heads.get_mut(&to.account)) {
                let client = Addition::Client;
                reserved = Some(self.reserve(gate, heads, to.account, more, Usage::default(), client)?);
            }
        }
        let mut change = Change::default();
        let mut uids: Vec<(Uid, Uid)> = Vec::with_capacity(rows.len());
        if let Some(heads) = heads.get_mut(&to.account)
            && !rows.is_empty()
        {
            let head = heads.of(&self.inner.table, target.id.0)?;
            let modseq = head.take_modseq();
            for row in rows {
                let uid = head.take_uid()?;
                let mut copy = copy_of(row, target.id, uid, modseq);
                allow(&mut copy, to.rights);
                change.placed.push(copy);
                uids.push((row.uid, uid));
            }
        }
        if let Some(heads) = heads.get_mut(&owner)
            && moved
            && !rows.is_empty()
        {
            let modseq = heads.of(&self.inner.table, mailbox.0)?.take_modseq();
            change.expunged.push(expunged(mailbox, modseq, rows.iter().map(|row| row.uid)));
        }
        let copied = Copied { mailbox: target.id, uid_validity: target.uid_validity, uids };
        Ok(Attempt::Proposed(copied, reserved, self.propose(&change)))
    }
}

/// Leaves the flags that may be set where the copy lies.
fn allow(copy: &mut Placed, rights: Rights) {
    let flags = Flags::from_parts(copy.flags, &copy.keywords);
    let allowed = flags.allowed_by(rights);
    copy.flags = u32::from(allowed.bits());
    copy.keywords = allowed.keywords().map(str::to_owned).collect();
}
