//! What is tried next, and when: the order of the queue, without I/O and without a clock.
//!
//! Work waits in two places. `waiting` holds units whose time has not come, ordered by that time. `ready` holds units
//! that may go now, by destination, each destination with its own line and its own limit of workers, so that a slow
//! destination holds up only its own mail. Every operation costs O(log n) in the number of units or less.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use message::MessageId;

use crate::config::OutboundConfig;

/// Where a unit goes next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Destination {
    /// Not known yet: its recipients are resolved and it is split by route.
    Unrouted,
    /// The recipients' MDA.
    Mda,
    /// The MX hosts of a domain, in lower case (or an address literal in brackets).
    Domain(Arc<str>),
}

/// Recipients of one message that are handled in one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) message: MessageId,
    /// Indices into the envelope's recipients, ascending.
    pub(crate) recipients: Vec<u32>,
    /// How often in a row it could not go on because a service of our own was away; not attempts.
    pub(crate) stalls: u32,
}

/// How many workers may be busy at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// With routing.
    pub(crate) routing: usize,
    /// With the MDA.
    pub(crate) mda: usize,
    /// With one domain.
    pub(crate) per_domain: usize,
    /// With all domains together.
    pub(crate) total: usize,
}

impl Limits {
    /// The limits that are configured, and those that are ours: routing asks the directory, and the MDA shares its disk
    /// among all who deliver, so that more would only wait there.
    pub(crate) fn new(config: &OutboundConfig) -> Self {
        Self { routing: 16, mda: 32, per_domain: config.sessions_per_domain, total: config.sessions }
    }

    fn of(&self, destination: &Destination) -> usize {
        match destination {
            Destination::Unrouted => self.routing,
            Destination::Mda => self.mda,
            Destination::Domain(_) => self.per_domain,
        }
    }
}

/// The order of the queue.
///
/// Invariant: a destination stands in `startable` at most once, and stands there whenever it has units in line and
/// fewer workers than its limit.
#[derive(Debug)]
pub(crate) struct Scheduler {
    limits: Limits,
    waiting: BTreeMap<(u64, u64), Unit>,
    /// Distinguishes units due at the same millisecond, and keeps them in the order in which they came.
    sequence: u64,
    ready: HashMap<Destination, Line>,
    startable: VecDeque<Destination>,
    /// Workers busy with domains.
    remote_workers: usize,
}

/// The units in line for one destination.
#[derive(Debug, Default)]
struct Line {
    units: VecDeque<Unit>,
    workers: usize,
    startable: bool,
}

