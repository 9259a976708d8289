//! A session: commands in order, each answered before the next.

mod access;
mod acl;
mod append;
mod auth;
mod capability;
mod compress;
mod context;
mod copy;
mod enable;
mod expunge;
mod fetch;
mod idle;
mod list;
mod mailbox;
mod metadata;
mod modseq;
mod multisearch;
mod notify;
mod pattern;
mod progress;
mod quota;
mod search;
mod seen;
mod select;
mod sort;
mod store;
mod thread;
mod unauthenticate;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use service::listen::Permit;
use tokio::sync::watch;

use super::Shared;
use super::parse::{self, BadCommand, Command, Event, Literal, MessageSet, Reason, Request};
use super::response::{Condition, Outcome, uid_set};
use super::view::{Hearing, Update, Updates, View};
use super::wire::{Ended, Wire};
use crate::auth::{Stay, Tls};
use crate::store::{AccountId, Index, MailStore, MailboxName, Personal, StoreError, Uid, UidSet};

pub(crate) use capability::can_be_hidden;
use capability::{Client, Hidden};
pub(super) use context::Budget;
use context::Contexts;
use enable::{Enabled, Extension};
use notify::Notifying;

pub(super) struct Session<S> {
    shared: Arc<Shared<S>>,
    wire: Wire,
    peer: SocketAddr,
    /// TLS, once it is in use.
    tls: Option<Tls>,
    /// Who logged in.
    account: Option<AccountId>,
    /// Of whoever did, for as long as it lasts.
    stay: Option<Stay>,
    /// Of a client that has not logged in yet.
    stranger: Option<Permit>,
    selected: Option<Selected>,
    enabled: Enabled,
    /// None: the client did not ask, and hears of the selected mailbox with its commands.
    notify: Option<Box<Notifying>>,
    /// As it says; the network and the account besides decide what is hidden from it.
    client: Client,
    hidden: Hidden,
    /// Commands that were wrong, and logins that failed; after login those in a row: sessions last for days.
    errors: u32,
}

/// The selected mailbox.
struct Selected {
    /// Whose it is.
    owner: AccountId,
    view: View,
    /// The mailbox as it is now.
    news: watch::Receiver<Arc<Index>>,
    /// Of somebody else's mailbox: what this user has seen of it.
    personal: Option<Personal>,
    /// New messages are those from this UID on, for a client that wants something of them at once (RFC 5465 §5.2).
    fetched_below: Uid,
    /// Searches whose results the client follows.
    contexts: Contexts,
}

/// Why a command was not carried out.
enum Failure {
    /// The client is told, and the session goes on.
    Refused(Outcome),
    /// The store refused, or failed.
    Store(StoreError),
    /// Nothing failed: the client has had its tagged response already.
    Answered,
    /// The session cannot go on.
    Ended(Ended),
}

type Done = Result<Outcome, Failure>;

const NO_UIDS: &UidSet = &UidSet::none();

/// What the client may hear behind a command's own responses (RFC 9051 §7.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tidings {
    /// FETCH, STORE and SEARCH speak of message numbers, which must not change meanwhile.
    AllButExpunge,
    All,
}

impl<S: MailStore> Session<S> {
    pub(super) fn new(
        shared: Arc<Shared<S>>,
        wire: Wire,
        peer: SocketAddr,
        tls: Option<Tls>,
        stranger: Option<Permit>,
    ) -> Self {
        let mut session = Self {
            shared,
            wire,
            peer,
            tls,
            account: None,
            stay: None,
            stranger,
            selected: None,
            enabled: Enabled::default(),
            notify: None,
            client: Client::default(),
            hidden: Hidden::default(),
            errors: 0,
        };
        session.choose_hidden(None);
        session
    }

