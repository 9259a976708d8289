use proptest::prelude::*;

use super::*;
use crate::imap::parse::SortKey;

const BY_SIZE: SortCriterion = SortCriterion { key: SortKey::Size, reverse: false };

/// What a client makes of places (RFC 5267 §4.3.3, §4.3.4).
fn taken_out(list: &mut Vec<Uid>, places: &Places) {
    for (place, uids) in places {
        let end = place - 1 + uids.len();
        assert_eq!(list.drain(place - 1..end).collect::<Vec<_>>(), *uids);
    }
}

fn put_in(list: &mut Vec<Uid>, places: &Places) {
    for (place, uids) in places {
        list.splice(place - 1..place - 1, uids.iter().copied());
    }
}

proptest! {
    #[test]
    fn a_client_that_follows_the_places_has_the_same_order(
        sizes in prop::collection::vec(0..6i64, 40),
        steps in prop::collection::vec((prop::collection::vec(0..40usize, 0..8), any::<bool>()), 1..12),
    ) {
        let sortable = |at: usize| Sortable::by_number(at as Uid + 1, sizes[at]);
        let mut results = Results::sorted(Vec::new(), vec![BY_SIZE]);
        let mut list = Vec::new();
        for (mut messages, comes) in steps {
            messages.sort_unstable();
            messages.dedup();
            if comes {
                messages.retain(|at| !results.members().contains(*at as Uid + 1));
                let places = results.add_sorted(messages.into_iter().rev().map(sortable).collect());
                put_in(&mut list, &places);
            } else {
                let left = messages.iter().map(|at| *at as Uid + 1).collect();
                taken_out(&mut list, &results.remove(&left));
            }
            let mut expected: Vec<Uid> = results.members().iter().collect();
            expected.sort_by_key(|uid| (sizes[*uid as usize - 1], *uid));
            prop_assert_eq!(&list, &expected);
        }
    }
}

#[test]
fn what_stands_together_is_told_together() {
    let mut results = Results::sorted(Vec::new(), vec![BY_SIZE]);
    let by_size = |uid, size| Sortable::by_number(uid, size);
    assert_eq!(results.add_sorted(vec![by_size(1, 9), by_size(2, 5), by_size(3, 7)]), [(1, vec![2, 3, 1])]);
    assert_eq!(results.add_sorted(vec![by_size(4, 5), by_size(5, 6)]), [(2, vec![4, 5])]);
    assert_eq!(results.remove(&[2, 4, 1].into_iter().collect()), [(5, vec![1]), (1, vec![2, 4])]);
    let mut results = Results::found(&[3, 9]);
    assert_eq!(results.add(vec![4, 5]), [(0, vec![4, 5])]);
    assert_eq!(results.remove(&[1, 3, 4].into_iter().collect()), [(0, vec![3, 4])]);
    assert_eq!(runs(&[4, 5, 6, 2, 1, 9]), "4:6,2,1,9");
}
