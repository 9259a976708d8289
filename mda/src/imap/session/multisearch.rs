//! ESEARCH, the command: a search of several mailboxes (RFC 7377).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::access::{as_shown, aside, named, shared_mailboxes};
use super::context::{Context, Correlator, Results};
use super::progress::Progress;
use super::search::{Sought, saved, test_in};
use super::{Done, Failure, NO_UIDS, Outcome, Session, bad};
use crate::fulltext::{FullText, Hits};
use crate::imap::parse::{MultiSearch, ReturnOptions, Search, Source};
use crate::imap::view::View;
use crate::store::{
    AccountId, EmailId, Entry, Index, MailStore, Mailbox, MailboxId, MailboxName, Right, StoreError, Uid,
};

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
        self.check_context_tag(tag, Some(returns))?;
        if search.key.asks_modseq() {
            self.enable_modseqs();
        }
        if self.selected.is_some() {
            self.check_still_readable()?;
            self.catch_up(NO_UIDS).await?;
            self.tell_contexts().await?;
        }
        let followed = self.followed(&search, returns)?;
        let mailboxes = self.sought_in(user, wanted).await?;
        if mailboxes.len() > MAILBOXES {
            return Ok(Outcome::no("LIMIT", "these are too many mailboxes"));
        }
        let mut command = Running { tag, user, search, returns, progress: None, followed, owner: None };
        command.progress = self.progress_in(tag, &mailboxes).await?;
        if returns.save && mailboxes.is_empty() {
            self.save_nothing();
        }
        let searched = self.search_all(&mut command, mailboxes).await;
        if let Some(owner) = command.owner.take() {
            owner.tell_read(&self.shared.options.full_text);
        }
        searched?;
        if returns.update && command.followed.is_some() {
            self.tell_no_update(tag, "no mailbox is followed but the selected one");
        }
        Ok(Outcome::ok("ESEARCH completed"))
    }

    async fn search_all(&mut self, command: &mut Running<'_>, found: Vec<Found>) -> Result<(), Failure> {
        for found in found {
            let searched = self.search_in(command, &found).await;
            if let Err(failure) = &searched
                && command.returns.save
            {
                self.save_failed(failure);
            }
            match searched {
                // Deleted meanwhile.
                Ok(()) | Err(Failure::Store(StoreError::NoSuchMailbox)) => self.wire.relieve().await?,
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Why the results cannot be followed, if they are to be; RFC 7377 §2.2: those of the selected mailbox are.
    fn followed(&self, search: &Search, returns: ReturnOptions) -> Result<Option<Followed>, Failure> {
        if !returns.update {
            return Ok(None);
        }
        if self.selected.is_none() {
            return Err(bad("UPDATE goes with a selected mailbox"));
        }
        Ok(Some(Followed { refused: self.why_not_followed(search) }))
    }

    /// None: the client knows nothing of it. There may be very many mailboxes: they are looked at on a thread that may
    /// block.
    async fn progress_in(&self, tag: &str, found: &[Found]) -> Result<Option<Progress>, Failure> {
        if !self.offers("INPROGRESS") {
            return Ok(None);
        }
        let ids: Vec<MailboxId> = found.iter().map(|found| found.mailbox.id).collect();
        let count = move |store: &S| {
            let mut messages = 0;
            for id in ids {
                messages += match store.status(id) {
                    Ok(status) => u64::from(status.messages),
                    Err(StoreError::NoSuchMailbox) => 0,
                    Err(failed) => return Err(failed),
                };
            }
            Ok(messages)
        };
        Ok(self.progress(tag, aside(&self.shared.store, count).await?))
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

    /// The mailboxes that are to be searched, once each, one owner's behind the other; by the names that the user sees.
    /// What may be read and not looked up is found where it is named.
    async fn sought_in(&self, user: AccountId, wanted: Wanted) -> Result<Vec<Found>, Failure> {
        let shares = self.offers("ACL");
        let selected =
            self.selected.as_ref().filter(|_| wanted.selected).map(|selected| selected.view.mailbox);
        let gather = move |store: &S| {
            let mut found: BTreeMap<MailboxId, Found> = BTreeMap::new();
            let mut put = |mailbox: Mailbox, is_named| {
                found.entry(mailbox.id).or_insert(Found { mailbox, is_named });
            };
            for name in &wanted.mailboxes {
                if let Some(mailbox) = named(store, user, name, shares)? {
                    put(mailbox, true);
                }
            }
            let own = store.mailboxes(user)?.into_iter();
            let shared = if shares { shared_mailboxes(store, user)? } else { Vec::new() };
            for mailbox in own.chain(shared.into_iter().map(|(mailbox, _)| mailbox)) {
                let is_selected = Some(mailbox.id) == selected;
                if is_selected || wanted.has(&mailbox, user) {
                    put(mailbox, is_selected);
                }
            }
            // The selected one may be one that is read and not looked up.
            if let Some(selected) = selected
                && let Some(mailbox) = store.mailbox_by_id(selected)?
                && let Some(mailbox) = as_shown(store, &mailbox)?
            {
                put(mailbox, true);
            }
            let mut found: Vec<Found> = found.into_values().collect();
            let owner_and_name = |found: &Found| (found.mailbox.account, found.mailbox.name.clone());
            found.sort_by_cached_key(owner_and_name);
            Ok(found)
        };
        aside(&self.shared.store, gather).await
    }

    async fn search_in(&mut self, command: &mut Running<'_>, found: &Found) -> Result<(), Failure> {
        let Found { mailbox, is_named } = found;
        // What others share may be taken back while the command goes on.
        let rights = self.rights_to(command.user, mailbox.account, mailbox.id)?;
        if !rights.has(Right::Read) || !(*is_named || rights.has(Right::Lookup)) {
            return Ok(());
        }
        let is_selected = self.selected.as_ref().is_some_and(|selected| selected.view.mailbox == mailbox.id);
        let (index, test) = if is_selected {
            let view = self.view()?;
            (Arc::clone(view.index()), test_in(view, command.search.clone())?)
        } else {
            let shared = Arc::clone(&self.shared.store.index(mailbox.id).await?.borrow());
            let personal = self.personal(command.user, mailbox, &shared).await?;
            let index = personal.map_or(shared, |personal| Arc::clone(personal.index()));
            let view = View::new(mailbox.id, true, Arc::clone(&index));
            (index, test_in(&view, command.search.clone())?)
        };
        let owner = match &mut command.owner {
            Some(owner) if owner.account == mailbox.account => owner,
            before => {
                let hits = self.hits(mailbox.account, &test).await;
                let owner = Owner { account: mailbox.account, hits, read: Vec::new() };
                if let Some(before) = before.replace(owner) {
                    before.tell_read(&self.shared.options.full_text);
                }
                before.as_mut().ok_or(StoreError::NoSuchAccount)?
            }
        };
        let sought = Sought::new(test, Arc::clone(&owner.hits));
        let found = self.find_in(&index, &sought, command.progress.as_mut(), &mut owner.read).await?;
        self.tell_found_in(command, mailbox, &index, &found);
        let followed = if is_selected { command.followed.take() } else { None };
        if let Some(Followed { refused }) = followed {
            let correlator = command.correlator(mailbox);
            let (sought, results) = (sought.to_be_followed(), Results::found(&found));
            let fetched = command.search.fetched.clone();
            let share = self.shared.contexts.share();
            self.follow_results(Context { correlator, uid: true, sought, results, fetched, share }, refused);
        }
        Ok(())
    }

    fn tell_found_in(&mut self, command: &Running<'_>, mailbox: &Mailbox, index: &Index, found: &[Uid]) {
        let returns = command.returns;
        if returns.save
            && let Some(selected) = &mut self.selected
        {
            selected.view.saved = saved(found, returns);
        }
        // RFC 7377 §2.1: nothing is told of mailboxes without a match.
        if found.is_empty() {
            return;
        }
        let told = saved(found, returns);
        let modseqs = told.iter().filter_map(|uid| index.get(uid)).map(Entry::modseq);
        let modseq = if command.search.key.asks_modseq() { modseqs.max() } else { None };
        self.esearch_head(&command.correlator(mailbox), true);
        self.tell_results(found, returns, modseq);
    }
}

/// A command on its way through the mailboxes.
struct Running<'a> {
    tag: &'a str,
    user: AccountId,
    search: Search,
    returns: ReturnOptions,
    progress: Option<Progress>,
    /// The results of the selected mailbox are to be followed, and are not yet.
    followed: Option<Followed>,
    /// Whose mailboxes are searched now.
    owner: Option<Owner>,
}

struct Followed {
    /// Why they cannot be.
    refused: Option<&'static str>,
}

/// A mailbox that is to be searched.
struct Found {
    mailbox: Mailbox,
    /// It was named, or is the selected one: that it may be read is enough.
    is_named: bool,
}

/// What is asked once for all mailboxes of one owner.
struct Owner {
    account: AccountId,
    /// What the search index says.
    hits: Arc<Hits>,
    /// What it should know.
    read: Vec<EmailId>,
}

impl Owner {
    fn tell_read(self, full_text: &FullText) {
        full_text.read_in_vain(self.account, self.read);
    }
}

impl Running<'_> {
    fn correlator(&self, mailbox: &Mailbox) -> Correlator {
        Correlator { tag: self.tag.to_owned(), mailbox: Some((mailbox.name.clone(), mailbox.uid_validity)) }
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
