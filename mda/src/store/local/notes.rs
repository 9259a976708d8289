//! What is noted at mailboxes: annotations (RFC 5464) and rights (RFC 4314).

use std::collections::BTreeSet;

use bytes::Bytes;
use journal::Append;

use super::LocalStore;
use crate::store::gate::Gate;
use crate::store::record::{AnnotationState, Change, Nothing, RightsState};
use crate::store::rights::{Annotated, Annotation, Grant, Grantee, Rights, rights_of};
use crate::store::{AccountId, Mailbox, MailboxId, Result, StoreError, keys};

/// Octets of a value.
pub(super) const MAX_VALUE: usize = 16 << 10;
/// Entries at one mailbox, or of one user at the server; those that were taken away count too.
const MAX_ENTRIES: usize = 250;
/// Octets of all that an account has noted for itself, and all have noted for all at its mailboxes, each entry with its
/// name and [`ENTRY`]; what was taken away counts too, for it is kept.
const MAX_NOTED: u64 = 10 << 20;
/// What an entry counts beside its name and value.
const ENTRY: u64 = 256;
/// Grants at one mailbox; those that were taken away count too.
const MAX_GRANTS: usize = 1_000;

impl LocalStore {
    pub(super) fn read_annotations(&self, user: AccountId, annotated: Annotated) -> Result<Vec<Annotation>> {
        let states = self.annotation_states(user, annotated)?;
        let annotations = states.into_iter().filter(|state| state.value.is_some());
        Ok(annotations.map(|state| Annotation { entry: state.entry, value: state.value }).collect())
    }

    /// Those that all see, then those of the user; what was taken away included.
    fn annotation_states(&self, user: AccountId, annotated: Annotated) -> Result<Vec<AnnotationState>> {
        let mailbox = annotated.map_or(0, |mailbox| mailbox.0);
        let mut states = Vec::new();
        for whose in [0, user.0] {
            for row in
                self.inner.table.scan::<AnnotationState>(keys::within(&keys::annotations_of(mailbox, whose)))
            {
                states.push(row?.1.value);
            }
        }
        Ok(states)
    }

    pub(super) async fn annotations_set(
        &self,
        user: AccountId,
        annotated: Annotated,
        annotations: Vec<Annotation>,
    ) -> Result<()> {
        let owner = match annotated {
            Some(mailbox) => self.mailbox_state(mailbox)?.ok_or(StoreError::NoSuchMailbox)?.account,
            None => user.0,
        };
        let gate = self.inner.gates.of(owner);
        let _changes = gate.changes.lock().await;
        self.read_account(user)?;
        if let Some(mailbox) = annotated {
            self.mailbox_state(mailbox)?.ok_or(StoreError::NoSuchMailbox)?;
        }
        let existing = self.annotation_states(user, annotated)?;
        let mut change = Change::default();
        for Annotation { entry, value } in annotations {
            if value.as_ref().is_some_and(|value| value.len() > MAX_VALUE) {
                return Err(StoreError::OverLimit {
                    what: "octets of an annotation",
                    limit: MAX_VALUE as u64,
                });
            }
            let old = change.annotations.iter().rev().chain(&existing).find(|state| state.entry == entry);
            if old.is_none_or(|old| old.value.is_none()) && value.is_none() {
                continue;
            }
            change.annotations.push(AnnotationState {
                mailbox: annotated.map_or(0, |mailbox| mailbox.0),
                account: if entry.starts_with("/private/") { user.0 } else { 0 },
                revision: old.map_or(1, |old| old.revision + 1),
                entry,
                value,
                modseq: 0,
            });
        }
        let new = change.annotations.iter().filter(|state| state.revision == 1).count();
        if existing.len() + new > MAX_ENTRIES {
            return Err(StoreError::OverLimit { what: "annotations", limit: MAX_ENTRIES as u64 });
        }
        if change == Change::default() {
            return Ok(());
        }
        let payers = BTreeSet::from([user.0, owner]);
        let mut counted = Counted { store: self, payers: &payers, stands: false };
        for payer in &payers {
            let pays = |state: &&AnnotationState| *payer == if state.account == 0 { owner } else { user.0 };
            let existing = existing.iter().filter(pays).collect();
            let new = change.annotations.iter().filter(pays).collect();
            self.count_as_noted(*payer, existing, new).await?;
        }
        let append = self.propose_annotations(&gate, owner, annotated, change)?;
        // From here on it is noted, whether or not anybody still waits.
        counted.stands = true;
        let done = append.await;
        counted.stands = done.is_ok();
        done?;
        Ok(())
    }

    /// Modseqs are taken in the order of the records, and only for what goes with the mailbox, not with somebody else: no
    /// record that takes one may be forgotten before a later one has taken another.
    fn propose_annotations(
        &self,
        gate: &Gate,
        owner: u64,
        annotated: Annotated,
        mut change: Change,
    ) -> Result<Append<()>> {
        let mut heads = gate.heads.lock();
        let mut lasting: Vec<_> =
            change.annotations.iter_mut().filter(|state| [0, owner].contains(&state.account)).collect();
        if let Some(mailbox) = annotated
            && !lasting.is_empty()
        {
            let modseq = heads.of(&self.inner.table, mailbox.0)?.take_modseq();
            for state in &mut lasting {
                state.modseq = modseq;
            }
        }
        Ok(self.propose(&change))
    }

