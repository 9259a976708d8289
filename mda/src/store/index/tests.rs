use std::collections::BTreeSet;

use journal::Position;
use proptest::prelude::*;

use super::chunk::LENGTH;
use super::*;
use crate::store::record::Placed;

/// An index that is changed as the store does, for tests of what is made of it.
pub(crate) struct MadeIndex {
    index: Arc<Index>,
    interner: Interner,
    leaves: BTreeMap<u32, Leaf>,
    next_uid: Uid,
    modseq: ModSeq,
}

impl MadeIndex {
    pub(crate) fn new() -> Self {
        let (index, interner) = Builder::new(Counters::fresh().status(1)).followed();
        Self { index, interner, leaves: BTreeMap::new(), next_uid: 1, modseq: 1 }
    }

    pub(crate) fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index)
    }

    /// Messages of these UIDs get these flags, or go.
    pub(crate) fn commit(&mut self, rows: &[(Uid, Option<Flags>)]) -> Arc<Index> {
        self.modseq += 1;
        let mut touched = BTreeSet::new();
        for (uid, flags) in rows {
            let number = Leaf::number_of(*uid);
            let leaf = self.leaves.entry(number).or_insert_with(|| Leaf::empty(number));
            leaf.remove(*uid);
            if let Some(flags) = flags {
                let placed = Placed {
                    uid: *uid,
                    modseq: self.modseq,
                    email: u64::from(*uid),
                    flags: flags.bits().into(),
                    keywords: flags.keywords().map(str::to_owned).collect(),
                    size: 1,
                    ..Placed::default()
                };
                leaf.insert(Message::of(&placed), FlagState::of_placed(&placed, Position::default()));
            }
            touched.insert(number);
            self.next_uid = self.next_uid.max(uid + 1);
        }
        let touched = touched.into_iter().map(|number| (number, self.leaves[&number].clone())).collect();
        let counters = Counters { uid_next: self.next_uid, highest_modseq: self.modseq, ..Counters::fresh() };
        Arc::make_mut(&mut self.index).apply(&mut self.interner, &counters, &touched);
        self.index()
    }

    /// New messages without flags, as many as these.
    pub(crate) fn append(&mut self, number: u32) -> Arc<Index> {
        let uids = self.next_uid..self.next_uid + number;
        self.commit(&uids.map(|uid| (uid, Some(Flags::none()))).collect::<Vec<_>>())
    }
}

impl Index {
    /// How many messages are looked at to find those that changed since.
    pub(crate) fn looked_at_since(&self, modseq: ModSeq) -> u32 {
        let parts = self.parts.iter().filter(|part| part.chunk.highest_modseq() > modseq);
        parts.map(|part| part.chunk.len()).sum()
    }
}

fn flags(system: SystemFlag, keyword: &str) -> Flags {
    let mut flags = Flags::none().with(system);
    flags.set_keyword(keyword);
    flags
}

#[test]
fn an_entry_takes_48_octets() {
    assert_eq!(size_of::<Entry>(), 48);
}

#[test]
fn a_change_shares_all_chunks_but_its_own() {
    let mut made = MadeIndex::new();
    let before = made.append(10 * LENGTH as u32);
    let after = made.commit(&[(700, Some(flags(SystemFlag::Seen, "a"))), (9_000, Some(Flags::none()))]);
    let shared =
        before.parts.iter().zip(&after.parts).filter(|(one, other)| Arc::ptr_eq(&one.chunk, &other.chunk));
    assert_eq!(shared.count(), 9);
    assert_eq!(after.parts.len(), 11);
    let difference = after.since(&before);
    assert_eq!((difference.gone, difference.changed, difference.new), (vec![], vec![700], vec![9_000]));
}

#[test]
fn indexes_are_alike_again_behind_a_chunk_that_is_gone() {
    let mut made = MadeIndex::new();
    let before = made.append(3 * LENGTH as u32);
    let gone: Vec<_> = (1..=LENGTH as u32).map(|uid| (uid, None)).collect();
    let after = made.commit(&gone);
    assert!(Arc::ptr_eq(&before.parts[1].chunk, &after.parts[0].chunk));
    assert_eq!(after.since(&before).gone.len(), LENGTH);
    assert_eq!((after.len(), after.position(LENGTH as u32 + 1)), (2 * LENGTH as u32, Ok(0)));
}

#[test]
fn keywords_are_kept_once_and_forgotten_when_few_of_many_are_in_use() {
    let mut made = MadeIndex::new();
    made.commit(&[(1, Some(flags(SystemFlag::Seen, "a"))), (2, Some(flags(SystemFlag::Draft, "a")))]);
    let index = made.index();
    assert_eq!(index.get(1).unwrap().keywords, index.get(2).unwrap().keywords);
    for n in 0..3_000 {
        made.commit(&[(1, Some(flags(SystemFlag::Seen, &n.to_string())))]);
    }
    let after = made.index();
    assert!(after.keywords().count() < 1_100, "{}", after.keywords().count());
    assert!(index.may_lack_keywords_of(&after));
    assert_eq!(after.flags(after.get(1).unwrap()), flags(SystemFlag::Seen, "2999"));
    assert_eq!(after.flags(after.get(2).unwrap()), flags(SystemFlag::Draft, "a"));
}

