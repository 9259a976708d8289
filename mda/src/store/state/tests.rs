//! Whatever order reclaim leaves the records in, the rows come out the same.

use bytes::Bytes;
use journal::BodyRef;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::store::leaf::Leaf;
use crate::store::record::{
    AccountState, AnnotationState, BodyRow, Counters, Delivered, Expunged, Flagged, MailboxState, Placed,
    Removed, RightsState, SeenRun, SeenState, SubscriptionState, Uids,
};

const ALICE: u64 = 1;
const BOB: u64 = 2;
const INBOX: u64 = 11;
const FOLDER: u64 = 12;
const GONE: u64 = 13;

fn account(id: u64, name: &str, revision: u64) -> Change {
    let account = AccountState {
        id,
        revision,
        name: name.to_owned(),
        addresses: vec![name.to_owned()],
        password_hash: revision.to_string(),
        ..AccountState::default()
    };
    Change { accounts: vec![account], ..Change::default() }
}

fn mailbox(id: u64, name: &str, revision: u64) -> Change {
    let (account, name, uid_validity) = (ALICE, name.to_owned(), 7);
    let mailbox = MailboxState { id, account, revision, name, uid_validity, ..MailboxState::default() };
    Change { mailboxes: vec![mailbox], ..Change::default() }
}

fn placed(mailbox: u64, uid: u32, modseq: u64, email: u64) -> Placed {
    let message_id = vec![email as u8; 16];
    Placed { mailbox, uid, modseq, email, message_id, size: 100, ..Placed::default() }
}

fn message(mailbox: u64, uid: u32, modseq: u64, email: u64) -> Change {
    let placed = placed(mailbox, uid, modseq, email);
    let delivered = Delivered {
        message_id: placed.message_id.clone(),
        recipient: "a@example.test".to_owned(),
        account: ALICE,
        mailbox,
        mailbox_name: "INBOX".to_owned(),
        uid_validity: 7,
        uid,
    };
    Change { body: email, placed: vec![placed], delivered: vec![delivered], ..Change::default() }
}

fn flagged(mailbox: u64, modseq: u64, uid: u32, flags: u32) -> Change {
    let uids = vec![Uids { first: uid, last: uid }];
    Change {
        flagged: vec![Flagged { mailbox, modseq, uids, flags, keywords: Vec::new() }],
        ..Change::default()
    }
}

fn expunged(mailbox: u64, modseq: u64, first: u32, last: u32) -> Change {
    let uids = vec![Uids { first, last }];
    Change { expunged: vec![Expunged { mailbox, modseq, uids }], ..Change::default() }
}

fn moved(uid: u32, modseq: u64, to: Placed) -> Change {
    Change { placed: vec![to], ..expunged(INBOX, modseq, uid, uid) }
}

fn subscription(revision: u64, subscribed: bool) -> Change {
    let subscription = SubscriptionState { account: ALICE, name: "a".to_owned(), revision, subscribed };
    Change { subscriptions: vec![subscription], ..Change::default() }
}

fn seen(mailbox: u64, modseq: u64, last: u32) -> Change {
    let runs = vec![SeenRun { first: 1, last, seen: true, modseq }];
    let seen = SeenState { mailbox, account: BOB, block: 0, modseq, runs };
    Change { seen: vec![seen], ..Change::default() }
}

fn annotation(mailbox: u64, account: u64, entry: &str, revision: u64) -> Change {
    let value = Some(Bytes::from(revision.to_string()));
    let modseq = if mailbox == 0 { 0 } else { 50 + revision };
    let annotation = AnnotationState { mailbox, account, entry: entry.to_owned(), revision, value, modseq };
    Change { annotations: vec![annotation], ..Change::default() }
}

fn rights(mailbox: u64, account: u64, revision: u64) -> Change {
    let rights = RightsState { mailbox, account, negative: false, revision, rights: "lr".to_owned() };
    Change { rights: vec![rights], ..Change::default() }
}

