//! When to try again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use service::config::HumanDuration;

/// How often and for how long a recipient is tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// The wait after the first failed attempt; it doubles with each further one. Default 5m.
    pub first: HumanDuration,
    /// The longest wait. Default 4h.
    pub longest: HumanDuration,
    /// Each wait is changed at random by up to this share of itself, so that mail which failed together does not come
    /// back together. 0 to 1, default 0.2.
    pub jitter: f64,
    /// The wait after a service of our own (the MDA, the directory) did not answer; it doubles each time in a row. Such
    /// waits are no attempts. Default 1s.
    pub stall_first: HumanDuration,
    /// The longest such wait: how late mail may be once the service is back. Default 15s.
    pub stall_longest: HumanDuration,
    /// How long a message is tried after it was received. Default 5d.
    pub lifetime: HumanDuration,
    /// The same for mail with the null reverse-path. Default 2d.
    pub bounce_lifetime: HumanDuration,
    /// The sender is told once of a message that is still here after this time. Default 4h.
    pub delay_after: HumanDuration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            first: HumanDuration::from_mins(5),
            longest: HumanDuration::from_hours(4),
            jitter: 0.2,
            stall_first: HumanDuration::from_secs(1),
            stall_longest: HumanDuration::from_secs(15),
            lifetime: HumanDuration::from_days(5),
            bounce_lifetime: HumanDuration::from_days(2),
            delay_after: HumanDuration::from_hours(4),
        }
    }
}

impl RetryConfig {
    /// The wait after `attempts` failed attempts (at least 1). `random` is a number from 0 up to 1.
    pub(crate) fn wait(&self, attempts: u32, random: f64) -> Duration {
        self.jittered(doubled(*self.first, *self.longest, attempts), random)
    }

    /// The wait after a service of our own did not answer `stalls` times in a row (at least 1).
    pub(crate) fn stall(&self, stalls: u32, random: f64) -> Duration {
        self.jittered(doubled(*self.stall_first, *self.stall_longest, stalls), random)
    }

    fn jittered(&self, wait: Duration, random: f64) -> Duration {
        wait.mul_f64(1.0 + self.jitter.clamp(0.0, 1.0) * (2.0 * random - 1.0))
    }

    /// How long a message is tried after it was received.
    pub(crate) fn lifetime(&self, null_reverse_path: bool) -> Duration {
        if null_reverse_path { *self.bounce_lifetime } else { *self.lifetime }
    }
}

/// `first`, doubled with each time after the first, up to `longest`.
fn doubled(first: Duration, longest: Duration, times: u32) -> Duration {
    first.saturating_mul(1 << times.saturating_sub(1).min(30)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let retry = RetryConfig { jitter: 0.0, ..RetryConfig::default() };
        let minutes = |attempts| retry.wait(attempts, 0.7).as_secs() / 60;
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8, 1_000].map(minutes), [5, 10, 20, 40, 80, 160, 240, 240, 240]);
    }

    #[test]
    fn a_service_of_our_own_is_asked_again_soon() {
        let retry = RetryConfig { jitter: 0.0, ..RetryConfig::default() };
        assert_eq!([1, 2, 3, 99].map(|stalls| retry.stall(stalls, 0.5).as_secs()), [1, 2, 4, 15]);
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let retry = RetryConfig::default();
        for random in [0.0, 0.25, 0.5, 0.999_999] {
            let wait = retry.wait(1, random).as_secs_f64();
            assert!((240.0..=360.0).contains(&wait), "{wait}");
        }
        assert_ne!(retry.wait(1, 0.1), retry.wait(1, 0.9));
    }
}
