//! What the spool holds, in memory: built by applying the journal's records in order, at start and ever after.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use journal::{Entry, Follower, FollowerError, Liveness, Position, SegmentId};
use message::MessageId;
use parking_lot::Mutex;
use prost::Message as _;

use super::message::{Message, Place};
use super::record::{self, Progress};
use super::{Accepted, Status};

/// Ids of messages that have left the spool are remembered up to this many, so that a late retry of a hand-over adds
/// nothing. 16 octets each, twice.
const REMEMBERED: usize = 100_000;

/// Stands for the segment that a record is being copied to.
const UNDER_WAY: SegmentId = SegmentId(u64::MAX);

/// The spool's messages.
#[derive(Debug, Default)]
pub(super) struct Index {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By id, which is by age: ids are UUIDv7.
    messages: BTreeMap<MessageId, Arc<Message>>,
    /// While the log is read at start: progress of messages that have not appeared (yet). A copy of a message that
    /// reclaiming wrote may stand behind the progress that it does not know of.
    orphans: Option<HashMap<MessageId, Vec<(u32, Status)>>>,
    /// Dead records of messages, by where they stand: of messages that have left, and second ones of those that wait.
    /// Whoever reads the log meets them, so the record of a message's end must outlive every one of them.
    dead: BTreeSet<(MessageId, SegmentId)>,
    left: HashSet<MessageId>,
    /// `left` in order, the oldest first.
    left_order: VecDeque<MessageId>,
    /// The accounts of messages, each once.
    accounts: HashSet<Arc<str>>,
}

impl Index {
    pub(super) fn get(&self, id: MessageId) -> Option<Arc<Message>> {
        self.state.lock().messages.get(&id).cloned()
    }

    pub(super) fn page(&self, after: Option<MessageId>, limit: usize) -> Vec<Arc<Message>> {
        let state = self.state.lock();
        let start = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        state
            .messages
            .range((start, std::ops::Bound::Unbounded))
            .map(|(_, m)| m)
            .take(limit)
            .cloned()
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().messages.len()
    }

    /// Whether the message is in the spool or has left it not long ago.
    pub(super) fn knows(&self, id: MessageId) -> bool {
        let state = self.state.lock();
        state.messages.contains_key(&id) || state.has_left(id)
    }

    /// The log has been read to its end.
    pub(super) fn recovered(&self) {
        self.state.lock().orphans = None;
    }

    /// Whether a record of `id`, alive or dead, stands outside of `segment`: then what the log says about the message
    /// still matters once that segment is gone.
    pub(super) fn stands_outside(&self, id: MessageId, segment: SegmentId) -> bool {
        let state = self.state.lock();
        state.messages.contains_key(&id) || state.dead_records(id).any(|stands_in| stands_in != segment)
    }

    /// The dead record of `id` is about to be copied, for what it tells of another message.
    pub(super) fn copying_dead(&self, id: MessageId) {
        self.state.lock().dead.insert((id, UNDER_WAY));
    }

    /// `segment`, in which records of `ids` stood, is gone.
    pub(super) fn segment_gone(&self, segment: SegmentId, ids: &[MessageId]) {
        let mut state = self.state.lock();
        for &id in ids {
            state.dead.remove(&(id, segment));
        }
    }
}

impl State {
    /// The account, as all its messages share it.
    fn account(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.accounts.get(name) {
            return Arc::clone(known);
        }
        let account: Arc<str> = name.into();
        self.accounts.insert(Arc::clone(&account));
        account
    }

    fn has_left(&self, id: MessageId) -> bool {
        self.left.contains(&id) || self.dead_records(id).next().is_some()
    }

    fn dead_records(&self, id: MessageId) -> impl Iterator<Item = SegmentId> {
        self.dead.range((id, SegmentId(0))..=(id, UNDER_WAY)).map(|(_, segment)| *segment)
    }

    /// The message whose record stands at `position` has come to its end.
    fn leave(&mut self, id: MessageId, position: Position) {
        self.messages.remove(&id);
        self.dead.insert((id, position.segment));
        if self.left.insert(id) {
            self.left_order.push_back(id);
            if self.left_order.len() > REMEMBERED
                && let Some(oldest) = self.left_order.pop_front()
            {
                self.left.remove(&oldest);
            }
        }
    }
}

/// Applies the journal's records to the index.
#[derive(Debug)]
pub(super) struct IndexFollower {
    index: Arc<Index>,
    liveness: Liveness,
    /// Records that could not be understood: set aside, never a reason to stop.
    quarantined: u64,
}

impl IndexFollower {
    pub(super) fn new(index: Arc<Index>) -> Self {
        Self { index, liveness: Liveness::default(), quarantined: 0 }
    }

