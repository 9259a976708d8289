//! SELECT, EXAMINE, CLOSE, UNSELECT (RFC 9051 §6.3.2, §6.3.3, §6.4.1, §6.4.2).

use std::sync::Arc;

use tokio::sync::watch;

use super::context::Contexts;
use super::enable::Extension;
use super::{Done, Failure, Outcome, Selected, Session, bad};
use crate::imap::parse::Select;
use crate::imap::view::View;
use crate::store::{AccountId, Index, MailStore, Mailbox, MailboxName, Right, Rights, SystemFlag, UidSet};

impl<S: MailStore> Session<S> {
    pub(super) async fn select(&mut self, account: AccountId, select: &Select, read_only: bool) -> Done {
        if select.resync.is_some() && !self.enabled.has(Extension::QResync) {
            return Err(bad("enable QRESYNC first"));
        }
        // RFC 9051 §6.3.2: whatever happens next, the old mailbox is no longer selected.
        if self.selected.take().is_some() {
            self.wire.responses.untagged(&Outcome::ok("the mailbox before is closed").with_code("CLOSED"));
        }
        let name = self.mailbox_name(&select.mailbox)?;
        let (mailbox, mut news) = self.opened(account, &name).await?;
        let rights = self.rights_to(account, mailbox.account, mailbox.id)?;
        let read_only = read_only || !may_change(rights);
        if select.condstore {
            self.enable_modseqs();
        }
        let index = Arc::clone(&news.borrow_and_update());
        let personal = self.personal(account, &mailbox, &index).await?;
        let index = personal.as_ref().map_or(index, |personal| Arc::clone(personal.index()));
        let view = View::new(mailbox.id, read_only, index);
        let fetched_below = view.index().status().uid_next;
        let (owner, contexts) = (mailbox.account, Contexts::default());
        self.selected = Some(Selected { owner, view, news, personal, fetched_below, contexts });
        self.tell_selected(&mailbox, rights);
        if let Some(resync) = &select.resync {
            self.resynchronise(resync).await?;
        }
        let (code, text) = if read_only {
            ("READ-ONLY", "the mailbox is open for reading")
        } else {
            ("READ-WRITE", "SELECT completed")
        };
        Ok(Outcome::ok(text).with_code(code))
    }

    /// The mailbox of this name, with its index. A change of the name that comes later ends the watch of the index, if it
    /// must; one that came while the index was loaded is found here.
    async fn opened(
        &self,
        account: AccountId,
        name: &MailboxName,
    ) -> Result<(Mailbox, watch::Receiver<Arc<Index>>), Failure> {
        let mut mailbox = self.existing(account, name, Right::Read)?;
        loop {
            let news = self.shared.store.index(mailbox.id).await?;
            let now = self.existing(account, name, Right::Read)?;
            if now.id == mailbox.id {
                return Ok((now, news));
            }
            mailbox = now;
        }
    }

    fn tell_selected(&mut self, mailbox: &Mailbox, rights: Rights) {
        self.tell_keywords();
        let Some(Selected { view, .. }) = &self.selected else { return };
        let (rev2, encoding, style) = (self.rev2(), self.encoding(), self.style());
        let (modseqs, ids) = (self.offers("CONDSTORE"), self.offers("OBJECTID"));
        let responses = &mut self.wire.responses;
        let permanent = if view.read_only { String::new() } else { permanent_flags(view, rights).join(" ") };
        responses
            .untagged(&Outcome::ok("flags that are kept").with_code(format!("PERMANENTFLAGS ({permanent})")));
        responses.raw("* ").number(view.exists()).raw(" EXISTS").crlf();
        if !rev2 {
            responses.raw("* 0 RECENT").crlf();
            if let Some(before) = view.index().first_unseen().filter(|_| !style.uid_only) {
                let code = format!("UNSEEN {}", before + 1);
                responses.untagged(&Outcome::ok("first unseen").with_code(code));
            }
        }
        let status = view.index().status();
        responses.untagged(
            &Outcome::ok("UIDs are valid").with_code(format!("UIDVALIDITY {}", status.uid_validity)),
        );
        responses.untagged(&Outcome::ok("the next UID").with_code(format!("UIDNEXT {}", status.uid_next)));
        if modseqs {
            let code = format!("HIGHESTMODSEQ {}", view.highest_modseq());
            responses.untagged(&Outcome::ok("the last change").with_code(code));
        }
        if ids {
            responses.untagged(&Outcome::ok("its id").with_code(format!("MAILBOXID ({})", mailbox.id)));
        }
        if rev2 {
            let attributes = mailbox.special_use.map_or("", |special_use| special_use.as_str());
            responses.raw("* LIST (").raw(attributes).raw(") \"/\" ").mailbox(&mailbox.name, encoding).crlf();
        }
    }

    /// Expunges without a word.
    pub(super) async fn close(&mut self) -> Done {
        let rights = self.selected_rights()?;
        let Some(Selected { view, .. }) = self.selected.take() else {
            return Ok(Outcome::ok("CLOSE completed"));
        };
        if !view.read_only && rights.has(Right::Expunge) {
            self.shared.store.expunge(view.mailbox, UidSet::all(), true).await?;
        }
        Ok(Outcome::ok("CLOSE completed"))
    }

    pub(super) fn unselect(&mut self) -> Outcome {
        self.selected = None;
        Outcome::ok("UNSELECT completed")
    }
}

/// RFC 4314 §5.2: READ-WRITE is what allows some change.
fn may_change(rights: Rights) -> bool {
    let changes = [Right::Insert, Right::Expunge, Right::Seen, Right::DeleteMessages, Right::Write];
    changes.into_iter().any(|right| rights.has(right))
}

/// The flags that the user can change for good.
fn permanent_flags(view: &View, rights: Rights) -> Vec<String> {
    let allowed = |name: &str| match SystemFlag::parse(name) {
        Some(SystemFlag::Seen) => rights.has(Right::Seen),
        Some(SystemFlag::Deleted) => rights.has(Right::DeleteMessages),
        _ => rights.has(Right::Write),
    };
    flag_names(view).into_iter().chain(["\\*".to_owned()]).filter(|name| allowed(name)).collect()
}

/// All flags with a meaning of their own, and the keywords in use.
pub(super) fn flag_names(view: &View) -> Vec<String> {
    let system = SystemFlag::ALL.into_iter().map(|flag| flag.as_str().to_owned());
    let mut keywords: Vec<_> = view.index().keywords().map(str::to_owned).collect();
    keywords.sort_unstable();
    system.chain(keywords).collect()
}
