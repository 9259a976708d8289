//! The store of one machine: a journal and the rows that follow it.

mod accounts;
mod across;
mod aliases;
mod anew;
mod change;
mod check;
mod housekeeping;
mod index;
mod kept;
mod mailboxes;
mod notes;
mod open;
mod outlines;
mod pace;
mod place;
mod quota;
mod read;
mod reclaim;
mod seen;
mod sweep;
mod together;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use journal::{Journal, Record};
use message::MessageId;
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::watch;
use tokio::task::JoinError;

pub use open::Opened;
pub(super) use read::left_of_removed_mailboxes;
pub(super) use together::NOBODY;

use super::damage::DamageMark;
use super::failure::Failure;
use super::folder_lock::FolderLock;
use super::gate::Gates;
use super::index::{Index, Indexes};
use super::news::News;
use super::recent::Recent;
use super::record::{Change, Marks, RECORD_KIND};
use super::state::State;
use super::table::Table;
use super::{
    Account, AccountId, Alias, Annotated, Annotation, AppPassword, Append, BodySource, Copied, Delivery,
    Destination, EmailId, FlagChange, Grant, Kept, KeptFilter, Located, MailStore, Mailbox, MailboxId,
    MailboxName, MailboxStatus, ModSeq, NewAccount, Noted, Password, Placement, Quota, QuotaStatus, Receipt,
    Result, Rights, Row, SeenMarks, SpecialUse, StagedBody, StoreConfig, StoreError, Uid, UidSet, Usage,
};
use crate::outline::Outline;
use housekeeping::Housekeeper;
use pace::Pace;

/// Mail in a folder of this machine. Clones are one store.
///
/// The journal is the truth: a change is one record of it, durable before the change is reported as done. The rows
/// (sled) are what applying the records in order gives; they are committed without a sync of their own, for what a
/// crash takes of them the journal gives again.
#[derive(Debug, Clone)]
pub struct LocalStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: StoreConfig,
    journal: Journal<()>,
    table: Table,
    state: Arc<Mutex<State>>,
    indexes: Arc<Indexes>,
    news: Arc<News>,
    damage: DamageMark,
    /// Damaged stretches of the journal that opening it met, as text.
    lost: Vec<String>,
    failure: Failure,
    gates: Gates,
    /// The greatest numbers taken, those in flight included.
    marks: Mutex<Marks>,
    /// Deliveries in flight by message id and recipient; the value closes when the delivery ends.
    in_flight: Mutex<HashMap<(MessageId, String), watch::Receiver<()>>>,
    /// Held, until it is applied, by every change to which accounts there are.
    accounts: tokio::sync::Mutex<()>,
    housekeeper: Housekeeper,
    /// Outlines that were read.
    recent: Recent,
    /// Of reclaiming.
    pace: Pace,
    /// Held while a message is read to make its outline: one at a time, for it may be large.
    outlining: Mutex<()>,
    /// Let go of last.
    _lock: Arc<FolderLock>,
}

impl LocalStore {
    /// Takes new numbers: `take` raises the marks it is given. Gives what it returns and the marks for the record.
    fn take<T>(&self, take: impl FnOnce(&mut Marks) -> T) -> (T, Option<Marks>) {
        let mut marks = self.inner.marks.lock();
        let taken = take(&mut marks);
        (taken, Some(*marks))
    }

    /// Puts a change into the journal's order. It is committed when the future is ready.
    fn propose(&self, change: &Change) -> journal::Append<()> {
        self.propose_with(change, BodySource::Bytes(Bytes::new()))
    }

    /// As [`propose`](Self::propose), for a change by which space becomes free: a full disk must not refuse it.
    fn propose_bookkeeping(&self, change: &Change) -> journal::Append<()> {
        let meta = Bytes::from(change.encode_to_vec());
        self.inner.journal.append_bookkeeping(Record { kind: RECORD_KIND, meta, body: Bytes::new() })
    }

