//! ESEARCH, the command: a search of several mailboxes (RFC 7377).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::access::{as_shown, aside, shared_mailboxes};
use super::progress::Progress;
use super::search::saved;
use super::{Done, Failure, NO_UIDS, Outcome, Session, bad};
use crate::imap::parse::{MultiSearch, ReturnOptions, Search, Source};
use crate::imap::view::View;
use crate::store::{AccountId, Entry, MailStore, Mailbox, MailboxName, Right, StoreError};

/// Mailboxes of one command.
const MAILBOXES: usize = 1_000;

/// Which mailboxes are searched.
#[derive(Default)]
struct Wanted {
    selected: bool,
    inboxes: bool,
    personal: bool,
    subscribed: bool,
    subtrees: HashSet<MailboxName>,
    /// With those right below.
    parents: HashSet<MailboxName>,
    mailboxes: HashSet<MailboxName>,
}

impl<S: MailStore> Session<S> {
    pub(super) async fn multisearch(&mut self, tag: &str, user: AccountId, command: MultiSearch) -> Done {
        let MultiSearch { sources, search } = command;
        let wanted = self.wanted(sources.as_deref().unwrap_or(&[Source::Selected]));
        let returns = search.returns.unwrap_or(ReturnOptions { all: true, ..ReturnOptions::default() });
        if wanted.selected && self.selected.is_none() {
            return Err(bad("select a mailbox first"));
        }
        if returns.save && !wanted.is_selected_alone() {
            return Err(bad("SAVE goes with the selected mailbox alone"));
        }
        if search.key.asks_modseq() {
            self.enable_modseqs();
        }
        if self.selected.is_some() {
            self.check_still_readable()?;
            self.catch_up(NO_UIDS).await?;
        }
        let mailboxes = self.sought_in(user, wanted).await?;
        if mailboxes.len() > MAILBOXES {
            return Ok(Outcome::no("LIMIT", "these are too many mailboxes"));
        }
        if returns.save && mailboxes.is_empty() {
            self.save_nothing();
        }
        let mut messages = 0;
        for mailbox in mailboxes.values() {
            messages += u64::from(self.status_of(mailbox, false).await?.map_or(0, |status| status.messages));
        }
        let mut progress = self.progress(tag, messages);
        for mailbox in mailboxes.into_values() {
            let searched =
                self.search_in(tag, user, &mailbox, search.clone(), returns, progress.as_mut()).await;
            if let Err(failure) = &searched
                && returns.save
            {
                self.save_failed(failure);
            }
            match searched {
                // Deleted meanwhile.
                Ok(()) | Err(Failure::Store(StoreError::NoSuchMailbox)) => self.wire.relieve().await?,
                Err(failure) => return Err(failure),
            }
        }
        Ok(Outcome::ok("ESEARCH completed"))
    }

    /// Names that are none name no mailbox.
    fn wanted(&self, sources: &[Source]) -> Wanted {
        let mut wanted = Wanted::default();
        for source in sources {
            let (to, names) = match source {
                Source::Selected => {
                    wanted.selected = true;
                    continue;
                }
                Source::Inboxes => {
                    wanted.inboxes = true;
                    continue;
                }
                Source::Personal => {
                    wanted.personal = true;
                    continue;
                }
                Source::Subscribed => {
                    wanted.subscribed = true;
                    continue;
                }
                Source::Subtree(names) => (&mut wanted.subtrees, names),
                Source::SubtreeOne(names) => (&mut wanted.parents, names),
                Source::Mailboxes(names) => (&mut wanted.mailboxes, names),
            };
            to.extend(names.iter().filter_map(|name| self.mailbox_name(name).ok()));
        }
        wanted
    }

