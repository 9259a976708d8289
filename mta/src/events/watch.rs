//! Reading the log from an offset on, and then each new event as it comes.
//!
//! A reader is pulled: it holds one batch, and reads the next one from the log when that one is used up. So a slow reader
//! costs no more memory than a quick one, and holds up nobody.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use journal::{Position, SegmentId};
use prost::Message as _;
use proto::mta::{EventKind, WatchResponse};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::log::Events;
use super::offset::Offset;
use super::record;

/// What a batch holds at most: events, their octets, and records that were looked at for them.
const BATCH_EVENTS: usize = 256;
const BATCH_OCTETS: usize = 256 << 10;
const BATCH_RECORDS: usize = 16_384;

/// Where a reader begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// With the oldest event.
    Oldest,
    /// Behind an event that the reader knows.
    After(Offset),
    /// With what happens from now on.
    Now,
}

/// Where a reader ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Never.
    Open,
    /// Behind this place; at once if the log was empty.
    Behind(Option<Position>),
}

/// Why the events cannot be told as they should.
#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError {
    /// Events behind the offset are no longer in the log.
    #[error(
        "the log of events reaches back no further than to what came after this offset; begin without one"
    )]
    Trimmed,
    /// Events behind the offset cannot be read.
    #[error("a part of the log of events that came after this offset is damaged; begin without one")]
    Damaged,
    /// The offset is not one of this log's: of another node, or of a log that was lost.
    #[error("this offset is not of this node's log of events; begin without one")]
    Foreign,
    /// The log cannot be read.
    #[error("the events cannot be read: {0}")]
    Failed(#[from] journal::Error),
    /// The read was cut off.
    #[error("the events cannot be read: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// One who reads the log.
pub(super) struct Reader {
    events: Events,
    newest: watch::Receiver<Option<Position>>,
    /// Everything up to here was told or passed over.
    told: Option<Position>,
    end: End,
    kinds: Vec<EventKind>,
    batch: VecDeque<WatchResponse>,
}

impl Reader {
    /// A reader of these kinds of events, all of them if there are none. With `until_now` it ends behind what has happened
    /// so far.
    pub(super) async fn new(
        events: &Events,
        from: From,
        until_now: bool,
        kinds: Vec<EventKind>,
    ) -> Result<Self, WatchError> {
        let log = events.clone();
        let now = spawn_blocking(move || log.now()).await??;
        let told = match from {
            From::Oldest => None,
            From::Now => now,
            From::After(offset) => {
                let log = events.clone();
                spawn_blocking(move || log.check(offset)).await??;
                Some(offset.position)
            }
        };
        Ok(Self {
            events: events.clone(),
            newest: events.newest.clone(),
            told,
            end: if until_now { End::Behind(now) } else { End::Open },
            kinds,
            batch: VecDeque::new(),
        })
    }

    /// The next event; waits for one if need be. `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<WatchResponse>, WatchError> {
        loop {
            if let Some(event) = self.batch.pop_front() {
                return Ok(Some(event));
            }
            let newest = *self.newest.borrow_and_update();
            let upto = match self.end {
                End::Behind(end) if end <= self.told => return Ok(None),
                End::Behind(end) => end,
                End::Open => newest,
            };
            match upto.filter(|upto| Some(*upto) > self.told) {
                Some(upto) => self.read(upto).await?,
                // The log is closed when it can wake nobody any more.
                None if self.newest.changed().await.is_err() => return Ok(None),
                None => {}
            }
        }
    }

    async fn read(&mut self, upto: Position) -> Result<(), WatchError> {
        let (events, told, kinds) = (self.events.clone(), self.told, self.kinds.clone());
        let batch = spawn_blocking(move || events.batch(told, upto, &kinds)).await??;
        self.batch = batch.events;
        self.told = Some(batch.told);
        Ok(())
    }
}

/// What was read at once.
struct Batch {
    events: VecDeque<WatchResponse>,
    /// The place of the last record that was looked at.
    told: Position,
}

impl Events {
    /// The place of what was recorded last.
    fn now(&self) -> Result<Option<Position>, journal::Error> {
        self.journal.sync()?;
        Ok(*self.newest.borrow())
    }

    /// Whether everything behind the offset is there.
    fn check(&self, offset: Offset) -> Result<(), WatchError> {
        if self.damaged.is_some_and(|damaged| offset.position < damaged) {
            return Err(WatchError::Damaged);
        }
        match self.journal.entry(offset.position) {
            Ok(entry) if Offset::of(&entry) == Some(offset) => Ok(()),
            // Numbers of segments only grow.
            Err(journal::Error::Gone { .. }) if self.is_older(offset.position.segment) => {
                Err(WatchError::Trimmed)
            }
            Ok(_) | Err(journal::Error::Gone { .. } | journal::Error::Corrupt { .. }) => {
                Err(WatchError::Foreign)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn is_older(&self, segment: SegmentId) -> bool {
        self.journal.segments().first().is_some_and(|oldest| segment < *oldest)
    }

    /// The next events of these kinds behind `told`, up to `upto`.
    fn batch(
        &self,
        told: Option<Position>,
        upto: Position,
        kinds: &[EventKind],
    ) -> Result<Batch, WatchError> {
        let segments = self.journal.segments();
        if told.is_some_and(|told| !segments.contains(&told.segment)) {
            return Err(WatchError::Trimmed);
        }
        let mut events = VecDeque::new();
        let (mut last, mut octets, mut records) = (told, 0, 0);
        let is_behind = |segment: &SegmentId| told.is_none_or(|told| *segment >= told.segment);
        for segment in segments.into_iter().filter(is_behind) {
            let mut full = false;
            let after = told.filter(|told| told.segment == segment);
            let scanned = self.journal.scan_segment(segment, after, |entry| {
                full = events.len() >= BATCH_EVENTS || octets >= BATCH_OCTETS || records >= BATCH_RECORDS;
                if full || entry.position > upto {
                    return ControlFlow::Break(());
                }
                last = Some(entry.position);
                records += 1;
                if let Some(offset) = Offset::of(entry)
                    && let Some(event) = record::decode(entry)
                    && (kinds.is_empty() || kinds.contains(&event.kind()))
                {
                    octets += event.encoded_len();
                    events.push_back(WatchResponse { event: Some(event), offset: offset.to_string() });
                }
                ControlFlow::Continue(())
            });
            match scanned {
                Ok(()) if full => break,
                Ok(()) => {}
                // Trimmed while this was read. What was read before it can be told; whoever has had nothing yet begins
                // with what is the oldest now.
                Err(journal::Error::Gone { .. }) if last > told => break,
                Err(journal::Error::Gone { .. }) if told.is_none() => {}
                Err(journal::Error::Gone { .. }) => return Err(WatchError::Trimmed),
                Err(error) => return Err(error.into()),
            }
            if segment >= upto.segment {
                // All of it, even if the last record cannot be read.
                last = last.max(Some(upto));
                break;
            }
        }
        Ok(Batch { events, told: last.unwrap_or(upto) })
    }
}
