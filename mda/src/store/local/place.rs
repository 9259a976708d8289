//! New messages: deliveries and appends.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use message::MessageId;
use tokio::sync::watch;

use super::LocalStore;
use super::quota::{Addition, Reservation};
use crate::outline::Outline;
use crate::store::gate::{Gate, Heads};
use crate::store::record::{Change, Delivered, Expunged, Outlined, Placed, Uids};
use crate::store::{
    AccountId, Append, BodySource, Delivery, EmailId, Flags, Mailbox, MailboxId, MailboxName, Placement,
    Receipt, Result, StoreError, Uid, Usage,
};

/// The most recipients of one delivery: a record lists them all.
const MAX_RECIPIENTS: usize = 1_000;

/// Messages above this size are parsed on a thread that may block.
const OUTLINE_INLINE: usize = 64 * 1024;

/// A message to be placed.
pub(super) struct New {
    message_id: MessageId,
    internal_date: Timestamp,
    size: u64,
    /// Empty if it is made later.
    outline: Bytes,
    /// The message that goes by the same record.
    pub(super) replaces: Option<Replaced>,
}

/// A message that another takes the place of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replaced {
    pub(super) account: AccountId,
    pub(super) mailbox: MailboxId,
    pub(super) uid: Uid,
    /// Its octets.
    pub(super) size: u64,
}

impl Replaced {
    fn usage(self) -> Usage {
        Usage { messages: 1, octets: self.size }
    }
}

impl New {
    /// Octets of the message.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// A client's message, its flags and its octets.
    pub(super) async fn of(append: Append) -> (Self, Flags, BodySource) {
        let Append { mailbox: _, message_id, flags, internal_date, body } = append;
        let outline = outline(&body).await;
        (Self { message_id, internal_date, size: octets(&body), outline, replaces: None }, flags, body)
    }
}

/// Where a message goes.
pub(super) struct Target {
    pub(super) account: AccountId,
    pub(super) mailbox: MailboxName,
    pub(super) flags: Flags,
    /// For deliveries, the second part of the idempotency key.
    pub(super) recipient: Option<String>,
}

enum Attempt {
    /// Mailboxes of this account are coming and going.
    Wait(Arc<Gate>),
    /// One result for each target, and the body and its record if any was placed.
    Proposed(Vec<Result<Placement>>, Option<(EmailId, journal::Append<()>)>),
}

/// A message that is on its way.
pub(super) struct Placing {
    placements: Vec<Result<Placement>>,
    append: Option<(EmailId, journal::Append<()>)>,
    reserved: Vec<Reservation>,
    gates: BTreeMap<AccountId, Arc<Gate>>,
}

impl LocalStore {
    pub(super) async fn message_deliver(&self, delivery: Delivery) -> Result<Vec<Result<Receipt>>> {
        if delivery.recipients.len() > MAX_RECIPIENTS {
            return Err(StoreError::OverLimit { what: "recipients", limit: MAX_RECIPIENTS as u64 });
        }
        let new = New {
            message_id: delivery.message_id,
            internal_date: delivery.internal_date,
            size: octets(&delivery.body),
            outline: outline(&delivery.body).await,
            replaces: None,
        };
        let mut addresses: Vec<String> = delivery.recipients.iter().map(|to| to.address.clone()).collect();
        let _claim = self.claim(new.message_id, addresses.clone()).await;

        let mut receipts: BTreeMap<String, Result<Receipt>> = BTreeMap::new();
        let mut targets = Vec::new();
        for recipient in delivery.recipients {
            if receipts.contains_key(&recipient.address)
                || targets.iter().any(|target: &Target| target.recipient.as_ref() == Some(&recipient.address))
            {
                continue;
            }
            if let Some(placement) = self.delivered(new.message_id, &recipient.address)? {
                receipts.insert(recipient.address, Ok(Receipt { placement, duplicate: true }));
                continue;
            }
            targets.push(Target {
                account: recipient.account,
                mailbox: recipient.mailbox,
                flags: recipient.flags,
                recipient: Some(recipient.address),
            });
        }
        let placements = self.place(&new, &targets, delivery.body).await?;
        for (target, placement) in targets.into_iter().zip(placements) {
            let receipt = placement.map(|placement| Receipt { placement, duplicate: false });
            receipts.insert(target.recipient.unwrap_or_default(), receipt);
        }
        Ok(addresses
            .drain(..)
            .map(|address| receipts.get(&address).cloned().unwrap_or(Err(StoreError::NoSuchAccount)))
            .collect())
    }

