//! Getting the space of dead messages back.
//!
//! A segment of the journal goes when everything in it that still counts stands elsewhere too. What counts is what a
//! row names by the position of its record. First the small states of records whose body is dead are gathered into new
//! records; then the journal copies the records with living bodies forward and removes the segment.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::Bytes;
use journal::{Candidate, Entry, Position, Record, SegmentId, Verdict};
use prost::Message;

use super::LocalStore;
use crate::store::leaf::{FlagState, Leaf, pieces};
use crate::store::placed::{leaf_of, with_flags};
use crate::store::record::{
    AccountState, AliasState, AnnotationState, BodyRow, Change, Delivered, DomainState, Expunged, Flagged,
    MailboxState, Nothing, Placed, RECORD_KIND, Removed, RightsState, SeenState, SubscriptionState, Uids,
};
use crate::store::state::decode;
use crate::store::{ModSeq, Result, StoreError, Uid, UidSet, keys};

/// Octets that reclaiming may spend at its pace in one go; the rest waits for the next. What it costs is counted and not
/// what it gives back: dead segments cost next to nothing, and would pile up.
const AT_ONCE: u64 = 1 << 30;

/// Octets that a segment counts for at least, for the files that are synced and the rows that are written.
const LEAST: u64 = 1 << 20;

/// Octets of states that are gathered into one record.
const GATHERED: usize = 256 << 10;

/// Records of gathered states that are on their way at once.
const GATHERING: usize = 32;

/// Octets of states that stay in the record of a living body; more of them are gathered, for by their messages' flags
/// they may have come to take more than a record holds.
const BESIDE: usize = 512 << 10;

impl LocalStore {
    /// Reclaims the segments that are mostly dead.
    pub(in crate::store) fn reclaim(&self) -> Result<()> {
        self.reclaim_for(AT_ONCE)
    }

    /// Reclaims the segments that are mostly dead, the deadest first, until so many octets were spent on it.
    pub(in crate::store) fn reclaim_for(&self, most: u64) -> Result<()> {
        let mut cost = 0;
        for Candidate { segment, .. } in
            self.inner.journal.reclaim_candidates(self.inner.config.reclaim_below)
        {
            // While they are copied no segment goes, and what was gathered of one would be gathered in vain.
            if cost >= most || self.inner.journal.is_held() || self.inner.pace.is_over() {
                break;
            }
            let before = self.inner.pace.total();
            match self.reclaim_segment(segment) {
                // The others would hardly find more room than the deadest, and each try costs a scan.
                Err(error @ (StoreError::Closed(_) | StoreError::Full)) => return Err(error),
                // Whatever is wrong with one segment, the others' space is wanted too.
                Err(error) => tracing::warn!(%segment, %error, "cannot reclaim space of dead messages"),
                Ok(_) => {}
            }
            cost += (self.inner.pace.total() - before).max(LEAST);
        }
        Ok(())
    }

    /// The segments of the journal, in order.
    #[cfg(test)]
    pub(in crate::store) fn segments(&self) -> Vec<SegmentId> {
        self.inner.journal.segments()
    }

    /// The segments that are mostly dead.
    #[cfg(test)]
    pub(in crate::store) fn candidates(&self) -> Vec<SegmentId> {
        let candidates = self.inner.journal.reclaim_candidates(self.inner.config.reclaim_below);
        candidates.into_iter().map(|candidate| candidate.segment).collect()
    }

    /// What reclaim would carry forward of a segment now.
    #[cfg(test)]
    pub(in crate::store) fn carried_of(&self, segment: SegmentId) -> Vec<Change> {
        let mut carried = Vec::new();
        let start = Some(Position { segment, offset: 0 });
        let scanned = self.inner.journal.scan_segment(segment, start, |entry| {
            carried.push(self.needed(entry.position, decode(entry).unwrap()).unwrap());
            ControlFlow::Continue(())
        });
        scanned.unwrap();
        carried
    }

