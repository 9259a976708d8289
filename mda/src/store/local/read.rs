//! Looking at what is committed.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use journal::BodyRef;
use message::MessageId;

use super::LocalStore;
use crate::store::placed;
use crate::store::record::{
    AccountState, BodyRow, Counters, Delivered, Expunged, MailboxState, Nothing, Placed, SubscriptionState,
};
use crate::store::state::place_of;
use crate::store::table::{Stored, Table};
use crate::store::{
    Account, AccountId, EmailId, Located, Mailbox, MailboxId, MailboxName, MailboxStatus, ModSeq, Password,
    Placement, Result, Row, SpecialUse, StoreError, Uid, UidSet, Usage, keys,
};

/// Octets of several bodies that are read at once.
const AT_ONCE: u64 = 1 << 20;

/// The most octets that one [`super::MailStore::read`] gives.
const MAX_READ: u64 = 64 << 20;

impl LocalStore {
    pub(super) fn read_account(&self, account: AccountId) -> Result<Account> {
        self.account_state(account)?.map(account_of).ok_or(StoreError::NoSuchAccount)
    }

    pub(super) fn account_state(&self, account: AccountId) -> Result<Option<AccountState>> {
        Ok(self.inner.table.get::<AccountState>(&keys::account(account.0))?.map(|stored| stored.value))
    }

    pub(super) fn read_account_by_address(&self, address: &str) -> Result<Option<Account>> {
        let holders = self.inner.table.scan::<Nothing>(keys::within(&keys::address_prefix(address)));
        let Some(holder) = holders.last().transpose()? else { return Ok(None) };
        Ok(self.account_state(AccountId(keys::last_u64(&holder.0)))?.map(account_of))
    }

    pub(super) fn read_accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<Account>> {
        let all = keys::within(keys::ADDRESSES);
        let start = after.map_or(all.start, |after| keys::within(&keys::address_prefix(after)).end);
        let mut accounts = Vec::new();
        for row in self.inner.table.scan::<Nothing>(start..all.end) {
            if accounts.len() >= limit {
                break;
            }
            let (key, _) = row?;
            let Some(account) = self.account_state(AccountId(keys::last_u64(&key)))? else { continue };
            // An account stands under each of its addresses: it is listed under its name.
            if key[..] == keys::address(&account.name, account.id) {
                accounts.push(account_of(account));
            }
        }
        Ok(accounts)
    }

    pub(super) fn read_usage(&self, account: AccountId) -> Result<Usage> {
        self.read_account(account)?;
        self.sum_of_mailboxes(account)
    }

    pub(super) fn sum_of_mailboxes(&self, account: AccountId) -> Result<Usage> {
        let mut usage = Usage::default();
        for row in self.inner.table.scan::<Nothing>(keys::within(&keys::listed_account(account.0))) {
            let counters = self.counters(MailboxId(keys::last_u64(&row?.0)))?.unwrap_or_default();
            usage.messages += u64::from(counters.messages);
            usage.octets += counters.octets;
        }
        Ok(usage)
    }

    pub(super) fn read_is_local(&self, domain: &str) -> Result<bool> {
        self.inner.table.contains(&keys::domain(domain))
    }

    pub(super) fn read_domains(&self) -> Result<Vec<String>> {
        let rows = self.inner.table.scan::<Nothing>(keys::within(keys::DOMAINS));
        rows.map(|row| text(&row?.0[keys::DOMAINS.len()..])).collect()
    }

    pub(super) fn read_mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>> {
        self.read_account(account)?;
        let mut mailboxes = Vec::new();
        for row in self.inner.table.scan::<Nothing>(keys::within(&keys::listed_account(account.0))) {
            mailboxes.extend(self.read_mailbox_by_id(MailboxId(keys::last_u64(&row?.0)))?);
        }
        Ok(mailboxes)
    }

    pub(super) fn read_mailbox(&self, account: AccountId, name: &MailboxName) -> Result<Option<Mailbox>> {
        let named = keys::within(&keys::listed_name(account.0, name.as_str()));
        let Some(row) = self.inner.table.scan::<Nothing>(named).next_back().transpose()? else {
            return Ok(None);
        };
        self.read_mailbox_by_id(MailboxId(keys::last_u64(&row.0)))
    }

