//! Getting the space of dead messages back.
//!
//! A segment of the journal goes when everything in it that still counts stands elsewhere too. What counts is what a
//! row names by the position of its record. First the small states of records whose body is dead are gathered into new
//! records; then the journal copies the records with living bodies forward and removes the segment.

use bytes::Bytes;
use journal::{Candidate, Entry, Position, SegmentId, Verdict};
use prost::Message;

use super::LocalStore;
use crate::store::record::{
    AccountState, AliasState, AnnotationState, BodyRow, Change, Delivered, DomainState, Expunged, Flagged,
    MailboxState, Nothing, Placed, Removed, RightsState, SubscriptionState, Uids,
};
use crate::store::state::decode;
use crate::store::{Result, StoreError, Uid, UidSet, keys};

/// Segments reclaimed in one go; the rest waits for the next.
const AT_ONCE: usize = 4;

/// Octets of states that are gathered into one record.
const GATHERED: usize = 256 << 10;

impl LocalStore {
    /// Reclaims the segments that are mostly dead.
    pub(super) fn reclaim(&self) -> Result<()> {
        let candidates = self.inner.journal.reclaim_candidates(self.inner.config.reclaim_below);
        for Candidate { segment, .. } in candidates.into_iter().take(AT_ONCE) {
            match self.reclaim_segment(segment) {
                Err(closed @ StoreError::Closed(_)) => return Err(closed),
                // Whatever is wrong with one segment, the others' space is wanted too.
                Err(error) => tracing::warn!(%segment, %error, "cannot reclaim space of dead messages"),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// The segments of the journal, in order.
    #[cfg(test)]
    pub(in crate::store) fn segments(&self) -> Vec<SegmentId> {
        self.inner.journal.segments()
    }

    /// Empties one segment and removes it; `false` if it cannot be now.
    pub(in crate::store) fn reclaim_segment(&self, segment: SegmentId) -> Result<bool> {
        let applied = self.inner.state.lock().applied();
        if applied.is_none_or(|applied| applied.segment <= segment) {
            return Ok(false);
        }
        self.gather(segment)?;
        let mut dead = Vec::new();
        let mut failed = None;
        let reclaimed = self.inner.journal.reclaim(segment, |entry| match self.decide(entry, &mut dead) {
            Ok(verdict) => verdict,
            Err(error) => {
                failed.get_or_insert(error);
                Verdict::Keep
            }
        });
        let reclaimed = match reclaimed {
            Err(journal::Error::Busy { .. }) => return Ok(false),
            reclaimed => reclaimed?,
        };
        if let Some(error) = failed {
            return Err(error);
        }
        self.may_stop(self.inner.state.lock().forget_segment(segment, &dead))?;
        tracing::info!(%segment, freed = reclaimed.freed, copied = reclaimed.copied, "reclaimed space of dead messages");
        Ok(true)
    }

    /// Writes anew the states of all records of a segment that have no living body, many to a record.
    fn gather(&self, segment: SegmentId) -> Result<()> {
        // Numbers that were taken must stay taken when the record that says so goes.
        let mut gathered = Change { marks: self.take(|_| ()).1, ..Change::default() };
        let mut octets = 0;
        let mut appends = Vec::new();
        let mut failed = None;
        let scanned = self.inner.journal.scan(Some(Position { segment, offset: 0 }), |entry| {
            if entry.position.segment != segment {
                return Err(journal::Error::Closed);
            }
            let needed = decode(entry).and_then(|change| self.needed(entry.position, change));
            match needed {
                Ok(needed) if needed.body == 0 => {
                    let more = needed.encoded_len();
                    if octets > 0 && octets + more > GATHERED {
                        appends.push(self.propose_bookkeeping(&std::mem::take(&mut gathered)));
                        octets = 0;
                    }
                    octets += more;
                    add(&mut gathered, needed);
                }
                Ok(_) => {}
                Err(error) => {
                    failed.get_or_insert(error);
                    return Err(journal::Error::Closed);
                }
            }
            Ok(())
        });
        if let Some(error) = failed {
            return Err(error);
        }
        match scanned {
            // The end of the segment.
            Ok(()) | Err(journal::Error::Closed) => {}
            Err(error) => return Err(error.into()),
        }
        appends.push(self.propose_bookkeeping(&gathered));
        for append in appends {
            append.wait()?;
        }
        Ok(())
    }

    /// What becomes of a record; adds the body that goes to `dead`.
    fn decide(&self, entry: &Entry, dead: &mut Vec<u64>) -> Result<Verdict> {
        let change = decode(entry)?;
        let body = change.body;
        let needed = self.needed(entry.position, change)?;
        if needed.body == 0 && body != 0 {
            dead.push(body);
        }
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
            let key = keys::annotation(annotation.mailbox, annotation.account, &annotation.entry);
            if self.is_at::<AnnotationState>(&key, at)? {
                needed.annotations.push(annotation);
            }
        }
        for rights in change.rights {
            let key = keys::rights(rights.mailbox, rights.account, rights.negative);
            if self.is_at::<RightsState>(&key, at)? {
                needed.rights.push(rights);
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
            let row = self.inner.table.get::<Placed>(&keys::row(placed.mailbox, placed.uid))?;
            let row = row.filter(|row| row.value.placed_at() == Some(at));
            needed.placed.extend(row.map(|row| Placed { position: Vec::new(), ..row.value }));
        }
        for flagged in change.flagged {
            let uids = self.flagged_at(at, &flagged)?;
            if !uids.is_empty() {
                needed.flagged.push(Flagged { uids, ..flagged });
            }
        }
        for expunged in change.expunged {
            if self.is_at::<Expunged>(&keys::vanished(expunged.mailbox, expunged.modseq), at)? {
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

    /// The removal of an account or mailbox is kept until nothing that it makes void can stand in the log any more.
    ///
    /// Its subjects stand before it, or shortly after it if reclaim was just copying them. One segment is reclaimed at
    /// a time, so when the removal is first carried forward, that is over: all of them are in segments up to the newest.
    fn still_kills(&self, at: Position, removed: Removed) -> Option<Removed> {
        let segments = self.inner.journal.segments();
        let last_segment = match removed.last_segment {
            0 => segments.last().map_or(at.segment.0, |newest| newest.0),
            known => known,
        };
        let remains = segments.iter().any(|segment| segment.0 <= last_segment && *segment != at.segment);
        remains.then_some(Removed { last_segment, ..removed })
    }

    /// The messages whose flags come from the record at a position, and not from a newer one.
    fn flagged_at(&self, at: Position, flagged: &Flagged) -> Result<Vec<Uids>> {
        let mut uids: Vec<Uid> = Vec::new();
        for range in &flagged.uids {
            for uid in range.first..=range.last {
                let row = self.inner.table.get::<Placed>(&keys::row(flagged.mailbox, uid))?;
                if row.is_some_and(|row| row.at == at && row.value.modseq == flagged.modseq) {
                    uids.push(uid);
                }
            }
        }
        let set: UidSet = uids.into_iter().collect();
        Ok(set.ranges().iter().map(|range| Uids { first: *range.start(), last: *range.end() }).collect())
    }
}

/// Adds states to those that were gathered.
fn add(gathered: &mut Change, needed: Change) {
    gathered.accounts.extend(needed.accounts);
    gathered.removed_accounts.extend(needed.removed_accounts);
    gathered.domains.extend(needed.domains);
    gathered.domain_states.extend(needed.domain_states);
    gathered.aliases.extend(needed.aliases);
    gathered.mailboxes.extend(needed.mailboxes);
    gathered.removed_mailboxes.extend(needed.removed_mailboxes);
    gathered.subscriptions.extend(needed.subscriptions);
    gathered.annotations.extend(needed.annotations);
    gathered.rights.extend(needed.rights);
    gathered.placed.extend(needed.placed);
    gathered.flagged.extend(needed.flagged);
    gathered.expunged.extend(needed.expunged);
    gathered.delivered.extend(needed.delivered);
    gathered.outlines.extend(needed.outlines);
}
