//! Annotations and rights.

use journal::Position;

use super::{Note, State};
use crate::store::record::{AnnotationState, Change, Nothing, RightsState, SeenState};
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
        self.count_change(at, annotation)?;
        if self.are_gone(annotation.mailbox, annotation.account)? {
            return Ok(());
        }
        let key = keys::annotation(annotation.mailbox, annotation.account, &annotation.entry);
        let old = self.pending.get::<AnnotationState>(&key)?;
        if old.as_ref().is_none_or(|old| (old.value.revision, old.at) < (annotation.revision, at)) {
            self.put_state(key, at, old.as_ref(), annotation);
            if annotation.account != 0 {
                self.pending.put(keys::noted_at(annotation.account, annotation.mailbox), at, &Nothing {});
            }
            self.news.notes.push(Note {
                mailbox: annotation.mailbox,
                account: annotation.account,
                entry: annotation.entry.clone(),
                revision: annotation.revision,
            });
        }
        Ok(())
    }

    /// The mailbox has changed with it (RFC 7162 §3.2). Of an entry the last state is kept as long as the mailbox, so no
    /// record that takes a modseq is forgotten before a later one has taken another.
    fn count_change(&mut self, at: Position, annotation: &AnnotationState) -> Result<()> {
        if annotation.modseq > 0
            && let Some(mut counters) = self.counters(annotation.mailbox)?
        {
            counters.highest_modseq = counters.highest_modseq.max(annotation.modseq);
            self.put_counters(annotation.mailbox, at, &counters);
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
        if old.as_ref().is_none_or(|old| (old.value.revision, old.at) < (rights.revision, at)) {
            self.put_state(key, at, old.as_ref(), rights);
            self.index_grant(at, rights.mailbox, rights.account)?;
            // 0, a grant to everybody, concerns all.
            self.news.accounts.insert(rights.account);
        }
        Ok(())
    }

    /// A mailbox is found by those who have a right at it, or lack one, and by no others.
    fn index_grant(&mut self, at: Position, mailbox: u64, account: u64) -> Result<()> {
        let mut says_something = false;
        for negative in [false, true] {
            let rights = self.pending.get::<RightsState>(&keys::rights(mailbox, account, negative))?;
            says_something |= rights.is_some_and(|rights| !rights.value.rights.is_empty());
        }
        let (granted, withdrawn) = (keys::granted_at(account, mailbox), keys::withdrawn_at(account, mailbox));
        let (there, gone) = if says_something { (granted, withdrawn) } else { (withdrawn, granted) };
        self.pending.put(there, at, &Nothing {});
        self.pending.delete(gone);
        Ok(())
    }

    /// 0 stands for what is never gone: the server, and everybody.
    fn are_gone(&self, mailbox: u64, account: u64) -> Result<bool> {
        Ok(self.pending.contains(&keys::removed_mailbox(mailbox))?
            || self.pending.contains(&keys::removed_account(account))?)
    }

    pub(super) fn remove_notes_of_mailbox(&mut self, mailbox: u64) -> Result<()> {
        let noted =
            self.pending.rows::<AnnotationState>(prefixed(&keys::annotations(mailbox)), usize::MAX)?;
        for (key, annotation) in noted {
            self.delete_state(key, &annotation);
            self.pending.delete(keys::noted_at(annotation.value.account, mailbox));
        }
        self.delete_states::<SeenState>(&keys::seen_all(mailbox))?;
        let granted = self.pending.rows::<RightsState>(prefixed(&keys::rights_of(mailbox)), usize::MAX)?;
        for (key, rights) in granted {
            self.delete_state(key, &rights);
            self.pending.delete(keys::granted_at(rights.value.account, mailbox));
            self.pending.delete(keys::withdrawn_at(rights.value.account, mailbox));
        }
        Ok(())
    }

    /// What the account noted wherever it could, and its rights. Its own mailboxes are removed by the same record, and all
    /// that is noted at them.
    pub(super) fn remove_notes_of_account(&mut self, account: u64) -> Result<()> {
        for (key, _) in self.pending.rows::<Nothing>(prefixed(&keys::noted(account)), usize::MAX)? {
            self.delete_states::<AnnotationState>(&keys::annotations_of(keys::last_u64(&key), account))?;
            self.pending.delete(key);
        }
        let mut grants = self.pending.rows::<Nothing>(prefixed(&keys::granted(account)), usize::MAX)?;
        grants.extend(self.pending.rows::<Nothing>(prefixed(&keys::withdrawn(account)), usize::MAX)?);
        for (key, _) in grants {
            let mailbox = keys::last_u64(&key);
            self.pending.delete(key);
            for negative in [false, true] {
                let key = keys::rights(mailbox, account, negative);
                if let Some(rights) = self.pending.get::<RightsState>(&key)? {
                    self.delete_state(key, &rights);
                }
            }
        }
        Ok(())
    }
}
