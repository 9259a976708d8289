//! Messages that are appended together, all of them or none (RFC 3502), and one that takes another's place (RFC 8508).
//!
//! A record holds one body, so several messages are several records. They are gathered where nobody looks, in a
//! mailbox that belongs to no account, and one last record puts them all where they belong and removes that mailbox. A
//! crash before it leaves a mailbox of nobody's, which the next start removes.

use std::collections::VecDeque;
use std::thread;

use super::LocalStore;
use super::change::copy_of;
use super::kept::keeps_for;
use super::place::{New, Placing, Replaced, Target};
use super::quota::{Addition, Reservation, usage_of};
use crate::store::record::{Change, Nothing, Placed, Removed};
use crate::store::{
    AccountId, Append, Mailbox, MailboxId, MailboxName, Placement, Result, StoreError, Uid, UidSet, Usage,
    keys,
};

/// Whom mailboxes belong to in which messages are gathered: accounts' numbers begin at 1.
pub(in crate::store) const NOBODY: AccountId = AccountId(0);

/// The most messages that are appended together: one record places them all.
const MAX_TOGETHER: usize = 1_000;

/// The most octets of their keywords: beside them there is room for the rest of each message's place.
const MAX_KEYWORDS: usize = 768 << 10;

/// Messages of one append, and octets of them, that wait for the disk together: more would crowd out others.
const ON_THEIR_WAY: (usize, u64) = (64, 1 << 20);

impl LocalStore {
    pub(super) async fn messages_append(
        &self,
        account: AccountId,
        mailbox: &MailboxName,
        appends: Vec<Append>,
    ) -> Result<Vec<Placement>> {
        if appends.len() > MAX_TOGETHER {
            let limit = MAX_TOGETHER as u64;
            return Err(StoreError::OverLimit { what: "messages of one append", limit });
        }
        check_size(&appends)?;
        let gathering = self.new_gathering().await?;
        let placed = match self.gather_messages(&gathering.mailbox, appends).await {
            Ok(()) => self.place_gathered(&gathering, account, mailbox).await,
            Err(error) => Err(error),
        };
        if placed.is_err() {
            self.drop_gathering(&gathering).await?;
        }
        self.mailbox_is_gone(&self.inner.gates.of(NOBODY.0), gathering.mailbox.id.0);
        placed
    }

    async fn new_gathering(&self) -> Result<Gathering> {
        let first_segment = self.inner.journal.segments().last().map_or(0, |newest| newest.0);
        let mut state = self.new_mailbox(NOBODY.0, &MailboxName::inbox(), None);
        state.name = state.id.to_string();
        let id = MailboxId(state.id);
        let change = Change { marks: self.take(|_| ()).1, mailboxes: vec![state], ..Change::default() };
        self.propose(&change).await?;
        let mailbox = self.read_mailbox_by_id(id)?.ok_or(StoreError::NoSuchMailbox)?;
        Ok(Gathering { mailbox, first_segment })
    }

    /// Several are on their way at once, to be made durable together.
    async fn gather_messages(&self, gathering: &Mailbox, appends: Vec<Append>) -> Result<()> {
        let mut on_their_way = VecDeque::new();
        let mut octets = 0;
        for append in appends {
            let (new, flags, body) = New::of(append).await;
            octets += new.size();
            while (on_their_way.len() >= ON_THEIR_WAY.0 || octets > ON_THEIR_WAY.1)
                && self.end_first(&mut on_their_way, &mut octets).await?
            {}
            let target = Target { account: NOBODY, mailbox: gathering.name.clone(), flags, recipient: None };
            let placing = self.begin_to_place(&new, &[target], body).await?;
            on_their_way.push_back((new, placing));
        }
        while self.end_first(&mut on_their_way, &mut octets).await? {}
        Ok(())
    }

    /// Waits for the first of those that are on their way; false if there are none.
    async fn end_first(&self, on_their_way: &mut VecDeque<(New, Placing)>, octets: &mut u64) -> Result<bool> {
        let Some((new, placing)) = on_their_way.pop_front() else { return Ok(false) };
        *octets -= new.size();
        self.end_placing(&new, placing).await?.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(true)
    }