    fn propose_with(&self, change: &Change, body: BodySource) -> journal::Append<()> {
        let meta = Bytes::from(change.encode_to_vec());
        match body {
            BodySource::Bytes(body) => self.inner.journal.append(Record { kind: RECORD_KIND, meta, body }),
            BodySource::Staged(staged) => staged.writer.commit(RECORD_KIND, meta),
        }
    }

    /// The messages of a mailbox as their rows say, for tests of what is made of these.
    #[cfg(test)]
    pub(crate) async fn rows(&self, mailbox: MailboxId) -> Result<Vec<Row>> {
        self.read_aside(move |store| {
            store.read_status(mailbox)?;
            let mut rows = Vec::new();
            for leaf in super::placed::leaves_of(&store.inner.table, mailbox.0, &UidSet::all()) {
                rows.extend(leaf?.messages().map(|(message, flags)| message.row(flags)));
            }
            Ok(rows)
        })
        .await
    }

    /// How many rows were read so far.
    #[cfg(test)]
    pub(crate) fn rows_read(&self) -> u64 {
        self.inner.table.reads.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Damages all rows of rights, for tests of what is done then.
    #[cfg(test)]
    pub(crate) fn spoil_rights(&self) {
        self.inner.table.spoil(b"ym");
    }

    /// Damages all rows of what users have seen.
    #[cfg(test)]
    pub(crate) fn spoil_seen(&self) {
        self.inner.table.spoil(super::keys::SEEN);
    }

    /// Damages the leaves of a mailbox.
    #[cfg(test)]
    pub(crate) fn spoil_leaves(&self, mailbox: MailboxId) {
        self.inner.table.spoil(&super::keys::leaves(mailbox.0));
    }

    /// Waits until the store has failed for good, and says why: what is asked of it then is refused until it is opened
    /// anew. A store that is closed as it should be may say so too.
    pub async fn failed(&self) -> StoreError {
        tokio::select! {
            failed = self.inner.failure.wait() => failed,
            stuck = self.inner.table.stuck() => {
                self.inner.failure.note(&stuck);
                stuck
            }
        }
    }

    /// Notes an error that means damaged rows, for the next start, or the end of the store.
    fn noting<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| {
            self.inner.damage.note(error);
            if matches!(error, StoreError::Closed(_)) {
                self.inner.failure.note(error);
            }
        })
    }

    /// Notes an error of the state itself, which spoils it.
    fn may_stop<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| self.inner.failure.note(error))
    }

    /// Carries a change out to its end even if nobody waits for it any more: what it holds, it holds until the journal
    /// has answered.
    async fn carry_out<T, F>(&self, change: impl FnOnce(Self) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let done = tokio::spawn(change(self.clone())).await;
        self.noting(done.unwrap_or_else(|error| broke_off(&error)))
    }

    /// Reads much on a thread that may block.
    async fn read_aside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || read(&store)).await;
        self.noting(done.unwrap_or_else(|error| broke_off(&error)))
    }
}

/// A panic is the failure of what was asked, not of the store.
fn broke_off<T>(error: &JoinError) -> Result<T> {
    Err(StoreError::Io { what: "the store's work broke off".to_owned(), reason: error.to_string() })
}

impl MailStore for LocalStore {
    async fn create_account(&self, account: NewAccount) -> Result<Account> {
        self.carry_out(|store| async move { store.account_create(account).await }).await
    }

    async fn set_password(
        &self,
        account: AccountId,
        password: Password,
        instead_of: Option<String>,
    ) -> Result<bool> {
        self.carry_out(
            move |store| async move { store.account_set_password(account, password, instead_of).await },
        )
        .await
    }

    async fn add_app_password(&self, account: AccountId, password: AppPassword) -> Result<()> {
        self.carry_out(move |store| async move { store.account_add_app_password(account, password).await })
            .await
    }

