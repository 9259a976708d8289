//! NOTIFY (RFC 5465): the client hears of what happens in mailboxes, selected or not, whether or not a command is in
//! progress.
//!
//! What it was told last is kept here, and compared with what there is when something has changed.

mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{AbortHandle, SelectAll, abortable};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

use super::access::{aside, shared_mailboxes};
use super::{Done, Failure, Outcome, Selected, Session, Tidings, bad};
use crate::imap::parse::{
    Event, FetchItem, FetchModifiers, MessageSet, Notify, SequenceSet, SetEnd, StatusItem,
};
use crate::imap::wire::Ended;
use crate::store::{
    AccountId, Annotated, MailStore, Mailbox, MailboxId, MailboxStatus, Noted, Right, StoreError,
};

use wanted::{Events, Wanted};

/// Mailboxes in which one session follows each change.
const MAILBOXES: usize = 1_000;

/// What RFC 5465 §3.1 wants listed when something else is asked for.
const BAD_EVENT: &str = "BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange \
    MailboxMetadataChange ServerMetadataChange)";

/// Where something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Messages(MailboxId),
    Annotations(Annotated),
}

/// The place, whenever something happened there.
type Changes = Pin<Box<dyn Stream<Item = Place> + Send + Sync>>;

/// What a client hears of.
pub(super) struct Notifying {
    wanted: Arc<Wanted>,
    /// Ticks when the list of mailboxes or subscriptions changes.
    account: watch::Receiver<u64>,
    /// It ticked, and the client was not told yet.
    list_changed: bool,
    /// All mailboxes that the user may read, as they were told.
    mailboxes: BTreeMap<MailboxId, Known>,
    /// The entries of annotations that changed, as they were told.
    annotations: BTreeMap<Annotated, Annotations>,
    changes: SelectAll<Changes>,
    /// Those in `changes`.
    followed: BTreeMap<Place, AbortHandle>,
    /// What came out of `changes` and was not told yet.
    changed: BTreeSet<Place>,
}

/// A mailbox as the client was told of it.
struct Known {
    mailbox: Mailbox,
    events: Events,
    /// Where changes of messages are told.
    status: Option<MailboxStatus>,
}

struct Annotations {
    news: watch::Receiver<Arc<Noted>>,
    told: Arc<Noted>,
}

/// What there is now: mailboxes that the user may read, with what is wanted of each.
type Present = BTreeMap<MailboxId, (Mailbox, Events)>;

/// The client asks for more than one session may hear of.
struct Overflow;

impl Notifying {
    fn new(wanted: Wanted, account: watch::Receiver<u64>) -> Self {
        Self {
            wanted: Arc::new(wanted),
            account,
            list_changed: false,
            mailboxes: BTreeMap::new(),
            annotations: BTreeMap::new(),
            changes: SelectAll::new(),
            followed: BTreeMap::new(),
            changed: BTreeSet::new(),
        }
    }

    /// The client wants to hear of the selected mailbox.
    pub(super) fn is_of_selected(&self) -> bool {
        self.wanted.selected.is_some()
    }

    /// Waits until there may be something to be told. May be dropped while waiting, and loses nothing then.
    async fn changed(&mut self) {
        tokio::select! {
            changed = self.account.changed() => match changed {
                Ok(()) => self.list_changed = true,
                // The account is gone, as others will tell.
                Err(_) => pending().await,
            },
            Some(place) = self.changes.next(), if !self.changes.is_empty() => {
                self.changed.insert(place);
            }
        }
    }

    /// Whether the list of mailboxes is to be looked at.
    fn list_has_changed(&mut self) -> bool {
        if self.account.has_changed().unwrap_or(false) {
            self.account.mark_unchanged();
            self.list_changed = true;
        }
        self.list_changed
    }

    fn follow(&mut self, place: Place, changes: impl Stream<Item = Place> + Send + Sync + 'static) {
        let (changes, end) = abortable(changes);
        self.changes.push(Box::pin(changes));
        self.followed.insert(place, end);
    }

    fn leave(&mut self, place: Place) {
        if let Some(end) = self.followed.remove(&place) {
            end.abort();
            self.changed.remove(&place);
        }
    }