    pub(super) async fn run(mut self) {
        self.greet();
        let ended = loop {
            if let Err(ended) = self.step().await {
                break ended;
            }
        };
        tracing::debug!(peer = %self.peer, reason = %ended, "imap session ended");
        let words = match &ended {
            Ended::Silent => Some("you were silent for too long"),
            Ended::Shutdown => Some("the server is shutting down"),
            Ended::Bye(words) => Some(*words),
            Ended::Closed | Ended::Stuck | Ended::BrokenOff(_) | Ended::Unread(_) | Ended::Io(_) => None,
        };
        match ended {
            // Nothing more may be said: the client would take it for the rest of the response. Where a message was removed
            // and its space given back meanwhile, that is no fault of the store either.
            Ended::BrokenOff(_) | Ended::Unread(StoreError::Expunged) => {}
            Ended::Unread(error) => {
                tracing::error!(peer = %self.peer, %error, "a message cannot be read to its end");
                self.shared.options.metrics.store_errors.inc();
            }
            _ => self.wire.close(words).await,
        }
    }

    fn greet(&mut self) {
        let outcome = Outcome::ok(format!("{} ready", self.shared.options.hostname));
        let outcome = outcome.with_code(format!("CAPABILITY {}", self.capabilities()));
        self.wire.responses.untagged(&outcome);
    }

    async fn step(&mut self) -> Result<(), Ended> {
        let event = self.next_event().await?;
        self.shared.options.full_text.stand_back();
        match event {
            Event::Continue => self.wire.responses.continuation("go on"),
            Event::Command(frame) => self.command(frame).await?,
            Event::Append(head, literal) => {
                let tag = head.tag.clone();
                let done = Box::pin(self.append(*head, Some(literal))).await;
                self.finish(&tag, done, Tidings::All).await?;
            }
            Event::WrongAppend(wrong) => self.refuse_command(wrong)?,
            Event::LiteralTooLarge { tag, literal } => self.refuse_literal(tag, literal)?,
            Event::LineTooLong => return Err(Ended::Bye("the command is too long")),
            Event::Chunk(_) | Event::AppendMore(..) => return Err(Ended::Bye("out of step")),
        }
        self.shared.options.full_text.stand_back();
        Ok(())
    }

    /// RFC 7888 §4, §5: what was announced without waiting comes whatever we say, so that session is over.
    fn refuse_literal(&mut self, tag: Option<String>, literal: Literal) -> Result<(), Ended> {
        if !literal.synchronising {
            return Err(Ended::Bye("[TOOBIG] the literal is too large"));
        }
        let outcome = Outcome::no("TOOBIG", "the literal is too large");
        match tag {
            Some(tag) => self.wire.responses.tagged(&tag, &outcome),
            None => self.wire.responses.untagged(&Outcome::bad("the literal is too large")),
        }
        self.count_error()
    }

    async fn command(&mut self, frame: Bytes) -> Result<(), Ended> {
        match parse::request(frame) {
            Ok(Request { tag, command }) if !self.knows(&command) => {
                self.wire.responses.tagged(&tag, &Outcome::bad("unknown command"));
                self.count_error()
            }
            Ok(Request { tag, command }) => {
                let tidings = tidings_after(&command);
                let done = match (self.account, command) {
                    // It may last for days.
                    (Some(_), Command::Idle) => self.idle().await,
                    // What commands need while they run is not kept while the session waits for the next.
                    (_, command) => Box::pin(self.execute(&tag, command)).await,
                };
                self.finish(&tag, done, tidings).await
            }
            Err(bad) => self.refuse_command(bad),
        }
    }

    /// It is none.
    fn refuse_command(&mut self, bad: BadCommand) -> Result<(), Ended> {
        let outcome = Outcome::bad(match &bad.reason {
            Reason::UnknownCommand => "unknown command".to_owned(),
            Reason::Syntax(invalid) => invalid.to_string(),
        });
        match bad.tag {
            Some(tag) => self.wire.responses.tagged(&tag, &outcome),
            None => self.wire.responses.untagged(&outcome),
        }
        self.count_error()
    }

