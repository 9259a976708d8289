//! When each waiting unit has to be looked at: a heap in which every unit knows its place, so that it can be taken out.

use crate::Millis;
use crate::unit::NONE;
use crate::units::Units;

/// Children of a node: four, for a heap half as high.
const ARITY: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Timer {
    at: Millis,
    /// Those of one millisecond go in the order in which they came.
    sequence: u32,
    slot: u32,
}

/// Units by time, the next first. Every operation costs O(log n).
///
/// Invariant: `units[heap[place].slot].timer == place`, and `NONE` for units that are not in it.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: Vec<Timer>,
    sequence: u32,
}

impl Timers {
    /// The next time.
    pub(crate) fn next(&self) -> Option<Millis> {
        self.heap.first().map(|timer| timer.at)
    }

    /// When a unit comes, if it is in here.
    pub(crate) fn of(&self, units: &Units, slot: u32) -> Option<Millis> {
        self.heap.get(units[slot].timer as usize).map(|timer| timer.at)
    }

    pub(crate) fn insert(&mut self, units: &mut Units, slot: u32, at: Millis) {
        self.sequence = self.sequence.wrapping_add(1);
        self.heap.push(Timer { at, sequence: self.sequence, slot });
        self.rise(units, self.heap.len() - 1);
    }

    /// Takes out the next unit if its time has come.
    pub(crate) fn pop(&mut self, units: &mut Units, now: Millis) -> Option<u32> {
        let first = self.heap.first().filter(|timer| timer.at <= now)?.slot;
        self.remove(units, first);
        Some(first)
    }

    /// Takes out a unit, if it is in here.
    pub(crate) fn remove(&mut self, units: &mut Units, slot: u32) {
        let place = std::mem::replace(&mut units[slot].timer, NONE) as usize;
        if place >= self.heap.len() {
            return;
        }
        self.heap.swap_remove(place);
        if place < self.heap.len() {
            let place = self.rise(units, place);
            self.sink(units, place);
        }
    }

    /// Moves up what stands at `place` until its parent is earlier; returns where it stands then.
    fn rise(&mut self, units: &mut Units, mut place: usize) -> usize {
        let timer = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / ARITY;
            if self.heap[parent] <= timer {
                break;
            }
            self.put(units, place, self.heap[parent]);
            place = parent;
        }
        self.put(units, place, timer);
        place
    }

    /// Moves down what stands at `place` until its children are later.
    fn sink(&mut self, units: &mut Units, mut place: usize) {
        let timer = self.heap[place];
        loop {
            let start = place * ARITY + 1;
            let end = (start + ARITY).min(self.heap.len());
            let Some(least) = (start..end).min_by_key(|&child| self.heap[child]) else { break };
            if timer <= self.heap[least] {
                break;
            }
            self.put(units, place, self.heap[least]);
            place = least;
        }
        self.put(units, place, timer);
    }

    fn put(&mut self, units: &mut Units, place: usize, timer: Timer) {
        self.heap[place] = timer;
        units[timer.slot].timer = place as u32;
    }
}
