//! NOTIFY (RFC 5465): the client hears of what happens in mailboxes, selected or not, whether or not a command is in
//! progress.
//!
//! What it was told last is kept here, and compared with what there is when something has changed.

mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::pin::Pin;

use futures_util::stream::SelectAll;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

use super::{Done, Failure, Outcome, Selected, Session, Tidings, bad};
use crate::imap::parse::{
    Event, FetchItem, FetchModifiers, MessageSet, Notify, SequenceSet, SetEnd, StatusItem,
};
use crate::imap::wire::Ended;
use crate::store::{AccountId, Annotated, MailStore, Mailbox, MailboxId, MailboxStatus, Right};

use wanted::{Events, Wanted};

/// Mailboxes of which one session hears.
const MAILBOXES: usize = 1_000;

/// What RFC 5465 §3.1 wants listed when something else is asked for.
const BAD_EVENT: &str = "BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange \
    MailboxMetadataChange ServerMetadataChange)";

/// The mailbox, whenever something happened in it.
type Changes = Pin<Box<dyn Stream<Item = MailboxId> + Send + Sync>>;

/// What a client hears of.
pub(super) struct Notifying {
    wanted: Wanted,
    /// Ticks when the list of mailboxes, subscriptions or annotations change.
    account: watch::Receiver<u64>,
    /// All mailboxes that the user may read, as they were told.
    mailboxes: BTreeMap<MailboxId, Known>,
    /// Mailboxes in which something happened.
    changes: SelectAll<Changes>,
    /// Those that came out of `changes` and were not looked at yet.
    changed: BTreeSet<MailboxId>,
    /// Those that are in `changes`.
    followed: BTreeSet<MailboxId>,
    /// Checksums of values by entry, where changes of them are wanted.
    annotations: BTreeMap<Annotated, BTreeMap<String, u32>>,
}

/// A mailbox as the client was told of it.
struct Known {
    mailbox: Mailbox,
    events: Events,
    status: MailboxStatus,
}

/// The client asks for more than one session may hear of.
struct Overflow;

impl Notifying {
    /// Waits until there may be something to be told. May be dropped while waiting, and loses nothing then.
    async fn changed(&mut self) {
        tokio::select! {
            changed = self.account.changed() => match changed {
                Ok(()) => self.account.mark_changed(),
                // The account is gone, as others will tell.
                Err(_) => pending().await,
            },
            Some(mailbox) = self.changes.next(), if !self.changes.is_empty() => {
                self.changed.insert(mailbox);
            }
        }
    }
}

impl Selected {
    /// The UIDs that messages got since they were last taken, if any did. Their end is not `*`: that is an old message
    /// if the new ones are gone already.
    fn take_unfetched(&mut self) -> Option<(SetEnd, SetEnd)> {
        let next = self.view.index().status().uid_next;
        let from = std::mem::replace(&mut self.fetched_below, next);
        (from < next).then_some((SetEnd::Number(from), SetEnd::Number(next - 1)))
    }
}

impl<S: MailStore> Session<S> {
    pub(super) fn notify(&mut self, user: AccountId, notify: Notify) -> Done {
        let (status, wanted) = match notify {
            Notify::None => (false, Wanted::default()),
            Notify::Set { status, groups } => {
                let decode = |name: &[u8]| self.mailbox_name(name);
                let wanted = Wanted::new(groups, decode);
                (status, wanted.ok_or_else(|| Failure::Refused(Outcome::no(BAD_EVENT, "no such event")))?)
            }
        };
        let mut account = self.shared.store.watch_account(user)?;
        account.mark_unchanged();
        let mut notifying = Box::new(Notifying {
            wanted,
            account,
            mailboxes: BTreeMap::new(),
            changes: SelectAll::new(),
            changed: BTreeSet::new(),
            followed: BTreeSet::new(),
            annotations: BTreeMap::new(),
        });
        let now = self.readable(user)?;
        if self.follow_mailboxes(&mut notifying, now)?.is_err() {
            return Ok(Outcome::no("NOTIFICATIONOVERFLOW", "these are too many mailboxes"));
        }
        notifying.annotations = self.annotations_of(user, &notifying)?;
        if status {
            self.tell_all_status(&notifying)?;
        }
        if let Some(selected) = &mut self.selected {
            selected.take_unfetched();
        }
        self.notify = Some(notifying);
        Ok(Outcome::ok("NOTIFY completed"))
    }