    /// Tells what else happened, then how the command ended.
    async fn finish(&mut self, tag: &str, done: Done, tidings: Tidings) -> Result<(), Ended> {
        let outcome = match done {
            Ok(outcome) | Err(Failure::Refused(outcome)) => outcome,
            Err(Failure::Store(error)) => self.store_refused(&error),
            Err(Failure::Answered) => return Ok(()),
            Err(Failure::Ended(ended)) => return Err(ended),
        };
        self.tell_all(tidings).await?;
        self.wire.responses.tagged(tag, &outcome);
        self.wire.relieve().await?;
        match outcome.condition {
            Condition::Bad => self.count_error(),
            Condition::Ok if self.account.is_some() => {
                self.errors = 0;
                Ok(())
            }
            Condition::Ok | Condition::No => Ok(()),
        }
    }

    fn count_error(&mut self) -> Result<(), Ended> {
        self.errors += 1;
        if self.errors < self.shared.options.limits.session_errors {
            Ok(())
        } else {
            Err(Ended::Bye("too many errors"))
        }
    }

    async fn execute(&mut self, tag: &str, command: Command) -> Done {
        match command {
            Command::Capability => Ok(self.capability()),
            Command::Noop => Ok(Outcome::ok("NOOP completed")),
            Command::Logout => self.logout(tag).await,
            Command::Id(fields) => Ok(self.identify(&fields)),
            Command::StartTls => self.start_tls(tag).await,
            Command::Login { username, password } => self.login(&username, &password).await,
            Command::Authenticate { mechanism, initial } => self.authenticate(&mechanism, initial).await,
            command => match self.account {
                Some(account) => self.execute_authenticated(tag, account, command).await,
                None => Err(bad("log in first")),
            },
        }
    }

    async fn execute_authenticated(&mut self, tag: &str, account: AccountId, command: Command) -> Done {
        self.check_uid_only(&command)?;
        match command {
            Command::Enable(names) => Ok(self.enable(&names)),
            Command::Compress { mechanism } => self.compress(tag, &mechanism).await,
            Command::Unauthenticate => self.unauthenticate(tag).await,
            Command::Namespace => Ok(self.namespace()),
            Command::GetQuota(root) => self.get_quota(account, &root),
            Command::GetQuotaRoot(mailbox) => self.get_quota_root(account, &mailbox),
            Command::SetQuota(root) => Self::set_quota(&root),
            Command::List(list) => self.list(account, list).await,
            Command::Lsub { reference, pattern } => self.lsub(account, &reference, &pattern).await,
            Command::Status { mailbox, items } => self.status(account, &mailbox, &items).await,
            Command::Create { mailbox, special_use } => self.create(account, &mailbox, &special_use).await,
            Command::Delete(mailbox) => self.delete(account, &mailbox).await,
            Command::Rename { from, to } => self.rename(account, &from, &to).await,
            Command::Subscribe(mailbox) => self.subscribe(account, &mailbox, true).await,
            Command::Unsubscribe(mailbox) => self.subscribe(account, &mailbox, false).await,
            Command::Select(select) => self.select(account, &select, false).await,
            Command::Examine(select) => self.select(account, &select, true).await,
            Command::Append(head) => self.append(head, None).await,
            Command::MultiSearch(command) => self.multisearch(tag, account, command).await,
            Command::Notify(notify) => self.notify(account, notify).await,
            Command::Acl(command) => self.acl(account, command).await,
            Command::GetMetadata(asked) => self.get_metadata(account, &asked).await,
            Command::SetMetadata(change) => self.set_metadata(account, change).await,
            command => match self.selected {
                Some(_) => self.execute_selected(tag, command).await,
                None => Err(bad("select a mailbox first")),
            },
        }
    }

