//! Several rounds as one figure.

/// The median of some rounds, and the least and the most that one of them had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    /// The median.
    pub(crate) median: f64,
    /// The least.
    pub(crate) min: f64,
    /// The most.
    pub(crate) max: f64,
}

impl Summary {
    /// `None` of no round.
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = rounds.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Self { median, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_round_that_was_disturbed_does_not_move_the_median() {
        assert_eq!(Summary::of([3.0, 100.0, 1.0]), Some(Summary { median: 3.0, min: 1.0, max: 100.0 }));
        assert_eq!(Summary::of([2.0, 1.0]), Some(Summary { median: 1.5, min: 1.0, max: 2.0 }));
        assert_eq!(Summary::of([]), None);
    }
}
