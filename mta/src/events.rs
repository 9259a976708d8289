//! The story of each message: what `Queue.Trace` tells, also of messages that have long left.
//!
//! A journal of its own, off the delivery path: nothing waits for it, and its last second may be lost in a crash, for
//! the spool and the mail store hold the truth. The oldest events go when it has grown to its size.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use journal::{
    Entry, Follower, FollowerError, Journal, Liveness, OnCorruption, Position, Record, SegmentId, Verdict,
};
use message::MessageId;
use parking_lot::Mutex;
use prost::Message as _;
use proto::mail::Reply;
use proto::mta::{Event, EventKind};

use crate::clock;
use crate::config::EventsConfig;

/// A record: 16 octets of message id, 8 of time (milliseconds, big-endian), then the [`Event`].
const EVENT: u8 = 1;
/// An empty record that is waited for, so that everything before it can be read.
const MARK: u8 = 2;
const ID: usize = 16;
const HEAD: usize = ID + 8;

/// The unit in which old events go.
const SEGMENT_BYTES: u64 = 8 << 20;

/// Milliseconds by which the clock of the edge that made an id may run ahead of ours.
const CLOCK_SKEW: u64 = 60 * 60 * 1_000;

/// The log of events. Cheap to clone; the clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    journal: Journal,
    starts: Starts,
    keep_bytes: u64,
}

/// The time of the first event of each segment, in milliseconds since the epoch: a message's story cannot stand in
/// segments that ended before its id was made.
type Starts = Arc<Mutex<BTreeMap<SegmentId, u64>>>;

impl Events {
    /// Opens the log. Blocks.
    pub(crate) fn open(config: &EventsConfig) -> Result<Self, journal::Error> {
        let starts = Starts::default();
        let journal = journal::Config {
            segment_bytes: SEGMENT_BYTES.min(*config.keep / 4).max(64 << 10),
            on_corruption: OnCorruption::Quarantine,
            ..journal::Config::new(&config.dir)
        };
        let (journal, _) = Journal::open(journal, StartsFollower(Arc::clone(&starts)))?;
        Ok(Self { journal, starts, keep_bytes: *config.keep })
    }

    /// Adds an event. Never waits; a full disk costs the event and nothing else.
    pub(crate) fn record(&self, id: MessageId, kind: EventKind, details: Details<'_>) {
        let now = clock::now();
        let event = Event {
            at: Some(clock::timestamp(now)),
            kind: kind.into(),
            recipient: details.recipient.into(),
            reply: details.reply.cloned(),
            peer: details.peer.into(),
            tls: details.tls.into(),
            next_attempt_at: details.next_attempt_at.map(clock::timestamp),
            detail: details.detail.into(),
            message_id: id.to_string(),
            ..Event::default()
        };
        let mut meta = BytesMut::with_capacity(HEAD + event.encoded_len());
        meta.put_slice(id.as_bytes());
        meta.put_u64(now);
        // A BytesMut grows: this cannot fail.
        if event.encode(&mut meta).is_ok()
            && let Err(error) =
                self.journal.append_relaxed(Record { kind: EVENT, meta: meta.freeze(), body: Bytes::new() })
        {
            tracing::warn!(%id, %error, "an event was lost: the story of this message has a gap");
        }
    }

    /// The events of a message, in the order in which they happened, up to now. Blocks.
    pub(crate) fn of(&self, id: MessageId) -> Result<Vec<Event>, journal::Error> {
        let mark = Record { kind: MARK, meta: Bytes::new(), body: Bytes::new() };
        if let Err(error) = self.journal.append(mark).wait() {
            // A full disk, say: what is written already can still be told.
            tracing::warn!(%error, "the newest events cannot be read yet");
        }
        let made = u64::try_from(id.timestamp().as_millisecond()).unwrap_or(0).saturating_sub(CLOCK_SKEW);
        let from = self.starts.lock().range(..).rev().find(|(_, start)| **start <= made).map(|(id, _)| *id);
        let from = from.map(|segment| Position { segment, offset: 0 });
        let mut events = Vec::new();
        self.journal.scan(from, |entry| {
            if let Some((head, event)) = entry.meta.split_at_checked(HEAD)
                && head[..ID] == id.as_bytes()[..]
                && let Ok(event) = Event::decode(event)
            {
                events.push(event);
            }
            Ok(())
        })?;
        Ok(events)
    }

