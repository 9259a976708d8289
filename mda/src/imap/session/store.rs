//! STORE and UID STORE (RFC 9051 §6.4.6).

use std::sync::Arc;

use super::{Done, Failure, Outcome, Selected, Session, bad};
use crate::imap::parse::{Store, StoreMode};
use crate::store::{FlagChange, Flags, Index, MailStore, SystemFlag, UidSet};

impl<S: MailStore> Session<S> {
    pub(super) async fn store(&mut self, uid: bool, store: Store) -> Done {
        let mailbox = self.writable_view()?.mailbox;
        let uids = self.resolve(&store.set, uid)?;
        let flags = parse_flags(&store.flags)?;
        let change = match store.mode {
            StoreMode::Replace => FlagChange::Replace(flags),
            StoreMode::Add => FlagChange::Add(flags),
            StoreMode::Remove => FlagChange::Remove(flags),
        };
        if uids.is_empty() {
            return Ok(Outcome::ok("STORE completed"));
        }
        self.shared.store.store_flags(mailbox, uids.clone(), change.clone(), None).await?;
        let before = Arc::clone(self.view()?.index());
        self.catch_up(&uids).await?;
        let found = self.tell_stored(uid, &uids, &before, store.silent.then_some(&change)).await?;
        if found < uids.len() && !uid {
            // RFC 5530, EXPUNGEISSUED: the client will be told which at its next command that allows it.
            return Ok(Outcome::ok("some of the messages are gone").with_code("EXPUNGEISSUED"));
        }
        Ok(Outcome::ok("STORE completed"))
    }

    /// Untagged FETCHes of the flags that messages have now; with `expected`, only of those whose flags are not what
    /// that made of the flags told `before`: even a silent STORE tells what someone else did (RFC 9051 §6.4.6). Gives
    /// how many messages there are.
    async fn tell_stored(
        &mut self,
        uid: bool,
        uids: &UidSet,
        before: &Index,
        expected: Option<&FlagChange>,
    ) -> Result<u64, Failure> {
        let Some(Selected { view, .. }) = &self.selected else { return Ok(0) };
        let mut found = 0;
        for (number, entry) in view.messages(uids) {
            found += 1;
            let flags = view.index().flags(entry);
            if let (Some(change), Some(before_entry)) = (expected, before.get(entry.uid()))
                && before.flags(before_entry).changed(change) == flags
            {
                continue;
            }
            let responses = &mut self.wire.responses;
            responses.raw("* ").number(number).raw(" FETCH (");
            if uid {
                responses.raw("UID ").number(entry.uid()).raw(" ");
            }
            responses.raw("FLAGS ").flags(&flags).raw(")").crlf();
            self.wire.relieve().await?;
        }
        Ok(found)
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
