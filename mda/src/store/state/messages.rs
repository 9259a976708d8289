//! Messages: rows, flags, bodies and what was expunged.

use std::ops::Bound;

use journal::{BodyRef, Position, SegmentId};

use super::{RECORD_WEIGHT, State, outline_weight};
use crate::store::record::{BodyRow, Change, Counters, Delivered, Expunged, Flagged, Number, Placed, Uids};
use crate::store::table::{Stored, prefixed};
use crate::store::{Result, StoreError, SystemFlag, keys};

impl State {
    pub(super) fn apply_messages(&mut self, at: Position, change: &Change) -> Result<()> {
        for placed in &change.placed {
            self.placed(at, placed)?;
        }
        for flagged in &change.flagged {
            self.flagged(at, flagged)?;
        }
        for expunged in &change.expunged {
            self.expunged(at, expunged)?;
        }
        for delivered in &change.delivered {
            self.delivered(at, delivered)?;
        }
        for outlined in change.outlines.iter().filter(|outlined| outlined.email != change.body) {
            self.outlined(at, outlined.email, outlined.outline.len())?;
        }
        Ok(())
    }

    /// Drops outlines, of those that were replayed, whose bodies nothing shows: their bodies' records are gone, and took
    /// no row with them.
    pub(super) fn forget_dead_outlines(&mut self) -> Result<()> {
        for email in self.outlined.take().unwrap_or_default() {
            let body = self.pending.get::<BodyRow>(&keys::body(email))?;
            if body.is_none_or(|body| body.value.references == 0) {
                self.forget_outline(email)?;
            }
        }
        Ok(())
    }

    /// Removes some rows of a mailbox that is gone; `true` if there may be more.
    pub(in crate::store) fn purge(&mut self, mailbox: u64, at_most: usize) -> Result<bool> {
        let left = self.step(|state| state.delete_rows(mailbox, at_most))?;
        self.settle_quietly()?;
        Ok(left == 0)
    }

    /// Gives how many fewer there were than `at_most`.
    fn delete_rows(&mut self, mailbox: u64, at_most: usize) -> Result<usize> {
        let rows = self.pending.rows::<Placed>(prefixed(&keys::rows(mailbox)), at_most)?;
        let mut left = at_most - rows.len();
        for (key, row) in rows {
            self.pending.delete(key);
            self.release(&row)?;
        }
        for (key, row) in self.pending.rows::<Expunged>(prefixed(&keys::vanished_all(mailbox)), left)? {
            self.delete_state(key, &row);
            left -= 1;
        }
        for prefix in [keys::expunged_all(mailbox), keys::early_flags_all(mailbox)] {
            left -= self.pending.delete_within(&prefix, left)?;
        }
        if left > 0 {
            self.pending.delete(keys::leftover(mailbox));
        }
        Ok(left)
    }

    fn placed(&mut self, at: Position, placed: &Placed) -> Result<()> {
        let Some(mut counters) = self.counters(placed.mailbox)? else { return Ok(()) };
        let mut row = placed.clone();
        row.position = at.to_bytes().to_vec();
        let mut state_at = at;
        // Only a copy, or a replay after reclaim, brings a UID that is not new.
        if placed.uid < counters.uid_next {
            if self.is_expunged(placed.mailbox, placed.uid)? {
                return Ok(());
            }
            if let Some(old) = self.pending.get::<Placed>(&keys::row(placed.mailbox, placed.uid))? {
                forget_row(&old.value, &mut counters);
                self.note_row(&old, -1);
                if (old.value.modseq, old.at) > (placed.modseq, at) {
                    take_flags(&mut row, &old.value.keywords, old.value.flags, old.value.modseq);
                    state_at = old.at;
                }
            } else {
                self.reference(placed.email, 1)?;
                if let Some(early) = self.take_early_flags(placed)? {
                    take_flags(&mut row, &early.value.keywords, early.value.flags, early.value.modseq);
                    state_at = early.at;
                }
            }
        } else {
            self.reference(placed.email, 1)?;
        }
        counters.uid_next = counters.uid_next.max(placed.uid.saturating_add(1));
        self.write_row(&Stored { at: state_at, value: row }, &mut counters);
        self.put_counters(placed.mailbox, at, &counters);
        Ok(())
    }

