//! Which messages each segment of the log may tell of, known without reading it.

use std::collections::BTreeMap;
use std::sync::Arc;

use journal::{Entry, Follower, FollowerError, Liveness, Position, SegmentId};
use message::MessageId;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::record;

/// Octets of a segment for each bit of its filter: a 512th of the log's size in memory. With some eight events of 200
/// octets for each message, fewer than one segment in 100 is read in vain.
const OCTETS_PER_BIT: u64 = 64;

/// Bits that an id sets in a filter.
const BITS: u64 = 4;

/// The segments of the log. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Segments {
    filters: Arc<Mutex<BTreeMap<SegmentId, Filter>>>,
    filter_words: usize,
}

impl Segments {
    /// For a log whose segments have so many octets.
    pub(super) fn new(segment_bytes: u64) -> Self {
        let words = (segment_bytes / OCTETS_PER_BIT / 64).next_power_of_two();
        Self { filters: Arc::default(), filter_words: usize::try_from(words).unwrap_or(1) }
    }

    fn note(&self, segment: SegmentId, id: [u8; 16]) {
        let mut filters = self.filters.lock();
        filters.entry(segment).or_insert_with(|| Filter::new(self.filter_words)).add(id);
    }

    /// The segments that may tell of a message, in order.
    pub(super) fn that_may_tell_of(&self, id: MessageId) -> Vec<SegmentId> {
        let filters = self.filters.lock();
        filters.iter().filter(|(_, ids)| ids.may_hold(*id.as_bytes())).map(|(segment, _)| *segment).collect()
    }

    /// The segment is gone.
    pub(super) fn forget(&self, segment: SegmentId) {
        self.filters.lock().remove(&segment);
    }
}

/// A Bloom filter: never a wrong no, seldom a wrong yes.
#[derive(Debug)]
struct Filter(Box<[u64]>);

impl Filter {
    /// `words` is a power of two.
    fn new(words: usize) -> Self {
        Self(vec![0; words].into())
    }

    fn add(&mut self, id: [u8; 16]) {
        for (word, bit) in self.places(id) {
            self.0[word] |= bit;
        }
    }

    fn may_hold(&self, id: [u8; 16]) -> bool {
        self.places(id).all(|(word, bit)| self.0[word] & bit != 0)
    }

    fn places(&self, id: [u8; 16]) -> impl Iterator<Item = (usize, u64)> + use<> {
        let id = u128::from_be_bytes(id);
        // Ids are made of time and chance; this spreads the chance over all bits (Fibonacci hashing).
        let mixed = ((id >> 64) as u64 ^ (id as u64).rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (first, step) = (mixed >> 32, mixed | 1);
        let bits = self.0.len() as u64 * 64;
        (0..BITS).map(move |number| {
            let place = first.wrapping_add(number.wrapping_mul(step)) & (bits - 1);
            ((place / 64) as usize, 1 << (place % 64))
        })
    }
}

/// Follows the log: notes what each segment holds, and wakes those who wait for what is new.
pub(super) struct LogFollower {
    pub(super) segments: Segments,
    /// The place of the newest record that is on stable storage.
    pub(super) newest: watch::Sender<Option<Position>>,
    pub(super) last: Option<Position>,
}

impl Follower for LogFollower {
    type Output = ();

    fn begin(&mut self, _: &Liveness) -> Result<Option<Position>, FollowerError> {
        Ok(None)
    }

    fn apply(&mut self, entry: &Entry) -> Result<(), FollowerError> {
        self.last = Some(entry.position);
        if let Some((id, _)) = record::head(entry) {
            self.segments.note(entry.position.segment, id);
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), FollowerError> {
        self.newest.send_replace(self.last);
        Ok(())
    }

    fn is_always_quick(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_holds_what_was_added_and_hardly_anything_else() {
        let mut filter = Filter::new((8 << 20) / 64 / 64);
        let added: Vec<[u8; 16]> = (0..8_000).map(|_| *MessageId::new().as_bytes()).collect();
        for id in &added {
            filter.add(*id);
        }
        assert!(added.iter().all(|id| filter.may_hold(*id)));
        let wrong = (0..8_000).filter(|_| filter.may_hold(*MessageId::new().as_bytes())).count();
        assert!(wrong < 160, "{wrong} of 8,000");
    }
}
