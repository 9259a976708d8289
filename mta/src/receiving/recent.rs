//! A table that is bounded by forgetting.

use std::collections::HashMap;
use std::hash::Hash;

/// Remembers at least the last `most` entries that were used, and at most twice as many.
///
/// Two generations: when the young one is full it becomes the old one, and what was in the old one and not used since is
/// forgotten. So nothing is ever searched for what to forget.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    most: usize,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), most: most.max(1) }
    }

    /// The entry of a key, made if it is not there.
    pub(super) fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let known = if self.young.contains_key(&key) { None } else { self.old.remove(&key) };
        if self.young.len() >= self.most && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.entry(key).or_insert_with(|| known.unwrap_or_else(make))
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.most && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.old.iter().chain(&self.young)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_table_is_bounded() {
        let mut recent = Recent::new(10);
        for n in 0..1_000 {
            recent.insert(n, n);
            recent.insert(0, 7);
            assert!(recent.len() <= 20);
        }
        assert_eq!(recent.get(&0), Some(&7));
        assert_eq!(recent.get(&999), Some(&999));
        assert_eq!(recent.get(&1), None);
        *recent.entry(5_000, || 1) += 1;
        *recent.entry(5_000, || 1) += 1;
        assert_eq!(recent.get(&5_000), Some(&3));
    }
}