/// A history in which everything happens that a later record can make void.
fn history() -> Vec<Change> {
    let removed = |id| vec![Removed { id, ..Removed::default() }];
    vec![
        account(ALICE, "alice@example.test", 1),
        account(BOB, "bob@example.test", 1),
        mailbox(INBOX, "INBOX", 1),
        mailbox(FOLDER, "a", 1),
        mailbox(GONE, "gone", 1),
        message(INBOX, 1, 2, 101),
        message(INBOX, 2, 3, 102),
        message(INBOX, 3, 4, 103),
        message(INBOX, 4, 5, 104),
        message(GONE, 1, 2, 105),
        flagged(INBOX, 6, 1, 1),
        flagged(INBOX, 7, 1, 8),
        flagged(INBOX, 8, 2, 1),
        flagged(INBOX, 9, 3, 1),
        expunged(INBOX, 10, 3, 3),
        moved(2, 11, Placed { flags: 1, ..placed(FOLDER, 1, 2, 102) }),
        flagged(FOLDER, 3, 1, 9),
        expunged(INBOX, 12, 4, 4),
        subscription(1, true),
        subscription(2, false),
        mailbox(FOLDER, "renamed", 2),
        account(ALICE, "alice@example.test", 2),
        annotation(INBOX, 0, "/shared/comment", 1),
        annotation(INBOX, 0, "/shared/comment", 2),
        annotation(0, BOB, "/private/comment", 1),
        annotation(GONE, 0, "/shared/comment", 1),
        rights(INBOX, BOB, 1),
        rights(FOLDER, 0, 1),
        rights(FOLDER, 0, 2),
        rights(GONE, ALICE, 1),
        seen(INBOX, 13, 1),
        seen(INBOX, 14, 2),
        seen(GONE, 3, 1),
        Change { removed_mailboxes: removed(GONE), ..Change::default() },
        Change { removed_accounts: removed(BOB), ..Change::default() },
        account(3, "bob@example.test", 1),
    ]
}

fn entry(offset: u32, change: &Change) -> Entry {
    Entry {
        position: Position { segment: SegmentId(1), offset },
        sequence: u64::from(offset),
        kind: RECORD_KIND,
        meta: Bytes::from(change.encode_to_vec()),
        body: BodyRef::default(),
        copied_from: None,
    }
}

/// What applying changes in this order gives: every row that a user could see, without where its record stands.
fn rows(changes: &[Change]) -> Vec<(Vec<u8>, String)> {
    let dir = TempDir::new().unwrap();
    let tree =
        sled::Config::new().path(dir.path()).flush_every_ms(None).open().unwrap().open_tree("rows").unwrap();
    let table = Table::new(tree);
    let mut state = State::load(table.clone(), Indexes::new(0)).unwrap();
    for (offset, change) in (1..).zip(changes) {
        state.apply(&entry(offset, change)).unwrap();
        state.settle().unwrap();
    }
    state.end_replay().unwrap();
    while state.purge(GONE, 2).unwrap() {}
    dump(&table)
}

fn dump(table: &Table) -> Vec<(Vec<u8>, String)> {
    let mut rows = Vec::new();
    let mut add = |kind: u8, show: &dyn Fn(&[u8]) -> String| {
        for (key, _) in table.all_raw().map(Result::unwrap).filter(|(key, _)| key[0] == kind) {
            rows.push((key.to_vec(), show(&key)));
        }
    };
    add(b'f', &|key| {
        let leaf = table.get::<Leaf>(key).unwrap().unwrap().value;
        format!("{:?}", leaf.messages().map(|(message, flags)| message.row(flags)).collect::<Vec<_>>())
    });
    add(b'a', &|key| show::<AccountState>(table, key));
    add(b'm', &|key| show::<MailboxState>(table, key));
    add(b'u', &|key| show::<SubscriptionState>(table, key));
    add(b'c', &|key| show::<Counters>(table, key));
    add(b'r', &|key| show::<Placed>(table, key));
    add(b'v', &|key| show::<Expunged>(table, key));
    add(b'e', &|key| show::<Number>(table, key));
    add(b'b', &|key| table.get::<BodyRow>(key).unwrap().unwrap().value.references.to_string());
    add(b'k', &|key| show::<Delivered>(table, key));
    add(b'p', &|key| show::<AnnotationState>(table, key));
    add(b'q', &|key| show::<SeenState>(table, key));
    for kind in [b'y', b'n', b'd', b'l', b'o'] {
        add(kind, &|_| String::new());
    }
    rows
}

