//! Applies the journal's records to the index.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use journal::{Entry, Follower, FollowerError, Liveness, Position, SegmentId};
use message::MessageId;
use prometheus_client::metrics::counter::Counter;
use prost::Message as _;

use super::index::{Index, State};
use super::message::{Message, Place};
use super::record::{self, AcceptedSummary, Progress, decode_id};
use super::suspension::{Suspension, Suspensions};
use super::{Accepted, Status};

/// What applying a record gives to whoever wrote it.
#[derive(Clone, Debug)]
pub(super) enum Applied {
    /// A message.
    Message(Accepted),
    /// Something that holds now.
    Holds,
    /// Something that does not hold: another came before it.
    Superseded,
    /// It could not be read back.
    NotUnderstood,
}

/// Counts what of the spool cannot be read or understood.
pub(super) type SetAside = Counter<u64, AtomicU64>;

/// Follows the journal.
#[derive(Debug)]
pub(super) struct IndexFollower {
    index: Arc<Index>,
    liveness: Liveness,
    /// Records that could not be understood: set aside, never a reason to stop.
    set_aside: SetAside,
}

impl Follower for IndexFollower {
    type Output = Applied;

    fn begin(&mut self, liveness: &Liveness) -> Result<Option<Position>, FollowerError> {
        self.liveness = liveness.clone();
        self.index.lock().orphans = Some(HashMap::new());
        Ok(None)
    }

    fn apply(&mut self, entry: &Entry) -> Result<Self::Output, FollowerError> {
        let applied = match entry.kind {
            record::ACCEPTED => self.accepted(entry),
            record::PROGRESS => self.progress(entry),
            record::SUSPENSIONS => self.suspensions(entry),
            _ => None,
        };
        Ok(applied.unwrap_or_else(|| self.quarantine(entry)))
    }

    fn is_always_quick(&self) -> bool {
        true
    }
}

impl IndexFollower {
    pub(super) fn new(index: Arc<Index>, set_aside: SetAside) -> Self {
        Self { index, liveness: Liveness::default(), set_aside }
    }

    fn accepted(&mut self, entry: &Entry) -> Option<Applied> {
        let mut accepted = AcceptedSummary::decode(entry.meta.clone()).ok()?;
        let text = std::str::from_utf8(&accepted.envelope.as_ref()?.message_id).ok()?;
        let id = MessageId::parse(text).ok()?;
        let index = Arc::clone(&self.index);
        let mut state = index.lock();
        if let Some(settled) = accepted.settles.take() {
            self.progressed(&mut state, settled)?;
        }
        state.arrived(id);
        let passage = (id, accepted.hand_overs);
        let place = Place::new(entry.position, &entry.body);
        if let Some(message) = state.messages.get(&id).cloned() {
            if message.hand_overs >= accepted.hand_overs {
                let same = message.hand_overs == accepted.hand_overs;
                let dead = if same { self.second(&message, place, entry) } else { entry.position.segment };
                state.note_dead(passage, dead);
                return Some(Applied::Message(Accepted::Known));
            }
            // Only once the earlier one had left was this one taken. Its end stands further on in the log.
            self.end(&mut state, &message);
        }
        // Once the log has been read, a copy of a message that is not here is one of a message that has left.
        let is_late_copy = entry.copied_from.is_some() && state.orphans.is_none();
        if is_late_copy || state.has_left(passage) {
            state.note_dead(passage, entry.position.segment);
            return Some(Applied::Message(Accepted::Known));
        }
        let statuses = self.statuses(&mut state, &mut accepted, id);
        if statuses.iter().all(Status::is_final) {
            state.leave(passage, entry.position);
            return Some(Applied::Message(Accepted::Known));
        }
        let account = state.accounts.intern(std::str::from_utf8(&accepted.envelope.as_ref()?.account).ok()?);
        let is_new_here = state.orphans.is_none();
        let message = Arc::new(Message::new(id, &accepted, account, statuses, place, is_new_here)?);
        self.liveness.note_live(entry.position, &entry.body);
        state.messages.insert(id, Arc::clone(&message));
        Some(Applied::Message(Accepted::New(message)))
    }