    fn flagged(&mut self, at: Position, flagged: &Flagged) -> Result<()> {
        let Some(mut counters) = self.counters(flagged.mailbox)? else { return Ok(()) };
        for uid in flagged.uids.iter().flat_map(|uids| uids.first..=uids.last) {
            match self.pending.get::<Placed>(&keys::row(flagged.mailbox, uid))? {
                Some(old) if (old.value.modseq, old.at) < (flagged.modseq, at) => {
                    forget_row(&old.value, &mut counters);
                    self.note_row(&old, -1);
                    let mut row = old.value;
                    take_flags(&mut row, &flagged.keywords, flagged.flags, flagged.modseq);
                    self.write_row(&Stored { at, value: row }, &mut counters);
                }
                Some(_) => {}
                None => self.early_flags(at, flagged, uid, &mut counters)?,
            }
        }
        counters.highest_modseq = counters.highest_modseq.max(flagged.modseq);
        self.put_counters(flagged.mailbox, at, &counters);
        Ok(())
    }

    /// Keeps flags for a message that comes later in the log.
    fn early_flags(
        &mut self,
        at: Position,
        flagged: &Flagged,
        uid: u32,
        counters: &mut Counters,
    ) -> Result<()> {
        if uid < counters.uid_next && self.is_expunged(flagged.mailbox, uid)? {
            return Ok(());
        }
        let key = keys::early_flags(flagged.mailbox, uid);
        let old = self.pending.get::<Flagged>(&key)?;
        if old.is_none_or(|old| (old.value.modseq, old.at) < (flagged.modseq, at)) {
            self.pending.put(key, at, &Flagged { uids: Vec::new(), ..flagged.clone() });
        }
        // Makes `placed` look.
        counters.uid_next = counters.uid_next.max(uid.saturating_add(1));
        Ok(())
    }

    fn take_early_flags(&mut self, placed: &Placed) -> Result<Option<Stored<Flagged>>> {
        let key = keys::early_flags(placed.mailbox, placed.uid);
        let early = self.pending.get::<Flagged>(&key)?;
        if early.is_some() {
            self.pending.delete(key);
        }
        Ok(early.filter(|early| early.value.modseq > placed.modseq))
    }

    fn expunged(&mut self, at: Position, expunged: &Expunged) -> Result<()> {
        let Some(mut counters) = self.counters(expunged.mailbox)? else { return Ok(()) };
        let key = keys::vanished(expunged.mailbox, expunged.modseq);
        let old = self.pending.get::<Expunged>(&key)?;
        self.put_state(key, at, old.as_ref(), expunged);
        for uids in &expunged.uids {
            self.expunge_range(at, expunged.mailbox, *uids, &mut counters)?;
        }
        counters.highest_modseq = counters.highest_modseq.max(expunged.modseq);
        self.put_counters(expunged.mailbox, at, &counters);
        Ok(())
    }

    fn expunge_range(
        &mut self,
        at: Position,
        mailbox: u64,
        uids: Uids,
        counters: &mut Counters,
    ) -> Result<()> {
        let bounds = |key: fn(u64, u32) -> Vec<u8>| {
            (Bound::Included(key(mailbox, uids.first)), Bound::Included(key(mailbox, uids.last)))
        };
        for (key, row) in self.pending.rows::<Placed>(bounds(keys::row), usize::MAX)? {
            self.pending.delete(key);
            forget_row(&row.value, counters);
            self.release(&row)?;
        }
        for (key, _) in self.pending.rows::<Flagged>(bounds(keys::early_flags), usize::MAX)? {
            self.pending.delete(key);
        }
        counters.uid_next = counters.uid_next.max(uids.last.saturating_add(1));
        self.remember_expunged(at, mailbox, uids)
    }