    /// The mailboxes that are to be searched and may be, once each, by the names that the user sees. What may be read and
    /// not looked up is found where it is named.
    async fn sought_in(
        &self,
        user: AccountId,
        wanted: Wanted,
    ) -> Result<BTreeMap<MailboxName, Mailbox>, Failure> {
        let shares = self.offers("ACL");
        let selected =
            self.selected.as_ref().filter(|_| wanted.selected).map(|selected| selected.view.mailbox);
        let mut found = BTreeMap::new();
        for name in &wanted.mailboxes {
            if let Ok(mailbox) = self.existing(user, name, Right::Read) {
                found.insert(name.clone(), mailbox);
            }
        }
        let gather = move |store: &S| {
            let mut mailboxes = store.mailboxes(user)?;
            if shares {
                let shared = shared_mailboxes(store, user)?.into_iter();
                mailboxes
                    .extend(shared.filter(|(_, rights)| rights.has(Right::Read)).map(|(mailbox, _)| mailbox));
            }
            mailboxes.retain(|mailbox| Some(mailbox.id) == selected || wanted.has(mailbox, user));
            // The selected one may be one that is read and not looked up.
            if let Some(selected) = selected
                && !mailboxes.iter().any(|mailbox| mailbox.id == selected)
                && let Some(mailbox) = store.mailbox_by_id(selected)?
            {
                mailboxes.extend(as_shown(store, &mailbox)?);
            }
            Ok(mailboxes)
        };
        let gathered = aside(&self.shared.store, gather).await?;
        found.extend(gathered.into_iter().map(|mailbox| (mailbox.name.clone(), mailbox)));
        Ok(found)
    }

    async fn search_in(
        &mut self,
        tag: &str,
        user: AccountId,
        mailbox: &Mailbox,
        search: Search,
        returns: ReturnOptions,
        progress: Option<&mut Progress>,
    ) -> Result<(), Failure> {
        let asks_modseq = search.key.asks_modseq();
        let is_selected = self.selected.as_ref().is_some_and(|selected| selected.view.mailbox == mailbox.id);
        let (index, sought) = if is_selected {
            self.prepare(self.view()?, search).await?
        } else {
            let shared = Arc::clone(&self.shared.store.index(mailbox.id).await?.borrow());
            let personal = self.personal(user, mailbox, &shared).await?;
            let index = personal.map_or(shared, |personal| Arc::clone(personal.index()));
            self.prepare(&View::new(mailbox.id, true, index), search).await?
        };
        let found = self.find_in(&index, &sought, progress).await?;
        if returns.save
            && let Some(selected) = &mut self.selected
        {
            selected.view.saved = saved(&found, returns);
        }
        // RFC 7377 §2.1: nothing is told of mailboxes without a match.
        if found.is_empty() {
            return Ok(());
        }
        let told = saved(&found, returns);
        let modseqs = told.iter().filter_map(|uid| index.get(uid)).map(Entry::modseq);
        let modseq = if asks_modseq { modseqs.max() } else { None };
        let encoding = self.encoding();
        let responses = &mut self.wire.responses;
        responses.raw("* ESEARCH (TAG ").string(tag.as_bytes()).raw(" MAILBOX ");
        responses.mailbox(&mailbox.name, encoding);
        responses.raw(" UIDVALIDITY ").number(mailbox.uid_validity).raw(") UID");
        self.tell_results(&found, returns, modseq);
        Ok(())
    }
}

impl Wanted {
    fn is_selected_alone(&self) -> bool {
        let named = [&self.subtrees, &self.parents, &self.mailboxes].iter().any(|names| !names.is_empty());
        self.selected && !(named || self.inboxes || self.personal || self.subscribed)
    }

    /// The mailbox is wanted, other than as the selected one or by its own name.
    fn has(&self, mailbox: &Mailbox, user: AccountId) -> bool {
        let own = mailbox.account == user;
        let name = &mailbox.name;
        (self.personal && own)
            || (self.inboxes && own && name.is_inbox())
            || (self.subscribed && mailbox.subscribed)
            || self.subtrees.contains(name)
            || self.parents.contains(name)
            || name.superiors().last().is_some_and(|parent| self.parents.contains(&parent))
            || (!self.subtrees.is_empty() && name.superiors().any(|above| self.subtrees.contains(&above)))
    }
}
