//! A store that was made of a backup goes on under other numbers than the one that was backed up.

use std::thread;

use super::LocalStore;
use super::mailboxes::seconds;
use crate::store::record::{Change, MailboxState, Marks};
use crate::store::{Result, keys};

/// States in one record.
const BATCH: usize = 200;

/// Numbers for each second since 1970. The store that was lost took fewer, so that what is counted from the time of the
/// restore has none of its numbers, nor those of an earlier restore.
const MESSAGES_A_SECOND: u32 = 20;
const MAILBOXES_A_SECOND: u32 = 10;

impl LocalStore {
    /// Gives every mailbox a new UIDVALIDITY, and leaves out all numbers that the store may have given since the backup.
    pub(in crate::store) fn begin_anew(&self) -> Result<()> {
        self.take(|marks| leap(marks, seconds()));
        let mut mailboxes = Vec::new();
        // In the order of their numbers, with which UIDVALIDITY grows.
        for row in self.inner.table.scan::<MailboxState>(keys::within(keys::MAILBOXES)) {
            let mut mailbox = row?.1.value;
            mailbox.revision += 1;
            mailbox.uid_validity = self
                .take(|marks| {
                    marks.uid_validity = marks.uid_validity.saturating_add(1);
                    marks.uid_validity
                })
                .0;
            mailboxes.push(mailbox);
            if mailboxes.len() == BATCH {
                self.begin_some_anew(std::mem::take(&mut mailboxes))?;
            }
        }
        self.begin_some_anew(mailboxes)
    }

    fn begin_some_anew(&self, mailboxes: Vec<MailboxState>) -> Result<()> {
        let marks = self.take(|_| ()).1;
        let append = self.propose_bookkeeping(&Change { marks, mailboxes, ..Change::default() });
        // Whoever restores may wait, but not in a way that a runtime forbids.
        let waited = thread::scope(|scope| scope.spawn(|| append.wait()).join());
        waited.unwrap_or(Err(journal::Error::Closed))?;
        Ok(())
    }
}

/// The greatest numbers that may have been taken by now.
fn leap(marks: &mut Marks, now: u32) {
    let by_time = |bits: u32| u64::from(now) << bits;
    marks.email = marks.email.max(by_time(MESSAGES_A_SECOND));
    marks.mailbox = marks.mailbox.max(by_time(MAILBOXES_A_SECOND));
    marks.account = marks.account.max(by_time(MAILBOXES_A_SECOND));
    marks.uid_validity = marks.uid_validity.max(now);
}