    /// Adds to the mailbox's expunged UIDs, joining ranges that touch.
    fn remember_expunged(&mut self, at: Position, mailbox: u64, mut uids: Uids) -> Result<()> {
        let all = keys::expunged_all(mailbox);
        if let Some((key, last)) = self.pending.floor::<Number>(&all, &keys::expunged(mailbox, uids.first))?
            && last.value.value.saturating_add(1) >= u64::from(uids.first)
        {
            uids.first = keys::last_u32(&key);
            uids.last = uids.last.max(u32::try_from(last.value.value).unwrap_or(u32::MAX));
        }
        loop {
            let first = Bound::Excluded(keys::expunged(mailbox, uids.first));
            let reach = Bound::Included(keys::expunged(mailbox, uids.last.saturating_add(1)));
            let touching = self.pending.rows::<Number>((first, reach), usize::MAX)?;
            if touching.is_empty() {
                break;
            }
            for (key, last) in touching {
                uids.last = uids.last.max(u32::try_from(last.value.value).unwrap_or(u32::MAX));
                self.pending.delete(key);
            }
        }
        self.pending.put(keys::expunged(mailbox, uids.first), at, &Number { value: u64::from(uids.last) });
        Ok(())
    }

    fn is_expunged(&self, mailbox: u64, uid: u32) -> Result<bool> {
        let floor =
            self.pending.floor::<Number>(&keys::expunged_all(mailbox), &keys::expunged(mailbox, uid))?;
        Ok(floor.is_some_and(|(_, last)| last.value.value >= u64::from(uid)))
    }

    fn delivered(&mut self, at: Position, delivered: &Delivered) -> Result<()> {
        let key = keys::delivered(&delivered.message_id, &delivered.recipient);
        let old = self.pending.get::<Delivered>(&key)?;
        self.put_state(key, at, old.as_ref(), delivered);
        Ok(())
    }

    /// The body that stands beside the record at `at`, and so many octets of its outline.
    pub(super) fn body(&mut self, at: Position, email: u64, place: &BodyRef, outlined: u64) -> Result<()> {
        let key = keys::body(email);
        let old = self.pending.get::<BodyRow>(&key)?;
        let references = old.as_ref().map_or(0, |old| old.value.references);
        if let Some(old) = old.filter(|old| old.value.stored && references > 0) {
            self.note_body(old.at, &old.value, -1)?;
        }
        let body = BodyRow { references, stored: true, place: place.to_bytes(), outlined };
        if references > 0 {
            self.note_body(at, &body, 1)?;
        }
        self.pending.put(key, at, &body);
        Ok(())
    }

    /// One row more (1) or less (−1) shows a body. Its row stays until its segment goes: a later record in the log may
    /// show it again.
    fn reference(&mut self, email: u64, sign: i64) -> Result<()> {
        let key = keys::body(email);
        let old = self.pending.get::<BodyRow>(&key)?;
        let at = old.as_ref().map_or_else(Position::default, |old| old.at);
        let mut body = old.map_or_else(BodyRow::default, |old| old.value);
        let before = body.references;
        body.references = before.saturating_add_signed(sign);
        if body.stored && (before == 0) != (body.references == 0) {
            self.note_body(at, &body, sign)?;
        }
        self.pending.put(key, at, &body);
        Ok(())
    }

    /// Drops the row of a body that nothing shows and whose segment is no more.
    pub(super) fn forget_body(&mut self, email: u64, segment: SegmentId) -> Result<()> {
        let key = keys::body(email);
        let body = self.pending.get::<BodyRow>(&key)?;
        if body.is_some_and(|body| body.value.references == 0 && body.at.segment == segment) {
            self.pending.delete(key);
            self.forget_outline(email)?;
        }
        Ok(())
    }

    /// The outline of a body stands in the record at `at`, which is not the body's own.
    fn outlined(&mut self, at: Position, email: u64, octets: usize) -> Result<()> {
        self.forget_outline(email)?;
        let octets = Number { value: octets as u64 };
        self.pending.put(keys::outline(email), at, &octets);
        self.weigh(at, outline_weight(octets));
        if let Some(outlined) = &mut self.outlined {
            outlined.push(email);
        }
        Ok(())
    }

