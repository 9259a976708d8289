//! GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208).
//!
//! All mailboxes of an account share one quota root, whose name is empty.

use bytes::Bytes;

use super::{Done, Failure, Outcome, Session};
use crate::store::{AccountId, MailStore, Quota, QuotaStatus};

/// Octets of a unit of STORAGE (RFC 9208 §5.1).
const UNIT: u64 = 1024;

impl<S: MailStore> Session<S> {
    pub(super) fn get_quota(&mut self, account: AccountId, root: &Bytes) -> Done {
        check_root(root)?;
        self.tell_quota(account)?;
        Ok(Outcome::ok("GETQUOTA completed"))
    }

    /// The mailbox need not exist (RFC 9208 §4.1.2).
    pub(super) fn get_quota_root(&mut self, account: AccountId, name: &Bytes) -> Done {
        let name = self.mailbox_name(name)?;
        let encoding = self.encoding();
        let is_own = self.place(account, &name)?.owner == account;
        let roots = if is_own { " \"\"" } else { "" };
        self.wire.responses.raw("* QUOTAROOT ").mailbox(&name, encoding).raw(roots).crlf();
        // What others may hold is theirs to know.
        if is_own {
            self.tell_quota(account)?;
        }
        Ok(Outcome::ok("GETQUOTAROOT completed"))
    }

    pub(super) fn set_quota(root: &Bytes) -> Done {
        check_root(root)?;
        Err(Failure::Refused(Outcome::no("NOPERM", "quotas are set by the operator")))
    }

    /// A resource without limit is not told of (RFC 9208 §4.2.1).
    fn tell_quota(&mut self, account: AccountId) -> Result<(), Failure> {
        let QuotaStatus { limits: Quota { messages, octets }, usage, .. } =
            self.shared.store.quota(account)?;
        let resources = [
            octets.map(|limit| ("STORAGE", usage.octets.div_ceil(UNIT), limit / UNIT)),
            messages.map(|limit| ("MESSAGE", usage.messages, limit)),
        ];
        let responses = &mut self.wire.responses;
        responses.raw("* QUOTA \"\" (");
        for (index, (name, used, limit)) in resources.into_iter().flatten().enumerate() {
            responses.raw(if index > 0 { " " } else { "" }).raw(name);
            responses.raw(" ").number(used).raw(" ").number(limit);
        }
        responses.raw(")").crlf();
        Ok(())
    }
}

fn check_root(root: &Bytes) -> Result<(), Failure> {
    if root.is_empty() {
        return Ok(());
    }
    Err(Failure::Refused(Outcome::no("NONEXISTENT", "no such quota root")))
}
