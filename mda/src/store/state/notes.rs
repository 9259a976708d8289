//! Annotations and rights.

use journal::Position;

use super::{Note, State};
use crate::store::record::{AnnotationState, Change, Nothing, RightsState};
use crate::store::table::prefixed;
use crate::store::{Result, keys};

impl State {
    pub(super) fn apply_notes(&mut self, at: Position, change: &Change) -> Result<()> {
        for annotation in &change.annotations {
            self.annotation(at, annotation)?;
        }
        change.rights.iter().try_for_each(|rights| self.rights(at, rights))
    }

    fn annotation(&mut self, at: Position, annotation: &AnnotationState) -> Result<()> {
        if self.are_gone(annotation.mailbox, annotation.account)? {
            return Ok(());
        }
        let key = keys::annotation(annotation.mailbox, annotation.account, &annotation.entry);
        let old = self.pending.get::<AnnotationState>(&key)?;
        if old.is_none_or(|old| (old.value.revision, old.at) < (annotation.revision, at)) {
            self.pending.put(key, at, annotation);
            self.news.notes.push(Note {
                mailbox: annotation.mailbox,
                account: annotation.account,
                entry: annotation.entry.clone(),
                revision: annotation.revision,
            });
        }
        Ok(())
    }

    /// Those with whom a mailbox is shared hear of what becomes of it, too.
    pub(super) fn tell_grantees(&mut self, mailbox: u64) -> Result<()> {
        let granted = self.pending.rows::<RightsState>(prefixed(&keys::rights_of(mailbox)), usize::MAX)?;
        self.news.accounts.extend(granted.into_iter().map(|(_, rights)| rights.value.account));
        Ok(())
    }

    fn rights(&mut self, at: Position, rights: &RightsState) -> Result<()> {
        if self.are_gone(rights.mailbox, rights.account)? {
            return Ok(());
        }
        let key = keys::rights(rights.mailbox, rights.account, rights.negative);
        let old = self.pending.get::<RightsState>(&key)?;
        if old.is_none_or(|old| (old.value.revision, old.at) < (rights.revision, at)) {
            self.pending.put(keys::granted_at(rights.account, rights.mailbox), at, &Nothing {});
            self.pending.put(key, at, rights);
            // 0, a grant to everybody, concerns all.
            self.news.accounts.insert(rights.account);
        }
        Ok(())
    }

    /// 0 stands for what is never gone: the server, and everybody.
    fn are_gone(&self, mailbox: u64, account: u64) -> Result<bool> {
        Ok(self.pending.contains(&keys::removed_mailbox(mailbox))?
            || self.pending.contains(&keys::removed_account(account))?)
    }

    pub(super) fn remove_notes_of_mailbox(&mut self, mailbox: u64) -> Result<()> {
        self.pending.delete_within(&keys::annotations(mailbox), usize::MAX)?;
        let granted = self.pending.rows::<RightsState>(prefixed(&keys::rights_of(mailbox)), usize::MAX)?;
        for (key, rights) in granted {
            self.pending.delete(key);
            self.pending.delete(keys::granted_at(rights.value.account, mailbox));
        }
        Ok(())
    }

    /// The account's own mailboxes are removed by the same record, and their annotations with them.
    pub(super) fn remove_notes_of_account(&mut self, account: u64) -> Result<()> {
        self.pending.delete_within(&keys::annotations_of(0, account), usize::MAX)?;
        let granted = self.pending.rows::<Nothing>(prefixed(&keys::granted(account)), usize::MAX)?;
        for (key, _) in granted {
            let mailbox = keys::last_u64(&key);
            self.pending.delete(key);
            for negative in [false, true] {
                self.pending.delete(keys::rights(mailbox, account, negative));
            }
        }
        Ok(())
    }
}