    async fn execute_selected(&mut self, tag: &str, command: Command) -> Done {
        self.check_still_readable()?;
        match command {
            // RFC 6855 §3: the charset is UTF-8 then, and is not said.
            Command::Search { search, .. }
                if search.charset.is_some() && self.enabled.has(Extension::Utf8) =>
            {
                Err(bad("UTF8=ACCEPT is enabled: leave the charset out"))
            }
            Command::CancelUpdate(tags) => Ok(self.cancel_update(&tags)),
            Command::Check => Ok(Outcome::ok("CHECK completed")),
            Command::Close => self.close().await,
            Command::Unselect => Ok(self.unselect()),
            Command::Expunge { set } => self.expunge(set.as_ref()).await,
            Command::Search { uid, search } => self.search(tag, uid, search).await,
            Command::Sort { uid, sort } => self.sort(tag, uid, sort).await,
            Command::Thread { uid, thread } => self.thread(tag, uid, thread).await,
            Command::Fetch { uid, set, items, modifiers } => self.fetch(uid, &set, items, modifiers).await,
            Command::Store { uid, store } => self.store(uid, store).await,
            Command::Copy { uid, set, target } => self.copy(uid, &set, &target).await,
            Command::Move { uid, set, target } => self.move_messages(uid, &set, &target).await,
            _ => Err(bad("not now")),
        }
    }

    /// Brings the client's view of the selected mailbox up to date.
    async fn tell_news(&mut self, tidings: Tidings) -> Result<(), Ended> {
        let may_expunge = tidings == Tidings::All;
        loop {
            let news = self.has_news()?;
            let view = self.selected.as_ref().map(|selected| &selected.view);
            let owed = view.is_some_and(|view| may_expunge && view.owes_expunge() || view.withholds());
            if news || owed {
                self.follow(may_expunge, NO_UIDS).await?;
            }
            self.tell_contexts().await?;
            // What was fetched for contexts may have shown that more messages are gone.
            if !(may_expunge && self.selected.as_ref().is_some_and(|selected| selected.view.owes_expunge())) {
                return Ok(());
            }
        }
    }

    /// Whether something happened in the selected mailbox. It may be gone, or be shared no more.
    fn has_news(&self) -> Result<bool, Ended> {
        self.check_still_readable()?;
        let Some(selected) = &self.selected else { return Ok(false) };
        selected.news.has_changed().map_err(|_| Ended::Bye("the selected mailbox is gone"))
    }

    /// Lets a command see the mailbox as it is now: tells what else happened, as far as message numbers stay. Of the
    /// messages of `told` the command itself tells the flags.
    async fn catch_up(&mut self, told: &UidSet) -> Result<(), Ended> {
        self.follow(false, told).await
    }

    async fn follow(&mut self, may_expunge: bool, told: &UidSet) -> Result<(), Ended> {
        let hearing = Hearing {
            expunges: may_expunge,
            flags: self.notify.as_ref().is_none_or(|notify| notify.is_of_selected()),
            modseqs: self.style().modseq,
        };
        let by_uid = self.tells_vanished();
        let Some(index) = self.latest_index().await? else { return Ok(()) };
        if may_expunge {
            self.tell_left(&index).await?;
        }
        let Some(Selected { view, .. }) = &mut self.selected else { return Ok(()) };
        let Updates { gone, others } = view.follow(index, hearing, told);
        self.tell_gone(&gone, by_uid).await?;
        for update in others {
            self.tell(&update);
            self.wire.relieve().await?;
        }
        Ok(())
    }

    /// Given from the last: so each number is right whatever went before it.
    async fn tell_gone(&mut self, gone: &[(u32, Uid)], by_uid: bool) -> Result<(), Ended> {
        if by_uid && !gone.is_empty() {
            let uids: UidSet = gone.iter().map(|(_, uid)| *uid).collect();
            self.wire.responses.raw("* VANISHED ").raw(&uid_set(&uids)).crlf();
            return Ok(());
        }
        for (number, _) in gone {
            self.wire.responses.raw("* ").number(*number).raw(" EXPUNGE").crlf();
            self.wire.relieve().await?;
        }
        Ok(())
    }

