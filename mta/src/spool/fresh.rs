//! Messages that have just come and are about to go: kept in memory until their first attempt has an outcome, so that
//! mail which passes straight through is not read back from the disk. Bounded; what does not fit is read.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use message::MessageId;
use parking_lot::Mutex;
use proto::mail::Envelope;

/// Octets of bodies, and of envelopes with what they take in memory, of all such messages.
const MOST_OCTETS: usize = 16 << 20;
/// The largest body: larger ones are read in pieces.
const LARGEST: usize = 256 << 10;
/// What a message takes beside its text, roughly.
const OVERHEAD: usize = 512;
/// What a recipient takes beside its text, roughly.
const PER_RECIPIENT: usize = 96;

/// Messages that have just come.
#[derive(Debug, Default)]
pub(super) struct Fresh(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    messages: HashMap<MessageId, Whole>,
    /// In the order in which they came; also of some that are gone.
    order: VecDeque<MessageId>,
    octets: usize,
}

/// A message with all that the disk holds of it.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    pub(super) envelope: Arc<Envelope>,
    pub(super) body: Bytes,
}

impl Whole {
    fn octets(&self) -> usize {
        OVERHEAD + self.body.len() + self.envelope.recipients.len() * PER_RECIPIENT
    }
}

impl Fresh {
    /// Keeps a message; the oldest make way.
    pub(super) fn insert(&self, id: MessageId, whole: Whole) {
        let octets = whole.octets();
        if octets > LARGEST {
            return;
        }
        let mut state = self.0.lock();
        while state.octets + octets > MOST_OCTETS || state.order.len() >= MOST_OCTETS / OVERHEAD {
            let Some(oldest) = state.order.pop_front() else { break };
            state.remove(oldest);
        }
        state.octets += octets;
        state.order.push_back(id);
        if let Some(before) = state.messages.insert(id, whole) {
            state.octets -= before.octets();
        }
    }

    pub(super) fn get(&self, id: MessageId) -> Option<Whole> {
        self.0.lock().messages.get(&id).cloned()
    }

    pub(super) fn remove(&self, id: MessageId) {
        self.0.lock().remove(id);
    }
}

impl State {
    fn remove(&mut self, id: MessageId) {
        if let Some(whole) = self.messages.remove(&id) {
            self.octets -= whole.octets();
        }
        if self.messages.is_empty() {
            self.order.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(octets: usize) -> Whole {
        Whole { envelope: Arc::default(), body: vec![b'x'; octets].into() }
    }

    #[test]
    fn the_oldest_make_way() {
        let fresh = Fresh::default();
        let ids: Vec<MessageId> = (0..200).map(|_| MessageId::new()).collect();
        for &id in &ids {
            fresh.insert(id, whole(200 << 10));
        }
        assert!(fresh.get(ids[0]).is_none() && fresh.get(ids[199]).is_some());
        assert!(fresh.0.lock().octets <= MOST_OCTETS);
    }

    #[test]
    fn what_has_gone_takes_no_room() {
        let fresh = Fresh::default();
        for _ in 0..100_000 {
            let id = MessageId::new();
            fresh.insert(id, whole(10));
            fresh.remove(id);
        }
        let state = fresh.0.lock();
        assert_eq!((state.octets, state.messages.len(), state.order.len()), (0, 0, 0));
    }

    #[test]
    fn a_large_message_is_not_kept() {
        let fresh = Fresh::default();
        let id = MessageId::new();
        fresh.insert(id, whole(300 << 10));
        assert!(fresh.get(id).is_none());
    }
}
