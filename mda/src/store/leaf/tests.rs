use std::collections::BTreeMap;

use journal::SegmentId;
use proptest::prelude::*;

use super::codec::LeafError;
use super::*;
use crate::store::table::Value as _;

fn message(uid: Uid) -> Message {
    let email = u64::from(uid) * 3;
    Message { uid, email, size: 100, internal_date: 1_700_000_000, saved_at: 1_700_000_007, state: 0 }
}

fn state(modseq: u64) -> FlagState {
    let at = Position { segment: SegmentId(7), offset: modseq as u32 * 100 };
    FlagState { flags: 1, modseq, at, ..FlagState::default() }
}

fn full() -> Leaf {
    let mut leaf = Leaf::empty(2);
    for uid in leaf.uids() {
        leaf.insert(message(uid), state(1));
    }
    leaf
}

fn octets(leaf: &Leaf) -> Vec<u8> {
    let mut octets = Vec::new();
    leaf.write(&mut octets);
    octets
}

/// The same messages, whatever the order of their states.
fn is_alike(one: &Leaf, other: &Leaf) -> bool {
    let plain = |(message, state): (&Message, &FlagState)| (Message { state: 0, ..*message }, state.clone());
    one.number == other.number && one.messages().map(plain).eq(other.messages().map(plain))
}

#[test]
fn flags_are_given_to_a_range_and_only_over_older_ones() {
    let mut leaf = full();
    let mut told = Vec::new();
    leaf.reflag(&(130..=140), &state(5), |message, old| told.push((message.uid, old.modseq)));
    assert_eq!(told, (130..=140).map(|uid| (uid, 1)).collect::<Vec<_>>());
    told.clear();
    leaf.reflag(&(100..=131), &state(3), |message, _| told.push((message.uid, 0)));
    assert_eq!(told, [(128, 0), (129, 0)]);
    assert_eq!(leaf.get(129).unwrap().1.modseq, 3);
    assert_eq!(leaf.get(130).unwrap().1.modseq, 5);
    assert_eq!(leaf.get(141).unwrap().1.modseq, 1);
    assert!(leaf.get(127).is_none() && leaf.get(192).is_none());
}

#[test]
fn states_that_no_message_has_any_more_are_forgotten() {
    let mut leaf = full();
    for modseq in 2..2_000 {
        leaf.reflag(&(128..=190), &state(modseq), |_, _| {});
    }
    assert!(leaf.states.len() <= MOST_STATES);
    assert_eq!(leaf.get(190).unwrap().1.modseq, 1_999);
    assert_eq!(leaf.get(191).unwrap().1.modseq, 1);
    assert_eq!(Leaf::read(&octets(&leaf)).unwrap().states.len(), 2);
}

#[test]
fn a_full_leaf_of_one_state_takes_few_octets() {
    assert!(octets(&full()).len() < 64 * 10, "{}", octets(&full()).len());
}

#[test]
fn missing_uids_are_those_without_a_message() {
    let mut leaf = full();
    assert_eq!(leaf.remove(191).unwrap().0.uid, 191);
    assert_eq!(leaf.remove(128).unwrap().1.modseq, 1);
    assert!(leaf.remove(128).is_none());
    assert_eq!(leaf.missing(&(0..=Uid::MAX)).collect::<Vec<_>>(), [128, 191]);
    assert_eq!(leaf.missing(&(129..=190)).count(), 0);
    assert_eq!(Leaf::empty(Leaf::number_of(Uid::MAX)).missing(&(Uid::MAX..=Uid::MAX)).count(), 1);
}

#[test]
fn ranges_are_cut_where_leaves_begin() {
    let cut: Vec<_> = pieces([1..=2, 63..=64, 100..=200, Uid::MAX..=Uid::MAX]).collect();
    let last = (Leaf::number_of(Uid::MAX), Uid::MAX..=Uid::MAX);
    assert_eq!(
        cut,
        [(0, 1..=2), (0, 63..=63), (1, 64..=64), (1, 100..=127), (2, 128..=191), (3, 192..=200), last]
    );
}

