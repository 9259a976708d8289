use jiff::Timestamp;
use message::MessageId;
use proptest::prelude::*;

use super::*;
use crate::imap::parse::{self, Command};
use crate::store::{EmailId, MailboxStatus, SystemFlag};

fn row(uid: Uid, flags: Flags) -> Row {
    Row {
        uid,
        email: EmailId(u64::from(uid)),
        message_id: MessageId::new(),
        flags,
        internal_date: Timestamp::UNIX_EPOCH,
        size: 1,
        modseq: 1,
    }
}

fn view(uids: &[Uid]) -> View {
    let status = MailboxStatus {
        uid_validity: 1,
        uid_next: 100,
        highest_modseq: 5,
        messages: uids.len() as u32,
        unseen: 0,
        deleted: 0,
        octets: 0,
    };
    let rows = uids.iter().map(|uid| row(*uid, Flags::none())).collect();
    View::new(MailboxId(1), 1, false, Snapshot { status, rows })
}

fn changes(changed: Vec<Row>, vanished: &[Uid]) -> Changes {
    Changes { highest_modseq: 9, changed, vanished: vanished.iter().copied().collect() }
}

fn set(text: &str) -> MessageSet {
    match parse::request(format!("a FETCH {text} UID").into()).unwrap().command {
        Command::Fetch { set, .. } => set,
        other => panic!("{other:?}"),
    }
}

fn seen() -> Flags {
    Flags::none().with(SystemFlag::Seen)
}

#[test]
fn numbers_go_up_by_uid() {
    let view = view(&[3, 5, 9]);
    assert_eq!(view.exists(), 3);
    assert_eq!([3, 4, 5, 9].map(|uid| view.number(uid)), [Some(1), None, Some(2), Some(3)]);
}

#[test]
fn sets_name_messages_by_number_or_uid() {
    let mut view = view(&[3, 5, 9]);
    let uids = |view: &View, text: &str, uid| {
        view.resolve(&set(text), uid).map(|uids| uids.iter().collect::<Vec<_>>())
    };
    assert_eq!(uids(&view, "2:3", false), Ok(vec![5, 9]));
    assert_eq!(uids(&view, "*", false), Ok(vec![9]));
    assert_eq!(uids(&view, "1:4", false), Err(NoSuchNumber));
    assert_eq!(uids(&view, "4:9", true), Ok(vec![5, 9]));
    assert_eq!(uids(&view, "6,7", true), Ok(vec![]));
    // Even if it is lower (RFC 9051 §9, seq-range).
    assert_eq!(uids(&view, "4000:*", true), Ok(vec![9]));
    view.saved = [5, 6].into_iter().collect();
    assert_eq!(uids(&view, "$", true), Ok(vec![5]));
    assert_eq!(uids(&view, "$", false), Ok(vec![5]));
}

#[test]
fn an_empty_mailbox_has_no_last_message() {
    let view = view(&[]);
    assert!(view.resolve(&set("*"), false).is_err());
    assert!(view.resolve(&set("1:*"), false).is_err());
    assert!(view.resolve(&set("1:*"), true).unwrap().is_empty());
}

#[test]
fn new_messages_and_flags_are_told_once() {
    let mut view = view(&[1, 2]);
    let news = || changes(vec![row(2, seen()), row(4, Flags::none()), row(6, seen())], &[]);
    assert_eq!(
        view.apply(news(), true),
        [
            Update::Exists(4),
            Update::Flags { number: 2, uid: 2, flags: seen() },
            Update::Flags { number: 4, uid: 6, flags: seen() },
        ]
    );
    assert_eq!(view.apply(news(), true), []);
    assert_eq!(view.modseq(), 9);
}

#[test]
fn what_the_client_was_told_is_no_news() {
    let mut view = view(&[1]);
    assert!(!view.tell_flags(1, &seen()));
    assert_eq!(view.apply(changes(vec![row(1, seen())], &[]), true), []);
}

#[test]
fn expunges_are_told_from_the_last_and_held_back_while_numbers_must_stay() {
    let mut view = view(&[1, 2, 3, 4]);
    assert_eq!(view.apply(changes(vec![], &[2, 4]), false), []);
    assert!(view.owes_expunge());
    assert_eq!(view.number(3), Some(3));
    // A message that came and went meanwhile was never there.
    let gone = view.apply(changes(vec![row(7, seen())], &[4, 7]), true);
    assert_eq!(gone, [Update::Expunge(4), Update::Expunge(2)]);
    assert!(!view.owes_expunge());
    assert_eq!(view.number(3), Some(2));
    // Repeated, it is nothing.
    assert_eq!(view.apply(changes(vec![], &[2, 4, 7]), true), []);
}

#[test]
fn new_keywords_come_before_the_flags_that_name_them() {
    let mut view = view(&[1]);
    let mut flags = Flags::none();
    flags.set_keyword("$Junk");
    let updates = view.apply(changes(vec![row(1, flags.clone())], &[]), true);
    assert_eq!(updates, [Update::Keywords, Update::Flags { number: 1, uid: 1, flags: flags.clone() }]);
    assert!(!view.tell_flags(1, &flags));
}

proptest! {
    /// A client that follows the updates has, number by number, what the store has.
    #[test]
    fn following_the_updates_gives_what_the_store_has(
        steps in proptest::collection::vec((proptest::collection::vec(1_u32..30, 0..6), 0_u32..4, any::<bool>()), 1..12),
    ) {
        let mut store: Vec<Uid> = vec![1, 2, 3];
        let mut view = view(&store);
        let mut client = view.exists();
        let mut next = 4;
        for (vanished, new, may_expunge) in steps {
            let vanished: Vec<Uid> = store.iter().copied().filter(|uid| vanished.contains(uid)).collect();
            store.retain(|uid| !vanished.contains(uid));
            let new: Vec<Uid> = (next..next + new).collect();
            next += new.len() as u32;
            store.extend(&new);
            let rows = new.iter().map(|uid| row(*uid, Flags::none())).collect();
            for update in view.apply(changes(rows, &vanished), may_expunge) {
                match update {
                    Update::Expunge(number) => {
                        prop_assert!(may_expunge && (1..=client).contains(&number));
                        client -= 1;
                    }
                    Update::Exists(count) => {
                        prop_assert!(count > client);
                        client = count;
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            prop_assert_eq!(client, view.exists());
        }
        view.apply(changes(vec![], &[]), true);
        prop_assert_eq!(view.uids().collect::<Vec<_>>(), store);
    }
}
