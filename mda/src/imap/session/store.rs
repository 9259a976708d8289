//! STORE and UID STORE (RFC 9051 §6.4.6).

use super::{Done, Failure, Outcome, Session, bad};
use crate::imap::parse::{Store, StoreMode};
use crate::store::{FlagChange, Flags, MailStore, Row, SystemFlag};

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
        let asked = uids.len();
        let stored = self.shared.store.store_flags(mailbox, uids, change.clone(), None).await?;
        let found = stored.rows.len() as u64;
        for row in stored.rows {
            if !store.silent || self.differs(&row, &change) {
                self.tell_flags(&row, uid);
                self.wire.relieve().await?;
            } else {
                self.learn_flags(row.uid, &row.flags);
            }
        }
        if found < asked && !uid {
            // RFC 5530, EXPUNGEISSUED: the client will be told which at its next command that allows it.
            return Ok(Outcome::ok("some of the messages are gone").with_code("EXPUNGEISSUED"));
        }
        Ok(Outcome::ok("STORE completed"))
    }

    /// RFC 9051 §6.4.6: even a silent STORE tells what someone else did to the flags.
    fn differs(&self, row: &Row, change: &FlagChange) -> bool {
        let told = self.selected.as_ref().and_then(|selected| selected.view.flags(row.uid));
        told.is_some_and(|flags| flags.changed(change) != row.flags)
    }

    /// An untagged FETCH of the flags alone.
    fn tell_flags(&mut self, row: &Row, uid: bool) {
        self.learn_flags(row.uid, &row.flags);
        let Some(number) = self.selected.as_ref().and_then(|selected| selected.view.number(row.uid)) else {
            return;
        };
        let responses = &mut self.wire.responses;
        responses.raw("* ").number(number).raw(" FETCH (");
        if uid {
            responses.raw("UID ").number(row.uid).raw(" ");
        }
        responses.raw("FLAGS ").flags(&row.flags).raw(")").crlf();
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