    /// How far the recipients of a message have come, as far as the log has been read.
    fn statuses(&self, state: &mut State, accepted: &mut AcceptedSummary, id: MessageId) -> Vec<Status> {
        let recipients = accepted.envelope.as_ref().map_or(0, |envelope| envelope.recipients.len());
        let mut statuses = vec![Status::default(); recipients];
        let orphans = state.orphans.as_mut();
        let orphaned = orphans.and_then(|orphans| orphans.remove(&(id, accepted.hand_overs)));
        let recorded =
            std::mem::take(&mut accepted.recipients).into_iter().map(|r| (r.index, r.into_status()));
        for (index, status) in recorded.chain(orphaned.unwrap_or_default()) {
            self.see_revision(&status);
            if let Some(known) = statuses.get_mut(index as usize) {
                known.merge(state.compact(status));
            }
        }
        statuses
    }

    /// A second record of a message: the copy that reclaiming made, which takes the first one's place, or a repeated
    /// hand-over, which adds nothing. Returns the segment of the one that is dead now.
    fn second(&self, message: &Message, place: Place, entry: &Entry) -> SegmentId {
        let mut current = message.place.lock();
        if entry.copied_from != Some(current.position) {
            return place.position.segment;
        }
        self.liveness.note_dead(current.position, &current.body());
        self.liveness.note_live(entry.position, &entry.body);
        std::mem::replace(&mut *current, place).position.segment
    }

    fn progress(&mut self, entry: &Entry) -> Option<Applied> {
        let progress = Progress::decode(entry.meta.clone()).ok()?;
        let index = Arc::clone(&self.index);
        self.progressed(&mut index.lock(), progress)?;
        Some(Applied::Holds)
    }

    fn progressed(&mut self, state: &mut State, progress: Progress) -> Option<()> {
        let id = decode_id(&progress.message_id)?;
        let statuses = progress.recipients.into_iter().map(|r| (r.index, r.into_status()));
        let message = state.messages.get(&id).filter(|message| message.hand_overs == progress.hand_overs);
        let Some(message) = message.cloned() else {
            if let Some(orphans) = &mut state.orphans {
                orphans.entry((id, progress.hand_overs)).or_default().extend(statuses);
            }
            return Some(());
        };
        for (index, status) in statuses {
            self.see_revision(&status);
            message.merge(index, state.compact(status));
        }
        if message.is_final() {
            self.end(state, &message);
        }
        Some(())
    }

    /// A message leaves.
    fn end(&self, state: &mut State, message: &Message) {
        let place = message.place.lock();
        self.liveness.note_dead(place.position, &place.body());
        state.leave((message.id, message.hand_overs), place.position);
    }

    fn see_revision(&self, status: &Status) {
        if let Some(steering) = &status.steering {
            self.index.seen_revision(steering.revision());
        }
    }

    fn suspensions(&mut self, entry: &Entry) -> Option<Applied> {
        let record::Suspensions { revision, in_force } =
            record::Suspensions::decode(entry.meta.clone()).ok()?;
        let mut state = self.index.lock();
        let current = &mut state.suspensions;
        let is_copy = entry.copied_from.is_some() && entry.copied_from == current.position;
        if revision <= current.revision && !is_copy {
            return Some(Applied::Superseded);
        }
        let in_force: Option<Vec<Suspension>> =
            in_force.into_iter().map(record::Suspension::into_suspension).collect();
        if let Some(position) = current.position {
            self.liveness.note_dead(position, &entry.body);
        }
        self.liveness.note_live(entry.position, &entry.body);
        *current = Suspensions { revision, in_force: in_force?.into(), position: Some(entry.position) };
        Some(Applied::Holds)
    }

    fn quarantine(&self, entry: &Entry) -> Applied {
        self.set_aside.inc();
        // Live for ever: its segment stays for people to look at.
        self.liveness.note_live(entry.position, &entry.body);
        tracing::error!(
            position = %entry.position, kind = entry.kind, total = self.set_aside.get(),
            "a spool record cannot be understood and is set aside"
        );
        Applied::NotUnderstood
    }
}
