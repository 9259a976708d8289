//! How much of each segment is still needed, as the owner notes it.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use crate::{
    body::BodyRef,
    position::{Position, SegmentId},
};

/// What a record weighs beside its body: its header, and a guess at its meta.
const RECORD_WEIGHT: i64 = 128;

/// Live bytes per segment: the owner's notes of which records it still needs. Cheap to clone; the clones are one.
///
/// `note_live` and `note_dead` take the same arguments for the same record and cancel out, in whichever order
/// they come. The counts steer *when* a segment is reclaimed, never *what* is kept: that, the owner decides
/// record by record in [`Journal::reclaim`](crate::Journal::reclaim).
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    bytes: Arc<Mutex<HashMap<SegmentId, i64>>>,
}

impl Liveness {
    /// The record at `position` with `body` is needed.
    pub fn note_live(&self, position: Position, body: &BodyRef) {
        self.note(position, body, 1);
    }

    /// The record at `position` with `body` is no longer needed.
    pub fn note_dead(&self, position: Position, body: &BodyRef) {
        self.note(position, body, -1);
    }

    /// So many bytes of `segment` more are needed, or fewer: for owners that know better what their records take.
    pub fn add(&self, segment: SegmentId, bytes: i64) {
        *self.bytes.lock().entry(segment).or_default() += bytes;
    }

    /// Bytes noted live in `segment`, roughly.
    pub fn live_bytes(&self, segment: SegmentId) -> u64 {
        self.bytes.lock().get(&segment).map_or(0, |&bytes| u64::try_from(bytes).unwrap_or(0))
    }

    pub(crate) fn forget(&self, segment: SegmentId) {
        self.bytes.lock().remove(&segment);
    }

    fn note(&self, position: Position, body: &BodyRef, sign: i64) {
        let mut bytes = self.bytes.lock();
        *bytes.entry(position.segment).or_default() += sign * RECORD_WEIGHT;
        for extent in body.extents() {
            *bytes.entry(extent.segment).or_default() += sign * i64::from(extent.length);
        }
    }
}