    pub(super) fn read_mailbox_by_id(&self, mailbox: MailboxId) -> Result<Option<Mailbox>> {
        let Some(state) = self.mailbox_state(mailbox)? else { return Ok(None) };
        let key = keys::subscription(state.account, &state.name);
        let subscription = self.inner.table.get::<SubscriptionState>(&key)?;
        Ok(Some(Mailbox {
            id: mailbox,
            account: AccountId(state.account),
            name: stored_name(&state.name)?,
            uid_validity: state.uid_validity,
            special_use: SpecialUse::parse(&state.special_use),
            subscribed: subscription.is_some_and(|subscription| subscription.value.subscribed),
            retention: state.retention.map(Duration::from_secs),
        }))
    }

    pub(super) fn mailbox_state(&self, mailbox: MailboxId) -> Result<Option<MailboxState>> {
        Ok(self.inner.table.get::<MailboxState>(&keys::mailbox(mailbox.0))?.map(|stored| stored.value))
    }

    pub(super) fn read_subscriptions(&self, account: AccountId) -> Result<Vec<MailboxName>> {
        let states = self.subscription_states(account)?;
        states.iter().filter(|state| state.subscribed).map(|state| stored_name(&state.name)).collect()
    }

    /// Those that were ended included.
    pub(super) fn subscription_states(&self, account: AccountId) -> Result<Vec<SubscriptionState>> {
        self.read_account(account)?;
        let rows = self.inner.table.scan::<SubscriptionState>(keys::within(&keys::subscriptions(account.0)));
        rows.map(|row| Ok(row?.1.value)).collect()
    }

    pub(super) fn read_status(&self, mailbox: MailboxId) -> Result<MailboxStatus> {
        let state = self.mailbox_state(mailbox)?.ok_or(StoreError::NoSuchMailbox)?;
        let counters = self.counters(mailbox)?.ok_or(StoreError::NoSuchMailbox)?;
        Ok(counters.status(state.uid_validity))
    }

    fn counters(&self, mailbox: MailboxId) -> Result<Option<Counters>> {
        Ok(self.inner.table.get::<Counters>(&keys::counters(mailbox.0))?.map(|stored| stored.value))
    }

    pub(super) fn read_row(&self, mailbox: MailboxId, uid: Uid) -> Result<Option<Row>> {
        if self.mailbox_state(mailbox)?.is_none() {
            return Err(StoreError::NoSuchMailbox);
        }
        let leaf = placed::leaf_of(&self.inner.table, mailbox.0, uid)?;
        Ok(leaf.as_ref().and_then(|leaf| leaf.get(uid)).map(|(message, flags)| message.row(flags)))
    }

    pub(super) fn read_vanished(&self, mailbox: MailboxId, modseq: ModSeq) -> Result<UidSet> {
        if self.mailbox_state(mailbox)?.is_none() {
            return Err(StoreError::NoSuchMailbox);
        }
        let next = modseq.saturating_add(1);
        let mut vanished = Vec::new();
        let since = keys::vanished(mailbox.0, next)..keys::within(&keys::vanished_all(mailbox.0)).end;
        for row in self.inner.table.scan::<Expunged>(since) {
            vanished.extend(row?.1.value.uids.iter().map(|uids| uids.first..=uids.last));
        }
        Ok(vanished.into_iter().collect())
    }

