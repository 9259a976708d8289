//! A token bucket: a rate that allows what was saved up at once.

use crate::{Millis, Rate};

/// What may still happen under a rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    /// When it will be full again, in units of 1/count of a millisecond, so that nothing is lost by rounding. What is
    /// missing is the distance from now.
    full_at: u128,
}

impl Bucket {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate: Rate { count: rate.count.max(1), per: rate.per.max(1) }, full_at: 0 }
    }

    /// The same bucket under a rate that was changed; what is missing stays missing.
    pub(crate) fn adjusted(current: Option<Self>, rate: Option<Rate>) -> Option<Self> {
        match (current, rate) {
            (Some(bucket), Some(rate)) if bucket.rate == rate => Some(bucket),
            (_, rate) => rate.map(Self::new),
        }
    }

    /// When the next token is there: `now` if one is.
    pub(crate) fn next(&self, now: Millis) -> Millis {
        // A token costs `per` parts; the bucket holds `count` of them, so one is there if at most count - 1 are missing.
        let may_miss = u128::from(self.rate.count - 1) * u128::from(self.rate.per);
        let parts = u128::from(self.rate.count);
        let at = self.full_at.saturating_sub(may_miss).div_ceil(parts);
        now.max(u64::try_from(at).unwrap_or(Millis::MAX))
    }

    /// Takes a token, also one that is not there yet: then the next is as much later.
    pub(crate) fn take(&mut self, now: Millis) {
        let now = u128::from(now) * u128::from(self.rate.count);
        self.full_at = self.full_at.max(now) + u128::from(self.rate.per);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_up_goes_at_once_and_the_rest_at_the_rate() {
        let mut bucket = Bucket::new(Rate { count: 3, per: 1_000 });
        let mut times = Vec::new();
        let mut now = 5_000;
        for _ in 0..6 {
            now = bucket.next(now);
            bucket.take(now);
            times.push(now);
        }
        assert_eq!(times, [5_000, 5_000, 5_000, 5_334, 5_667, 6_000]);
        assert_eq!(bucket.next(9_000), 9_000);
    }
}