    pub(super) async fn message_append(&self, account: AccountId, append: Append) -> Result<Placement> {
        let mailbox = append.mailbox.clone();
        let (new, flags, body) = New::of(append).await;
        let target = Target { account, mailbox, flags, recipient: None };
        let placed = self.place(&new, &[target], body).await?;
        placed.into_iter().next().unwrap_or(Err(StoreError::NoSuchMailbox))
    }

    pub(super) async fn place(
        &self,
        new: &New,
        targets: &[Target],
        body: BodySource,
    ) -> Result<Vec<Result<Placement>>> {
        let placing = self.begin_to_place(new, targets, body).await?;
        self.end_placing(new, placing).await
    }

    /// Puts a message into the journal's order.
    pub(super) async fn begin_to_place(
        &self,
        new: &New,
        targets: &[Target],
        body: BodySource,
    ) -> Result<Placing> {
        // Ascending, so that two deliveries to the same accounts do not wait for each other.
        let accounts = targets.iter().map(|target| target.account);
        let accounts = accounts.chain(new.replaces.map(|replaced| replaced.account));
        let gates: BTreeMap<AccountId, Arc<Gate>> =
            accounts.map(|account| (account, self.inner.gates.of(account.0))).collect();
        let mut body = Some(body);
        let mut reserved = Vec::new();
        loop {
            match self.try_place(&gates, new, targets, &mut body, &mut reserved)? {
                Attempt::Wait(gate) => drop(gate.changes.lock().await),
                Attempt::Proposed(placements, append) => {
                    return Ok(Placing { placements, append, reserved, gates });
                }
            }
        }
    }

    /// Waits until it is committed.
    pub(super) async fn end_placing(&self, new: &New, placing: Placing) -> Result<Vec<Result<Placement>>> {
        let Placing { placements, append, reserved, gates } = placing;
        if let Some((email, append)) = append {
            append.await?;
            reserved.into_iter().for_each(Reservation::keep);
            if let Some(replaced) = new.replaces
                && let Some(gate) = gates.get(&replaced.account)
            {
                gate.heads.lock().take_from_usage(replaced.usage());
            }
            if new.outline.is_empty() {
                self.inner.housekeeper.outline(email);
            }
        }
        Ok(placements)
    }

    /// Takes numbers and appends the record, all under the locks of the accounts concerned.
    fn try_place(
        &self,
        gates: &BTreeMap<AccountId, Arc<Gate>>,
        new: &New,
        targets: &[Target],
        body: &mut Option<BodySource>,
        reserved: &mut Vec<Reservation>,
    ) -> Result<Attempt> {
        let mut heads = BTreeMap::new();
        for (account, gate) in gates {
            let locked = gate.heads.lock();
            if locked.restructuring {
                return Ok(Attempt::Wait(Arc::clone(gate)));
            }
            heads.insert(*account, locked);
        }
        let mut change = Change::default();
        let mut placements = Vec::with_capacity(targets.len());
        for target in targets {
            let mailbox = match self.target_mailbox(target) {
                Ok(mailbox) => mailbox,
                Err(error) => {
                    placements.push(Err(error));
                    continue;
                }
            };
            let (Some(heads), Some(gate)) = (heads.get_mut(&target.account), gates.get(&target.account))
            else {
                continue;
            };
            match self.reserve_for(new, target, gate, heads) {
                Ok(reservation) => reserved.push(reservation),
                Err(full @ StoreError::OverQuota { .. }) => {
                    placements.push(Err(full));
                    continue;
                }
                Err(error) => return Err(error),
            }
            let head = heads.of(&self.inner.table, mailbox.id.0)?;
            let placement = Placement {
                account: target.account,
                mailbox: mailbox.id,
                mailbox_name: mailbox.name,
                uid_validity: mailbox.uid_validity,
                uid: head.take_uid()?,
            };
            change.placed.push(placed(new, target, &placement, head.take_modseq()));
            change.delivered.extend(delivered(new, target, &placement));
            placements.push(Ok(placement));
        }
        let Some(body) = body.take().filter(|_| !change.placed.is_empty()) else {
            return Ok(Attempt::Proposed(placements, None));
        };
        if let Some(Replaced { account, mailbox, uid, .. }) = new.replaces
            && let Some(heads) = heads.get_mut(&account)
        {
            let modseq = heads.of(&self.inner.table, mailbox.0)?.take_modseq();
            let uids = vec![Uids { first: uid, last: uid }];
            change.expunged.push(Expunged { mailbox: mailbox.0, modseq, uids });
        }
        (change.body, change.marks) = self.take(|marks| {
            marks.email += 1;
            marks.email
        });
        change.placed.iter_mut().for_each(|placed| placed.email = change.body);
        if !new.outline.is_empty() {
            change.outlines.push(Outlined { email: change.body, outline: new.outline.clone() });
        }
        let append = self.propose_with(&change, body);
        Ok(Attempt::Proposed(placements, Some((EmailId(change.body), append))))
    }

