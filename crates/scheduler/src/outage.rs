//! A site that cannot be reached: left alone for a while, then probed by one attempt at a time.

use crate::{Millis, OutageConfig};

/// What is known about whether a site can be reached.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outage {
    /// Attempts in a row that reached nobody.
    failures: u32,
    /// Since when it has been left alone this time, and until when.
    alone: Option<(Millis, Millis)>,
    /// How often in a row it was left alone.
    times: u32,
}

impl Outage {
    /// Until when it is left alone; in the past while it is being probed. `None`: it can be reached as far as is known.
    pub(crate) fn until(&self) -> Option<Millis> {
        self.alone.map(|(_, until)| until)
    }

    /// Somebody answered.
    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }

    /// An attempt that was started at `started` reached nobody. Says whether the site is left alone from now on.
    pub(crate) fn failed(
        &mut self,
        started: Millis,
        now: Millis,
        random: f64,
        config: &OutageConfig,
    ) -> bool {
        // What was under way when it was given up tells nothing new.
        if self.alone.is_some_and(|(since, _)| started <= since) {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        if self.times == 0 && self.failures < config.after.max(1) {
            return false;
        }
        let doublings = self.times.min(30);
        self.times = self.times.saturating_add(1);
        let wait = config.first.saturating_mul(1 << doublings).min(config.longest);
        self.alone = Some((now, now.saturating_add(jittered(wait, config.jitter, random))));
        true
    }

    /// Lets a probe go at once.
    pub(crate) fn probe(&mut self, now: Millis) {
        if let Some((since, until)) = &mut self.alone {
            *until = (*until).min(now);
            *since = (*since).min(now);
        }
    }
}

/// `wait`, changed by up to the share `jitter` of itself. `random` is a number from 0 up to 1.
fn jittered(wait: Millis, jitter: f64, random: f64) -> Millis {
    let factor = 1.0 + jitter.clamp(0.0, 1.0) * (2.0 * random - 1.0);
    #[expect(clippy::cast_sign_loss, reason = "neither factor is below 0")]
    let jittered = (wait as f64 * factor) as Millis;
    jittered
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: OutageConfig = OutageConfig { after: 3, first: 100, longest: 350, jitter: 0.0 };

    #[test]
    fn it_is_left_alone_longer_with_each_probe_that_fails() {
        let mut outage = Outage::default();
        assert!(!outage.failed(0, 1, 0.5, &CONFIG) && !outage.failed(0, 2, 0.5, &CONFIG));
        assert!(outage.failed(0, 3, 0.5, &CONFIG));
        assert_eq!(outage.until(), Some(103));
        for (now, until) in [(110, 310), (320, 670), (700, 1_050)] {
            assert!(outage.failed(now - 1, now, 0.5, &CONFIG));
            assert_eq!(outage.until(), Some(until));
        }
        outage.end();
        assert_eq!(outage.until(), None);
        assert!(!outage.failed(1_100, 1_101, 0.5, &CONFIG));
    }

    #[test]
    fn attempts_that_were_under_way_together_count_once() {
        let mut outage = Outage::default();
        for started in 0..20 {
            outage.failed(started, 50, 0.5, &CONFIG);
        }
        assert_eq!(outage.until(), Some(150));
    }

    #[test]
    fn jitter_stays_within_its_share() {
        assert_eq!(jittered(1_000, 0.2, 0.0), 800);
        assert!((1_199..=1_200).contains(&jittered(1_000, 0.2, 0.999_999)));
    }
}