    /// Lets the oldest events go while the log is larger than it may be. Blocks.
    pub(crate) fn trim(&self) -> Result<(), journal::Error> {
        let mut sealed = self.journal.reclaim_candidates(1.0);
        sealed.sort_by_key(|candidate| candidate.segment);
        let mut bytes: u64 = sealed.iter().map(|candidate| candidate.bytes).sum();
        for candidate in sealed {
            if bytes <= self.keep_bytes {
                break;
            }
            match self.journal.reclaim(candidate.segment, |_| Verdict::Drop) {
                Ok(_) => {
                    self.starts.lock().remove(&candidate.segment);
                    bytes -= candidate.bytes;
                }
                Err(journal::Error::Busy { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes what waits.
    pub(crate) fn close(self) -> Result<(), journal::Error> {
        self.journal.close()
    }
}

/// What there is to say of an event beside its kind; the fields of [`Event`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Details<'a> {
    pub(crate) recipient: &'a str,
    pub(crate) reply: Option<&'a Reply>,
    pub(crate) peer: &'a str,
    pub(crate) tls: &'a str,
    /// Milliseconds since the epoch.
    pub(crate) next_attempt_at: Option<u64>,
    pub(crate) detail: &'a str,
}

/// Notes when each segment begins.
struct StartsFollower(Starts);

impl Follower for StartsFollower {
    type Output = ();

    fn begin(&mut self, _: &Liveness) -> Result<Option<Position>, FollowerError> {
        Ok(None)
    }

    fn apply(&mut self, entry: &Entry) -> Result<(), FollowerError> {
        if let Some(time) = entry.meta.get(ID..HEAD).and_then(|time| time.try_into().ok()) {
            self.0.lock().entry(entry.position.segment).or_insert(u64::from_be_bytes(time));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use service::config::ByteSize;

    use super::*;

    fn open(dir: &std::path::Path, keep_bytes: u64) -> Events {
        Events::open(&EventsConfig { dir: dir.into(), keep: ByteSize(keep_bytes) }).unwrap()
    }

    fn kinds(events: &[Event]) -> Vec<EventKind> {
        events.iter().map(Event::kind).collect()
    }

    #[test]
    fn a_message_has_its_own_story_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let events = open(dir.path(), 1 << 30);
        let (one, other) = (MessageId::new(), MessageId::new());
        for id in [one, other] {
            events.record(id, EventKind::Received, Details::default());
        }
        let reply = Reply { code: 250, enhanced: "2.0.0".into(), text: "ok".into() };
        let details = Details { recipient: "bob@example.test", reply: Some(&reply), ..Details::default() };
        events.record(one, EventKind::Delivered, details);
        assert_eq!(kinds(&events.of(one).unwrap()), [EventKind::Received, EventKind::Delivered], "at once");
        events.close().unwrap();

        let events = open(dir.path(), 1 << 30);
        let story = events.of(one).unwrap();
        assert_eq!(kinds(&story), [EventKind::Received, EventKind::Delivered]);
        assert_eq!((story[1].recipient.as_str(), story[1].reply.clone()), ("bob@example.test", Some(reply)));
        assert_eq!(kinds(&events.of(other).unwrap()), [EventKind::Received]);
        assert!(events.of(MessageId::new()).unwrap().is_empty());
    }

    #[test]
    fn the_oldest_events_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let events = open(dir.path(), 256 << 10);
        let first = MessageId::new();
        events.record(first, EventKind::Received, Details::default());
        let text = "x".repeat(1_000);
        let mut last = first;
        for _ in 0..2_000 {
            last = MessageId::new();
            events.record(last, EventKind::Received, Details { detail: &text, ..Details::default() });
        }
        events.close().unwrap();
        let events = open(dir.path(), 256 << 10);
        events.trim().unwrap();
        assert!(events.of(first).unwrap().is_empty());
        assert_eq!(events.of(last).unwrap().len(), 1);
    }
}