    fn reserve_for(
        &self,
        new: &New,
        target: &Target,
        gate: &Arc<Gate>,
        heads: &mut Heads,
    ) -> Result<Reservation> {
        let more = Usage { messages: 1, octets: new.size };
        let replaced = new.replaces.filter(|replaced| replaced.account == target.account);
        let instead_of = replaced.map_or_else(Usage::default, Replaced::usage);
        let addition = if target.recipient.is_some() { Addition::Delivery } else { Addition::Client };
        self.reserve(gate, heads, target.account, more, instead_of, addition)
    }

    fn target_mailbox(&self, target: &Target) -> Result<Mailbox> {
        check_flags(&target.flags)?;
        match self.read_mailbox(target.account, &target.mailbox)? {
            Some(mailbox) => Ok(mailbox),
            None => {
                self.read_account(target.account)?;
                Err(StoreError::NoSuchMailbox)
            }
        }
    }

    /// Takes the idempotency keys of a delivery; waits while another delivery has one of them.
    async fn claim(&self, message_id: MessageId, recipients: Vec<String>) -> Claim<'_> {
        let keys: Vec<_> = recipients.into_iter().map(|recipient| (message_id, recipient)).collect();
        let (done, ended) = watch::channel(());
        loop {
            let other = {
                let mut in_flight = self.inner.in_flight.lock();
                let other = keys.iter().find_map(|key| in_flight.get(key).cloned());
                if other.is_none() {
                    in_flight.extend(keys.iter().map(|key| (key.clone(), ended.clone())));
                }
                other
            };
            let Some(mut other) = other else { return Claim { store: self, keys, _done: done } };
            // An error says that the other delivery has ended: what it placed is committed.
            while other.changed().await.is_ok() {}
        }
    }
}

/// Idempotency keys that are being delivered. Dropped, it lets those who wait for one of them go on.
struct Claim<'a> {
    store: &'a LocalStore,
    keys: Vec<(MessageId, String)>,
    _done: watch::Sender<()>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut in_flight = self.store.inner.in_flight.lock();
        for key in &self.keys {
            in_flight.remove(key);
        }
    }
}

/// The store's limits on flags.
pub(super) fn check_flags(flags: &Flags) -> Result<()> {
    if flags.keywords().count() > Flags::MAX_KEYWORDS {
        return Err(StoreError::OverLimit {
            what: "keywords of one message",
            limit: Flags::MAX_KEYWORDS as u64,
        });
    }
    if flags.keywords().any(|keyword| keyword.len() > Flags::MAX_KEYWORD_OCTETS) {
        let limit = Flags::MAX_KEYWORD_OCTETS as u64;
        return Err(StoreError::OverLimit { what: "octets of one keyword", limit });
    }
    Ok(())
}

/// The outline of a message in memory. Of one that is not, the store makes it when the message is in.
async fn outline(body: &BodySource) -> Bytes {
    let BodySource::Bytes(message) = body else { return Bytes::new() };
    if message.len() <= OUTLINE_INLINE {
        return Outline::of(message).encode();
    }
    let message = message.clone();
    let outline = tokio::task::spawn_blocking(move || Outline::of(&message).encode()).await;
    // It is made when it is first asked for.
    outline.unwrap_or_default()
}

fn octets(body: &BodySource) -> u64 {
    match body {
        BodySource::Bytes(bytes) => bytes.len() as u64,
        BodySource::Staged(staged) => staged.octets(),
    }
}

fn placed(new: &New, target: &Target, placement: &Placement, modseq: u64) -> Placed {
    Placed {
        mailbox: placement.mailbox.0,
        uid: placement.uid,
        modseq,
        email: 0,
        message_id: new.message_id.as_bytes().to_vec(),
        flags: u32::from(target.flags.bits()),
        keywords: target.flags.keywords().map(str::to_owned).collect(),
        internal_date: new.internal_date.as_second(),
        size: new.size,
        saved_at: Timestamp::now().as_second(),
        kept_of: 0,
        kept_of_name: String::new(),
    }
}

fn delivered(new: &New, target: &Target, placement: &Placement) -> Option<Delivered> {
    Some(Delivered {
        message_id: new.message_id.as_bytes().to_vec(),
        recipient: target.recipient.clone()?,
        account: placement.account.0,
        mailbox: placement.mailbox.0,
        mailbox_name: placement.mailbox_name.to_string(),
        uid_validity: placement.uid_validity,
        uid: placement.uid,
    })
}