    /// Counts what is about to be noted to those who answer for it, before it is there: what they note elsewhere at the
    /// same time comes on top. Refused if it becomes more and is too much.
    async fn count_as_noted(
        &self,
        payer: u64,
        existing: Vec<&AnnotationState>,
        new: Vec<&AnnotationState>,
    ) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        // Of an entry that is named twice the last counts.
        let is_last =
            |at: usize, state: &AnnotationState| new[at + 1..].iter().all(|later| later.entry != state.entry);
        let last = new.iter().enumerate().filter(|(at, state)| is_last(*at, state));
        let added: u64 = last.map(|(_, state)| weight(state)).sum();
        let replaced = existing.iter().filter(|old| new.iter().any(|state| state.entry == old.entry));
        let replaced: u64 = replaced.map(|state| weight(state)).sum();
        let gate = self.inner.gates.of(payer);
        let known = gate.heads.lock().noted;
        let counted = match known {
            Some(known) => known,
            None => self.read_aside(move |store| store.count_noted(payer)).await?,
        };
        let mut heads = gate.heads.lock();
        let before = heads.noted.unwrap_or(counted);
        let after = (before + added).saturating_sub(replaced);
        if after > before && after > MAX_NOTED {
            return Err(StoreError::OverLimit {
                what: "octets of an account's annotations",
                limit: MAX_NOTED,
            });
        }
        heads.noted = Some(after);
        Ok(())
    }

    /// What was counted is not there.
    fn count_noted_anew(&self, payers: &BTreeSet<u64>) {
        for payer in payers {
            self.inner.gates.of(*payer).heads.lock().noted = None;
        }
    }

    /// What an account answers for.
    fn count_noted(&self, account: u64) -> Result<u64> {
        let mut octets = 0;
        let mut add = |mailbox: u64, whose: u64| {
            let prefix = keys::annotations_of(mailbox, whose);
            for row in self.inner.table.scan::<AnnotationState>(keys::within(&prefix)) {
                octets += weight(&row?.1.value);
            }
            Ok::<_, StoreError>(())
        };
        for row in self.inner.table.scan::<Nothing>(keys::within(&keys::listed_account(account))) {
            add(keys::last_u64(&row?.0), 0)?;
        }
        for row in self.inner.table.scan::<Nothing>(keys::within(&keys::noted(account))) {
            add(keys::last_u64(&row?.0), account)?;
        }
        Ok(octets)
    }

    pub(super) fn read_grants(&self, mailbox: MailboxId) -> Result<Vec<Grant>> {
        let states = self.rights_states(mailbox)?;
        Ok(states.iter().map(grant_of).filter(|grant| !grant.rights.is_empty()).collect())
    }

    fn rights_states(&self, mailbox: MailboxId) -> Result<Vec<RightsState>> {
        let rows = self.inner.table.scan::<RightsState>(keys::within(&keys::rights_of(mailbox.0)));
        rows.map(|row| Ok(row?.1.value)).collect()
    }

    /// The mailboxes of others that somebody may do something with.
    pub(super) fn read_shared_with(&self, user: AccountId) -> Result<Vec<(Mailbox, Rights)>> {
        let mut found: Vec<u64> = Vec::new();
        for grantee in [0, user.0] {
            for row in self.inner.table.scan::<Nothing>(keys::within(&keys::granted(grantee))) {
                found.push(keys::last_u64(&row?.0));
            }
        }
        found.sort_unstable();
        found.dedup();
        let mut shared = Vec::new();
        for mailbox in found {
            let mailbox = MailboxId(mailbox);
            let rights = rights_of(user, &self.read_grants(mailbox)?);
            let Some(mailbox) = self.read_mailbox_by_id(mailbox)? else { continue };
            if mailbox.account != user && !rights.is_empty() {
                shared.push((mailbox, rights));
            }
        }
        Ok(shared)
    }

    pub(super) async fn rights_grant(&self, mailbox: MailboxId, grant: Grant) -> Result<()> {
        let owner = self.mailbox_state(mailbox)?.ok_or(StoreError::NoSuchMailbox)?.account;
        let gate = self.inner.gates.of(owner);
        let _changes = gate.changes.lock().await;
        self.mailbox_state(mailbox)?.ok_or(StoreError::NoSuchMailbox)?;
        let account = match grant.grantee {
            Grantee::Anyone => 0,
            Grantee::Account(account) => self.read_account(account)?.id.0,
        };
        let existing = self.rights_states(mailbox)?;
        let old = existing.iter().find(|state| state.account == account && state.negative == grant.negative);
        if old.is_none() && existing.len() >= MAX_GRANTS {
            return Err(StoreError::OverLimit { what: "rights at one mailbox", limit: MAX_GRANTS as u64 });
        }
        let rights = grant.rights.to_string();
        if old.map_or("", |old| &old.rights) == rights {
            return Ok(());
        }
        let state = RightsState {
            mailbox: mailbox.0,
            account,
            negative: grant.negative,
            revision: old.map_or(1, |old| old.revision + 1),
            rights,
        };
        self.propose(&Change { rights: vec![state], ..Change::default() }).await?;
        Ok(())
    }
}

/// What was counted before it was noted. Dropped before that, it is counted anew: who wanted it may have gone.
struct Counted<'a> {
    store: &'a LocalStore,
    payers: &'a BTreeSet<u64>,
    stands: bool,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if !self.stands {
            self.store.count_noted_anew(self.payers);
        }
    }
}

fn weight(state: &AnnotationState) -> u64 {
    (state.entry.len() + state.value.as_ref().map_or(0, Bytes::len)) as u64 + ENTRY
}

fn grant_of(state: &RightsState) -> Grant {
    let grantee = match state.account {
        0 => Grantee::Anyone,
        account => Grantee::Account(AccountId(account)),
    };
    // What a newer program may have written and this one does not know is no right here.
    let rights =
        state.rights.chars().filter_map(|letter| Rights::parse(letter.encode_utf8(&mut [0; 4])).ok());
    Grant { grantee, negative: state.negative, rights: rights.fold(Rights::default(), Rights::and) }
}
