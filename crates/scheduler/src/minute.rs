//! How much happened in the last minute.

use crate::Millis;

/// Width of a bucket.
const STEP: Millis = 5_000;
/// Buckets: a minute, and the one that fills.
const STEPS: usize = 13;

/// A count over the last minute, to five seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Minute {
    counts: [u32; STEPS],
    /// The step, counted from the beginning, that the newest bucket stands for.
    newest: u64,
}

impl Minute {
    pub(crate) fn add(&mut self, now: Millis) {
        let step = now / STEP;
        self.forget(step);
        let count = &mut self.counts[index(step)];
        *count = count.saturating_add(1);
    }

    pub(crate) fn sum(&self, now: Millis) -> u64 {
        let mut current = *self;
        current.forget(now / STEP);
        current.counts.iter().map(|&count| u64::from(count)).sum()
    }

    /// Empties the buckets between the newest and `step`.
    fn forget(&mut self, step: u64) {
        let passed = step.abs_diff(self.newest).min(STEPS as u64);
        for ago in 0..passed {
            self.counts[index(step.wrapping_sub(ago))] = 0;
        }
        self.newest = step;
    }
}

fn index(step: u64) -> usize {
    (step % STEPS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_a_minute_does_not_count() {
        let mut minute = Minute::default();
        (0..10).for_each(|_| minute.add(100_000));
        minute.add(130_000);
        assert_eq!(minute.sum(130_000), 11);
        assert_eq!(minute.sum(164_999), 11);
        assert_eq!(minute.sum(166_000), 1);
        assert_eq!(minute.sum(1_000_000), 0);
    }
}
