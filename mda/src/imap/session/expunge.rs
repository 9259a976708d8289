//! EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9).

use super::{Done, Outcome, Session};
use crate::imap::parse::MessageSet;
use crate::store::{MailStore, Right, UidSet};

impl<S: MailStore> Session<S> {
    pub(super) async fn expunge(&mut self, set: Option<&MessageSet>) -> Done {
        let mailbox = self.writable_view()?.mailbox;
        self.check_selected(Right::Expunge)?;
        let uids = match set {
            Some(set) => self.resolve(set, true)?,
            None => UidSet::all(),
        };
        let outcome = Outcome::ok("EXPUNGE completed");
        if uids.is_empty() || self.shared.store.expunge(mailbox, uids, true).await?.is_empty() {
            return Ok(outcome);
        }
        self.expunged(outcome).await
    }
}