#[derive(Debug, Clone)]
enum Step {
    Append(u32),
    Flag(u32, u32, u8),
    Expunge(u32, u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..700_u32).prop_map(Step::Append),
        (0..2_000_u32, 0..300_u32, 0..4_u8).prop_map(|(at, more, kind)| Step::Flag(at, more, kind)),
        (0..2_000_u32, 0..900_u32).prop_map(|(at, more)| Step::Expunge(at, more)),
    ]
}

/// The model: messages with modseq and flags, in order.
type Model = Vec<(Uid, ModSeq, Flags)>;

fn run(made: &mut MadeIndex, model: &mut Model, step: &Step) {
    let within = |model: &Model, at: u32, more: u32| {
        let range = at..=at + more;
        model.iter().map(|(uid, ..)| *uid).filter(|uid| range.contains(uid)).collect::<Vec<_>>()
    };
    match *step {
        Step::Append(number) => {
            let uids = made.next_uid..made.next_uid + number;
            made.append(number);
            model.extend(uids.map(|uid| (uid, made.modseq, Flags::none())));
        }
        Step::Flag(at, more, kind) => {
            let set = match kind {
                0 => Flags::none(),
                1 => Flags::none().with(SystemFlag::Seen),
                2 => flags(SystemFlag::Seen, "a"),
                _ => flags(SystemFlag::Flagged, "b"),
            };
            let uids = within(model, at, more);
            made.commit(&uids.iter().map(|uid| (*uid, Some(set.clone()))).collect::<Vec<_>>());
            for (_, modseq, flags) in model.iter_mut().filter(|(uid, ..)| uids.contains(uid)) {
                (*modseq, *flags) = (made.modseq, set.clone());
            }
        }
        Step::Expunge(at, more) => {
            // Some that are not there too.
            made.commit(&(at..=at + more).map(|uid| (uid, None)).collect::<Vec<_>>());
            model.retain(|(uid, ..)| !(at..=at + more).contains(uid));
        }
    }
}

fn check(index: &Index, model: &Model) {
    let listed: Model = index.iter().map(|entry| (entry.uid(), entry.modseq(), index.flags(entry))).collect();
    assert_eq!(&listed, model);
    assert_eq!(index.len() as usize, model.len());
    for (place, (uid, ..)) in model.iter().enumerate() {
        assert_eq!(index.position(*uid), Ok(place as u32));
        assert_eq!(index.at(place as u32).map(Entry::uid), Some(*uid));
        assert_eq!(index.get(*uid).map(Entry::uid), Some(*uid));
    }
    assert!(index.at(index.len()).is_none());
    let unseen = model.iter().position(|(.., flags)| !flags.has(SystemFlag::Seen));
    assert_eq!(index.first_unseen(), unseen.map(|place| place as u32));
    for since in [0, 3, 7] {
        let changed = index.changed_since(since).map(Entry::uid);
        let expected = model.iter().filter(|(_, modseq, _)| *modseq > since).map(|(uid, ..)| *uid);
        assert!(changed.eq(expected));
    }
    for (first, last) in [(0, 0), (1, 400), (500, 1_100), (1_300, Uid::MAX)] {
        let range = index.range(first..=last).map(Entry::uid);
        assert!(range.eq(model.iter().map(|(uid, ..)| *uid).filter(|uid| (first..=last).contains(uid))));
    }
}

fn difference(old: &Model, new: &Model) -> Difference {
    let find = |model: &Model, uid: Uid| model.iter().find(|(known, ..)| *known == uid).map(|row| row.1);
    let uids = |model: &Model| model.iter().map(|(uid, ..)| *uid).collect::<Vec<_>>();
    let mut difference = Difference { gone: uids(old), ..Difference::default() };
    difference.gone.retain(|uid| find(new, *uid).is_none());
    for uid in uids(new) {
        match find(old, uid) {
            None => difference.new.push(uid),
            before if before != find(new, uid) => difference.changed.push(uid),
            Some(_) => {}
        }
    }
    difference
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn an_index_is_what_a_list_would_be(steps in proptest::collection::vec(step(), 1..14), kept in 0..14_usize) {
        let mut made = MadeIndex::new();
        let mut model = Model::new();
        let mut old = (made.index(), model.clone());
        for (number, step) in steps.iter().enumerate() {
            run(&mut made, &mut model, step);
            check(&made.index(), &model);
            if number == kept {
                old = (made.index(), model.clone());
            }
        }
        // What was handed out stays what it was.
        check(&old.0, &old.1);
        prop_assert_eq!(made.index().since(&old.0), difference(&old.1, &model));
    }
}

#[test]
fn a_loading_that_was_overtaken_gives_its_index_to_nobody() {
    let indexes = Indexes::new(1 << 20);
    let built = || Builder::new(Counters::fresh().status(1));
    let first = indexes.begin(7).unwrap();
    // The mailbox goes, and somebody who had looked up its name before that begins anew.
    indexes.publish(Commits::new(), &std::collections::HashMap::new(), [7].into_iter());
    let second = indexes.begin(7).unwrap();
    assert!(matches!(first.finish(built()), Err(crate::store::StoreError::NoSuchMailbox)));
    assert!(indexes.current(7).is_none() && indexes.begin(7).is_none());
    second.finish(built()).unwrap();
    assert!(indexes.current(7).is_some());
}
