//! What lies in one mailbox: messages, what vanished.

use super::{Check, Findings, found};
use crate::store::record::{BodyRow, Counters, Expunged, Nothing, Number, Placed};
use crate::store::state::place_of;
use crate::store::table::Table;
use crate::store::{Result, SystemFlag, keys};

impl Check<'_> {
    /// Looks at one mailbox; gives how many messages it has.
    pub(super) fn messages(&mut self, mailbox: u64) -> Result<u64> {
        self.steadily(|table, findings| {
            let Some(counters) = found(findings, table.get::<Counters>(&keys::counters(mailbox)))?.flatten()
            else {
                // Found elsewhere, unless it was removed just now.
                return Ok(0);
            };
            let one = Mailbox { id: mailbox, table };
            let counted = one.messages(&counters.value, findings)?;
            one.vanished(&counters.value, findings)?;
            one.expunged(&counters.value, findings)?;
            one.early_flags(findings);
            let Counters { uid_next, highest_modseq, .. } = counters.value;
            let expected = Counters { uid_next, highest_modseq, ..counted };
            findings.expect(expected == counters.value, || {
                format!(
                    "mailbox {mailbox}: its counters say {:?}, counting gives {expected:?}",
                    counters.value
                )
            });
            Ok(u64::from(counted.messages))
        })
    }
}

struct Mailbox<'a> {
    id: u64,
    table: &'a Table,
}

impl Mailbox<'_> {
    fn messages(&self, counters: &Counters, findings: &mut Findings) -> Result<Counters> {
        let mut counted = Counters::default();
        for row in self.table.scan::<Placed>(keys::within(&keys::rows(self.id))) {
            let Some((key, row)) = found(findings, row)? else { continue };
            let placed = &row.value;
            let which = || format!("message {} of mailbox {}", placed.uid, self.id);
            findings.expect(key[..] == keys::row(self.id, placed.uid) && placed.mailbox == self.id, || {
                format!("{}: stands under another number", which())
            });
            findings.expect(placed.uid < counters.uid_next, || {
                format!("{}: UIDNEXT {} is not above it", which(), counters.uid_next)
            });
            findings.expect((1..=counters.highest_modseq).contains(&placed.modseq), || {
                format!("{}: its modseq {} is above {}", which(), placed.modseq, counters.highest_modseq)
            });
            self.body(placed, findings)?;
            counted.count(placed);
        }
        Ok(counted)
    }

    /// The body is there, and as long as the row says.
    fn body(&self, placed: &Placed, findings: &mut Findings) -> Result<()> {
        let which = || format!("message {} of mailbox {}", placed.uid, self.id);
        let row = found(findings, self.table.get::<BodyRow>(&keys::body(placed.email)))?.flatten();
        let Some(body) = row.filter(|row| row.value.stored) else {
            findings.add(format!("{}: its body {} is missing", which(), placed.email));
            return Ok(());
        };
        if let Some(place) = found(findings, place_of(&body.value))? {
            findings.expect(place.len() == placed.size, || {
                format!("{}: has {} octets, its body {}", which(), placed.size, place.len())
            });
        }
        Ok(())
    }

    /// What vanished at some modseq is remembered as expunged.
    fn vanished(&self, counters: &Counters, findings: &mut Findings) -> Result<()> {
        for row in self.table.scan::<Expunged>(keys::within(&keys::vanished_all(self.id))) {
            let Some((key, row)) = found(findings, row)? else { continue };
            let modseq = row.value.modseq;
            let which = || format!("what vanished from mailbox {} at {modseq}", self.id);
            findings.expect(key[..] == keys::vanished(self.id, modseq), || {
                format!("{}: under another number", which())
            });
            findings.expect(modseq <= counters.highest_modseq, || {
                format!("{}: the mailbox is at {}", which(), counters.highest_modseq)
            });
            for uids in &row.value.uids {
                let known =
                    self.expunged_through(uids.first)?.is_some_and(|last| last >= u64::from(uids.last));
                findings.expect(known, || {
                    format!("{}: UIDs {} to {} do not count as expunged", which(), uids.first, uids.last)
                });
            }
        }
        Ok(())
    }

    /// The last UID of the expunged range that may hold this one.
    fn expunged_through(&self, uid: u32) -> Result<Option<u64>> {
        let range = keys::expunged_all(self.id)..=keys::expunged(self.id, uid);
        let floor = self.table.scan::<Number>(range).next_back().transpose()?;
        Ok(floor.map(|(_, last)| last.value.value))
    }

    /// Ranges of expunged UIDs neither touch nor overlap, and hold no message.
    fn expunged(&self, counters: &Counters, findings: &mut Findings) -> Result<()> {
        let mut free = 0;
        for row in self.table.scan::<Number>(keys::within(&keys::expunged_all(self.id))) {
            let Some((key, row)) = found(findings, row)? else { continue };
            let (first, last) = (u64::from(keys::last_u32(&key)), row.value.value);
            let which = || format!("expunged UIDs {first} to {last} of mailbox {}", self.id);
            findings
                .expect(first > free && last >= first, || format!("{}: overlap with those before", which()));
            free = last + 1;
            findings.expect(last < u64::from(counters.uid_next), || {
                format!("{}: UIDNEXT {} is not above them", which(), counters.uid_next)
            });
            let last = u32::try_from(last).unwrap_or(u32::MAX);
            let within = keys::row(self.id, keys::last_u32(&key))..=keys::row(self.id, last);
            let left = self.table.scan::<Nothing>(within).next().is_some();
            findings.expect(!left, || format!("{}: a message is there", which()));
        }
        Ok(())
    }

    /// Flags wait for their message only while the journal is replayed.
    fn early_flags(&self, findings: &mut Findings) {
        let waiting = self.table.scan::<Nothing>(keys::within(&keys::early_flags_all(self.id))).count();
        findings.expect(waiting == 0, || format!("mailbox {}: flags wait for {waiting} messages", self.id));
    }
}

impl Counters {
    fn count(&mut self, placed: &Placed) {
        let has = |flag: SystemFlag| placed.flags & flag as u32 != 0;
        self.messages += 1;
        self.octets += placed.size;
        self.unseen += u32::from(!has(SystemFlag::Seen));
        if has(SystemFlag::Deleted) {
            self.deleted += 1;
            self.deleted_octets += placed.size;
        }
    }
}