    fn forget(&mut self, mailbox: MailboxId) {
        self.leave(Place::Messages(mailbox));
        self.leave(Place::Annotations(Some(mailbox)));
        self.annotations.remove(&Some(mailbox));
    }

    /// The client hears of nothing more, but of the selected mailbox with its commands.
    fn end(&mut self) {
        *self = Self::new(Wanted::default(), self.account.clone());
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
    pub(super) async fn notify(&mut self, user: AccountId, notify: Notify) -> Done {
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
        let mut notifying = Box::new(Notifying::new(wanted, account));
        let present = self.present(user, &notifying.wanted).await?;
        if self.take_over(user, &mut notifying, present).await?.is_err() {
            return Ok(Outcome::no("NOTIFICATIONOVERFLOW", "these are too many mailboxes"));
        }
        self.tell_unreadable(user, &notifying.wanted).await?;
        if status {
            self.tell_all_status(&notifying).await?;
        }
        if let Some(selected) = &mut self.selected {
            selected.take_unfetched();
        }
        self.notify = Some(notifying);
        Ok(Outcome::ok("NOTIFY completed"))
    }

    /// Mailboxes that the user may look up and not read, so that what happens in them is not told (RFC 5465 §3.1).
    async fn tell_unreadable(&mut self, user: AccountId, wanted: &Arc<Wanted>) -> Result<(), Failure> {
        if !(wanted.is_of_others() && self.offers("ACL")) {
            return Ok(());
        }
        let wanted = Arc::clone(wanted);
        let read = move |store: &S| {
            let mut shared = shared_mailboxes(store, user)?;
            shared.retain(|(mailbox, rights)| {
                !rights.has(Right::Read) && wanted.events(mailbox, user).are_of_contents()
            });
            Ok(shared)
        };
        for (mailbox, _) in aside(&self.shared.store, read).await? {
            self.tell_name(&mailbox, "\\NoAccess", None);
            self.wire.relieve().await?;
        }
        Ok(())
    }

    async fn tell_all_status(&mut self, notifying: &Notifying) -> Result<(), Failure> {
        let selected = self.selected.as_ref().map(|selected| selected.view.mailbox);
        for known in notifying.mailboxes.values().filter(|known| known.events.messages) {
            if Some(known.mailbox.id) != selected {
                let mut items = vec![StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity];
                items.extend(known.events.flags.then_some(StatusItem::Unseen));
                // RFC 5465 §3.1: with flags also for those who have not enabled modseqs.
                let modseqs = self.style().modseq || known.events.flags && self.offers("CONDSTORE");
                items.extend(modseqs.then_some(StatusItem::HighestModSeq));
                self.tell_status(&known.mailbox, &items).await?;
                self.wire.relieve().await?;
            }
        }
        Ok(())
    }

    /// The mailboxes that the user may see and read, under the names that the user sees. There may be very many: they
    /// are read, and what is wanted of each is found, on a thread that may block.
    async fn present(&self, user: AccountId, wanted: &Arc<Wanted>) -> Result<Present, Failure> {
        if !wanted.is_of_others() {
            return Ok(Present::new());
        }
        let (wanted, shares) = (Arc::clone(wanted), self.offers("ACL"));
        let read = move |store: &S| {
            let mut mailboxes = store.mailboxes(user)?;
            if shares {
                let shared = shared_mailboxes(store, user)?.into_iter();
                mailboxes
                    .extend(shared.filter(|(_, rights)| rights.has(Right::Read)).map(|(mailbox, _)| mailbox));
            }
            let with_events = mailboxes.into_iter().map(|mailbox| {
                let events = wanted.events(&mailbox, user);
                (mailbox.id, (mailbox, events))
            });
            Ok(with_events.collect())
        };
        aside(&self.shared.store, read).await
    }

    /// Takes over which mailboxes there are now, whole or not at all; gives those that there were.
    async fn take_over(
        &self,
        user: AccountId,
        notifying: &mut Notifying,
        present: Present,
    ) -> Result<Result<BTreeMap<MailboxId, Known>, Overflow>, Failure> {
        if present.values().filter(|(_, events)| events.are_of_contents()).count() > MAILBOXES {
            return Ok(Err(Overflow));
        }
        let mut mailboxes = BTreeMap::new();
        for (id, (mailbox, events)) in present {
            let status = match self.follow_contents(user, notifying, &mailbox, events).await {
                Ok(status) => status,
                // Deleted since it was listed; the tick that tells it is to come.
                Err(Failure::Store(StoreError::NoSuchMailbox)) => continue,
                Err(failure) => return Err(failure),
            };
            mailboxes.insert(id, Known { mailbox, events, status });
        }
        if notifying.wanted.server_metadata {
            self.follow_annotations(user, notifying, None)?;
        }
        let before = std::mem::replace(&mut notifying.mailboxes, mailboxes);
        for gone in
            before.keys().filter(|id| !notifying.mailboxes.contains_key(id)).copied().collect::<Vec<_>>()
        {
            notifying.forget(gone);
        }
        Ok(Ok(before))
    }

    /// Hears of what happens in a mailbox from now on, as far as that is wanted.
    async fn follow_contents(
        &self,
        user: AccountId,
        notifying: &mut Notifying,
        mailbox: &Mailbox,
        events: Events,
    ) -> Result<Option<MailboxStatus>, Failure> {
        let id = mailbox.id;
        if events.metadata {
            self.follow_annotations(user, notifying, Some(id))?;
        }
        if !events.messages {
            notifying.leave(Place::Messages(id));
            return Ok(None);
        }
        let place = Place::Messages(id);
        if !notifying.followed.contains_key(&place) {
            let news = WatchStream::from_changes(self.shared.store.watch(id)?);
            notifying.follow(place, news.map(move |_| place));
        }
        match notifying.mailboxes.get(&id).and_then(|known| known.status) {
            Some(told) => Ok(Some(told)),
            None => {
                let status = self.status_of(mailbox, events.flags).await?;
                Ok(Some(status.ok_or(StoreError::NoSuchMailbox)?))
            }
        }
    }

    fn follow_annotations(
        &self,
        user: AccountId,
        notifying: &mut Notifying,
        annotated: Annotated,
    ) -> Result<(), Failure> {
        let place = Place::Annotations(annotated);
        if notifying.followed.contains_key(&place) {
            return Ok(());
        }
        let mut news = self.shared.store.watch_annotations(user, annotated)?;
        let told = Arc::clone(&news.borrow_and_update());
        notifying.follow(place, WatchStream::from_changes(news.clone()).map(move |_| place));
        notifying.annotations.insert(annotated, Annotations { news, told });
        Ok(())
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
        let of_selected = self.notify.as_ref().is_none_or(|notify| notify.is_of_selected());
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
        let told = Box::pin(self.tell_others(&mut notifying)).await;
        let of_selected = notifying.wanted.selected.clone();
        self.notify = Some(notifying);
        match told {
            Ok(Ok(())) => {}
            Ok(Err(Overflow)) => {
                if let Some(notifying) = &mut self.notify {
                    notifying.end();
                }
                let overflow = Outcome::ok("these are too many mailboxes").with_code("NOTIFICATIONOVERFLOW");
                self.wire.responses.untagged(&overflow);
            }
            Err(Failure::Ended(ended)) => return Err(ended),
            // What was not told stays to be told, at the client's next command or with the next change.
            Err(failure) => self.note_untold(&failure),
        }
        match of_selected {
            Some(selected) => self.tell_of_selected(tidings, &selected.items).await,
            // It may be gone all the same.
            None => {
                self.has_news()?;
                self.tell_contexts().await
            }
        }
    }

    /// News of the selected mailbox; of new messages besides what the client wants to know at once, whichever command
    /// it was that found them.
    async fn tell_of_selected(&mut self, tidings: Tidings, items: &[FetchItem]) -> Result<(), Ended> {
        loop {
            self.tell_news(tidings).await?;
            if items.is_empty() {
                return Ok(());
            }
            let new = self.selected.as_mut().and_then(Selected::take_unfetched);
            let Some(new) = new else { return Ok(()) };
            let new = MessageSet::Numbers(SequenceSet(vec![new]));
            let fetched = Box::pin(self.fetch(true, &new, items.to_vec(), FetchModifiers::default())).await;
            if let Err(Failure::Ended(ended)) = fetched {
                return Err(ended);
            }
            // What it found in the mailbox besides is to be told as well.
        }
    }

    fn note_untold(&self, failure: &Failure) {
        match failure {
            Failure::Store(error) => drop(self.store_refused(error)),
            _ => tracing::debug!(peer = %self.peer, "cannot see what changed for a client"),
        }
    }

    async fn tell_others(&mut self, notifying: &mut Notifying) -> Result<Result<(), Overflow>, Failure> {
        let user = self.account.ok_or_else(|| bad("log in first"))?;
        if notifying.list_has_changed() {
            let present = self.present(user, &notifying.wanted).await?;
            let Ok(before) = self.take_over(user, notifying, present).await? else {
                return Ok(Err(Overflow));
            };
            notifying.list_changed = false;
            self.tell_names(&before, &notifying.mailboxes).await?;
        }
        let mut failed = Ok(());
        for place in std::mem::take(&mut notifying.changed) {
            match self.tell_change(user, notifying, place).await {
                Ok(()) => self.wire.relieve().await?,
                Err(failure) => {
                    notifying.changed.insert(place);
                    failed = Err(failure);
                }
            }
        }
        failed.map(Ok)
    }

    async fn tell_change(
        &mut self,
        user: AccountId,
        notifying: &mut Notifying,
        place: Place,
    ) -> Result<(), Failure> {
        if let Place::Messages(id) | Place::Annotations(Some(id)) = place {
            let Some(known) = notifying.mailboxes.get_mut(&id) else { return Ok(()) };
            let rights = self.rights_to(user, known.mailbox.account, id)?;
            // What was shared may be so no more, and the tick that tells it still to come.
            if !(rights.has(Right::Lookup) && rights.has(Right::Read)) {
                return Ok(());
            }
            if place == Place::Messages(id) {
                return self.tell_other(known).await;
            }
        }
        self.tell_annotations(user, notifying, place);
        Ok(())
    }

    /// LIST responses for mailboxes that came, went, got another name or another subscription (RFC 5465 §5.4, §5.5).
    async fn tell_names(
        &mut self,
        before: &BTreeMap<MailboxId, Known>,
        now: &BTreeMap<MailboxId, Known>,
    ) -> Result<(), Failure> {
        for (id, known) in before {
            if known.events.names && !now.contains_key(id) {
                self.tell_name(&known.mailbox, "\\NonExistent", None);
                self.wire.relieve().await?;
            }
        }
        for (id, Known { mailbox, events, .. }) in now {
            let attributes = if mailbox.subscribed { "\\Subscribed" } else { "" };
            match before.get(id).map(|known| &known.mailbox) {
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
    async fn tell_other(&mut self, known: &mut Known) -> Result<(), Failure> {
        let Some(now) = self.status_of(&known.mailbox, known.events.flags).await? else { return Ok(()) };
        let before = known.status.replace(now).unwrap_or(now);
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
        if !items.is_empty() {
            self.tell_status_as(&known.mailbox, &items, &now);
        }
        Ok(())
    }

    /// The entries that changed, by name (RFC 5464 §4.4.2).
    fn tell_annotations(&mut self, user: AccountId, notifying: &mut Notifying, place: Place) {
        let Place::Annotations(annotated) = place else { return };
        let Some(annotations) = notifying.annotations.get_mut(&annotated) else { return };
        let now = Arc::clone(&annotations.news.borrow_and_update());
        let before = std::mem::replace(&mut annotations.told, Arc::clone(&now));
        let is_seen = |account: AccountId| account == user || account == AccountId(0);
        let changed = now.iter().filter(|((account, entry), number)| {
            is_seen(*account) && before.get(&(*account, entry.clone())) != Some(number)
        });
        let changed: Vec<&String> = changed.map(|((_, entry), _)| entry).collect();
        let known = annotated.map(|id| notifying.mailboxes.get(&id));
        let name = known.map_or(Some(""), |known| Some(known?.mailbox.name.as_str()));
        if let (false, Some(name)) = (changed.is_empty(), name) {
            self.tell_entries(name, &changed);
        }
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
