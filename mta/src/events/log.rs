//! The log of events: a journal that nothing waits for.

use bytes::Bytes;
use journal::{Journal, OnCorruption, Position, Record, Verdict};
use message::MessageId;
use prometheus_client::registry::Registry;
use proto::mta::EventKind;
use tokio::sync::watch;

use super::gap::Gap;
use super::record::{self, Details, EVENT};
use super::segments::{LogFollower, Segments};
use crate::clock;
use crate::config::EventsConfig;

/// Old events go a segment at a time: a 64th of the log, within these bounds.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=128 << 20;

/// The log. Cheap to clone; the clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    pub(super) journal: Journal,
    pub(super) segments: Segments,
    /// The place of the newest record that is on stable storage; wakes whoever waits for more.
    pub(super) newest: watch::Receiver<Option<Position>>,
    /// The last place that was found damaged when the log was opened: who left off before it has missed something.
    pub(super) damaged: Option<Position>,
    gap: Gap,
    keep_bytes: u64,
}

impl Events {
    /// Opens the log. Blocks.
    pub(crate) fn open(config: &EventsConfig) -> Result<Self, journal::Error> {
        let segment_bytes = (*config.keep / 64).clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end());
        let journal = journal::Config {
            segment_bytes,
            on_corruption: OnCorruption::Quarantine,
            ..journal::Config::new(&config.dir)
        };
        let segments = Segments::new(segment_bytes);
        let (sender, newest) = watch::channel(None);
        let follower = LogFollower { segments: segments.clone(), newest: sender, last: None };
        let (journal, recovery) = Journal::open(journal, follower)?;
        for damage in &recovery.quarantined {
            tracing::error!(
                position = %damage.start, bytes = damage.bytes, reason = damage.reason,
                "a part of the log of events cannot be read"
            );
        }
        let damaged = recovery.quarantined.iter().map(|damage| damage.start).max();
        Ok(Self { journal, segments, newest, damaged, gap: Gap::default(), keep_bytes: *config.keep })
    }

    /// Registers what is counted.
    pub(crate) fn register(&self, registry: &mut Registry) {
        self.gap.register(registry);
    }

    /// Adds an event. Never waits; a full disk, or a queue of the journal that is full, costs the event and nothing else.
    pub(crate) fn record(&self, id: MessageId, kind: EventKind, details: Details<'_>) {
        let meta = record::encode(id, clock::now(), kind, details);
        match self.journal.append_relaxed(Record { kind: EVENT, meta, body: Bytes::new() }) {
            // That it was taken says nothing while those before it were lost.
            Ok(()) if self.gap.taken_back(self.journal.lost()) => {}
            Ok(()) => self.gap.kept(),
            Err(error) => self.gap.lost(id, &error),
        }
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
                    self.segments.forget(candidate.segment);
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
