//! How long to wait before a dead service is started again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
/// Short: on one machine nothing but the mail waits for it, and a start that fails costs little.
const LONGEST: Duration = Duration::from_secs(2);
/// A service that ran for so long was healthy: what comes next is a new trouble, not the old one.
const HEALTHY: Duration = Duration::from_secs(10);

/// Doubles the wait with every failure in a row, up to a limit.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    /// As for a service that has not failed yet.
    pub(crate) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The wait before the next start of a service that ran for `lifetime` and died.
    pub(crate) fn wait_after(&mut self, lifetime: Duration) -> Duration {
        if lifetime >= HEALTHY {
            self.next = FIRST;
        }
        let wait = self.next;
        self.next = (self.next * 2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_two_seconds() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..7).map(|_| backoff.wait_after(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000]);
    }

    #[test]
    fn ten_healthy_seconds_begin_anew() {
        let mut backoff = Backoff::new();
        for _ in 0..5 {
            backoff.wait_after(Duration::from_secs(9));
        }
        assert_eq!(backoff.wait_after(Duration::from_secs(10)), FIRST);
        assert_eq!(backoff.wait_after(Duration::from_secs(1)), FIRST * 2);
    }
}
