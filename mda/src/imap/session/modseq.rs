//! Modification sequences (CONDSTORE and QRESYNC, RFC 7162), and messages that have no numbers (UIDONLY, RFC 9586).

use super::enable::Extension;
use super::{Done, Failure, NO_UIDS, Outcome, Selected, Session};
use crate::imap::parse::{Command, MultiSearch, Resync, SequenceSet};
use crate::imap::response::{Responses, uid_set};
use crate::store::{Entry, Flags, MailStore, ModSeq, Uid, UidSet};

/// What responses about a message are like, by what the client has enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    /// Messages are named by their UIDs alone.
    pub(super) uid_only: bool,
    /// What comes unasked has UID and modseq (RFC 7162 §3.2.4).
    pub(super) modseq: bool,
}

impl<S: MailStore> Session<S> {
    pub(super) fn style(&self) -> Style {
        Style {
            uid_only: self.enabled.has(Extension::UidOnly),
            modseq: self.enabled.has(Extension::CondStore),
        }
    }

    /// Expunged messages are told by UID.
    pub(super) fn tells_vanished(&self) -> bool {
        self.enabled.has(Extension::QResync) || self.enabled.has(Extension::UidOnly)
    }

    /// RFC 7162 §3.1: from the first command that shows that the client knows of modseqs, it is told them; first that
    /// of the mailbox.
    pub(super) fn enable_modseqs(&mut self) {
        if self.enabled.has(Extension::CondStore) || !self.offers("CONDSTORE") {
            return;
        }
        self.enabled.add(Extension::CondStore);
        if let Some(Selected { view, .. }) = &self.selected {
            let code = format!("HIGHESTMODSEQ {}", view.highest_modseq());
            self.wire.responses.untagged(&Outcome::ok("modseqs are told from now on").with_code(code));
        }
    }

    /// The end of a command that may have expunged: the client hears what went, even one that wants no news, and those
    /// that resynchronise are told how far they are (RFC 7162 §3.2.7).
    pub(super) async fn expunged(&mut self, outcome: Outcome) -> Done {
        self.follow(true, NO_UIDS).await?;
        Ok(match &self.selected {
            Some(Selected { view, .. }) if self.enabled.has(Extension::QResync) => {
                outcome.with_code(format!("HIGHESTMODSEQ {}", view.highest_modseq()))
            }
            _ => outcome,
        })
    }

    /// RFC 7162 §3.2.5: what a client has missed since it last had this mailbox selected.
    pub(super) async fn resynchronise(&mut self, resync: &Resync) -> Result<(), Failure> {
        let view = self.view()?;
        if resync.uid_validity != view.index().status().uid_validity {
            return Ok(());
        }
        let known = resync.known.as_ref().map_or_else(UidSet::all, uids_of);
        let lost = match &resync.matched {
            Some((numbers, uids)) => {
                known.intersection(&[view.last_match(numbers, uids) + 1..=Uid::MAX].into_iter().collect())
            }
            None => known.clone(),
        };
        self.tell_vanished_earlier(&lost, resync.modseq).await?;
        let Some(Selected { view, .. }) = &self.selected else { return Ok(()) };
        let index = view.index();
        for entry in index.changed_since(resync.modseq).filter(|entry| known.contains(entry.uid())) {
            let Some(number) = view.number(entry.uid()) else { continue };
            let style = Style { modseq: true, uid_only: self.enabled.has(Extension::UidOnly) };
            self.wire.responses.flag_news(style, true, number, entry, Some(&index.flags(entry)));
            self.wire.relieve().await?;
        }
        Ok(())
    }

    /// `VANISHED (EARLIER)`: those of `uids` that were expunged since (RFC 7162 §3.2.10.1). What the client still knows
    /// of is told without EARLIER, with the news.
    pub(super) async fn tell_vanished_earlier(
        &mut self,
        uids: &UidSet,
        since: ModSeq,
    ) -> Result<(), Failure> {
        let vanished = self.shared.store.vanished_since(self.view()?.mailbox, since).await?;
        let vanished = self.view()?.unknown(&vanished.intersection(uids));
        if !vanished.is_empty() {
            self.wire.responses.raw("* VANISHED (EARLIER) ").raw(&uid_set(&vanished)).crlf();
        }
        Ok(())
    }

    /// The greatest modseq of some messages.
    pub(super) fn highest_modseq_of(&self, uids: impl Iterator<Item = Uid>) -> Option<ModSeq> {
        let index = self.selected.as_ref()?.view.index();
        uids.filter_map(|uid| index.get(uid)).map(Entry::modseq).max()
    }

    /// Whoever has enabled UIDONLY must not speak of message numbers (RFC 9586 §3).
    pub(super) fn check_uid_only(&self, command: &Command) -> Result<(), Failure> {
        if names_numbers(command) { self.check_may_name_numbers() } else { Ok(()) }
    }

    pub(super) fn check_may_name_numbers(&self) -> Result<(), Failure> {
        if self.enabled.has(Extension::UidOnly) {
            let refused = Outcome::bad("UIDONLY is enabled: name messages by UID").with_code("UIDREQUIRED");
            return Err(Failure::Refused(refused));
        }
        Ok(())
    }
}

fn names_numbers(command: &Command) -> bool {
    match command {
        Command::Copy { uid: false, .. }
        | Command::Fetch { uid: false, .. }
        | Command::Move { uid: false, .. }
        | Command::Search { uid: false, .. }
        | Command::Sort { uid: false, .. }
        | Command::Store { uid: false, .. }
        | Command::Thread { uid: false, .. } => true,
        Command::Search { search, .. } | Command::MultiSearch(MultiSearch { search, .. }) => {
            search.key.names_numbers()
        }
        Command::Sort { sort, .. } => sort.search.key.names_numbers(),
        Command::Thread { thread, .. } => thread.search.key.names_numbers(),
        Command::Select(select) | Command::Examine(select) => {
            select.resync.as_ref().is_some_and(|resync| resync.matched.is_some())
        }
        _ => false,
    }
}

/// The UIDs of a set that has no `*`.
fn uids_of(set: &SequenceSet) -> UidSet {
    set.ranges(0).into_iter().collect()
}

impl Responses {
    /// The beginning of a response about a message (RFC 9051 §7.5.2, RFC 9586 §4).
    pub(super) fn fetch_head(&mut self, style: Style, number: u32, uid: Uid) -> &mut Self {
        if style.uid_only {
            self.raw("* ").number(uid).raw(" UIDFETCH (")
        } else {
            self.raw("* ").number(number).raw(" FETCH (")
        }
    }

    /// What became of a message's flags, with its UID where the client wants it; without `flags` only its modseq.
    pub(super) fn flag_news(
        &mut self,
        style: Style,
        with_uid: bool,
        number: u32,
        entry: &Entry,
        flags: Option<&Flags>,
    ) {
        self.fetch_head(style, number, entry.uid());
        if (with_uid || style.modseq) && !style.uid_only {
            self.raw("UID ").number(entry.uid()).raw(" ");
        }
        if style.modseq {
            self.raw("MODSEQ (").number(entry.modseq()).raw(")");
            self.raw(if flags.is_some() { " " } else { "" });
        }
        if let Some(flags) = flags {
            self.raw("FLAGS ").flags(flags);
        }
        self.raw(")").crlf();
    }
}