    async fn remove_app_password(&self, account: AccountId, name: String) -> Result<bool> {
        self.carry_out(move |store| async move { store.account_remove_app_password(account, name).await })
            .await
    }

    async fn remove_account(&self, account: AccountId) -> Result<()> {
        self.carry_out(move |store| async move { store.account_remove(account).await }).await
    }

    fn account(&self, account: AccountId) -> Result<Account> {
        self.noting(self.read_account(account))
    }

    fn account_by_address(&self, address: &str) -> Result<Option<Account>> {
        self.noting(self.read_account_by_address(address))
    }

    fn accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<Account>> {
        self.noting(self.read_accounts(after, limit))
    }

    fn usage(&self, account: AccountId) -> Result<Usage> {
        self.noting(self.read_usage(account))
    }

    fn quota(&self, account: AccountId) -> Result<QuotaStatus> {
        self.noting(self.read_quota(account))
    }

    fn is_full(&self, account: AccountId) -> Result<bool> {
        self.noting(self.read_is_full(account))
    }

    async fn set_quota(&self, account: AccountId, quota: Quota) -> Result<Account> {
        self.carry_out(move |store| async move { store.account_set_quota(account, quota).await }).await
    }

    async fn set_domain_quota(&self, domain: String, quota: Quota) -> Result<()> {
        self.carry_out(move |store| async move { store.domain_set_quota(domain, quota).await }).await
    }

    fn domain_quota(&self, domain: &str) -> Result<Quota> {
        self.noting(self.read_domain_quota(domain))
    }

    async fn add_domain(&self, domain: String) -> Result<()> {
        self.carry_out(|store| async move { store.domain_add(domain).await }).await
    }

    fn is_local_domain(&self, domain: &str) -> Result<bool> {
        self.noting(self.read_is_local(domain))
    }

    fn domains(&self) -> Result<Vec<String>> {
        self.noting(self.read_domains())
    }

    async fn put_alias(&self, alias: Alias) -> Result<()> {
        self.carry_out(|store| async move { store.alias_put(alias).await }).await
    }

    async fn remove_alias(&self, address: String) -> Result<()> {
        self.carry_out(|store| async move { store.alias_remove(address).await }).await
    }

    fn alias(&self, address: &str) -> Result<Option<Alias>> {
        self.noting(self.read_alias(address))
    }

    fn aliases(&self, after: Option<&str>, limit: usize) -> Result<Vec<Alias>> {
        self.noting(self.read_aliases(after, limit))
    }

    fn aliases_to(&self, target: &str, limit: usize) -> Result<Vec<String>> {
        self.noting(self.read_aliases_to(target, limit))
    }

