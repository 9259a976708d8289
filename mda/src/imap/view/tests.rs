use proptest::prelude::*;

use super::*;
use crate::imap::parse::{self, Command};
use crate::store::{Flags, MadeIndex, SystemFlag};

/// A mailbox with these messages, and a view of it.
fn view(uids: &[Uid]) -> (MadeIndex, View) {
    let mut made = MadeIndex::new();
    made.commit(&uids.iter().map(|uid| (*uid, Some(Flags::none()))).collect::<Vec<_>>());
    let view = View::new(MailboxId(1), false, made.index());
    (made, view)
}

fn hearing(expunges: bool, modseqs: bool) -> Hearing {
    Hearing { expunges, flags: true, modseqs }
}

fn follow(made: &MadeIndex, view: &mut View, may_expunge: bool) -> Vec<Update> {
    let updates = view.follow(made.index(), hearing(may_expunge, false), &UidSet::none());
    assert_eq!(updates.gone, []);
    updates.others
}

/// The numbers of the messages that are told to be gone, and nothing else.
fn gone(made: &MadeIndex, view: &mut View) -> Vec<u32> {
    let updates = view.follow(made.index(), hearing(true, false), &UidSet::none());
    assert_eq!(updates.others, []);
    updates.gone.into_iter().map(|(number, _)| number).collect()
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
fn sets_to_hold_messages_against_are_no_longer_than_they_were_given() {
    let (_, view) = view(&[3, 5, 9]);
    let within = |text: &str, uid| view.within(&set(text), uid).ranges().to_vec();
    assert_eq!(within("1:*", false), [3..=9]);
    assert_eq!(within("2", false), [5..=5]);
    assert_eq!(within("1:*", true), [1..=9]);
    assert_eq!(within("4:9", false), []);
    assert_eq!(within("2:9", false), [5..=9]);
}

#[test]
fn numbers_go_up_by_uid() {
    let (_, view) = view(&[3, 5, 9]);
    assert_eq!(view.exists(), 3);
    assert_eq!([3, 4, 5, 9].map(|uid| view.number(uid)), [Some(1), None, Some(2), Some(3)]);
}

#[test]
fn sets_name_messages_by_number_or_uid() {
    let (_, mut view) = view(&[3, 5, 9]);
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
    let (_, view) = view(&[]);
    assert!(view.resolve(&set("*"), false).is_err());
    assert!(view.resolve(&set("1:*"), false).is_err());
    assert!(view.resolve(&set("1:*"), true).unwrap().is_empty());
}

#[test]
fn new_messages_and_flags_are_told_once() {
    let (mut made, mut view) = view(&[1, 2]);
    made.commit(&[(2, Some(seen())), (4, Some(Flags::none())), (6, Some(seen()))]);
    assert_eq!(
        follow(&made, &mut view, true),
        [Update::Exists(4), Update::Message { number: 2, uid: 2 }, Update::Message { number: 4, uid: 6 },]
    );
    assert_eq!(follow(&made, &mut view, true), []);
}

#[test]
fn what_a_command_tells_is_no_news() {
    let (mut made, mut view) = view(&[1, 2]);
    made.commit(&[(1, Some(seen())), (2, Some(seen()))]);
    let told = [1].into_iter().collect();
    assert_eq!(
        view.follow(made.index(), hearing(false, false), &told).others,
        [Update::Message { number: 2, uid: 2 }]
    );
    assert_eq!(follow(&made, &mut view, true), []);
}

#[test]
fn flags_that_came_and_went_are_news_to_those_who_know_of_modseqs() {
    let (mut made, mut view) = view(&[1]);
    let mut change = || {
        made.commit(&[(1, Some(seen()))]);
        made.commit(&[(1, Some(Flags::none()))])
    };
    assert_eq!(view.follow(change(), hearing(true, false), &UidSet::none()).others, []);
    let told = view.follow(change(), hearing(true, true), &UidSet::none()).others;
    assert_eq!(told, [Update::Message { number: 1, uid: 1 }]);
}

#[test]
fn expunges_are_told_from_the_last_and_held_back_while_numbers_must_stay() {
    let (mut made, mut view) = view(&[1, 2, 3, 4]);
    made.commit(&[(2, None), (4, None)]);
    assert_eq!(follow(&made, &mut view, false), []);
    assert!(view.owes_expunge());
    assert_eq!(view.number(3), Some(3));
    let numbers: Vec<_> = view.messages(&[1..=9].into_iter().collect()).map(|(number, _)| number).collect();
    assert_eq!(numbers, [1, 3]);
    // A message that came and went meanwhile was never there.
    made.commit(&[(7, Some(seen()))]);
    made.commit(&[(7, None)]);
    assert!(view.highest_modseq() < made.index().status().highest_modseq);
    assert_eq!(gone(&made, &mut view), [4, 2]);
    assert!(!view.owes_expunge());
    assert_eq!(view.highest_modseq(), made.index().status().highest_modseq);
    assert_eq!(view.number(3), Some(2));
}

#[test]
fn what_a_client_remembers_is_matched_by_number_and_uid() {
    let (_, view) = view(&[3, 5, 8, 9]);
    let numbers = |text| match set(text) {
        MessageSet::Numbers(set) => set,
        MessageSet::Saved => unreachable!(),
    };
    for (known, uids, expected) in
        [("1,2,3,4", "3,5,8,9", 9), ("1,2,3", "3,6,9", 3), ("1:3", "1:3", 0), ("1,90", "3,9", 3)]
    {
        assert_eq!(view.last_match(&numbers(known), &numbers(uids)), expected, "{known} {uids}");
    }
    let some = [1..=4, 8..=12].into_iter().collect();
    assert_eq!(view.unknown(&some).ranges(), [1..=2, 4..=4, 10..=12]);
}

#[test]
fn new_keywords_come_before_the_flags_that_name_them() {
    let (mut made, mut view) = view(&[1]);
    let mut flags = Flags::none();
    flags.set_keyword("$Junk");
    made.commit(&[(1, Some(flags.clone()))]);
    assert_eq!(follow(&made, &mut view, true), [Update::Keywords, Update::Message { number: 1, uid: 1 }]);
    made.commit(&[(1, Some(flags.with(SystemFlag::Seen)))]);
    assert_eq!(follow(&made, &mut view, true), [Update::Message { number: 1, uid: 1 }]);
}

proptest! {
    /// A client that follows the updates has, number by number, what the store has.
    #[test]
    fn following_the_updates_gives_what_the_store_has(
        steps in proptest::collection::vec((proptest::collection::vec(1_u32..30, 0..6), 0_u32..4, any::<bool>()), 1..12),
    ) {
        let mut store: Vec<Uid> = vec![1, 2, 3];
        let (mut made, mut view) = view(&store);
        let mut client = store.clone();
        for (vanished, new, may_expunge) in steps {
            store.retain(|uid| !vanished.contains(uid));
            made.commit(&vanished.iter().map(|uid| (*uid, None)).collect::<Vec<_>>());
            let next = made.index().status().uid_next;
            store.extend(next..next + new);
            made.append(new);
            let updates = view.follow(made.index(), hearing(may_expunge, false), &UidSet::none());
            prop_assert!(may_expunge || updates.gone.is_empty());
            for (number, uid) in updates.gone {
                prop_assert_eq!(client.remove(number as usize - 1), uid);
            }
            for update in updates.others {
                match update {
                    Update::Exists(count) => {
                        prop_assert!(count as usize > client.len());
                        let new = count as usize - client.len();
                        client.extend(&store[store.len() - new..]);
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            prop_assert_eq!(client.len(), view.exists() as usize);
            for (number, uid) in (1..).zip(&client) {
                prop_assert_eq!(view.number(*uid), Some(number));
                prop_assert_eq!(view.uid(number), Some(*uid));
            }
            prop_assert_eq!(view.uid(0), None);
            prop_assert_eq!(view.uid(view.exists() + 1), None);
        }
        view.follow(made.index(), hearing(true, false), &UidSet::none());
        let known = view.known_within(std::iter::once(1..=Uid::MAX));
        prop_assert_eq!(known.iter().collect::<Vec<_>>(), store);
    }
}
