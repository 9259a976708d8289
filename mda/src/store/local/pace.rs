//! How fast space is got back: no faster than the disk can spare.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Work that was not done may be made up for as far as this.
const BURST: Duration = Duration::from_millis(100);

/// Bounds octets a second. Whoever spends more than there is waits for it, until there is nothing to be waited for any
/// more because the store is closing.
#[derive(Debug)]
pub(super) struct Pace {
    /// 0: as many as there are.
    octets_per_second: u64,
    spent: Mutex<Spent>,
    over: Condvar,
}

#[derive(Debug)]
struct Spent {
    /// When all that was spent has been paid for.
    until: Instant,
    /// Octets that were spent so far.
    total: u64,
    over: bool,
}

impl Pace {
    pub(super) fn new(octets_per_second: u64) -> Self {
        let spent = Spent { until: Instant::now(), total: 0, over: false };
        Self { octets_per_second, spent: Mutex::new(spent), over: Condvar::new() }
    }

    /// Spends octets, and waits until they may have been.
    pub(super) fn spend(&self, octets: u64) {
        let mut spent = self.spent.lock();
        spent.total += octets;
        spent.until = due(spent.until, Instant::now(), octets, self.octets_per_second);
        let until = spent.until;
        while !spent.over && !self.over.wait_until(&mut spent, until).timed_out() {}
    }

    /// Octets that were spent so far.
    pub(super) fn total(&self) -> u64 {
        self.spent.lock().total
    }

    /// Lets everybody go on at once, from now on.
    pub(super) fn end(&self) {
        self.spent.lock().over = true;
        self.over.notify_all();
    }

    /// There is no more waiting, nor should there be more work.
    pub(super) fn is_over(&self) -> bool {
        self.spent.lock().over
    }
}

/// When octets will have been paid for that are spent `now`, those before them being paid for at `until`.
fn due(until: Instant, now: Instant, octets: u64, per_second: u64) -> Instant {
    if per_second == 0 {
        return now;
    }
    let from = now.checked_sub(BURST).map_or(until, |earliest| until.max(earliest));
    from + Duration::from_nanos(octets.saturating_mul(1_000_000_000) / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_octets_as_configured_are_spent_in_a_second() {
        let start = Instant::now();
        let mut until = start;
        for _ in 0..100 {
            until = due(until, start, 10_000, 1_000_000);
        }
        assert_eq!(until, start + Duration::from_secs(1));
    }

    #[test]
    fn what_was_not_spent_is_not_saved_up() {
        let now = Instant::now() + Duration::from_hours(1);
        let until = due(Instant::now(), now, 1_000_000, 1_000_000);
        assert_eq!(until + BURST, now + Duration::from_secs(1));
    }

    #[test]
    fn nobody_waits_for_a_pace_that_is_over() {
        let pace = Pace::new(1);
        pace.end();
        pace.spend(u64::MAX);
    }
}