    fn tell(&mut self, update: &Update) {
        let (rev2, style) = (self.rev2(), self.style());
        let responses = &mut self.wire.responses;
        match update {
            Update::Exists(count) => {
                responses.raw("* ").number(*count).raw(" EXISTS").crlf();
                if !rev2 {
                    responses.raw("* 0 RECENT").crlf();
                }
            }
            Update::Keywords => self.tell_keywords(),
            Update::Message { number, uid } => {
                let index = self.selected.as_ref().map(|selected| selected.view.index());
                if let Some((index, entry)) = index.and_then(|index| Some((index, index.get(*uid)?))) {
                    responses.flag_news(style, true, *number, entry, Some(&index.flags(entry)));
                }
            }
        }
    }

    /// `FLAGS`: those that are in use, or have a meaning of their own.
    fn tell_keywords(&mut self) {
        if let Some(selected) = &self.selected {
            let names = select::flag_names(&selected.view);
            self.wire.responses.raw("* FLAGS (").joined(names.iter().map(String::as_str)).raw(")").crlf();
        }
    }

    /// What a client is told when the store refuses (RFC 5530, RFC 9051 §7.1). What only an operator can mend is
    /// logged here, once.
    fn store_refused(&self, error: &StoreError) -> Outcome {
        let code = match error {
            StoreError::NoSuchMailbox | StoreError::NoSuchAccount => "NONEXISTENT",
            StoreError::AlreadyExists => "ALREADYEXISTS",
            StoreError::HasChildren => "HASCHILDREN",
            StoreError::InboxIsPermanent | StoreError::InvalidName(_) => "CANNOT",
            StoreError::OverLimit { .. } => "LIMIT",
            StoreError::Full | StoreError::OverQuota { .. } => "OVERQUOTA",
            StoreError::Expunged => "EXPUNGEISSUED",
            StoreError::Busy => "UNAVAILABLE",
            failed => {
                tracing::error!(peer = %self.peer, error = %failed, "the mail store failed");
                self.shared.options.metrics.store_errors.inc();
                // RFC 5530 §3: the first wants a person's attention, the second ends by itself.
                let code = match failed {
                    StoreError::CorruptBody { .. } | StoreError::CorruptState { .. } => "CORRUPTION",
                    _ => "UNAVAILABLE",
                };
                return Outcome::no(code, "the mail store failed at this");
            }
        };
        Outcome::no(code, error.to_string())
    }

    fn mailbox_name(&self, name: &[u8]) -> Result<MailboxName, Failure> {
        let text = self.encoding().decode(name).map_err(|error| bad(error.to_string()))?;
        MailboxName::parse(&text).map_err(|error| Failure::Store(error.into()))
    }

    fn view(&self) -> Result<&View, Failure> {
        self.selected.as_ref().map(|selected| &selected.view).ok_or_else(|| bad("select a mailbox first"))
    }

    fn writable_view(&self) -> Result<&View, Failure> {
        let view = self.view()?;
        if view.read_only {
            return Err(Failure::Refused(Outcome {
                condition: Condition::No,
                code: None,
                text: "the mailbox is open for reading only".into(),
            }));
        }
        Ok(view)
    }

    fn resolve(&self, set: &MessageSet, uid: bool) -> Result<UidSet, Failure> {
        self.view()?.resolve(set, uid).map_err(|error| bad(error.to_string()))
    }
}

fn tidings_after(command: &Command) -> Tidings {
    match command {
        Command::Fetch { uid: false, .. }
        | Command::Store { uid: false, .. }
        | Command::Search { uid: false, .. }
        | Command::Sort { uid: false, .. }
        | Command::Thread { uid: false, .. } => Tidings::AllButExpunge,
        _ => Tidings::All,
    }
}

fn bad(text: impl Into<String>) -> Failure {
    Failure::Refused(Outcome::bad(text))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Ended> for Failure {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}