    async fn create_mailbox(
        &self,
        account: AccountId,
        name: MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<Mailbox> {
        self.carry_out(move |store| async move { store.mailbox_create(account, &name, special_use).await })
            .await
    }

    async fn delete_mailbox(&self, account: AccountId, name: MailboxName) -> Result<()> {
        self.carry_out(move |store| async move { store.mailbox_delete(account, &name).await }).await
    }

    async fn rename_mailbox(&self, account: AccountId, from: MailboxName, to: MailboxName) -> Result<()> {
        self.carry_out(move |store| async move { store.mailbox_rename(account, &from, &to).await }).await
    }

    async fn set_subscribed(&self, account: AccountId, name: MailboxName, subscribed: bool) -> Result<()> {
        self.carry_out(move |store| async move { store.mailbox_subscribe(account, &name, subscribed).await })
            .await
    }

    fn mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>> {
        self.noting(self.read_mailboxes(account))
    }

    fn mailbox(&self, account: AccountId, name: &MailboxName) -> Result<Option<Mailbox>> {
        self.noting(self.read_mailbox(account, name))
    }

    fn mailbox_by_id(&self, mailbox: MailboxId) -> Result<Option<Mailbox>> {
        self.noting(self.read_mailbox_by_id(mailbox))
    }

    fn subscriptions(&self, account: AccountId) -> Result<Vec<MailboxName>> {
        self.noting(self.read_subscriptions(account))
    }

    fn status(&self, mailbox: MailboxId) -> Result<MailboxStatus> {
        self.noting(self.read_status(mailbox))
    }

    fn annotations(&self, user: AccountId, annotated: Annotated) -> Result<Vec<Annotation>> {
        self.noting(self.read_annotations(user, annotated))
    }

    async fn annotate(
        &self,
        user: AccountId,
        annotated: Annotated,
        annotations: Vec<Annotation>,
    ) -> Result<()> {
        self.carry_out(move |store| async move { store.annotations_set(user, annotated, annotations).await })
            .await
    }

    fn grants(&self, mailbox: MailboxId) -> Result<Vec<Grant>> {
        self.noting(self.read_grants(mailbox))
    }

    async fn grant(&self, mailbox: MailboxId, grant: Grant) -> Result<()> {
        self.carry_out(move |store| async move { store.rights_grant(mailbox, grant).await }).await
    }

    fn shared_with(&self, user: AccountId) -> Result<Vec<(Mailbox, Rights)>> {
        self.noting(self.read_shared_with(user))
    }

    async fn stage(&self) -> Result<StagedBody> {
        Ok(StagedBody { writer: self.inner.journal.body_writer() })
    }

    async fn deliver(&self, delivery: Delivery) -> Result<Vec<Result<Receipt>>> {
        self.carry_out(|store| async move { store.message_deliver(delivery).await }).await
    }

    async fn append(&self, account: AccountId, append: Append) -> Result<Placement> {
        self.carry_out(move |store| async move { store.message_append(account, append).await }).await
    }

    async fn append_together(
        &self,
        account: AccountId,
        mailbox: MailboxName,
        appends: Vec<Append>,
    ) -> Result<Vec<Placement>> {
        self.carry_out(move |store| async move { store.messages_append(account, &mailbox, appends).await })
            .await
    }

    async fn replace(
        &self,
        account: AccountId,
        append: Append,
        mailbox: MailboxId,
        uid: Uid,
    ) -> Result<Placement> {
        self.carry_out(move |store| async move { store.message_replace(account, append, mailbox, uid).await })
            .await
    }

    fn row(&self, mailbox: MailboxId, uid: Uid) -> Result<Option<Row>> {
        self.noting(self.read_row(mailbox, uid))
    }

    async fn index(&self, mailbox: MailboxId) -> Result<watch::Receiver<Arc<Index>>> {
        self.open_index(mailbox).await
    }

    async fn vanished_since(&self, mailbox: MailboxId, modseq: ModSeq) -> Result<UidSet> {
        self.read_aside(move |store| store.read_vanished(mailbox, modseq)).await
    }

    async fn read(&self, email: EmailId, range: std::ops::Range<u64>) -> Result<Bytes> {
        self.read_aside(move |store| store.read_body(email, range)).await
    }

    fn newest_email(&self) -> EmailId {
        EmailId(self.inner.marks.lock().email)
    }

    async fn read_each(
        &self,
        emails: Vec<EmailId>,
        visit: impl FnMut(usize, Result<Bytes>) + Send + 'static,
    ) -> Result<()> {
        self.read_aside(move |store| {
            store.read_bodies(&emails, u64::MAX, visit);
            Ok(())
        })
        .await
    }

    async fn read_beginnings(&self, emails: Vec<EmailId>, length: u64) -> Vec<Result<Bytes>> {
        let number = emails.len();
        let read = move |store: &Self| {
            let mut beginnings = vec![Err(StoreError::Expunged); emails.len()];
            store.read_bodies(&emails, length, |place, octets| beginnings[place] = octets);
            Ok(beginnings)
        };
        self.read_aside(read).await.unwrap_or_else(|error| vec![Err(error); number])
    }

    async fn outlines(&self, emails: Vec<EmailId>) -> Vec<Result<Outline>> {
        let found = self.inner.recent.find(&emails);
        if found.iter().all(Option::is_some) {
            return found.into_iter().flatten().map(Ok).collect();
        }
        let number = emails.len();
        let read = move |store: &Self| {
            let outlines = found.into_iter().zip(emails).map(|(found, email)| match found {
                Some(outline) => Ok(outline),
                None => store.noting(store.read_outline(email)),
            });
            Ok(outlines.collect())
        };
        self.read_aside(read).await.unwrap_or_else(|error| vec![Err(error); number])
    }

    fn locate(&self, message_id: MessageId) -> Result<Vec<Located>> {
        self.noting(self.read_located(message_id))
    }

    async fn store_flags(
        &self,
        mailbox: MailboxId,
        uids: UidSet,
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<UidSet> {
        self.carry_out(move |store| async move {
            store.messages_flag(mailbox, uids, change, unchanged_since).await
        })
        .await
    }

    async fn seen(&self, mailbox: MailboxId, user: AccountId) -> Result<SeenMarks> {
        self.read_aside(move |store| store.read_seen(mailbox, user)).await
    }

    async fn store_flags_as(
        &self,
        mailbox: MailboxId,
        user: AccountId,
        uids: UidSet,
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<UidSet> {
        self.carry_out(move |store| async move {
            store.messages_flag_as(mailbox, user, uids, change, unchanged_since).await
        })
        .await
    }

    async fn copy(&self, mailbox: MailboxId, uids: UidSet, to: MailboxName) -> Result<Copied> {
        self.carry_out(move |store| async move { store.messages_copy(mailbox, uids, &to).await }).await
    }

    async fn move_messages(&self, mailbox: MailboxId, uids: UidSet, to: MailboxName) -> Result<Copied> {
        self.carry_out(move |store| async move { store.messages_move(mailbox, uids, &to).await }).await
    }

    async fn transfer(
        &self,
        mailbox: MailboxId,
        uids: UidSet,
        to: Destination,
        moved: bool,
    ) -> Result<Copied> {
        self.carry_out(move |store| async move { store.messages_across(mailbox, uids, to, moved).await })
            .await
    }

    async fn expunge(&self, mailbox: MailboxId, uids: UidSet, only_deleted: bool) -> Result<UidSet> {
        self.carry_out(move |store| async move { store.messages_expunge(mailbox, uids, only_deleted).await })
            .await
    }

    async fn kept(&self, account: AccountId, filter: KeptFilter) -> Result<Vec<Kept>> {
        self.read_aside(move |store| store.read_kept(account, &filter)).await
    }

    async fn undelete(
        &self,
        account: AccountId,
        filter: KeptFilter,
        into: Option<MailboxName>,
    ) -> Result<u64> {
        self.carry_out(move |store| async move { store.messages_undelete(account, filter, into).await }).await
    }

    async fn set_retention(&self, mailbox: MailboxId, keep: Option<Duration>) -> Result<()> {
        self.carry_out(move |store| async move { store.mailbox_set_retention(mailbox, keep).await }).await
    }

    fn watch(&self, mailbox: MailboxId) -> Result<watch::Receiver<ModSeq>> {
        let current = || Ok(self.read_status(mailbox)?.highest_modseq);
        self.noting(self.inner.news.mailbox(mailbox.0, current))
    }

    fn watch_account(&self, account: AccountId) -> Result<watch::Receiver<u64>> {
        let current = || self.read_account(account).map(|_| 0);
        self.noting(self.inner.news.account(account.0, current))
    }

    fn watch_annotations(
        &self,
        user: AccountId,
        annotated: Annotated,
    ) -> Result<watch::Receiver<Arc<Noted>>> {
        self.noting(match annotated {
            Some(mailbox) => self.inner.news.notes(mailbox.0, 0, || self.read_status(mailbox).map(drop)),
            None => self.inner.news.notes(0, user.0, || self.read_account(user).map(drop)),
        })
    }
}