    /// Empties one segment and removes it; `false` if it cannot be now.
    pub(in crate::store) fn reclaim_segment(&self, segment: SegmentId) -> Result<bool> {
        let applied = self.inner.state.lock().applied();
        if applied.is_none_or(|applied| applied.segment <= segment) {
            return Ok(false);
        }
        self.purge_removed()?;
        self.gather(segment)?;
        let mut dead = Dead::default();
        let mut failed = None;
        let reclaimed = self.inner.journal.reclaim(segment, |entry| {
            let verdict = self.decide(entry, &mut dead).unwrap_or_else(|error| {
                failed.get_or_insert(error);
                Verdict::Keep
            });
            let body = if verdict == Verdict::Drop { 0 } else { entry.body.len() };
            self.inner.pace.spend(entry.meta.len() as u64 + body);
            verdict
        });
        let reclaimed = match reclaimed {
            Err(journal::Error::Busy { .. }) => return Ok(false),
            reclaimed => reclaimed?,
        };
        if let Some(error) = failed {
            return Err(error);
        }
        // What was removed meanwhile may still name the segment.
        self.purge_removed()?;
        let forgotten = {
            let mut state = self.inner.state.lock();
            let forgotten = state.forget_removals(segment, &dead.removals);
            forgotten.and_then(|()| state.forget_segment(segment, &dead.bodies))
        };
        self.may_stop(forgotten)?;
        tracing::info!(%segment, freed = reclaimed.freed, copied = reclaimed.copied, "reclaimed space of dead messages");
        Ok(true)
    }

