//! Sets of UIDs as few ranges.

use std::ops::RangeInclusive;

use super::Uid;

/// A set of UIDs, kept as ascending ranges that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UidSet {
    ranges: Vec<RangeInclusive<Uid>>,
}

impl UidSet {
    /// Holds no UID.
    pub const fn none() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Holds every UID.
    pub fn all() -> Self {
        Self::from_iter([1..=Uid::MAX])
    }

    /// Holds nothing.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[RangeInclusive<Uid>] {
        &self.ranges
    }

    /// The UIDs, ascending. A range to the greatest UID is long: see [`UidSet::ranges`].
    pub fn iter(&self) -> impl Iterator<Item = Uid> + '_ {
        self.ranges.iter().cloned().flatten()
    }

    /// The UID is in the set.
    pub fn contains(&self, uid: Uid) -> bool {
        let after = self.ranges.partition_point(|range| *range.start() <= uid);
        after > 0 && self.ranges[after - 1].contains(&uid)
    }

    /// The UIDs that are in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Vec::new();
        let (mut ours, mut theirs) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        while let (Some(one), Some(two)) = (ours.peek(), theirs.peek()) {
            both.push(*one.start().max(two.start())..=*one.end().min(two.end()));
            // The one that ends first meets no other.
            if one.end() <= two.end() {
                ours.next()
            } else {
                theirs.next()
            };
        }
        both.into_iter().collect()
    }

    /// The UIDs that are not in the other set.
    pub fn without(&self, other: &Self) -> Self {
        let ends = other.ranges.iter().map(|range| (*range.start(), *range.end()));
        let mut gaps = Vec::with_capacity(other.ranges.len() + 1);
        let mut next = Some(0);
        for (start, end) in ends {
            gaps.extend(next.filter(|next| *next < start).map(|next| next..=start - 1));
            next = end.checked_add(1);
        }
        gaps.extend(next.map(|next| next..=Uid::MAX));
        self.intersection(&Self { ranges: gaps })
    }

    /// Adds a UID above all others.
    pub(crate) fn push(&mut self, uid: Uid) {
        match self.ranges.last_mut() {
            Some(last) if last.end().checked_add(1) == Some(uid) => *last = *last.start()..=uid,
            _ => self.ranges.push(uid..=uid),
        }
    }

    /// Octets that it takes, roughly.
    pub(crate) fn octets(&self) -> usize {
        self.ranges.capacity() * size_of::<RangeInclusive<Uid>>()
    }

    /// How many UIDs it holds.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|range| u64::from(range.end() - range.start()) + 1).sum()
    }
}

impl FromIterator<RangeInclusive<Uid>> for UidSet {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<Uid>>>(ranges: I) -> Self {
        let mut sorted: Vec<_> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        sorted.sort_unstable_by_key(|range| *range.start());
        let mut ranges: Vec<RangeInclusive<Uid>> = Vec::with_capacity(sorted.len().min(64));
        for next in sorted {
            match ranges.last_mut() {
                Some(last) if *next.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*last.end().max(next.end());
                }
                _ => ranges.push(next),
            }
        }
        Self { ranges }
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        // Mostly they ascend.
        let mut set = Self::none();
        let mut others: Vec<RangeInclusive<Uid>> = Vec::new();
        for uid in uids {
            if set.ranges.last().is_none_or(|last| *last.end() < uid) {
                set.push(uid);
            } else {
                others.push(uid..=uid);
            }
        }
        if others.is_empty() { set } else { set.ranges.into_iter().chain(others).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_become_one() {
        let set: UidSet = [5..=7, 1..=2, 3..=3, 9..=9, 6..=6].into_iter().collect();
        assert_eq!(set.ranges(), [1..=3, 5..=7, 9..=9]);
        assert_eq!(set.len(), 7);
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 2, 3, 5, 6, 7, 9]);
        for (uid, inside) in [(0, false), (1, true), (4, false), (7, true), (8, false), (10, false)] {
            assert_eq!(set.contains(uid), inside, "{uid}");
        }
    }

    #[test]
    fn uids_in_any_order_make_the_same_set() {
        let set: UidSet = [7, 3, 1, 2, 9, 8, 3].into_iter().collect();
        assert_eq!(set.ranges(), [1..=3, 7..=9]);
        assert_eq!(set, [1, 2, 3, 7, 8, 9].into_iter().collect());
        let last: UidSet = [Uid::MAX - 1, Uid::MAX, Uid::MAX].into_iter().collect();
        assert_eq!(last.ranges(), [Uid::MAX - 1..=Uid::MAX]);
    }

    #[test]
    fn sets_are_cut_by_others() {
        let set = |ranges: &[RangeInclusive<Uid>]| ranges.iter().cloned().collect::<UidSet>();
        let one = set(&[1..=4, 8..=12, 20..=Uid::MAX]);
        let other = set(&[3..=9, 12..=12, 30..=Uid::MAX]);
        assert_eq!(one.intersection(&other), set(&[3..=4, 8..=9, 12..=12, 30..=Uid::MAX]));
        assert_eq!(one.without(&other), set(&[1..=2, 10..=11, 20..=29]));
        assert_eq!(other.without(&one), set(&[5..=7]));
        assert_eq!(one.without(&UidSet::none()), one);
        assert!(one.without(&UidSet::all()).is_empty());
    }

    #[test]
    fn the_greatest_uid_does_not_overflow() {
        let set: UidSet = [1..=Uid::MAX, Uid::MAX..=Uid::MAX].into_iter().collect();
        assert_eq!(set, UidSet::all());
        assert_eq!(set.len(), u64::from(Uid::MAX));
    }
}
