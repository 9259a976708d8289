//! The store as its users see it, over the real journal and the real rows.

mod accounts;
mod aliases;
mod backups;
mod check;
pub(crate) mod crash;
mod deliveries;
mod errors;
mod flips;
mod index;
mod kept;
mod mailboxes;
mod messages;
mod model;
mod notes;
pub(crate) mod outlines;
mod power;
mod quotas;
mod reclaim;
mod seen;
mod space;
mod together;
mod watching;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;
use message::MessageId;
use tempfile::TempDir;

use super::*;
use crate::store::local::LocalStore;

/// A store in a folder of its own.
struct Bed {
    store: LocalStore,
    dir: TempDir,
}

/// Small segments, so that a test has many; no reclaim but the test's own.
fn config(dir: &Path) -> StoreConfig {
    StoreConfig {
        segment_bytes: 64 << 10,
        min_free_bytes: 1 << 20,
        quota_grace_bytes: 0,
        keep_expunged: std::time::Duration::ZERO,
        reclaim_every: std::time::Duration::from_hours(1),
        ..StoreConfig::new(dir)
    }
}

fn open(dir: &Path) -> LocalStore {
    LocalStore::open(config(dir)).unwrap().0
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

fn uids(uids: &[Uid]) -> UidSet {
    uids.iter().copied().collect()
}

fn seen() -> Flags {
    Flags::none().with(SystemFlag::Seen)
}

fn deleted() -> Flags {
    Flags::none().with(SystemFlag::Deleted)
}

impl Bed {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        Self { store: open(dir.path()), dir }
    }

    /// With one account.
    async fn with_account() -> (Self, AccountId) {
        let bed = Self::new();
        let account = create_account(&bed.store, "alice@example.test").await;
        (bed, account)
    }

    /// Closes and opens again.
    async fn reopened(self) -> Self {
        self.store.close().await.unwrap();
        Self { store: open(self.dir.path()), dir: self.dir }
    }

    /// What a machine would find that lost its power now: a copy of the folder, opened.
    fn crashed(&self) -> Self {
        let dir = TempDir::new().unwrap();
        copy_dir(self.dir.path(), dir.path());
        Self { store: open(dir.path()), dir }
    }
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let mut entries: Vec<_> = std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).collect();
    // The rows first: they must not be ahead of the journal, as after a real crash they cannot be.
    entries.sort_by_key(|path| !path.ends_with("state"));
    for path in entries {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else if let Ok(bytes) = std::fs::read(&path) {
            std::fs::write(target, bytes).unwrap();
        }
    }
}

async fn create_account(store: &LocalStore, address: &str) -> AccountId {
    let account = NewAccount {
        name: address.to_owned(),
        password: Password { hash: "$argon2id$…".to_owned(), scram: None },
        domain: "example.test".to_owned(),
    };
    store.create_account(account).await.unwrap().id
}

fn body(text: &str) -> BodySource {
    BodySource::Bytes(Bytes::copy_from_slice(text.as_bytes()))
}

fn recipient(account: AccountId, address: &str) -> DeliveryRecipient {
    DeliveryRecipient {
        address: address.to_owned(),
        account,
        mailbox: MailboxName::inbox(),
        flags: Flags::none(),
    }
}

fn delivery(message_id: MessageId, text: &str, recipients: Vec<DeliveryRecipient>) -> Delivery {
    Delivery {
        message_id,
        internal_date: Timestamp::from_second(1_700_000_000).unwrap(),
        body: body(text),
        recipients,
    }
}

/// Delivers a new message to INBOX.
async fn deliver(store: &LocalStore, account: AccountId, text: &str) -> Placement {
    let recipient = recipient(account, "alice@example.test");
    let receipts = store.deliver(delivery(MessageId::new(), text, vec![recipient])).await.unwrap();
    receipts.into_iter().next().unwrap().unwrap().placement
}

async fn append(
    store: &LocalStore,
    account: AccountId,
    mailbox: &str,
    text: &str,
    flags: Flags,
) -> Placement {
    let append = Append {
        mailbox: name(mailbox),
        message_id: MessageId::new(),
        flags,
        internal_date: Timestamp::from_second(1_600_000_000).unwrap(),
        body: body(text),
    };
    store.append(account, append).await.unwrap()
}

fn inbox(store: &LocalStore, account: AccountId) -> Mailbox {
    mailbox(store, account, "INBOX")
}

fn mailbox(store: &LocalStore, account: AccountId, text: &str) -> Mailbox {
    store.mailbox(account, &name(text)).unwrap().unwrap()
}

fn names(store: &LocalStore, account: AccountId) -> Vec<String> {
    store.mailboxes(account).unwrap().iter().map(|mailbox| mailbox.name.to_string()).collect()
}

async fn rows(store: &LocalStore, mailbox: MailboxId) -> Vec<Row> {
    store.rows(mailbox).await.unwrap()
}

async fn text_of(store: &LocalStore, email: EmailId) -> String {
    String::from_utf8(store.read(email, 0..u64::MAX).await.unwrap().to_vec()).unwrap()
}

async fn outline_of(store: &LocalStore, email: EmailId) -> Outline {
    store.outlines(vec![email]).await.pop().unwrap().unwrap()
}

/// A body that comes in pieces.
async fn staged(store: &LocalStore, text: &str) -> BodySource {
    let mut staged = store.stage().await.unwrap();
    staged.write(Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
    BodySource::Staged(staged)
}

/// As many keywords as a message may have, as long as they may be.
fn many_keywords() -> Flags {
    let mut flags = Flags::none();
    for n in 0..Flags::MAX_KEYWORDS {
        flags.set_keyword(&format!("{n:0width$}", width = Flags::MAX_KEYWORD_OCTETS));
    }
    flags
}

/// All that a user can see of an account.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    mailboxes: Vec<Mailbox>,
    subscriptions: Vec<MailboxName>,
    status: Vec<MailboxStatus>,
    rows: BTreeMap<String, Vec<(Row, String)>>,
    vanished: Vec<UidSet>,
}

/// Every invariant holds, and the journal says the same as the rows.
pub(crate) fn assert_sound(store: &LocalStore) {
    let options = CheckOptions { bodies: true, rebuild: true };
    let report = store.check(options, &mut |_| Ok(())).unwrap();
    assert!(report.is_sound() && report.unchecked.is_empty(), "{report:#?}");
}

async fn assert_sound_aside(store: &LocalStore) {
    let store = store.clone();
    tokio::task::spawn_blocking(move || assert_sound(&store)).await.unwrap();
}

async fn seen_by(store: &LocalStore, account: AccountId) -> Seen {
    assert_sound_aside(store).await;
    let mailboxes = store.mailboxes(account).unwrap();
    let mut seen = Seen {
        subscriptions: store.subscriptions(account).unwrap(),
        status: Vec::new(),
        rows: BTreeMap::new(),
        vanished: Vec::new(),
        mailboxes: mailboxes.clone(),
    };
    for mailbox in mailboxes {
        seen.status.push(store.status(mailbox.id).unwrap());
        let mut with_text = Vec::new();
        for row in rows(store, mailbox.id).await {
            let text = text_of(store, row.email).await;
            assert_eq!(outline_of(store, row.email).await, Outline::of(text.as_bytes()));
            with_text.push((row, text));
        }
        seen.rows.insert(mailbox.name.to_string(), with_text);
        seen.vanished.push(store.vanished_since(mailbox.id, 0).await.unwrap());
    }
    seen
}