    /// Writes anew the states of all records of a segment that have no living body, many to a record, and those that
    /// would be too many for a body's record.
    fn gather(&self, segment: SegmentId) -> Result<()> {
        // Numbers that were taken must stay taken when the record that says so goes.
        let marks = self.take(|_| ()).1;
        let mut gathering = Gathering::new(self, Change { marks, ..Change::default() });
        let mut failed = None;
        let start = Some(Position { segment, offset: 0 });
        let scanned = self.inner.journal.scan_segment(segment, start, |entry| {
            self.inner.pace.spend(entry.meta.len() as u64);
            let needed = decode(entry).and_then(|change| self.needed(entry.position, change));
            let gathered = needed.and_then(|needed| {
                let goes = needed.body == 0 || needed.encoded_len() > BESIDE;
                if goes { gathering.add(needed) } else { Ok(()) }
            });
            match gathered {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        match scanned {
            Ok(()) | Err(journal::Error::Gone { .. }) => gathering.finish(),
            Err(error) => Err(error.into()),
        }
    }

    /// What becomes of a record; adds what goes with it to `dead`.
    fn decide(&self, entry: &Entry, dead: &mut Dead) -> Result<Verdict> {
        let change = decode(entry)?;
        let body = change.body;
        let removed = (change.removed_accounts.clone(), change.removed_mailboxes.clone());
        let needed = self.needed(entry.position, change)?;
        if needed.body == 0 && body != 0 {
            dead.bodies.push(body);
        }
        dead.removed(removed, &needed);
        if needed == Change::default() {
            return Ok(Verdict::Drop);
        }
        Ok(Verdict::Rewrite(Bytes::from(needed.encode_to_vec())))
    }

    /// The part of a record that rows still refer to by its position, with messages' flags as they are now.
    fn needed(&self, at: Position, change: Change) -> Result<Change> {
        let mut needed = Change::default();
        for account in change.accounts {
            if self.is_at::<AccountState>(&keys::account(account.id), at)? {
                needed.accounts.push(account);
            }
        }
        for removed in change.removed_accounts {
            if self.is_at::<Removed>(&keys::removed_account(removed.id), at)? {
                needed.removed_accounts.extend(self.still_kills(at, removed));
            }
        }
        for domain in change.domains {
            if self.is_at::<Nothing>(&keys::domain(&domain), at)? {
                needed.domains.push(domain);
            }
        }
        for domain in change.domain_states {
            if self.is_at::<DomainState>(&keys::domain_state(&domain.name), at)? {
                needed.domain_states.push(domain);
            }
        }
        for alias in change.aliases {
            if self.is_at::<AliasState>(&keys::alias(&alias.address), at)? {
                needed.aliases.push(alias);
            }
        }
        for mailbox in change.mailboxes {
            if self.is_at::<MailboxState>(&keys::mailbox(mailbox.id), at)? {
                needed.mailboxes.push(mailbox);
            }
        }
        for removed in change.removed_mailboxes {
            if self.is_at::<Removed>(&keys::removed_mailbox(removed.id), at)? {
                needed.removed_mailboxes.extend(self.still_kills(at, removed));
            }
        }
        for subscription in change.subscriptions {
            let key = keys::subscription(subscription.account, &subscription.name);
            if self.is_at::<SubscriptionState>(&key, at)? {
                needed.subscriptions.push(subscription);
            }
        }
        for annotation in change.annotations {
            if self.is_void(annotation.mailbox, annotation.account)? {
                continue;
            }
            let key = keys::annotation(annotation.mailbox, annotation.account, &annotation.entry);
            if self.is_at::<AnnotationState>(&key, at)? {
                needed.annotations.push(annotation);
            }
        }
        for rights in change.rights {
            if self.is_void(rights.mailbox, rights.account)? {
                continue;
            }
            let key = keys::rights(rights.mailbox, rights.account, rights.negative);
            if self.is_at::<RightsState>(&key, at)? {
                needed.rights.push(rights);
            }
        }
        for seen in change.seen {
            if self.is_at::<SeenState>(&keys::seen(seen.mailbox, seen.account, seen.block), at)? {
                needed.seen.push(seen);
            }
        }
        if change.body != 0 {
            let body = self.inner.table.get::<BodyRow>(&keys::body(change.body))?;
            let lives = body.is_some_and(|body| body.at == at && body.value.references > 0);
            needed.body = if lives { change.body } else { 0 };
        }
        for outlined in change.outlines {
            let beside = outlined.email == needed.body;
            if beside || self.is_at::<Nothing>(&keys::outline(outlined.email), at)? {
                needed.outlines.push(outlined);
            }
        }
        for placed in change.placed {
            if self.is_removed(placed.mailbox)? {
                continue;
            }
            let row = self.inner.table.get::<Placed>(&keys::row(placed.mailbox, placed.uid))?;
            let Some(row) = row.filter(|row| row.at == at) else { continue };
            // Gone since, if it is not in its leaf.
            let leaf = leaf_of(&self.inner.table, placed.mailbox, placed.uid)?;
            let flags = leaf.as_ref().and_then(|leaf| leaf.get(placed.uid));
            needed.placed.extend(flags.map(|(_, flags)| carried(row.value, placed.modseq, flags)));
        }
        for flagged in change.flagged {
            let removed = self.is_removed(flagged.mailbox)?;
            let uids = if removed { Vec::new() } else { self.flagged_at(at, &flagged)? };
            if !uids.is_empty() {
                needed.flagged.push(Flagged { uids, ..flagged });
            }
        }
        for expunged in change.expunged {
            let key = keys::vanished(expunged.mailbox, expunged.modseq);
            if !self.is_removed(expunged.mailbox)? && self.is_at::<Expunged>(&key, at)? {
                needed.expunged.push(expunged);
            }
        }
        for delivered in change.delivered {
            let key = keys::delivered(&delivered.message_id, &delivered.recipient);
            if self.is_at::<Delivered>(&key, at)? {
                needed.delivered.push(delivered);
            }
        }
        Ok(needed)
    }

    /// A row says that the record at a position is what it came from.
    fn is_at<T: Message + Default>(&self, key: &[u8], at: Position) -> Result<bool> {
        Ok(self.inner.table.get::<T>(key)?.is_some_and(|row| row.at == at))
    }

    /// A mailbox is gone for good. What records say of it is void, also while its rows are still there: a copy would
    /// outlive the record that says so.
    fn is_removed(&self, mailbox: u64) -> Result<bool> {
        self.inner.table.contains(&keys::removed_mailbox(mailbox))
    }

    /// What an account noted, or may do, at a mailbox counts no more, for one of them is gone.
    fn is_void(&self, mailbox: u64, account: u64) -> Result<bool> {
        Ok(self.is_removed(mailbox)? || self.inner.table.contains(&keys::removed_account(account))?)
    }

    /// The removal of an account or mailbox is kept until nothing that it makes void can stand in the log any more.
    ///
    /// Its subjects stand before it, or shortly after it if reclaim was just copying them. One segment is reclaimed at
    /// a time, and none of what was removed is copied ([`LocalStore::is_removed`]): so when the removal is first carried
    /// forward, all of them are in segments up to the newest.
    fn still_kills(&self, at: Position, removed: Removed) -> Option<Removed> {
        let segments = self.inner.journal.segments();
        let last_segment = match removed.last_segment {
            0 => segments.last().map_or(at.segment.0, |newest| newest.0),
            known => known,
        };
        let may_name_it = removed.first_segment..=last_segment;
        let remains = segments.iter().any(|other| may_name_it.contains(&other.0) && *other != at.segment);
        remains.then_some(Removed { last_segment, ..removed })
    }

    /// The messages whose flags come from the record at a position, and not from a newer one.
    fn flagged_at(&self, at: Position, flagged: &Flagged) -> Result<Vec<Uids>> {
        let mut uids: Vec<Uid> = Vec::new();
        let mut leaf: Option<Leaf> = None;
        for (number, piece) in pieces(flagged.uids.iter().map(|range| range.first..=range.last)) {
            if leaf.as_ref().is_none_or(|leaf| leaf.number() != number) {
                leaf = leaf_of(&self.inner.table, flagged.mailbox, *piece.start())?;
            }
            let messages = leaf.iter().flat_map(|leaf| leaf.within(&piece));
            let kept = messages.filter(|(_, flags)| flags.at == at && flags.modseq == flagged.modseq);
            uids.extend(kept.map(|(message, _)| message.uid));
        }
        let set: UidSet = uids.into_iter().collect();
        Ok(set.ranges().iter().map(|range| Uids { first: *range.start(), last: *range.end() }).collect())
    }
}

/// A message as its record is carried forward: with the flags that it has now. Keywords that it has from a later record
/// stay in that one, which is carried forward too and has them once for many messages.
fn carried(row: Placed, placed_with: ModSeq, flags: &FlagState) -> Placed {
    if flags.as_placed || flags.keywords.is_empty() {
        return with_flags(row, flags);
    }
    Placed { modseq: placed_with, ..row }
}

/// What goes with a segment.
#[derive(Default)]
struct Dead {
    bodies: Vec<u64>,
    /// Keys of rows that say of something that it is gone for good.
    removals: Vec<Vec<u8>>,
}

impl Dead {
    /// Adds those of a record's removals of accounts and mailboxes that are no longer needed.
    fn removed(&mut self, (accounts, mailboxes): (Vec<Removed>, Vec<Removed>), needed: &Change) {
        let is_in = |needed: &[Removed], id| needed.iter().any(|needed| needed.id == id);
        for account in accounts.iter().filter(|account| !is_in(&needed.removed_accounts, account.id)) {
            self.removals.push(keys::removed_account(account.id));
        }
        for mailbox in mailboxes.iter().filter(|mailbox| !is_in(&needed.removed_mailboxes, mailbox.id)) {
            self.removals.push(keys::removed_mailbox(mailbox.id));
        }
    }
}

/// States on their way into new records, each record with about [`GATHERED`] octets of them.
struct Gathering<'a> {
    store: &'a LocalStore,
    change: Change,
    octets: usize,
    appends: VecDeque<journal::Append<()>>,
}

impl<'a> Gathering<'a> {
    fn new(store: &'a LocalStore, change: Change) -> Self {
        Self { store, change, octets: 0, appends: VecDeque::new() }
    }

    /// Adds all of a record but its body and what must stand beside that.
    fn add(&mut self, needed: Change) -> Result<()> {
        self.states(needed.accounts, |change| &mut change.accounts)?;
        self.states(needed.removed_accounts, |change| &mut change.removed_accounts)?;
        self.states(needed.domains, |change| &mut change.domains)?;
        self.states(needed.domain_states, |change| &mut change.domain_states)?;
        self.states(needed.aliases, |change| &mut change.aliases)?;
        self.states(needed.mailboxes, |change| &mut change.mailboxes)?;
        self.states(needed.removed_mailboxes, |change| &mut change.removed_mailboxes)?;
        self.states(needed.subscriptions, |change| &mut change.subscriptions)?;
        self.states(needed.annotations, |change| &mut change.annotations)?;
        self.states(needed.rights, |change| &mut change.rights)?;
        self.states(needed.seen, |change| &mut change.seen)?;
        self.states(needed.placed, |change| &mut change.placed)?;
        self.states(needed.flagged, |change| &mut change.flagged)?;
        self.states(needed.expunged, |change| &mut change.expunged)?;
        self.states(needed.delivered, |change| &mut change.delivered)?;
        let mut outlines = needed.outlines;
        outlines.retain(|outlined| outlined.email != needed.body);
        self.states(outlines, |change| &mut change.outlines)
    }

    fn states<T: Message>(&mut self, states: Vec<T>, list: fn(&mut Change) -> &mut Vec<T>) -> Result<()> {
        for state in states {
            let more = state.encoded_len();
            if self.octets > 0 && self.octets + more > GATHERED {
                self.send()?;
            }
            self.octets += more;
            list(&mut self.change).push(state);
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        if self.appends.len() >= GATHERING
            && let Some(earliest) = self.appends.pop_front()
        {
            earliest.wait()?;
        }
        self.octets = 0;
        let meta = Bytes::from(std::mem::take(&mut self.change).encode_to_vec());
        // Also below the space that is to stay free, for it is by this that space becomes free.
        let append =
            self.store.inner.journal.append_carried(Record { kind: RECORD_KIND, meta, body: Bytes::new() });
        self.appends.push_back(append);
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.send()?;
        for append in self.appends {
            append.wait()?;
        }
        Ok(())
    }
}
