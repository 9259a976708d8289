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
    /// Items that waited then already.
    waiting: usize,
    allowance: Duration,
    /// Batches until it is tried again, and how many there were the last time.
    pause: u32,
    last_pause: u32,
}

/// What to wait for.
#[derive(Debug)]
pub(crate) struct Plan {
    released: usize,
    waiting: usize,
    /// Until when.
    pub(crate) deadline: Instant,
}

impl Plan {
    /// How many items wait once all have come back.
    pub(crate) fn items(&self) -> usize {
        self.waiting + self.released
    }
}

impl Gather {
    /// Notes a sync that took `time` and lets `released` appends go, while `waiting` items wait already.
    pub(crate) fn synced(&mut self, released: usize, waiting: usize, time: Duration) {
        self.released = released;
        self.waiting = waiting;
        self.allowance = (time * TIMES).min(LONGEST);
    }

    /// What to wait for now; `None`: for nothing.
    pub(crate) fn plan(&mut self) -> Option<Plan> {
        let released = std::mem::take(&mut self.released);
        if released < 2 {
            return None;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        Some(Plan { released, waiting: self.waiting, deadline: Instant::now() + self.allowance })
    }

    /// Notes how many items waited in the end.
    pub(crate) fn gathered(&mut self, plan: &Plan, there: usize) {
        let came = there.saturating_sub(plan.waiting);
        if came * 2 >= plan.released {
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

    /// Items that wait at each sync.
    const WAITING: usize = 3;

    /// Notes a sync that let ten go, and gives the plan for them.
    fn plan(gather: &mut Gather) -> Option<Plan> {
        gather.synced(10, WAITING, Duration::from_millis(1));
        gather.plan()
    }

    #[test]
    fn writers_that_come_back_are_always_waited_for() {
        let mut gather = Gather::default();
        for _ in 0..100 {
            let plan = plan(&mut gather).unwrap();
            assert_eq!(plan.items(), 10 + WAITING);
            gather.gathered(&plan, 5 + WAITING);
        }
    }

    #[test]
    fn writers_that_do_not_are_waited_for_less_and_less() {
        let mut gather = Gather::default();
        let mut tried = 0;
        for _ in 0..10_000 {
            if let Some(plan) = plan(&mut gather) {
                tried += 1;
                gather.gathered(&plan, 4 + WAITING);
            }
        }
        assert!((10..60).contains(&tried), "{tried}");
        let again = loop {
            if let Some(plan) = plan(&mut gather) {
                break plan;
            }
        };
        gather.gathered(&again, 10 + WAITING);
        assert!(plan(&mut gather).is_some(), "one success is enough");
    }

    #[test]
    fn a_lone_writer_is_never_waited_for() {
        let mut gather = Gather::default();
        gather.synced(1, 0, Duration::from_millis(1));
        assert!(gather.plan().is_none());
        assert!(Gather::default().plan().is_none());
    }
}
