//! STORE and UID STORE (RFC 9051 §6.4.6).

use std::sync::Arc;

use super::{Done, Failure, Outcome, Selected, Session, bad};
use crate::imap::parse::{Store, StoreMode};
use crate::imap::response::uid_set;
use crate::store::{Entry, FlagChange, Flags, FlagsKey, Index, MailStore, SystemFlag, UidSet};

impl<S: MailStore> Session<S> {
    pub(super) async fn store(&mut self, uid: bool, store: Store) -> Done {
        self.writable_view()?;
        let uids = self.resolve(&store.set, uid)?;
        let flags = self.allowed_flags(parse_flags(&store.flags)?, store.mode == StoreMode::Replace)?;
        let change = match store.mode {
            StoreMode::Replace => FlagChange::Replace(flags),
            StoreMode::Add => FlagChange::Add(flags),
            StoreMode::Remove => FlagChange::Remove(flags),
        };
        if uids.is_empty() {
            return Ok(Outcome::ok("STORE completed"));
        }
        if store.unchanged_since.is_some() {
            self.enable_modseqs();
        }
        let unchanged_since = store.unchanged_since;
        let modified = self.change_flags(uids.clone(), change.clone(), unchanged_since).await?;
        let stored = Stored {
            before: Arc::clone(self.view()?.index()),
            modified,
            expected: store.silent.then_some(change),
            conditional: unchanged_since.is_some(),
        };
        self.catch_up(&uids).await?;
        let found = self.tell_stored(uid, &uids, &stored).await?;
        if !stored.modified.is_empty() {
            // RFC 7162 §3.1.3: by number, or by UID.
            let left = stored.modified.iter();
            let view = self.view()?;
            let left = if uid { left.collect() } else { left.filter_map(|uid| view.number(uid)).collect() };
            let outcome = Outcome::ok("some messages had changed since, and were left alone");
            return Ok(outcome.with_code(format!("MODIFIED {}", uid_set(&left))));
        }
        if found < uids.len() && !uid {
            // RFC 5530, EXPUNGEISSUED: the client will be told which at its next command that allows it.
            return Ok(Outcome::ok("some of the messages are gone").with_code("EXPUNGEISSUED"));
        }
        Ok(Outcome::ok("STORE completed"))
    }

    /// Untagged FETCHes of the messages as they are now. Gives how many there are.
    async fn tell_stored(&mut self, uid: bool, uids: &UidSet, stored: &Stored) -> Result<u64, Failure> {
        let style = self.style();
        let Some(Selected { view, .. }) = &self.selected else { return Ok(0) };
        let mut found = 0;
        let mut expected = Expected::new(stored);
        let mut before = stored.before.within(uids).peekable();
        for (number, entry) in view.messages(uids) {
            found += 1;
            while before.next_if(|before| before.uid() < entry.uid()).is_some() {}
            let before = before.next_if(|before| before.uid() == entry.uid());
            let is_known = before.is_some_and(|before| expected.is(view.index(), entry, before));
            if !is_known || style.modseq && stored.changed(entry, before) {
                let flags = (!is_known).then(|| view.index().flags(entry));
                self.wire.responses.flag_news(style, uid, number, entry, flags.as_ref());
                self.wire.relieve().await?;
            }
        }
        Ok(found)
    }
}

/// What a STORE did, as far as the client knows without being told.
struct Stored {
    /// The mailbox as it was told before.
    before: Arc<Index>,
    /// Messages that were left alone.
    modified: UidSet,
    /// Of a silent STORE: what it makes of the flags.
    expected: Option<FlagChange>,
    /// The client wants the modseqs of all messages, whatever became of them (RFC 7162 §3.1.3).
    conditional: bool,
}

impl Stored {
    fn changed(&self, entry: &Entry, before: Option<&Entry>) -> bool {
        self.conditional || before.is_none_or(|before| before.modseq() != entry.modseq())
    }
}

/// Which flags the client knows of without being told: even a silent STORE tells what someone else did (RFC 9051
/// §6.4.6).
struct Expected<'a> {
    stored: &'a Stored,
    /// Of the message that was looked at last, whose like mostly follow: its flags before and now, and whether they are
    /// as expected.
    last: Option<(FlagsKey, FlagsKey, bool)>,
}

impl<'a> Expected<'a> {
    fn new(stored: &'a Stored) -> Self {
        Self { stored, last: None }
    }

    fn is(&mut self, index: &Index, entry: &Entry, before: &Entry) -> bool {
        let Some(change) = &self.stored.expected else { return false };
        if self.stored.modified.contains(entry.uid()) {
            return false;
        }
        let keys = (before.flags_key(), entry.flags_key());
        match self.last {
            Some((old, new, is_expected)) if (old, new) == keys => is_expected,
            _ => {
                let old = self.stored.before.flags(before);
                let is_expected = old.changed(change) == index.flags(entry);
                self.last = Some((keys.0, keys.1, is_expected));
                is_expected
            }
        }
    }
}

/// Flags as a client gives them. `\Recent` cannot be set (RFC 3501 §2.3.2): it is passed over, as clients send it back
/// with what they were once told.
pub(super) fn parse_flags(names: &[String]) -> Result<Flags, Failure> {
    let mut flags = Flags::none();
    for name in names {
        if let Some(flag) = SystemFlag::parse(name) {
            flags.set(flag);
        } else if !name.starts_with('\\') {
            flags.set_keyword(name);
        } else if !name.eq_ignore_ascii_case("\\Recent") {
            return Err(bad("there is no such system flag"));
        }
    }
    Ok(flags)
}