    fn tell_all_status(&mut self, notifying: &Notifying) -> Result<(), Failure> {
        let selected = self.selected.as_ref().map(|selected| selected.view.mailbox);
        for known in notifying.mailboxes.values().filter(|known| known.events.messages) {
            if Some(known.mailbox.id) != selected {
                let mut items = vec![StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity];
                items.extend(known.events.flags.then_some(StatusItem::Unseen));
                items.extend(self.style().modseq.then_some(StatusItem::HighestModSeq));
                self.tell_status(&known.mailbox, &items)?;
            }
        }
        Ok(())
    }

    /// The mailboxes that the user may see and read, under the names that the user sees.
    fn readable(&self, user: AccountId) -> Result<BTreeMap<MailboxId, Mailbox>, Failure> {
        let subscriptions = self.shared.store.subscriptions(user)?;
        let mut readable = BTreeMap::new();
        let own = self.shared.store.mailboxes(user)?;
        for mut mailbox in own.into_iter().chain(self.shared_mailboxes(user)?) {
            if self.rights_to(user, mailbox.account, mailbox.id)?.has(Right::Read) {
                mailbox.subscribed = subscriptions.contains(&mailbox.name);
                readable.insert(mailbox.id, mailbox);
            }
        }
        Ok(readable)
    }

    /// Takes over which mailboxes there are now.
    fn follow_mailboxes(
        &self,
        notifying: &mut Notifying,
        now: BTreeMap<MailboxId, Mailbox>,
    ) -> Result<Result<(), Overflow>, Failure> {
        let mut before = std::mem::take(&mut notifying.mailboxes);
        let user = self.account.unwrap_or(AccountId(0));
        for (id, mailbox) in now {
            let events = notifying.wanted.events(&mailbox, user);
            if events.messages && notifying.followed.insert(id) {
                if notifying.followed.len() > MAILBOXES {
                    return Ok(Err(Overflow));
                }
                let news = WatchStream::from_changes(self.shared.store.watch(id)?);
                notifying.changes.push(Box::pin(news.map(move |_| id)));
            }
            let status = match before.remove(&id) {
                Some(known) => known.status,
                None => self.shared.store.status(id)?,
            };
            notifying.mailboxes.insert(id, Known { mailbox, events, status });
        }
        for gone in before.into_keys() {
            notifying.followed.remove(&gone);
        }
        Ok(Ok(()))
    }

    fn annotations_of(
        &self,
        user: AccountId,
        notifying: &Notifying,
    ) -> Result<BTreeMap<Annotated, BTreeMap<String, u32>>, Failure> {
        let mailboxes = notifying.mailboxes.values().filter(|known| known.events.metadata);
        let places = mailboxes.map(|known| Some(known.mailbox.id));
        let mut found = BTreeMap::new();
        for place in places.chain(notifying.wanted.server_metadata.then_some(None)) {
            let annotations = self.shared.store.annotations(user, place)?.into_iter();
            let checked = annotations
                .map(|annotation| (annotation.entry, crc32c::crc32c(&annotation.value.unwrap_or_default())));
            found.insert(place, checked.collect());
        }
        Ok(found)
    }

    /// The next thing from the client. A client that asked to be notified hears of what happens meanwhile.
    pub(super) async fn next_event(&mut self) -> Result<Event, Ended> {
        loop {
            let Some(notifying) = &self.notify else { return self.wire.event().await };
            if let Some(event) = self.wire.buffered_event() {
                return Ok(event);
            }
            let delayed = notifying.wanted.selected.as_ref().is_some_and(|selected| selected.delayed);
            self.tell_all(if delayed { Tidings::AllButExpunge } else { Tidings::All }).await?;
            self.wire.flush().await?;
            self.wait_for_news().await?;
        }
    }

