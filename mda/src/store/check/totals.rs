//! What only counting over all rows can tell: how often each body is shown, and what each journal segment is needed for.

use std::collections::{BTreeSet, HashMap};

use journal::{BodyRef, Position, SegmentId};
use prost::Message;

use super::accounts::recorded;
use super::{Check, Findings, found, marks};
use crate::store::leaf::Leaf;
use crate::store::record::{
    AccountState, AliasState, AnnotationState, BodyRow, Delivered, DomainState, Expunged, MailboxState,
    Nothing, Number, Placed, RightsState, SeenState, SubscriptionState,
};
use crate::store::state::{RECORD_WEIGHT, body_record_weight, outline_weight, place_of, weight};
use crate::store::table::Table;
use crate::store::{LocalStore, Result, StoreError, keys};

/// Bodies whose references are counted at once: this bounds the memory, a larger store is gone through more often.
const WINDOW: u64 = 16 << 20;

impl Check<'_> {
    pub(super) fn totals(&mut self) -> Result<()> {
        let store = self.store;
        let what = "references to bodies and needs of segments";
        let rows = self.steadily(what, |table, findings| count(store, table, findings))?;
        self.tell("rows counted", rows)
    }

    /// Reads every body that is shown.
    pub(super) fn bodies(&mut self) -> Result<()> {
        for row in self.table.scan::<BodyRow>(keys::within(keys::BODIES)) {
            // What cannot be read was found when they were counted.
            let Ok((key, row)) = row else { continue };
            if row.value.references == 0 {
                continue;
            }
            let email = keys::last_u64(&key);
            match self.store.verify_body(email) {
                Ok(Some(octets)) => {
                    self.report.bodies += 1;
                    self.report.octets += octets;
                }
                Ok(None) => {}
                Err(error) => self.findings.add(format!("body {email}: {error}")),
            }
            if self.report.bodies.is_multiple_of(1_000) {
                self.tell("bodies read", self.report.bodies)?;
            }
        }
        self.tell("bodies read", self.report.bodies)
    }
}

/// Counts all rows, window by window; gives how many there were.
fn count(store: &LocalStore, table: &Table, findings: &mut Findings) -> Result<u64> {
    let mut totals = Totals { store, table, needed: HashMap::new(), windows: BTreeSet::new(), rows: 0 };
    let last = marks(table)?.email;
    let mut is_first = true;
    // The first walk finds out which others it takes: numbers leap where a store was restored.
    let mut next = Some(0);
    totals.bodies_windows()?;
    while let Some(window) = next {
        let first = window * WINDOW;
        if first <= last {
            totals.references(first..first.saturating_add(WINDOW).min(last + 1), is_first, findings)?;
        }
        is_first = false;
        totals.windows.remove(&window);
        next = totals.windows.first().copied();
    }
    totals.beyond(last, findings)?;
    totals.records(findings)?;
    totals.all_states()?;
    totals.segments(findings)?;
    Ok(totals.rows)
}

struct Totals<'a> {
    store: &'a LocalStore,
    table: &'a Table,
    needed: HashMap<SegmentId, i64>,
    /// Windows of bodies' numbers that are left to be looked at.
    windows: BTreeSet<u64>,
    rows: u64,
}

