//! All units, where they lie: slots that never move, lists of them, and the way from a message to its units.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::{Index, IndexMut};

use hashbrown::HashTable;
use message::MessageId;

use crate::unit::{NONE, Slot, State, UnitId};

/// Slots that are allocated at a time: growing never copies what is there.
const CHUNK: usize = 1_024;
/// Parts of the index by message. Each grows by itself, so that growing takes a moment and not a pause.
const SHARDS: usize = 64;

/// Units by slot and by message.
#[derive(Debug)]
pub(crate) struct Units {
    chunks: Vec<Box<[Slot]>>,
    /// The first free slot.
    free: u32,
    count: usize,
    /// The first unit of each message.
    by_message: Vec<HashTable<u32>>,
    hasher: RandomState,
}

impl Default for Units {
    fn default() -> Self {
        let by_message = (0..SHARDS).map(|_| HashTable::new()).collect();
        Self { chunks: Vec::new(), free: NONE, count: 0, by_message, hasher: RandomState::new() }
    }
}

impl Index<u32> for Units {
    type Output = Slot;

    fn index(&self, slot: u32) -> &Slot {
        slot_of(&self.chunks, slot)
    }
}

impl IndexMut<u32> for Units {
    fn index_mut(&mut self, slot: u32) -> &mut Slot {
        &mut self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }
}

fn slot_of(chunks: &[Box<[Slot]>], slot: u32) -> &Slot {
    &chunks[slot as usize / CHUNK][slot as usize % CHUNK]
}

impl Units {
    /// Units in all, wherever they are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// A slot for a unit of `message`; the caller fills in the rest.
    pub(crate) fn insert(&mut self, message: MessageId) -> u32 {
        if self.free == NONE {
            self.grow();
        }
        let slot = self.free;
        self.free = self[slot].next;
        self.count += 1;
        let generation = self[slot].generation;
        self[slot] = Slot { message: Some(message), generation, ..Slot::vacant(NONE) };
        self.link_sibling(message, slot);
        slot
    }

    /// Gives a slot free that stands in no list.
    pub(crate) fn remove(&mut self, slot: u32) {
        self.unlink_sibling(slot);
        let generation = self[slot].generation.wrapping_add(1);
        self[slot] = Slot { generation, ..Slot::vacant(self.free) };
        self.free = slot;
        self.count -= 1;
    }

    /// The slot of a unit that was not finished yet.
    pub(crate) fn find(&self, unit: UnitId) -> Option<u32> {
        let slot = self.chunks.get(unit.slot as usize / CHUNK)?.get(unit.slot as usize % CHUNK)?;
        (slot.state != State::Vacant && slot.generation == unit.generation).then_some(unit.slot)
    }

    /// The units of a message.
    pub(crate) fn of(&self, message: MessageId) -> Vec<u32> {
        let hash = self.hasher.hash_one(Some(message));
        let first = self.by_message[shard(hash)].find(hash, |&slot| self[slot].message == Some(message));
        let mut found = Vec::new();
        let mut next = first.copied().unwrap_or(NONE);
        while next != NONE {
            found.push(next);
            next = self[next].sibling_after;
        }
        found
    }

    fn grow(&mut self) {
        let start = (self.chunks.len() * CHUNK) as u32;
        let last = start + CHUNK as u32 - 1;
        let next = |slot| if slot == last { NONE } else { slot + 1 };
        self.chunks.push((start..=last).map(|slot| Slot::vacant(next(slot))).collect());
        self.free = start;
    }

    /// Makes `slot` the first unit of its message.
    fn link_sibling(&mut self, message: MessageId, slot: u32) {
        let hash = self.hasher.hash_one(Some(message));
        let Self { chunks, by_message, hasher, .. } = self;
        let table = &mut by_message[shard(hash)];
        let first = table.find_mut(hash, |&first| slot_of(chunks, first).message == Some(message));
        if let Some(first) = first {
            let after = std::mem::replace(first, slot);
            self[after].sibling_before = slot;
            self[slot].sibling_after = after;
        } else {
            table.insert_unique(hash, slot, |&first| hasher.hash_one(slot_of(chunks, first).message));
        }
    }

    fn unlink_sibling(&mut self, slot: u32) {
        let Slot { message, sibling_before, sibling_after, .. } = self[slot];
        if sibling_after != NONE {
            self[sibling_after].sibling_before = sibling_before;
        }
        if sibling_before != NONE {
            self[sibling_before].sibling_after = sibling_after;
            return;
        }
        let hash = self.hasher.hash_one(message);
        if let Ok(mut entry) = self.by_message[shard(hash)].find_entry(hash, |&first| first == slot) {
            if sibling_after == NONE {
                entry.remove();
            } else {
                *entry.get_mut() = sibling_after;
            }
        }
    }
}

/// By bits in the middle: a table itself goes by the lowest and the highest.
fn shard(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

/// Slots one after the other. A slot is in one list at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    first: u32,
    last: u32,
    len: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { first: NONE, last: NONE, len: 0 }
    }
}

impl List {
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    pub(crate) fn push(&mut self, units: &mut Units, slot: u32) {
        units[slot].previous = self.last;
        units[slot].next = NONE;
        match self.last {
            NONE => self.first = slot,
            last => units[last].next = slot,
        }
        self.last = slot;
        self.len += 1;
    }

    pub(crate) fn pop(&mut self, units: &mut Units) -> Option<u32> {
        let slot = self.first()?;
        self.remove(units, slot);
        Some(slot)
    }

    /// Takes out a slot that is in this list.
    pub(crate) fn remove(&mut self, units: &mut Units, slot: u32) {
        let (previous, next) = (units[slot].previous, units[slot].next);
        match previous {
            NONE => self.first = next,
            previous => units[previous].next = next,
        }
        match next {
            NONE => self.last = previous,
            next => units[next].previous = previous,
        }
        units[slot].previous = NONE;
        units[slot].next = NONE;
        self.len -= 1;
    }
}
