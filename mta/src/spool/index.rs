//! What the spool holds, in memory: as small as it can be, built by applying the journal's records in order (see
//! [`follower`](super::follower)), at start and ever after.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use journal::{Position, SegmentId};
use message::MessageId;
use parking_lot::{Mutex, MutexGuard};

use super::message::Message;
use super::replies::{Interned, Replies};
use super::steering::Revision;
use super::suspension::Suspensions;
use super::{SpoolError, Status};

/// Ids of messages that have left the spool are remembered up to this many, so that a late retry of a hand-over adds
/// nothing. About 60 octets each.
const REMEMBERED: usize = 100_000;

/// Stands for the segment that a record is being copied to.
const UNDER_WAY: SegmentId = SegmentId(u64::MAX);

/// The spool's messages.
#[derive(Debug, Default)]
pub(super) struct Index {
    state: Mutex<State>,
    /// The highest revision of a change that was given out.
    revision: AtomicU64,
}

/// A message and the number of its hand-overs: what is taken once. The same message may come again after another node
/// had it, and then it is another.
pub(super) type Passage = (MessageId, u32);

/// What is known of a message that is about to be taken.
pub(super) enum Known {
    /// Nothing.
    No,
    /// It is here, or was.
    Yes,
    /// It is here, from before it was handed over and came back, and has not come to its end yet.
    Earlier,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// By id, which is by age: ids are UUIDv7.
    pub(super) messages: BTreeMap<MessageId, Arc<Message>>,
    /// While the log is read at start: progress of messages that have not appeared (yet). A copy of a message that
    /// reclaiming wrote may stand behind the progress that it does not know of.
    pub(super) orphans: Option<HashMap<Passage, Vec<(u32, Status)>>>,
    /// Messages on their way into the log.
    arriving: HashMap<MessageId, u32>,
    /// Dead records of messages, by where they stand: of messages that have left, and second ones of those that wait.
    /// Whoever reads the log meets them, so the record of a message's end must outlive every one of them. No more than
    /// there are records in the log, of which reclaiming keeps at least half alive.
    dead: BTreeSet<(MessageId, SegmentId, u32)>,
    /// Messages that left not long ago, with their latest passage.
    left: HashMap<MessageId, u32>,
    /// `left` in order, the oldest first.
    left_order: VecDeque<MessageId>,
    /// The accounts of messages.
    pub(super) accounts: Interned<str>,
    replies: Replies,
    pub(super) suspensions: Suspensions,
}

impl Index {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn get(&self, id: MessageId) -> Option<Arc<Message>> {
        self.state.lock().messages.get(&id).cloned()
    }

    pub(super) fn page(&self, after: Option<MessageId>, limit: usize) -> Vec<Arc<Message>> {
        let state = self.state.lock();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        state.messages.range((start, Bound::Unbounded)).map(|(_, m)| m).take(limit).cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().messages.len()
    }

    /// Whether a message may be taken. If so, no other passage of it is until [`State::arrived`], or
    /// [`Index::turned_away`].
    pub(super) fn announce(&self, (id, hand_overs): Passage) -> Known {
        let mut state = self.state.lock();
        let known = state.knows((id, hand_overs));
        if matches!(known, Known::No) {
            match state.arriving.get(&id) {
                Some(&other) if other != hand_overs => return Known::Earlier,
                _ => state.arriving.insert(id, hand_overs),
            };
        }
        known
    }

    /// A message that was announced was not written.
    pub(super) fn turned_away(&self, id: MessageId) {
        self.state.lock().arriving.remove(&id);
    }

    /// The log has been read to its end.
    pub(super) fn recovered(&self) {
        self.state.lock().orphans = None;
    }

    /// The revision of a change that is decided now.
    pub(super) fn next_revision(&self) -> Revision {
        self.revision.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A change with this revision stands in the log.
    pub(super) fn seen_revision(&self, revision: Revision) {
        self.revision.fetch_max(revision, Ordering::Relaxed);
    }

    pub(super) fn suspensions(&self) -> Suspensions {
        self.state.lock().suspensions.clone()
    }

    /// Whether a record of `id`, alive or dead, stands outside of `segment`: then what the log says about the message
    /// still matters once that segment is gone.
    pub(super) fn stands_outside(&self, id: MessageId, segment: SegmentId) -> bool {
        let state = self.state.lock();
        state.messages.contains_key(&id) || state.dead_records(id).any(|(stands_in, _)| stands_in != segment)
    }

    /// The dead record of a message is about to be copied, for what it tells of another message.
    pub(super) fn copying_dead(&self, (id, hand_overs): Passage) {
        self.state.lock().dead.insert((id, UNDER_WAY, hand_overs));
    }

    /// `segment`, in which records of these messages stood, is gone.
    pub(super) fn segment_gone(&self, segment: SegmentId, met: &[Passage]) {
        let mut state = self.state.lock();
        for &(id, hand_overs) in met {
            state.dead.remove(&(id, segment, hand_overs));
        }
    }
}

impl State {
    /// What is known of a message.
    pub(super) fn knows(&self, (id, hand_overs): Passage) -> Known {
        match self.messages.get(&id) {
            Some(message) if message.hand_overs < hand_overs => Known::Earlier,
            Some(_) => Known::Yes,
            None if self.has_left((id, hand_overs)) => Known::Yes,
            None => Known::No,
        }
    }

    /// Whether the message, or a later passage of it, has left.
    pub(super) fn has_left(&self, (id, hand_overs): Passage) -> bool {
        let left = self.left.get(&id).is_some_and(|&latest| latest >= hand_overs);
        left || self.dead_records(id).any(|(_, passage)| passage >= hand_overs)
    }

    fn dead_records(&self, id: MessageId) -> impl Iterator<Item = (SegmentId, u32)> {
        let all = (id, SegmentId(0), 0)..=(id, UNDER_WAY, u32::MAX);
        self.dead.range(all).map(|&(_, segment, hand_overs)| (segment, hand_overs))
    }

    /// A record of a message stands in `segment`, and is not the one that counts.
    pub(super) fn note_dead(&mut self, (id, hand_overs): Passage, segment: SegmentId) {
        self.dead.remove(&(id, UNDER_WAY, hand_overs));
        self.dead.insert((id, segment, hand_overs));
    }

    /// The record of a message has been applied.
    pub(super) fn arrived(&mut self, id: MessageId) {
        self.arriving.remove(&id);
    }

    /// The message whose record stands at `position` has come to its end.
    pub(super) fn leave(&mut self, (id, hand_overs): Passage, position: Position) {
        self.messages.remove(&id);
        self.dead.insert((id, position.segment, hand_overs));
        if let Some(latest) = self.left.get_mut(&id) {
            *latest = hand_overs.max(*latest);
        } else {
            self.left.insert(id, hand_overs);
            self.left_order.push_back(id);
            if self.left_order.len() > REMEMBERED
                && let Some(oldest) = self.left_order.pop_front()
            {
                self.left.remove(&oldest);
            }
        }
    }

    /// The status as the index keeps it: what was said shares its memory with the same words elsewhere.
    pub(super) fn compact(&mut self, mut status: Status) -> Status {
        let messages = self.messages.len();
        status.last = status.last.map(|said| self.replies.intern(said, messages));
        status
    }
}

impl Known {
    /// Refuses what cannot be taken; says whether there is anything to take.
    pub(super) fn admit(self, id: MessageId) -> Result<bool, SpoolError> {
        match self {
            Self::No => Ok(true),
            Self::Yes => Ok(false),
            Self::Earlier => Err(SpoolError::NotGoneYet(id)),
        }
    }
}