impl Totals<'_> {
    /// The windows in which there are bodies.
    fn bodies_windows(&mut self) -> Result<()> {
        let end = keys::within(keys::BODIES).end;
        let mut from = 0;
        while let Some((key, _)) = self.table.next_raw(keys::body(from)..end.clone())? {
            let window = keys::last_u64(&key) / WINDOW;
            self.windows.insert(window);
            let Some(next) = (window + 1).checked_mul(WINDOW) else { break };
            from = next;
        }
        Ok(())
    }

    /// Counts the references to the bodies of a window; on the first walk also what rows need of the journal.
    fn references(
        &mut self,
        emails: std::ops::Range<u64>,
        weigh: bool,
        findings: &mut Findings,
    ) -> Result<()> {
        let length = usize::try_from(emails.end - emails.start).unwrap_or(0);
        let mut counted = vec![0_u32; length];
        let index = |email: u64| usize::try_from(email - emails.start).unwrap_or(0);
        for row in self.table.scan::<Placed>(keys::within(keys::ROWS)) {
            let Some((_, row)) = found(findings, row)? else { continue };
            if emails.contains(&row.value.email) {
                counted[index(row.value.email)] += 1;
            }
            if weigh {
                self.windows.insert(row.value.email / WINDOW);
                self.needs(row.at, RECORD_WEIGHT);
                recorded(self.store, findings, row.at, || {
                    format!("message {} of mailbox {}", row.value.uid, row.value.mailbox)
                });
            }
        }
        if weigh {
            self.flags(findings)?;
        }
        let window = keys::body(emails.start)..keys::body(emails.end);
        for row in self.table.scan::<BodyRow>(window) {
            let Some((key, row)) = found(findings, row)? else { continue };
            let email = keys::last_u64(&key);
            let shown = std::mem::take(&mut counted[index(email)]);
            let references = row.value.references;
            findings.expect(references == u64::from(shown), || {
                format!("body {email}: {references} references, {shown} messages show it")
            });
            if references > 0 && row.value.stored {
                let Some(place) = found(findings, place_of(&row.value))? else { continue };
                self.needs(row.at, body_record_weight(&row.value));
                for extent in place.extents() {
                    *self.needed.entry(extent.segment).or_default() += i64::from(extent.length);
                }
                self.lies_in_journal(email, row.at, &place, findings);
            }
        }
        for (at, shown) in counted.iter().enumerate().filter(|(_, shown)| **shown > 0) {
            findings.add(format!("body {}: is missing, {shown} messages show it", emails.start + at as u64));
        }
        Ok(())
    }

    /// Counts the records that say which flags messages have.
    fn flags(&mut self, findings: &mut Findings) -> Result<()> {
        for row in self.table.scan::<Leaf>(keys::within(keys::LEAVES)) {
            let Some((key, row)) = found(findings, row)? else { continue };
            let mailbox = key.get(1..9).map_or(0, keys::last_u64);
            for (message, flags) in row.value.messages().filter(|(_, flags)| !flags.as_placed) {
                self.needs(flags.at, RECORD_WEIGHT);
                recorded(self.store, findings, flags.at, || {
                    format!("flags of message {} of mailbox {mailbox}", message.uid)
                });
            }
            for (record, octets) in row.value.keyword_octets() {
                *self.needed.entry(record.segment).or_default() += octets;
            }
        }
        Ok(())
    }

    fn lies_in_journal(&self, email: u64, at: Position, place: &BodyRef, findings: &mut Findings) {
        recorded(self.store, findings, at, || format!("body {email}"));
        for extent in place.extents() {
            let there = Position { segment: extent.segment, offset: extent.offset };
            recorded(self.store, findings, there, || format!("body {email}: a piece of it"));
        }
    }

    /// No body has a number that was never taken.
    fn beyond(&self, last: u64, findings: &mut Findings) -> Result<()> {
        let beyond = keys::body(last.saturating_add(1))..keys::within(keys::BODIES).end;
        for row in self.table.scan::<Nothing>(beyond) {
            let Some((key, _)) = found(findings, row)? else { continue };
            findings.add(format!("body {}: its number was never taken", keys::last_u64(&key)));
        }
        Ok(())
    }

    /// The records that say what vanished, what was delivered, and what is to be known of a body.
    fn records(&mut self, findings: &mut Findings) -> Result<()> {
        for row in self.table.scan::<Expunged>(keys::within(keys::VANISHED)) {
            let Some((_, row)) = found(findings, row)? else { continue };
            self.needs(row.at, weight(&row.value));
            recorded(self.store, findings, row.at, || {
                format!("what vanished from mailbox {} at {}", row.value.mailbox, row.value.modseq)
            });
        }
        for row in self.table.scan::<Delivered>(keys::within(keys::DELIVERED)) {
            let Some((key, row)) = found(findings, row)? else { continue };
            self.needs(row.at, weight(&row.value));
            let Delivered { message_id, recipient, .. } = &row.value;
            let which = || format!("delivery to {recipient}");
            findings.expect(key[..] == keys::delivered(message_id, recipient), || {
                format!("{}: stands under another key", which())
            });
            recorded(self.store, findings, row.at, which);
        }
        for row in self.table.scan::<Number>(keys::within(keys::OUTLINES)) {
            let Some((key, row)) = found(findings, row)? else { continue };
            self.needs(row.at, outline_weight(row.value));
            let email = keys::last_u64(&key);
            recorded(self.store, findings, row.at, || format!("outline of body {email}"));
            findings.expect(self.table.contains(&keys::body(email))?, || {
                format!("outline of body {email}: no such body")
            });
        }
        Ok(())
    }

    fn all_states(&mut self) -> Result<()> {
        self.states::<AccountState>(keys::ACCOUNTS)?;
        self.states::<DomainState>(keys::DOMAIN_STATES)?;
        self.states::<AliasState>(keys::ALIASES)?;
        self.states::<MailboxState>(keys::MAILBOXES)?;
        self.states::<SubscriptionState>(keys::SUBSCRIPTIONS)?;
        self.states::<AnnotationState>(keys::ANNOTATIONS)?;
        self.states::<RightsState>(keys::RIGHTS)?;
        self.states::<SeenState>(keys::SEEN)
    }

    /// The segments' rows say what was counted.
    fn segments(&mut self, findings: &mut Findings) -> Result<()> {
        for row in self.table.scan::<Number>(keys::within(keys::SEGMENTS)) {
            let Some((key, row)) = found(findings, row)? else { continue };
            let segment = SegmentId(keys::last_u64(&key));
            let counted = self.needed.remove(&segment).unwrap_or(0);
            let known = row.value.value.cast_signed();
            findings.expect(counted == known, || {
                format!("segment {segment}: {known} octets are said to be needed, counting gives {counted}")
            });
        }
        for (segment, counted) in self.needed.drain().filter(|(_, counted)| *counted != 0) {
            findings.add(format!("segment {segment}: {counted} octets are needed, and it has no row"));
        }
        Ok(())
    }

    /// States that stand in their rows as in their records; what is wrong with them is found elsewhere.
    fn states<T: Message + Default>(&mut self, prefix: &[u8]) -> Result<()> {
        for row in self.table.scan::<T>(keys::within(prefix)) {
            match row {
                Ok((_, row)) => self.needs(row.at, weight(&row.value)),
                Err(StoreError::CorruptState { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Adds what is needed of a record.
    fn needs(&mut self, at: Position, octets: i64) {
        self.rows += 1;
        *self.needed.entry(at.segment).or_default() += octets;
    }
}