    /// Waits for octets from the client, or for something to tell it.
    pub(super) async fn wait_for_news(&mut self) -> Result<(), Ended> {
        let of_selected = self.notify.as_ref().is_none_or(|notify| notify.wanted.selected.is_some());
        let selected = async {
            match &mut self.selected {
                // Waiting marks it as seen, which it is not. An error is a mailbox that was deleted, as `tell_news`
                // will find.
                Some(selected) if of_selected => {
                    let _ = selected.news.changed().await;
                    selected.news.mark_changed();
                }
                _ => pending().await,
            }
        };
        let others = async {
            match &mut self.notify {
                Some(notify) => notify.changed().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = selected => Ok(()),
            () = others => Ok(()),
            heard = self.wire.wait() => heard,
        }
    }

    /// Brings the client up to date with all that it wants to hear of.
    pub(super) async fn tell_all(&mut self, tidings: Tidings) -> Result<(), Ended> {
        let Some(mut notifying) = self.notify.take() else { return self.tell_news(tidings).await };
        let told = self.tell_others(&mut notifying).await;
        let of_selected = notifying.wanted.selected.clone();
        self.notify = Some(notifying);
        match told {
            Ok(Ok(())) => {}
            Ok(Err(Overflow)) => {
                if let Some(notifying) = &mut self.notify {
                    notifying.wanted = Wanted::default();
                    notifying.mailboxes.values_mut().for_each(|known| known.events = Events::default());
                }
                let overflow = Outcome::ok("these are too many mailboxes").with_code("NOTIFICATIONOVERFLOW");
                self.wire.responses.untagged(&overflow);
            }
            Err(Failure::Ended(ended)) => return Err(ended),
            // It is told the next time.
            Err(_) => tracing::debug!(peer = %self.peer, "cannot see what changed for a client"),
        }
        match of_selected {
            Some(selected) => self.tell_of_selected(tidings, &selected.items).await,
            // It may be gone all the same.
            None => self.has_news().map(drop),
        }
    }

    /// News of the selected mailbox; of new messages besides what the client wants to know at once, whichever command
    /// it was that found them.
    async fn tell_of_selected(&mut self, tidings: Tidings, items: &[FetchItem]) -> Result<(), Ended> {
        self.tell_news(tidings).await?;
        if items.is_empty() {
            return Ok(());
        }
        while let Some(new) = self.selected.as_mut().and_then(Selected::take_unfetched) {
            let new = MessageSet::Numbers(SequenceSet(vec![new]));
            if let Err(Failure::Ended(ended)) =
                self.fetch(true, &new, items.to_vec(), FetchModifiers::default()).await
            {
                return Err(ended);
            }
        }
        Ok(())
    }

    async fn tell_others(&mut self, notifying: &mut Notifying) -> Result<Result<(), Overflow>, Failure> {
        let user = self.account.ok_or_else(|| bad("log in first"))?;
        if notifying.account.has_changed().unwrap_or(false) {
            notifying.account.mark_unchanged();
            let now = self.readable(user)?;
            self.tell_names(notifying, &now).await?;
            if self.follow_mailboxes(notifying, now)?.is_err() {
                return Ok(Err(Overflow));
            }
            self.tell_annotations(user, notifying)?;
        }
        for id in std::mem::take(&mut notifying.changed) {
            let Some(known) = notifying.mailboxes.get_mut(&id) else { continue };
            let rights = self.rights_to(user, known.mailbox.account, id)?;
            // What was shared may be so no more, and the tick that tells it still to come.
            if rights.has(Right::Lookup) && rights.has(Right::Read) {
                self.tell_other(known)?;
                self.wire.relieve().await?;
            }
        }
        Ok(Ok(()))
    }

    /// LIST responses for mailboxes that came, went, got another name or another subscription (RFC 5465 §5.4, §5.5).
    async fn tell_names(
        &mut self,
        notifying: &Notifying,
        now: &BTreeMap<MailboxId, Mailbox>,
    ) -> Result<(), Failure> {
        let user = self.account.unwrap_or(AccountId(0));
        for known in notifying.mailboxes.values() {
            if known.events.names && !now.contains_key(&known.mailbox.id) {
                self.tell_name(&known.mailbox, "\\NonExistent", None);
                self.wire.relieve().await?;
            }
        }
        for mailbox in now.values() {
            let events = notifying.wanted.events(mailbox, user);
            let before = notifying.mailboxes.get(&mailbox.id).map(|known| &known.mailbox);
            let attributes = if mailbox.subscribed { "\\Subscribed" } else { "" };
            match before {
                None if events.names => self.tell_name(mailbox, attributes, None),
                Some(before) if before.name != mailbox.name && events.names => {
                    self.tell_name(mailbox, attributes, Some(before));
                }
                Some(before) if before.subscribed != mailbox.subscribed && events.subscriptions => {
                    self.tell_name(mailbox, attributes, None);
                }
                _ => {}
            }
            self.wire.relieve().await?;
        }
        Ok(())
    }

    fn tell_name(&mut self, mailbox: &Mailbox, attributes: &str, before: Option<&Mailbox>) {
        let encoding = self.encoding();
        let responses = &mut self.wire.responses;
        responses.raw("* LIST (").raw(attributes).raw(") \"/\" ").mailbox(&mailbox.name, encoding);
        if let Some(before) = before {
            responses.raw(" (\"OLDNAME\" (").mailbox(&before.name, encoding).raw("))");
        }
        responses.crlf();
    }

    /// A STATUS response for a mailbox that is not selected (RFC 5465 §5.1 to §5.3).
    fn tell_other(&mut self, known: &mut Known) -> Result<(), Failure> {
        let Ok(now) = self.shared.store.status(known.mailbox.id) else { return Ok(()) };
        let before = std::mem::replace(&mut known.status, now);
        if self.selected.as_ref().is_some_and(|selected| selected.view.mailbox == known.mailbox.id) {
            return Ok(());
        }
        let mut items = Vec::new();
        if (before.messages, before.uid_next) != (now.messages, now.uid_next) && known.events.messages {
            items.extend([StatusItem::Messages, StatusItem::UidNext]);
        }
        if known.events.flags && before.unseen != now.unseen {
            items.push(StatusItem::Unseen);
        }
        if self.style().modseq && (!items.is_empty() || known.events.flags) {
            items.extend([StatusItem::UidValidity, StatusItem::HighestModSeq]);
        }
        if items.is_empty() { Ok(()) } else { self.tell_status(&known.mailbox, &items) }
    }

    /// The entries that changed, by name (RFC 5464 §4.4.2).
    fn tell_annotations(&mut self, user: AccountId, notifying: &mut Notifying) -> Result<(), Failure> {
        let now = self.annotations_of(user, notifying)?;
        let before = std::mem::take(&mut notifying.annotations);
        for (place, entries) in &now {
            let Some(old) = before.get(place) else { continue };
            let name = match place {
                None => "",
                Some(mailbox) => {
                    notifying.mailboxes.get(mailbox).map_or("", |known| known.mailbox.name.as_str())
                }
            };
            let both: BTreeSet<&String> = old.keys().chain(entries.keys()).collect();
            let changed = both.into_iter().filter(|entry| old.get(*entry) != entries.get(*entry));
            let changed: Vec<&String> = changed.collect();
            if !changed.is_empty() {
                self.tell_entries(name, &changed);
            }
        }
        notifying.annotations = now;
        Ok(())
    }

    fn tell_entries(&mut self, name: &str, entries: &[&String]) {
        let encoding = self.encoding();
        let responses = &mut self.wire.responses;
        responses.raw("* METADATA ").mailbox_text(name, encoding);
        for entry in entries {
            responses.raw(" ").astring(entry.as_bytes());
        }
        responses.crlf();
    }
}
