//! How many units a site may have under way: additive increase, multiplicative decrease.

use crate::{Millis, SiteLimits};

/// The adaptive limit of one site.
///
/// Invariant: `min <= limit <= max`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    limit: u32,
    /// Successes since the limit changed last.
    successes: u32,
    /// When it was halved last: what began before tells nothing about the limit since.
    halved_at: Option<Millis>,
}

impl Window {
    pub(crate) fn new(limits: &SiteLimits) -> Self {
        Self { limit: clamped(limits.initial, limits), successes: 0, halved_at: None }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// An attempt went well. The limit grows by one after as many successes as it allows at a time, but only where it was
    /// in use: a site that never had more than one at a time has not shown that it takes more.
    pub(crate) fn grow(&mut self, in_use: bool, limits: &SiteLimits) {
        if !in_use {
            return;
        }
        self.successes += 1;
        if self.successes >= self.limit {
            self.limit = clamped(self.limit + 1, limits);
            self.successes = 0;
        }
    }

    /// An attempt that was started at `started` was turned away. Attempts that were under way together halve it once.
    pub(crate) fn halve(&mut self, started: Millis, now: Millis, limits: &SiteLimits) {
        if self.halved_at.is_some_and(|halved| started <= halved) {
            return;
        }
        self.limit = clamped(self.limit / 2, limits);
        self.successes = 0;
        self.halved_at = Some(now);
    }

    /// Keeps within limits that were changed.
    pub(crate) fn fit(&mut self, limits: &SiteLimits) {
        self.limit = clamped(self.limit, limits);
    }
}

fn clamped(limit: u32, limits: &SiteLimits) -> u32 {
    limit.min(limits.max).max(limits.min).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SiteLimits =
        SiteLimits { initial: 4, min: 2, max: 6, messages: None, connections: None, counted: true };

    #[test]
    fn it_grows_by_one_for_each_window_of_successes() {
        let mut window = Window::new(&LIMITS);
        let mut limits = Vec::new();
        for _ in 0..15 {
            window.grow(true, &LIMITS);
            limits.push(window.limit());
        }
        assert_eq!(limits, [4, 4, 4, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6]);
    }

    #[test]
    fn it_does_not_grow_beyond_what_was_tried() {
        let mut window = Window::new(&LIMITS);
        (0..100).for_each(|_| window.grow(false, &LIMITS));
        assert_eq!(window.limit(), 4);
    }

    #[test]
    fn what_was_under_way_together_halves_it_once() {
        let mut window = Window::new(&LIMITS);
        for started in [10, 12, 20] {
            window.halve(started, 20, &LIMITS);
        }
        assert_eq!(window.limit(), 2);
        (0..5).for_each(|_| window.grow(true, &LIMITS));
        assert_eq!(window.limit(), 4);
        window.halve(21, 25, &LIMITS);
        window.halve(26, 27, &LIMITS);
        assert_eq!(window.limit(), 2, "not below the least");
    }
}