    pub(super) fn read_body(&self, email: EmailId, range: Range<u64>) -> Result<Bytes> {
        let key = keys::body(email.0);
        loop {
            let body = self.body_row(email)?;
            if !body.value.stored {
                // Only a damaged journal has a row for a body whose record is gone.
                let reason = "its record is lost".to_owned();
                return Err(StoreError::CorruptBody { email, reason });
            }
            let place = place_of(&body.value)?;
            let end = range.end.min(place.len()).min(range.start.saturating_add(MAX_READ));
            if range.start >= end {
                return Ok(Bytes::new());
            }
            match self.inner.journal.read(&place, range.start..end) {
                Ok(bytes) => return Ok(bytes),
                // Reclaim moved it since the row was read: the row says whereto.
                Err(journal::Error::Gone { .. })
                    if self.inner.table.get::<BodyRow>(&key)?.is_none_or(|now| now != body) => {}
                Err(error @ (journal::Error::Corrupt { .. } | journal::Error::Gone { .. })) => {
                    tracing::error!(%email, %error, "the body of a message is damaged");
                    return Err(StoreError::CorruptBody { email, reason: error.to_string() });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads bodies, up to `length` octets of each, and gives each to `visit` with its place in `emails`. Those that lie
    /// near each other are read in one go; [`AT_ONCE`] octets are in memory at most, or one body.
    pub(super) fn read_bodies(
        &self,
        emails: &[EmailId],
        length: u64,
        mut visit: impl FnMut(usize, Result<Bytes>),
    ) {
        let (mut places, mut wanted, mut octets) = (Vec::new(), Vec::new(), 0);
        for (place, email) in emails.iter().enumerate() {
            let body = self.body_row(*email).and_then(|body| place_of(&body.value));
            let body = body.unwrap_or_default();
            // Its first piece may have to be read whole.
            let weight = body.len().min(length.max(AT_ONCE));
            if octets + weight > AT_ONCE {
                self.read_group(emails, &places, &wanted, length, &mut visit);
                places.clear();
                wanted.clear();
                octets = 0;
            }
            octets += weight;
            let end = body.len().min(length).min(MAX_READ);
            places.push(place);
            wanted.push((body, 0..end));
        }
        self.read_group(emails, &places, &wanted, length, &mut visit);
    }

    fn read_group(
        &self,
        emails: &[EmailId],
        places: &[usize],
        wanted: &[(BodyRef, Range<u64>)],
        length: u64,
        visit: &mut impl FnMut(usize, Result<Bytes>),
    ) {
        for (place, read) in places.iter().zip(self.inner.journal.read_many(wanted)) {
            let read = match read {
                Ok(bytes) if !bytes.is_empty() => Ok(bytes),
                // It is gone, or was moved since, or is damaged: looked at alone, it is told which.
                _ => self.noting(self.read_body(emails[*place], 0..length)),
            };
            visit(*place, read);
        }
    }

    /// The row of a body that is shown.
    pub(super) fn body_row(&self, email: EmailId) -> Result<Stored<BodyRow>> {
        let body = self.inner.table.get::<BodyRow>(&keys::body(email.0))?;
        body.filter(|body| body.value.references > 0).ok_or(StoreError::Expunged)
    }

    pub(super) fn read_located(&self, message_id: MessageId) -> Result<Vec<Located>> {
        let mut located = Vec::new();
        for row in
            self.inner.table.scan::<Delivered>(keys::within(&keys::delivered_all(message_id.as_bytes())))
        {
            let delivered = row?.1.value;
            let here = self.mailbox_state(MailboxId(delivered.mailbox))?.is_some()
                && self.inner.table.contains(&keys::row(delivered.mailbox, delivered.uid))?;
            let placement = placement_of(&delivered)?;
            located.push(Located { recipient: delivered.recipient, placement, gone: !here });
        }
        Ok(located)
    }

    /// The first placement of a message that was delivered.
    pub(super) fn delivered(&self, message_id: MessageId, recipient: &str) -> Result<Option<Placement>> {
        let key = keys::delivered(message_id.as_bytes(), recipient);
        self.inner.table.get::<Delivered>(&key)?.map(|stored| placement_of(&stored.value)).transpose()
    }

    /// The messages of a set, as they are now.
    pub(super) fn placed_of(&self, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Placed>> {
        placed::placed_of(&self.inner.table, mailbox.0, uids)
    }

    /// The mailboxes that were removed and may have rows left.
    pub(in crate::store) fn removed_mailboxes(&self) -> Result<Vec<u64>> {
        left_of_removed_mailboxes(&self.inner.table)
    }
}

/// The mailboxes that were removed and may have rows left.
pub(in crate::store) fn left_of_removed_mailboxes(table: &Table) -> Result<Vec<u64>> {
    let left = table.scan::<Nothing>(keys::within(keys::LEFTOVERS));
    left.map(|row| Ok(keys::last_u64(&row?.0))).collect()
}

fn account_of(state: AccountState) -> Account {
    Account {
        id: AccountId(state.id),
        name: state.name,
        addresses: state.addresses,
        password: Password {
            hash: state.password_hash,
            scram: state.scram.map(|keys| Box::new(keys.into())),
        },
        app_passwords: state.app_passwords.into_iter().map(Into::into).collect(),
        created_at: Timestamp::from_second(state.created_at).unwrap_or(Timestamp::MIN),
    }
}

fn placement_of(delivered: &Delivered) -> Result<Placement> {
    Ok(Placement {
        account: AccountId(delivered.account),
        mailbox: MailboxId(delivered.mailbox),
        mailbox_name: stored_name(&delivered.mailbox_name)?,
        uid_validity: delivered.uid_validity,
        uid: delivered.uid,
    })
}

/// A name that was checked before it was stored.
pub(super) fn stored_name(name: &str) -> Result<MailboxName> {
    MailboxName::parse(name)
        .map_err(|error| StoreError::CorruptState { what: format!("mailbox name {name:?}: {error}") })
}

pub(super) fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|error| StoreError::CorruptState { what: error.to_string() })
}