    fn accepted(&mut self, entry: &Entry) -> Option<Accepted> {
        let Some((id, envelope, accepted)) = decode_accepted(&entry.meta) else {
            self.quarantine(entry);
            return None;
        };
        if let Some(settled) = accepted.settles {
            self.progress(settled, entry);
        }
        let mut state = self.index.state.lock();
        let place = Place { position: entry.position, body: entry.body.clone() };
        if let Some(message) = state.messages.get(&id).cloned() {
            let dead = self.known(&message, place, entry);
            state.dead.insert((id, dead));
            return Some(Accepted::Known);
        }
        // Once the log has been read, a copy of a message that is not here is one of a message that has left.
        let is_late_copy = entry.copied_from.is_some() && state.orphans.is_none();
        if is_late_copy || state.has_left(id) {
            state.dead.remove(&(id, UNDER_WAY));
            state.dead.insert((id, entry.position.segment));
            return Some(Accepted::Known);
        }
        let mut statuses = vec![Status::default(); envelope.recipients.len()];
        let orphaned = state.orphans.as_mut().and_then(|orphans| orphans.remove(&id)).unwrap_or_default();
        let recorded = accepted.recipients.into_iter().map(|r| (r.index, r.into_status()));
        for (index, status) in recorded.chain(orphaned) {
            if let Some(known) = statuses.get_mut(index as usize) {
                known.merge(status);
            }
        }
        if statuses.iter().all(Status::is_final) {
            state.leave(id, entry.position);
            return Some(Accepted::Known);
        }
        self.liveness.note_live(place.position, &place.body);
        let account = state.account(&envelope.account);
        let terms = (accepted.size, accepted.expires_at);
        let message = Arc::new(Message::new(id, &envelope, account, terms, statuses, place));
        state.messages.insert(id, Arc::clone(&message));
        Some(Accepted::New(message))
    }

    /// A second record of a message: the copy that reclaiming made, which takes the first one's place, or a repeated
    /// hand-over, which adds nothing. Returns the segment of the one that is dead now.
    fn known(&self, message: &Message, place: Place, entry: &Entry) -> SegmentId {
        let mut current = message.place.lock();
        if entry.copied_from != Some(current.position) {
            return place.position.segment;
        }
        self.liveness.note_dead(current.position, &current.body);
        self.liveness.note_live(place.position, &place.body);
        std::mem::replace(&mut *current, place).position.segment
    }

    fn progress(&mut self, progress: Progress, entry: &Entry) {
        let Some(id) = decode_id(&progress.message_id) else { return self.quarantine(entry) };
        let statuses = progress.recipients.into_iter().map(|r| (r.index, r.into_status()));
        let mut state = self.index.state.lock();
        let Some(message) = state.messages.get(&id).cloned() else {
            if let Some(orphans) = &mut state.orphans {
                orphans.entry(id).or_default().extend(statuses);
            }
            return;
        };
        for (index, status) in statuses {
            message.merge(index, status);
        }
        if message.is_final() {
            let place = message.place.lock();
            self.liveness.note_dead(place.position, &place.body);
            state.leave(id, place.position);
        }
    }

    fn quarantine(&mut self, entry: &Entry) {
        self.quarantined += 1;
        // Live for ever: its segment stays for people to look at.
        self.liveness.note_live(entry.position, &entry.body);
        tracing::error!(
            position = %entry.position, kind = entry.kind, total = self.quarantined,
            "a spool record cannot be understood and is set aside"
        );
    }
}

impl Follower for IndexFollower {
    type Output = Option<Accepted>;

    fn begin(&mut self, liveness: &Liveness) -> Result<Option<Position>, FollowerError> {
        self.liveness = liveness.clone();
        self.index.state.lock().orphans = Some(HashMap::new());
        Ok(None)
    }

    fn apply(&mut self, entry: &Entry) -> Result<Self::Output, FollowerError> {
        match entry.kind {
            record::ACCEPTED => return Ok(self.accepted(entry)),
            record::PROGRESS => match Progress::decode(entry.meta.clone()) {
                Ok(progress) => self.progress(progress, entry),
                Err(_) => self.quarantine(entry),
            },
            _ => self.quarantine(entry),
        }
        Ok(None)
    }
}

/// The parts of a record of kind [`record::ACCEPTED`]; `None` if it cannot be understood.
pub(super) fn decode_accepted(
    meta: &bytes::Bytes,
) -> Option<(MessageId, proto::mail::Envelope, record::Accepted)> {
    let mut accepted = record::Accepted::decode(meta.clone()).ok()?;
    let envelope = accepted.envelope.take()?;
    let id = MessageId::parse(&envelope.message_id).ok()?;
    Some((id, envelope, accepted))
}

/// A message id from its 16 octets.
pub(super) fn decode_id(bytes: &[u8]) -> Option<MessageId> {
    MessageId::from_bytes(bytes.try_into().ok()?).ok()
}
