//! Mailboxes, their names and counters; and that nothing lies in a mailbox which never was.

use super::accounts::recorded;
use super::{Check, Findings, found, marks};
use crate::store::local::NOBODY;
use crate::store::record::{Counters, MailboxState, Nothing};
use crate::store::table::Table;
use crate::store::{LocalStore, MailboxName, Result, keys};

/// Mailboxes whose messages are looked at between two reports of progress.
const STEP: u64 = 100;

impl Check<'_> {
    pub(super) fn mailboxes(&mut self) -> Result<()> {
        let store = self.store;
        self.report.mailboxes = self.steadily("mailboxes", |table, findings| {
            let mailboxes = mailboxes(store, table, findings)?;
            names(table, findings)?;
            counters(table, findings)?;
            strays(table, findings)?;
            Ok(mailboxes)
        })?;
        self.tell("mailboxes", self.report.mailboxes)?;

        let mut looked_at = 0;
        for row in self.table.scan::<MailboxState>(keys::within(keys::MAILBOXES)) {
            // What cannot be read was found above.
            let Ok((key, _)) = row else { continue };
            self.report.messages += self.messages(keys::last_u64(&key))?;
            looked_at += 1;
            if looked_at % STEP == 0 {
                self.tell("messages", self.report.messages)?;
            }
        }
        self.tell("messages", self.report.messages)
    }
}

fn mailboxes(store: &LocalStore, table: &Table, findings: &mut Findings) -> Result<u64> {
    let greatest = marks(table)?;
    let (mut number, mut uid_validity) = (0, 0);
    for row in table.scan::<MailboxState>(keys::within(keys::MAILBOXES)) {
        let Some((key, row)) = found(findings, row)? else { continue };
        number += 1;
        let mailbox = row.value;
        let which = || format!("mailbox {} ({} of account {})", mailbox.id, mailbox.name, mailbox.account);
        findings.expect(key[..] == keys::mailbox(mailbox.id), || {
            format!("{}: stands under another number", which())
        });
        findings
            .expect(mailbox.id <= greatest.mailbox, || format!("{}: its number was never taken", which()));
        findings.expect(mailbox.uid_validity > uid_validity, || {
            format!("{}: its UIDVALIDITY is not above that of an older one", which())
        });
        uid_validity = mailbox.uid_validity.max(uid_validity);
        findings.expect(mailbox.uid_validity <= greatest.uid_validity, || {
            format!("{}: its UIDVALIDITY was never taken", which())
        });
        findings.expect(MailboxName::parse(&mailbox.name).is_ok(), || format!("{}: bad name", which()));
        // Messages that are appended together are gathered in a mailbox of nobody's.
        let owned = mailbox.account == NOBODY.0 || table.contains(&keys::account(mailbox.account))?;
        findings.expect(owned, || format!("{}: has no account", which()));
        for (what, key) in [
            ("place in the list", keys::listed(mailbox.account, &mailbox.name, mailbox.id)),
            ("counters", keys::counters(mailbox.id)),
        ] {
            findings.expect(table.contains(&key)?, || format!("{}: has no {what}", which()));
        }
        findings.expect(!table.contains(&keys::removed_mailbox(mailbox.id))?, || {
            format!("{}: was removed and is there", which())
        });
        recorded(store, findings, row.at, which);
    }
    Ok(number)
}

fn names(table: &Table, findings: &mut Findings) -> Result<()> {
    let mut before = Vec::new();
    for row in table.scan::<Nothing>(keys::within(keys::LISTED)) {
        let Some((key, _)) = found(findings, row)? else { continue };
        let id = keys::last_u64(&key);
        let name = &key[..key.len().saturating_sub(8)];
        findings.expect(before != name, || format!("mailbox {id}: another one has its name"));
        before = name.to_vec();
        let mailbox = found(findings, table.get::<MailboxState>(&keys::mailbox(id)))?.flatten();
        let fits = mailbox.is_some_and(|row| key[..] == keys::listed(row.value.account, &row.value.name, id));
        findings.expect(fits, || format!("mailbox {id}: is listed under a name that is not its own"));
    }
    Ok(())
}

fn counters(table: &Table, findings: &mut Findings) -> Result<()> {
    for row in table.scan::<Counters>(keys::within(keys::COUNTERS)) {
        let Some((key, _)) = found(findings, row)? else { continue };
        let id = keys::last_u64(&key);
        findings.expect(table.contains(&keys::mailbox(id))?, || {
            format!("counters of mailbox {id}: no such mailbox")
        });
    }
    Ok(())
}

/// What lies in a mailbox lies in one that is, or in one that was removed and is being emptied.
fn strays(table: &Table, findings: &mut Findings) -> Result<()> {
    for (what, prefix) in [
        ("messages", keys::ROWS),
        ("leaves", keys::LEAVES),
        ("what vanished", keys::VANISHED),
        ("expunged UIDs", keys::EXPUNGED),
        ("early flags", keys::EARLY_FLAGS),
        ("what users have seen", keys::SEEN),
    ] {
        let mut from = keys::within(prefix);
        while let Some(key) = table.first_key(from.clone())? {
            let Some(id) = key.get(1..9).map(keys::last_u64) else {
                findings.add(format!("{what}: a key of {} octets", key.len()));
                break;
            };
            let known = table.contains(&keys::mailbox(id))? || table.contains(&keys::removed_mailbox(id))?;
            findings.expect(known, || format!("{what} of mailbox {id}: there never was one"));
            from.start = keys::within(&key[..9]).end;
        }
    }
    Ok(())
}
