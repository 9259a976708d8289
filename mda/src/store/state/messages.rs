//! Messages: rows, flags, bodies and what was expunged.

use std::ops::Bound;

use journal::{BodyRef, Position, SegmentId};

use super::leaves::HeldLeaf;
use super::{RECORD_WEIGHT, State, outline_weight};
use crate::store::leaf::{FlagState, Leaf, Message};
use crate::store::record::{
    BodyRow, Change, Counters, Delivered, Expunged, Flagged, Nothing, Number, Placed, Uids,
};
use crate::store::table::{Stored, prefixed};
use crate::store::{Result, StoreError, SystemFlag, keys};

impl State {
    pub(super) fn apply_messages(&mut self, at: Position, change: &Change) -> Result<()> {
        for placed in change.placed.chunk_by(|one, next| one.mailbox == next.mailbox) {
            self.all_placed(at, placed)?;
        }
        for flagged in &change.flagged {
            self.flagged(at, flagged)?;
        }
        for expunged in &change.expunged {
            self.expunged(at, expunged)?;
        }
        self.settle_references()?;
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
        let rows = self.pending.rows::<Nothing>(prefixed(&keys::rows(mailbox)), at_most)?;
        let mut left = at_most - rows.len();
        let uids: Vec<Uids> = rows.iter().map(|(key, _)| keys::last_u32(key)).map(Uids::one).collect();
        self.each_leaf(mailbox, &uids, |state, held, uids| {
            let gone = state.take_out(mailbox, held, *uids.start())?;
            state.pending.delete(keys::row(mailbox, *uids.start()));
            if let Some(gone) = gone {
                state.release(&gone);
            }
            Ok(())
        })?;
        self.settle_references()?;
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

    /// Messages of one mailbox.
    fn all_placed(&mut self, at: Position, all: &[Placed]) -> Result<()> {
        let Some(mailbox) = all.first().map(|first| first.mailbox) else { return Ok(()) };
        let Some(mut counters) = self.counters(mailbox)? else { return Ok(()) };
        let mut at_hand: Option<HeldLeaf> = None;
        for placed in all {
            let mut held = self.next_leaf(mailbox, at_hand, Leaf::number_of(placed.uid))?;
            self.placed(at, placed, &mut held, &mut counters)?;
            at_hand = Some(held);
        }
        self.put_back(mailbox, at_hand);
        self.put_counters(mailbox, at, &counters);
        Ok(())
    }

    fn placed(
        &mut self,
        at: Position,
        placed: &Placed,
        held: &mut HeldLeaf,
        counters: &mut Counters,
    ) -> Result<()> {
        // Only a copy, or a replay after reclaim, brings a UID that is not new.
        let is_new = placed.uid >= counters.uid_next;
        if !is_new && self.is_expunged(placed.mailbox, placed.uid)? {
            return Ok(());
        }
        let mut flags = FlagState::of_placed(placed, at);
        let old = if is_new { None } else { self.take_out(placed.mailbox, held, placed.uid)? };
        if let Some(old) = old {
            counters.forget(&old.message, &old.flags);
            self.note_message(old.placed_at, &old.flags, -1);
            if old.flags.age() > flags.age() {
                flags = FlagState { as_placed: old.flags.at == at, ..old.flags };
            }
        } else {
            *self.referenced.entry(placed.email).or_default() += 1;
            if !is_new && let Some(early) = self.take_early_flags(placed)? {
                flags = FlagState::of_flagged(&early.value, early.at);
            }
        }
        let message = Message::of(placed);
        self.note_message(at, &flags, 1);
        counters.uid_next = counters.uid_next.max(placed.uid.saturating_add(1));
        counters.add(&message, &flags);
        held.leaf.insert(message, flags);
        held.changed = true;
        let row = Placed { modseq: 0, flags: 0, keywords: Vec::new(), ..placed.clone() };
        self.pending.put(keys::row(placed.mailbox, placed.uid), at, &row);
        Ok(())
    }

    fn flagged(&mut self, at: Position, flagged: &Flagged) -> Result<()> {
        let Some(mut counters) = self.counters(flagged.mailbox)? else { return Ok(()) };
        let new = FlagState::of_flagged(flagged, at);
        let mut released = Times::default();
        let mut changed = 0;
        self.each_leaf(flagged.mailbox, &flagged.uids, |state, held, uids| {
            let before = changed;
            held.leaf.reflag(uids, &new, |message, old| {
                changed += 1;
                counters.reflag(message, old, &new);
                if !old.as_placed {
                    released.add(old.at);
                }
            });
            held.changed |= changed != before;
            held.leaf.missing(uids).try_for_each(|uid| state.early_flags(at, flagged, uid, &mut counters))
        })?;
        for (old, times) in released.0 {
            self.weigh(old, -times * RECORD_WEIGHT);
        }
        if changed > 0 {
            self.weigh(at, changed * RECORD_WEIGHT);
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
        self.each_leaf(mailbox, &[uids], |state, held, uids| {
            for uid in uids.clone() {
                if let Some(gone) = state.take_out(mailbox, held, uid)? {
                    counters.forget(&gone.message, &gone.flags);
                    state.release(&gone);
                }
            }
            Ok(())
        })?;
        let first = Bound::Included(keys::early_flags(mailbox, uids.first));
        let last = Bound::Included(keys::early_flags(mailbox, uids.last));
        for (key, _) in self.pending.rows::<Flagged>((first, last), usize::MAX)? {
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

    fn settle_references(&mut self) -> Result<()> {
        let referenced = std::mem::take(&mut self.referenced);
        referenced.into_iter().try_for_each(|(email, more)| self.reference(email, more))
    }

    /// So many rows more, or less, show a body. Its row stays until its segment goes: a later record in the log may show
    /// it again.
    fn reference(&mut self, email: u64, more: i64) -> Result<()> {
        if more == 0 {
            return Ok(());
        }
        let key = keys::body(email);
        let old = self.pending.get::<BodyRow>(&key)?;
        let at = old.as_ref().map_or_else(Position::default, |old| old.at);
        let mut body = old.map_or_else(BodyRow::default, |old| old.value);
        let before = body.references;
        body.references = before.saturating_add_signed(more);
        if body.stored && (before == 0) != (body.references == 0) {
            self.note_body(at, &body, more.signum())?;
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

    /// Takes a message out of both of its rows.
    fn take_out(&mut self, mailbox: u64, held: &mut HeldLeaf, uid: u32) -> Result<Option<Gone>> {
        let Some((message, flags)) = held.leaf.remove(uid) else { return Ok(None) };
        held.changed = true;
        let key = keys::row(mailbox, uid);
        let row = self.pending.get::<Nothing>(&key)?;
        let placed_at = row.ok_or_else(|| keys::missing(&key))?.at;
        self.pending.delete(key);
        Ok(Some(Gone { message, flags, placed_at }))
    }

    /// A message that is gone needs neither its records nor its body.
    fn release(&mut self, gone: &Gone) {
        self.note_message(gone.placed_at, &gone.flags, -1);
        *self.referenced.entry(gone.message.email).or_default() -= 1;
    }

    /// Notes the records that a message needs: the one that placed it, and the one of its last change.
    fn note_message(&mut self, placed_at: Position, flags: &FlagState, sign: i64) {
        self.weigh(placed_at, sign * RECORD_WEIGHT);
        if !flags.as_placed {
            self.weigh(flags.at, sign * RECORD_WEIGHT);
        }
    }

    /// A mailbox's counters; `None` if it is gone for good. One that is not known yet comes later in the log.
    pub(super) fn counters(&self, mailbox: u64) -> Result<Option<Counters>> {
        if let Some(counters) = self.pending.get::<Counters>(&keys::counters(mailbox))? {
            return Ok(Some(counters.value));
        }
        Ok((!self.pending.contains(&keys::removed_mailbox(mailbox))?).then(Counters::fresh))
    }

    pub(super) fn put_counters(&mut self, mailbox: u64, at: Position, counters: &Counters) {
        self.pending.put(keys::counters(mailbox), at, counters);
        self.news.mailboxes.insert(mailbox, *counters);
    }
}

/// Where a body lies.
pub(in crate::store) fn place_of(body: &BodyRow) -> Result<BodyRef> {
    BodyRef::from_bytes(&body.place)
        .ok_or_else(|| StoreError::CorruptState { what: "the place of a body".to_owned() })
}

/// A message that was taken out of its mailbox.
struct Gone {
    message: Message,
    flags: FlagState,
    placed_at: Position,
}

/// How often records were named, those named in a row counted together.
#[derive(Default)]
struct Times(Vec<(Position, i64)>);

impl Times {
    fn add(&mut self, at: Position) {
        match self.0.last_mut() {
            Some((last, times)) if *last == at => *times += 1,
            _ => self.0.push((at, 1)),
        }
    }
}

impl Counters {
    /// Counts a message in.
    pub(in crate::store) fn add(&mut self, message: &Message, flags: &FlagState) {
        self.messages += 1;
        self.octets += message.size;
        self.unseen += u32::from(!flags.has(SystemFlag::Seen));
        if flags.has(SystemFlag::Deleted) {
            self.deleted += 1;
            self.deleted_octets += message.size;
        }
        self.highest_modseq = self.highest_modseq.max(flags.modseq);
    }

    /// Takes a message out of the counts.
    fn forget(&mut self, message: &Message, flags: &FlagState) {
        self.messages = self.messages.saturating_sub(1);
        self.octets = self.octets.saturating_sub(message.size);
        self.unseen = self.unseen.saturating_sub(u32::from(!flags.has(SystemFlag::Seen)));
        if flags.has(SystemFlag::Deleted) {
            self.deleted = self.deleted.saturating_sub(1);
            self.deleted_octets = self.deleted_octets.saturating_sub(message.size);
        }
    }

    fn reflag(&mut self, message: &Message, old: &FlagState, new: &FlagState) {
        self.forget(message, old);
        self.add(message, new);
    }
}