#[test]
fn octets_that_are_no_leaf_are_refused() {
    let good = octets(&full());
    for end in 0..good.len() {
        assert_eq!(Leaf::read(&good[..end]), Err(LeafError::Short));
    }
    assert_eq!(Leaf::read(&[&good[..], &[0]].concat()), Err(LeafError::Long));
    assert_eq!(Leaf::read(&[0; 20]), Err(LeafError::Empty));
    assert_eq!(Leaf::read(&[0xff; 20]), Err(LeafError::Large));
    // One message, one state, and two states of which none is had.
    let one = [0, 1, 0, 0, 0, 0, 0, 0, 0];
    let message = [2, 5, 0, 0];
    assert!(Leaf::read(&[&one[..], &[1, 0, 2, 0, 0], &message].concat()).is_ok());
    assert_eq!(Leaf::read(&[&one[..], &[0], &message].concat()), Err(LeafError::Disorder));
    assert_eq!(
        Leaf::read(&[&one[..], &[2, 0, 2, 0, 0, 0, 2, 0, 0], &message].concat()),
        Err(LeafError::Large)
    );
    let keyword = [1, 2, 2, 0, 0, 1, 1, 0xff];
    assert_eq!(Leaf::read(&[&one[..], &keyword, &message].concat()), Err(LeafError::Keyword));
}

fn any_state() -> impl Strategy<Value = FlagState> {
    let keywords = prop_oneof![
        3 => Just(Vec::new()),
        1 => prop::collection::vec("[a-zé$]{0,12}", 1..4),
    ];
    let at = (any::<u64>(), any::<u32>());
    (any::<u32>(), keywords, any::<u64>(), at, any::<bool>()).prop_map(
        |(flags, keywords, modseq, (segment, offset), as_placed)| {
            let at = Position { segment: SegmentId(segment), offset };
            FlagState { flags, keywords, modseq, at, as_placed }
        },
    )
}

fn any_message() -> impl Strategy<Value = (u64, u64, i64, i64)> {
    (any::<u64>(), any::<u64>(), any::<i64>(), any::<i64>())
}

prop_compose! {
    fn any_leaf()(
        number in prop_oneof![0..3_u32, Just(Leaf::number_of(Uid::MAX))],
        messages in prop::collection::btree_map(0..UIDS, (any_message(), 0..8_usize), 1..64),
        states in prop::collection::vec(any_state(), 8),
    ) -> Leaf {
        let mut leaf = Leaf::empty(number);
        for (place, ((email, size, internal_date, saved_at), state)) in messages {
            let uid = number * UIDS + place;
            leaf.insert(Message { uid, email, size, internal_date, saved_at, state: 0 }, states[state].clone());
        }
        leaf
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_written_the_same(leaf in any_leaf()) {
        let octets = octets(&leaf);
        let read = Leaf::read(&octets).unwrap();
        prop_assert!(is_alike(&leaf, &read));
        prop_assert_eq!(self::octets(&read), octets);
    }

    #[test]
    fn whatever_is_read_is_written_and_read_the_same(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(leaf) = Leaf::read(&octets) {
            prop_assert_eq!(Leaf::read(&self::octets(&leaf)), Ok(leaf));
        }
    }

    #[test]
    fn a_leaf_with_some_octets_changed_is_read_or_refused(
        leaf in any_leaf(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut octets = octets(&leaf);
        for (at, octet) in changes {
            *at.get_mut(&mut octets) = octet;
        }
        if let Ok(leaf) = Leaf::read(&octets) {
            prop_assert_eq!(Leaf::read(&self::octets(&leaf)), Ok(leaf));
        }
    }

    /// Against a map from UIDs to messages.
    #[test]
    fn messages_come_change_and_go(
        steps in prop::collection::vec((0..3_u8, 120..200_u32, 0..70_u32, 0..6_u64), 0..80),
    ) {
        let mut leaf = Leaf::empty(2);
        let mut model: BTreeMap<Uid, FlagState> = BTreeMap::new();
        for (kind, first, more, modseq) in steps {
            let (uids, new) = (first..=first + more, state(modseq));
            match kind {
                0 if leaf.uids().contains(&first) => {
                    leaf.remove(first);
                    leaf.insert(message(first), new.clone());
                    model.insert(first, new);
                }
                1 => {
                    let mut told = Vec::new();
                    leaf.reflag(&uids, &new, |message, old| told.push((message.uid, old.clone())));
                    for (uid, old) in model.range_mut(uids).filter(|(_, old)| old.modseq < modseq) {
                        prop_assert!(told.contains(&(*uid, old.clone())));
                        *old = new.clone();
                    }
                }
                2 => prop_assert_eq!(leaf.remove(first).map(|(_, state)| state), model.remove(&first)),
                _ => {}
            }
            let states = leaf.messages().map(|(message, state)| (message.uid, state));
            prop_assert!(states.eq(model.iter().map(|(uid, state)| (*uid, state))));
        }
    }
}
