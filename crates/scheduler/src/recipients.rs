//! Which recipients of a message, in little space.

use std::fmt;

/// Indices of recipients in their envelope, ascending. 16 octets for one or a run of neighbours, which is what most
/// units are.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipients(Repr);

#[derive(Clone, PartialEq, Eq)]
enum Repr {
    Run {
        first: u32,
        count: u32,
    },
    /// Never a run.
    #[expect(clippy::box_collection, reason = "8 octets instead of 24")]
    Some(Box<Vec<u32>>),
}

impl Recipients {
    /// None at all.
    pub(crate) const NONE: Self = Self(Repr::Run { first: 0, count: 0 });

    /// These; the order and repetitions do not matter.
    pub fn new(mut indices: Vec<u32>) -> Self {
        indices.sort_unstable();
        indices.dedup();
        let first = indices.first().copied().unwrap_or(0);
        let is_run = indices.last().is_none_or(|last| (last - first) as usize + 1 == indices.len());
        if is_run {
            return Self(Repr::Run { first, count: indices.len() as u32 });
        }
        indices.shrink_to_fit();
        Self(Repr::Some(Box::new(indices)))
    }

    /// How many.
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Run { count, .. } => *count as usize,
            Repr::Some(indices) => indices.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let (run, some) = match &self.0 {
            Repr::Run { first, count } => (*first..*first + *count, &[][..]),
            Repr::Some(indices) => (0..0, &indices[..]),
        };
        run.chain(some.iter().copied())
    }

    /// Those for which `chosen` holds, and the others.
    pub(crate) fn split(&self, chosen: impl Fn(u32) -> bool) -> (Self, Self) {
        let (chosen, others): (Vec<u32>, Vec<u32>) = self.iter().partition(|&index| chosen(index));
        (Self::new(chosen), Self::new(others))
    }
}

impl FromIterator<u32> for Recipients {
    fn from_iter<I: IntoIterator<Item = u32>>(indices: I) -> Self {
        Self::new(indices.into_iter().collect())
    }
}

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_set_comes_back_as_it_was() {
        for indices in [vec![], vec![7], vec![3, 4, 5], vec![0, 2, 3], vec![9, 1, 1, 5]] {
            let recipients = Recipients::new(indices.clone());
            let mut sorted = indices;
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(recipients.iter().collect::<Vec<_>>(), sorted);
            assert_eq!(recipients.len(), sorted.len());
        }
        assert_eq!(size_of::<Recipients>(), 16);
    }
}