fn show<T: Message + Default + std::fmt::Debug>(table: &Table, key: &[u8]) -> String {
    format!("{:?}", table.get::<T>(key).unwrap().unwrap().value)
}

#[test]
fn a_record_applied_again_changes_nothing() {
    let once = history();
    let twice: Vec<_> = once.iter().flat_map(|change| [change.clone(), change.clone()]).collect();
    assert_eq!(rows(&twice), rows(&once));
    let again = [once.clone(), once.clone()].concat();
    assert_eq!(rows(&again), rows(&once));
}

#[test]
fn the_rows_come_out_the_same_backwards() {
    let mut backwards = history();
    backwards.reverse();
    assert_eq!(rows(&backwards), rows(&history()));
}

/// Messages on both sides of where leaves begin, whose flags change together and one by one, and that go so.
fn wide_history() -> Vec<Change> {
    let mut history = vec![account(ALICE, "alice@example.test", 1), mailbox(INBOX, "INBOX", 1)];
    history.extend((60..=68).chain(126..=130).map(|uid| message(INBOX, uid, u64::from(uid), uid.into())));
    let range = |modseq, first, last, flags, keyword: &str| {
        let (uids, keywords) = (vec![Uids { first, last }], vec![keyword.to_owned()]);
        let flagged = Flagged { mailbox: INBOX, modseq, uids, flags, keywords };
        Change { flagged: vec![flagged], ..Change::default() }
    };
    history.extend([
        range(201, 60, 68, 1, "a"),
        flagged(INBOX, 202, 63, 8),
        flagged(INBOX, 203, 64, 8),
        range(204, 63, 65, 9, "b"),
        range(205, 126, 130, 0, "c"),
        expunged(INBOX, 206, 62, 64),
        range(207, 127, 128, 8, "d"),
        expunged(INBOX, 208, 128, 130),
    ]);
    history
}

#[test]
fn rows_in_several_leaves_come_out_the_same_backwards() {
    let mut backwards = wide_history();
    backwards.reverse();
    assert_eq!(rows(&backwards), rows(&wide_history()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_rows_come_out_the_same_in_any_order(shuffled in Just(history()).prop_shuffle()) {
        prop_assert_eq!(rows(&shuffled), rows(&history()));
    }

    #[test]
    fn rows_in_several_leaves_come_out_the_same_in_any_order(
        shuffled in Just(wide_history()).prop_shuffle(),
    ) {
        prop_assert_eq!(rows(&shuffled), rows(&wide_history()));
    }
}

#[test]
fn an_entry_that_was_applied_is_skipped() {
    let dir = TempDir::new().unwrap();
    let table = Table::new(sled::open(dir.path()).unwrap().open_tree("rows").unwrap());
    let mut state = State::load(table.clone(), Indexes::new(0)).unwrap();
    state.apply(&entry(5, &mailbox(INBOX, "INBOX", 1))).unwrap();
    state.settle().unwrap();
    let mut state = State::load(table.clone(), Indexes::new(0)).unwrap();
    state.apply(&entry(5, &mailbox(INBOX, "other", 1))).unwrap();
    state.settle().unwrap();
    assert_eq!(table.get::<MailboxState>(&keys::mailbox(INBOX)).unwrap().unwrap().value.name, "INBOX");
}

#[test]
fn a_record_of_a_newer_kind_is_refused() {
    let dir = TempDir::new().unwrap();
    let table = Table::new(sled::open(dir.path()).unwrap().open_tree("rows").unwrap());
    let mut state = State::load(table, Indexes::new(0)).unwrap();
    let newer = Entry { kind: RECORD_KIND + 1, ..entry(1, &Change::default()) };
    assert!(matches!(state.apply(&newer), Err(StoreError::NewerFormat { found: 2, known: 1 })));
}
