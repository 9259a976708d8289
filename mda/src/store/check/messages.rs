//! What lies in one mailbox: messages, what vanished.

use super::{Check, Findings, found};
use crate::store::leaf::{FlagState, Leaf, Message};
use crate::store::placed::leaf_of;
use crate::store::record::{BodyRow, Counters, Expunged, Nothing, Number, Placed};
use crate::store::state::place_of;
use crate::store::table::Table;
use crate::store::{Result, keys};

impl Check<'_> {
    /// Looks at one mailbox; gives how many messages it has.
    pub(super) fn messages(&mut self, mailbox: u64) -> Result<u64> {
        self.steadily(&format!("messages of mailbox {mailbox}"), |table, findings| {
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
        for row in self.table.scan::<Leaf>(keys::within(&keys::leaves(self.id))) {
            let Some((key, row)) = found(findings, row)? else { continue };
            let leaf = row.value;
            findings.expect(key[..] == keys::leaf(self.id, leaf.number()), || {
                format!("leaf {} of mailbox {}: stands under another number", leaf.number(), self.id)
            });
            for (message, flags) in leaf.messages() {
                self.message(message, flags, counters, findings)?;
                counted.add(message, flags);
            }
        }
        self.rows(findings)?;
        Ok(counted)
    }

    fn message(
        &self,
        message: &Message,
        flags: &FlagState,
        counters: &Counters,
        findings: &mut Findings,
    ) -> Result<()> {
        let which = || format!("message {} of mailbox {}", message.uid, self.id);
        findings.expect(message.uid < counters.uid_next, || {
            format!("{}: UIDNEXT {} is not above it", which(), counters.uid_next)
        });
        findings.expect((1..=counters.highest_modseq).contains(&flags.modseq), || {
            format!("{}: its modseq {} is above {}", which(), flags.modseq, counters.highest_modseq)
        });
        self.body(message, findings)?;
        let row = found(findings, self.table.get::<Placed>(&keys::row(self.id, message.uid)))?.flatten();
        let Some(row) = row else {
            findings.add(format!("{}: is in a leaf, and has no row", which()));
            return Ok(());
        };
        findings.expect(message.came_by(&row.value), || {
            format!("{}: its row and its leaf say different things", which())
        });
        // What reclaim gathered may place a message and change its flags by one record.
        findings.expect(!flags.as_placed || flags.at == row.at, || {
            format!("{}: its flags are of {}, it was placed at {}", which(), flags.at, row.at)
        });
        Ok(())
    }

    /// Each message that has a row is in its leaf.
    fn rows(&self, findings: &mut Findings) -> Result<()> {
        let mut leaf: Option<Leaf> = None;
        for row in self.table.scan::<Placed>(keys::within(&keys::rows(self.id))) {
            let Some((key, row)) = found(findings, row)? else { continue };
            let uid = row.value.uid;
            let which = || format!("message {uid} of mailbox {}", self.id);
            findings.expect(key[..] == keys::row(self.id, uid) && row.value.mailbox == self.id, || {
                format!("{}: stands under another number", which())
            });
            if leaf.as_ref().is_none_or(|leaf| !leaf.uids().contains(&uid)) {
                leaf = found(findings, leaf_of(self.table, self.id, uid))?.flatten();
            }
            let is_known = leaf.as_ref().is_some_and(|leaf| leaf.get(uid).is_some());
            findings.expect(is_known, || format!("{}: is in no leaf", which()));
        }
        Ok(())
    }

    /// The body is there, and as long as the leaf says.
    fn body(&self, message: &Message, findings: &mut Findings) -> Result<()> {
        let which = || format!("message {} of mailbox {}", message.uid, self.id);
        let row = found(findings, self.table.get::<BodyRow>(&keys::body(message.email)))?.flatten();
        let Some(body) = row.filter(|row| row.value.stored) else {
            findings.add(format!("{}: its body {} is missing", which(), message.email));
            return Ok(());
        };
        if let Some(place) = found(findings, place_of(&body.value))? {
            findings.expect(place.len() == message.size, || {
                format!("{}: has {} octets, its body {}", which(), message.size, place.len())
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