    fn forget_outline(&mut self, email: u64) -> Result<()> {
        let key = keys::outline(email);
        if let Some(old) = self.pending.get::<Number>(&key)? {
            self.pending.delete(key);
            self.weigh(old.at, -outline_weight(old.value));
        }
        Ok(())
    }

    /// The bodies of some segments that nothing shows, with their segments.
    pub(super) fn unused_bodies(&self, segments: &[SegmentId]) -> Result<Vec<(u64, SegmentId)>> {
        let mut unused = Vec::new();
        for row in self.table.scan::<BodyRow>(keys::within(keys::BODIES)) {
            let (key, row) = row?;
            if row.value.references == 0 && segments.contains(&row.at.segment) {
                unused.push((keys::last_u64(&key), row.at.segment));
            }
        }
        Ok(unused)
    }

    /// A row that is gone needs neither its records nor its body.
    fn release(&mut self, row: &Stored<Placed>) -> Result<()> {
        self.note_row(row, -1);
        self.reference(row.value.email, -1)
    }

    /// Notes the records that a row needs: the one that placed it, and the one of its last change.
    fn note_row(&mut self, row: &Stored<Placed>, sign: i64) {
        let placed_at = row.value.placed_at().unwrap_or_default();
        self.weigh(placed_at, sign * RECORD_WEIGHT);
        if row.at != placed_at {
            self.weigh(row.at, sign * RECORD_WEIGHT);
        }
    }

    fn write_row(&mut self, row: &Stored<Placed>, counters: &mut Counters) {
        self.note_row(row, 1);
        counters.messages += 1;
        counters.octets += row.value.size;
        counters.unseen += u32::from(!has(&row.value, SystemFlag::Seen));
        if has(&row.value, SystemFlag::Deleted) {
            counters.deleted += 1;
            counters.deleted_octets += row.value.size;
        }
        counters.highest_modseq = counters.highest_modseq.max(row.value.modseq);
        self.pending.put(keys::row(row.value.mailbox, row.value.uid), row.at, &row.value);
    }

    /// A mailbox's counters; `None` if it is gone for good. One that is not known yet comes later in the log.
    fn counters(&self, mailbox: u64) -> Result<Option<Counters>> {
        if let Some(counters) = self.pending.get::<Counters>(&keys::counters(mailbox))? {
            return Ok(Some(counters.value));
        }
        Ok((!self.pending.contains(&keys::removed_mailbox(mailbox))?).then(Counters::fresh))
    }

    fn put_counters(&mut self, mailbox: u64, at: Position, counters: &Counters) {
        self.pending.put(keys::counters(mailbox), at, counters);
        self.news.mailboxes.insert(mailbox, *counters);
    }
}

/// Where a body lies.
pub(in crate::store) fn place_of(body: &BodyRow) -> Result<BodyRef> {
    BodyRef::from_bytes(&body.place)
        .ok_or_else(|| StoreError::CorruptState { what: "the place of a body".to_owned() })
}

/// Takes a row out of the counts.
fn forget_row(row: &Placed, counters: &mut Counters) {
    counters.messages = counters.messages.saturating_sub(1);
    counters.octets = counters.octets.saturating_sub(row.size);
    counters.unseen = counters.unseen.saturating_sub(u32::from(!has(row, SystemFlag::Seen)));
    if has(row, SystemFlag::Deleted) {
        counters.deleted = counters.deleted.saturating_sub(1);
        counters.deleted_octets = counters.deleted_octets.saturating_sub(row.size);
    }
}

fn has(row: &Placed, flag: SystemFlag) -> bool {
    row.flags & flag as u32 != 0
}

fn take_flags(row: &mut Placed, keywords: &[String], flags: u32, modseq: u64) {
    row.keywords = keywords.to_vec();
    row.flags = flags;
    row.modseq = modseq;
}
