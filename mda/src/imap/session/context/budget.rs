//! What the contexts of all sessions may take together.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;

/// Octets that all contexts may take.
#[derive(Debug)]
pub(in crate::imap) struct Budget {
    limit: usize,
    held: Mutex<usize>,
    shown: Gauge,
}

/// Octets that one of them takes; given back when it ends.
#[derive(Debug)]
pub(in crate::imap::session) struct Share {
    budget: Arc<Budget>,
    octets: usize,
}

impl Budget {
    /// `shown`: how many are taken.
    pub(in crate::imap) fn new(limit: u64, shown: Gauge) -> Arc<Self> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Arc::new(Self { limit, held: Mutex::default(), shown })
    }

    /// Nothing, of something that may grow.
    pub(in crate::imap::session) fn share(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), octets: 0 }
    }

    fn exchange(&self, before: usize, now: usize) -> bool {
        let mut held = self.held.lock();
        let others = held.saturating_sub(before);
        // What shrinks always may.
        if now > before && self.limit.saturating_sub(others) < now {
            return false;
        }
        *held = others + now;
        self.shown.set(i64::try_from(*held).unwrap_or(i64::MAX));
        true
    }
}

impl Share {
    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    /// Takes so many octets in all. False, and nothing changes, if there are not as many.
    pub(super) fn resize(&mut self, octets: usize) -> bool {
        let fits = self.budget.exchange(self.octets, octets);
        if fits {
            self.octets = octets;
        }
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.exchange(self.octets, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_all_is_given_back() {
        let shown = Gauge::default();
        let budget = Budget::new(100, shown.clone());
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.resize(60) && !other.resize(41) && other.resize(40));
        assert!(!one.resize(61) && one.resize(50) && other.resize(50));
        assert_eq!((one.octets(), shown.get()), (50, 100));
        drop(one);
        assert!(other.resize(100));
        drop(other);
        assert_eq!(shown.get(), 0);
    }
}
