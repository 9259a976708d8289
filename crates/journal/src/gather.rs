//! Waiting a moment for the writers that the last sync has just let go.
//!
//! Writers that append one record after the other fall into two groups without it: while one group is synced the
//! other gathers, and each sync carries half of what it could. Waiting pays while they come back at once; where
//! they do not (mail that has been accepted is not always followed by more), the waiting stops and is only tried
//! again now and then.

use std::time::{Duration, Instant};

/// So many times as long as a sync takes may be waited for writers to come back. A writer that is back at once waits for
/// the others; but where many are at work, processors are what they wait for, and what a sync costs of these is the same
/// however much it makes durable: so it should be much.
const TIMES: u32 = 4;
/// The most that is waited, however slow the disk.
const LONGEST: Duration = Duration::from_millis(1);
/// The most batches without another try.
const LONGEST_PAUSE: u32 = 256;

/// Decides how long to gather before the next write.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    /// Appends that the last sync let go.
    released: usize,
    allowance: Duration,
    /// Batches until it is tried again, and how many there were the last time.
    pause: u32,
    last_pause: u32,
}

impl Gather {
    /// Notes a sync that took `time` and let `released` appends go.
    pub(crate) fn synced(&mut self, released: usize, time: Duration) {
        self.released = released;
        self.allowance = (time * TIMES).min(LONGEST);
    }

    /// How many appends to wait for now, and until when; `None`: not at all.
    pub(crate) fn plan(&mut self) -> Option<(usize, Instant)> {
        let released = std::mem::take(&mut self.released);
        if released < 2 {
            return None;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        Some((released, Instant::now() + self.allowance))
    }

    /// Notes how many of the `released` came back in time.
    pub(crate) fn gathered(&mut self, released: usize, came: usize) {
        if came * 2 >= released {
            self.last_pause = 0;
        } else {
            self.last_pause = (self.last_pause * 2).clamp(1, LONGEST_PAUSE);
            self.pause = self.last_pause;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes a sync that let ten go, and says whether they are waited for.
    fn tries(gather: &mut Gather) -> bool {
        gather.synced(10, Duration::from_millis(1));
        gather.plan().is_some()
    }

    #[test]
    fn writers_that_come_back_are_always_waited_for() {
        let mut gather = Gather::default();
        for _ in 0..100 {
            assert!(tries(&mut gather));
            gather.gathered(10, 5);
        }
    }

    #[test]
    fn writers_that_do_not_are_waited_for_less_and_less() {
        let mut gather = Gather::default();
        let mut tried = 0;
        for _ in 0..10_000 {
            if tries(&mut gather) {
                tried += 1;
                gather.gathered(10, 4);
            }
        }
        assert!((10..60).contains(&tried), "{tried}");
        while !tries(&mut gather) {}
        gather.gathered(10, 10);
        assert!(tries(&mut gather), "one success is enough");
    }

    #[test]
    fn a_lone_writer_is_never_waited_for() {
        let mut gather = Gather::default();
        gather.synced(1, Duration::from_millis(1));
        assert!(gather.plan().is_none());
        assert!(Gather::default().plan().is_none());
    }
}