    /// One record that places them in their mailbox, in order, and ends the gathering.
    async fn place_gathered(
        &self,
        gathering: &Gathering,
        account: AccountId,
        name: &MailboxName,
    ) -> Result<Vec<Placement>> {
        let gate = self.inner.gates.of(account.0);
        let id = gathering.mailbox.id;
        let rows = self.read_aside(move |store| store.placed_of(id, &UidSet::all())).await?;
        loop {
            let proposed = {
                // Dropped after the heads, if something fails.
                let reserved: Reservation;
                let mut heads = gate.heads.lock();
                if heads.restructuring {
                    None
                } else {
                    let mailbox = self.read_mailbox(account, name)?.ok_or(StoreError::NoSuchMailbox)?;
                    let more = usage_of(rows.iter().map(|row| row.size));
                    let client = Addition::Client;
                    reserved = self.reserve(&gate, &mut heads, account, more, Usage::default(), client)?;
                    let head = heads.of(&self.inner.table, mailbox.id.0)?;
                    let mut placed: Vec<Placed> = Vec::with_capacity(rows.len());
                    for row in &rows {
                        placed.push(copy_of(row, mailbox.id, head.take_uid()?, head.take_modseq()));
                    }
                    let placements =
                        placed.iter().map(|placed| placement(account, &mailbox, placed.uid)).collect();
                    let removed_mailboxes = vec![gathering.removed()];
                    let change = Change { removed_mailboxes, placed, ..Change::default() };
                    Some((placements, reserved, self.propose(&change)))
                }
            };
            match proposed {
                Some((placements, reserved, append)) => {
                    append.await?;
                    reserved.keep();
                    return Ok(placements);
                }
                None => drop(gate.changes.lock().await),
            }
        }
    }

    async fn drop_gathering(&self, gathering: &Gathering) -> Result<()> {
        let change = Change { removed_mailboxes: vec![gathering.removed()], ..Change::default() };
        self.propose_bookkeeping(&change).await?;
        Ok(())
    }

    /// What a crash has left of messages that were being gathered: nobody was told of them.
    pub(super) fn drop_gatherings(&self) -> Result<()> {
        for id in self.gatherings()? {
            let removed_mailboxes = vec![Removed { id, ..Removed::default() }];
            let append = self.propose_bookkeeping(&Change { removed_mailboxes, ..Change::default() });
            // Whoever opens a store may wait, but not in a way that a runtime forbids.
            let waited = thread::scope(|scope| scope.spawn(|| append.wait()).join());
            waited.unwrap_or(Err(journal::Error::Closed))?;
            self.inner.housekeeper.purge(id);
        }
        Ok(())
    }

    pub(in crate::store) fn gatherings(&self) -> Result<Vec<u64>> {
        let mut gatherings = Vec::new();
        for row in self.inner.table.scan::<Nothing>(keys::within(&keys::listed_account(NOBODY.0))) {
            let mailbox = self.read_mailbox_by_id(MailboxId(keys::last_u64(&row?.0)))?;
            gatherings.extend(
                mailbox.filter(|mailbox| keeps_for(&mailbox.name).is_none()).map(|mailbox| mailbox.id.0),
            );
        }
        Ok(gatherings)
    }

    pub(super) async fn message_replace(
        &self,
        account: AccountId,
        append: Append,
        mailbox: MailboxId,
        uid: Uid,
    ) -> Result<Placement> {
        let owner = self.mailbox_state(mailbox)?.ok_or(StoreError::NoSuchMailbox)?.account;
        let gate = self.inner.gates.of(owner);
        let _changes = gate.changes.lock().await;
        let size = self.read_row(mailbox, uid)?.ok_or(StoreError::Expunged)?.size;
        self.count(&gate, AccountId(owner))?;
        let to = append.mailbox.clone();
        let (mut new, flags, body) = New::of(append).await;
        new.replaces = Some(Replaced { account: AccountId(owner), mailbox, uid, size });
        let target = Target { account, mailbox: to, flags, recipient: None };
        let placed = self.place(&new, &[target], body).await?;
        placed.into_iter().next().unwrap_or(Err(StoreError::NoSuchMailbox))
    }
}

/// A mailbox in which messages are gathered.
struct Gathering {
    mailbox: Mailbox,
    /// No earlier segment of the journal holds anything that names it.
    first_segment: u64,
}

impl Gathering {
    fn removed(&self) -> Removed {
        Removed { id: self.mailbox.id.0, first_segment: self.first_segment, ..Removed::default() }
    }
}

/// Refuses, before anything is stored, messages whose places would not fit into one record.
fn check_size(appends: &[Append]) -> Result<()> {
    let octets = |append: &Append| append.flags.keywords().map(|keyword| keyword.len() + 2).sum::<usize>();
    if appends.iter().map(octets).sum::<usize>() > MAX_KEYWORDS {
        let limit = MAX_KEYWORDS as u64;
        return Err(StoreError::OverLimit { what: "octets of keywords of one append", limit });
    }
    Ok(())
}

fn placement(account: AccountId, mailbox: &Mailbox, uid: Uid) -> Placement {
    Placement {
        account,
        mailbox: mailbox.id,
        mailbox_name: mailbox.name.clone(),
        uid_validity: mailbox.uid_validity,
        uid,
    }
}