impl Scheduler {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: BTreeMap::new(),
            sequence: 0,
            ready: HashMap::new(),
            startable: VecDeque::new(),
            remote_workers: 0,
        }
    }

    /// Puts a unit in line to go now.
    pub(crate) fn push_ready(&mut self, destination: Destination, unit: Unit) {
        let line = self.ready.entry(destination.clone()).or_default();
        line.units.push_back(unit);
        self.offer(destination);
    }

    /// Lets a unit wait until `due`, in milliseconds since the epoch. It is routed anew then.
    pub(crate) fn push_waiting(&mut self, due: u64, unit: Unit) {
        self.sequence += 1;
        self.waiting.insert((due, self.sequence), unit);
    }

    /// Moves what is due by `now` into line.
    pub(crate) fn release_due(&mut self, now: u64) {
        while let Some(first) = self.waiting.first_entry() {
            if first.key().0 > now {
                return;
            }
            let unit = first.remove();
            self.push_ready(Destination::Unrouted, unit);
        }
    }

    /// When the next waiting unit is due.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    /// A destination that has work and room for one more worker, with that worker's first unit; it counts as started.
    pub(crate) fn start_worker(&mut self) -> Option<(Destination, Unit)> {
        for _ in 0..self.startable.len() {
            let destination = self.startable.pop_front()?;
            let Some(line) = self.ready.get_mut(&destination) else { continue };
            line.startable = false;
            let remote = matches!(destination, Destination::Domain(_));
            if remote && self.remote_workers >= self.limits.total {
                line.startable = true;
                self.startable.push_back(destination);
                continue;
            }
            // The line may be empty by now: workers that were there already took what stood in it.
            let Some(unit) = line.units.pop_front() else { continue };
            line.workers += 1;
            self.remote_workers += usize::from(remote);
            self.offer(destination.clone());
            return Some((destination, unit));
        }
        None
    }

    /// The next unit for a worker of `destination` that has done its last.
    pub(crate) fn take(&mut self, destination: &Destination) -> Option<Unit> {
        self.ready.get_mut(destination)?.units.pop_front()
    }

    /// A worker of `destination` has ended.
    pub(crate) fn end_worker(&mut self, destination: &Destination) {
        let Some(line) = self.ready.get_mut(destination) else { return };
        line.workers -= 1;
        self.remote_workers -= usize::from(matches!(destination, Destination::Domain(_)));
        if line.units.is_empty() && line.workers == 0 {
            self.ready.remove(destination);
        } else {
            self.offer(destination.clone());
        }
    }

    /// Units that wait or stand in line, without those that workers hold.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.ready.values().map(|line| line.units.len()).sum::<usize>()
    }

    /// Keeps the invariant of `startable`.
    fn offer(&mut self, destination: Destination) {
        let limit = self.limits.of(&destination);
        if let Some(line) = self.ready.get_mut(&destination)
            && !line.startable
            && !line.units.is_empty()
            && line.workers < limit
        {
            line.startable = true;
            self.startable.push_back(destination);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { routing: 2, mda: 3, per_domain: 2, total: 3 };

    fn unit() -> Unit {
        Unit { message: MessageId::new(), recipients: vec![0], stalls: 0 }
    }

    fn domain(name: &str) -> Destination {
        Destination::Domain(name.into())
    }

    fn started(scheduler: &mut Scheduler) -> Vec<Destination> {
        std::iter::from_fn(|| scheduler.start_worker()).map(|(destination, _)| destination).collect()
    }

    #[test]
    fn units_leave_a_line_in_the_order_in_which_they_came() {
        let mut scheduler = Scheduler::new(LIMITS);
        let units = [unit(), unit(), unit()];
        for unit in &units {
            scheduler.push_ready(Destination::Mda, unit.clone());
        }
        for unit in units {
            assert_eq!(scheduler.take(&Destination::Mda), Some(unit));
        }
        assert_eq!(scheduler.take(&Destination::Mda), None);
    }

    #[test]
    fn a_waiting_unit_comes_when_it_is_due_and_not_before() {
        let mut scheduler = Scheduler::new(LIMITS);
        let (late, early) = (unit(), unit());
        scheduler.push_waiting(200, late.clone());
        scheduler.push_waiting(100, early.clone());
        assert_eq!(scheduler.next_due(), Some(100));
        scheduler.release_due(99);
        assert_eq!(scheduler.take(&Destination::Unrouted), None);
        scheduler.release_due(100);
        assert_eq!(scheduler.take(&Destination::Unrouted), Some(early));
        assert_eq!(scheduler.next_due(), Some(200));
        scheduler.release_due(1_000);
        assert_eq!(scheduler.take(&Destination::Unrouted), Some(late));
        assert_eq!(scheduler.next_due(), None);
    }

    #[test]
    fn a_domain_gets_no_more_workers_than_its_limit() {
        let mut scheduler = Scheduler::new(LIMITS);
        for _ in 0..10 {
            scheduler.push_ready(domain("slow.test"), unit());
        }
        assert_eq!(started(&mut scheduler), [domain("slow.test"), domain("slow.test")]);
        scheduler.end_worker(&domain("slow.test"));
        assert_eq!(started(&mut scheduler), [domain("slow.test")]);
    }

    #[test]
    fn the_limit_over_all_domains_does_not_hold_up_the_mda() {
        let mut scheduler = Scheduler::new(LIMITS);
        for name in ["a.test", "b.test", "c.test", "d.test"] {
            scheduler.push_ready(domain(name), unit());
        }
        assert_eq!(started(&mut scheduler).len(), LIMITS.total);
        scheduler.push_ready(Destination::Mda, unit());
        assert_eq!(started(&mut scheduler), [Destination::Mda]);
        // Room again: the domain that was left out has its turn.
        scheduler.end_worker(&domain("a.test"));
        assert_eq!(started(&mut scheduler), [domain("d.test")]);
    }

    #[test]
    fn a_worker_that_leaves_units_behind_is_replaced() {
        let mut scheduler = Scheduler::new(Limits { per_domain: 1, ..LIMITS });
        scheduler.push_ready(domain("a.test"), unit());
        scheduler.push_ready(domain("a.test"), unit());
        assert_eq!(started(&mut scheduler).len(), 1);
        scheduler.end_worker(&domain("a.test"));
        assert_eq!(started(&mut scheduler).len(), 1);
    }

    #[test]
    fn no_more_workers_start_than_there_are_units() {
        let mut scheduler = Scheduler::new(LIMITS);
        scheduler.push_ready(Destination::Mda, unit());
        assert_eq!(started(&mut scheduler), [Destination::Mda]);
    }

    #[test]
    fn an_empty_line_is_forgotten() {
        let mut scheduler = Scheduler::new(LIMITS);
        scheduler.push_ready(domain("a.test"), unit());
        assert_eq!(started(&mut scheduler).len(), 1);
        scheduler.end_worker(&domain("a.test"));
        assert!(scheduler.ready.is_empty());
        assert_eq!(scheduler.len(), 0);
    }
}
