//! Hosts that could not be reached, remembered for a while: mail goes to the others of their site first, so that a host
//! which swallows connections does not cost every session the time to find that out anew.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Addresses that are remembered; the rest is dialled in vain.
const MOST: usize = 10_000;
/// Each time is changed at random by up to this share of itself.
const JITTER: f64 = 0.2;

/// Addresses that could not be connected to.
pub(crate) struct Dead {
    known: Mutex<HashMap<SocketAddr, Known>>,
    /// How long an address is passed over at first; it doubles each time in a row.
    first: Duration,
    longest: Duration,
}

struct Known {
    until: Instant,
    /// How often in a row.
    times: u32,
}

impl Dead {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { known: Mutex::default(), first, longest }
    }

    /// Whether an address is passed over for now.
    pub(super) fn holds(&self, address: SocketAddr, now: Instant) -> bool {
        self.known.lock().get(&address).is_some_and(|known| now < known.until)
    }

    /// An address could not be connected to.
    pub(super) fn note(&self, address: SocketAddr, now: Instant) {
        let mut known = self.known.lock();
        if known.len() >= MOST && !known.contains_key(&address) {
            known.retain(|_, known| now < known.until);
            if known.len() >= MOST {
                return;
            }
        }
        let one = known.entry(address).or_insert(Known { until: now, times: 0 });
        // Those that were dialled together count once.
        if now < one.until {
            return;
        }
        let wait = self.first.saturating_mul(1 << one.times.min(30)).min(self.longest);
        one.until = now + wait.mul_f64(1.0 + JITTER * (2.0 * fastrand::f64() - 1.0));
        one.times = one.times.saturating_add(1);
    }

    /// An address could be connected to.
    pub(super) fn forget(&self, address: SocketAddr) {
        self.known.lock().remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(10);
    const LONGEST: Duration = Duration::from_secs(35);

    fn address(number: u32) -> SocketAddr {
        (std::net::Ipv4Addr::from(number), 25).into()
    }

    #[test]
    fn an_address_is_passed_over_longer_each_time_until_it_can_be_reached() {
        let (dead, mut now) = (Dead::new(FIRST, LONGEST), Instant::now());
        for seconds in [10.0, 20.0, 35.0, 35.0] {
            dead.note(address(1), now);
            dead.note(address(1), now);
            assert!(dead.holds(address(1), now + Duration::from_secs_f64(seconds * 0.79)));
            now += Duration::from_secs_f64(seconds * 1.21);
            assert!(!dead.holds(address(1), now));
        }
        dead.forget(address(1));
        dead.note(address(1), now);
        assert!(!dead.holds(address(1), now + FIRST.mul_f64(1.21)));
        assert!(!dead.holds(address(2), now));
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let (dead, now) = (Dead::new(FIRST, LONGEST), Instant::now());
        (0..20_000).for_each(|number| dead.note(address(number), now));
        assert_eq!(dead.known.lock().len(), MOST);
        dead.note(address(30_000), now + LONGEST);
        assert_eq!(dead.known.lock().len(), 1);
    }
}
