//! The thread that writes: everything that waits in one write, one sync for all of it, and on to the follower.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use failpoint::{Point, hit};

use crate::{
    active::Active,
    applier::{Applying, DurableEntry},
    batch::{Batch, relaxed, stored_length},
    config::Config,
    error::Error,
    file::is_full,
    format::SEAL_BYTES,
    gather::Gather,
    position::SegmentId,
    queue::{Item, Queue, Taken, Weight},
    segments::Segments,
};

/// The most bytes of one write: bounds how long the first record of a batch waits for the last.
const MAX_BATCH_BYTES: u32 = 16 << 20;

pub(crate) struct Committer<T> {
    config: Config,
    segments: Arc<Segments>,
    queue: Arc<Queue<T>>,
    applying: Applying<T>,
    pending: VecDeque<Item<T>>,
    /// `None` until the first append after opening, so that opening alone makes no file.
    active: Option<Active>,
    next_segment: SegmentId,
    next_sequence: u64,
    /// Written and not yet synced.
    unsynced: Vec<DurableEntry<T>>,
    /// When the oldest entry that nobody waits for and that is not synced came.
    relaxed_since: Option<Instant>,
    gather: Gather,
}

impl<T> Committer<T> {
    pub(crate) fn new(
        config: Config,
        segments: Arc<Segments>,
        queue: Arc<Queue<T>>,
        applying: Applying<T>,
        next_segment: SegmentId,
        next_sequence: u64,
    ) -> Self {
        Self {
            config,
            segments,
            queue,
            applying,
            pending: VecDeque::new(),
            active: None,
            next_segment,
            next_sequence,
            unsynced: Vec::new(),
            relaxed_since: None,
            gather: Gather::default(),
        }
    }

    /// Commits until the journal is closed or has failed.
    pub(crate) fn run(mut self) {
        loop {
            self.gather();
            let (deadline, patience) = (self.relaxed_deadline(), self.config.relaxed_sync_after);
            let Taken::Items { relaxed_since } = self.queue.take(&mut self.pending, deadline, patience)
            else {
                break;
            };
            self.relaxed_since = self.relaxed_since.into_iter().chain(relaxed_since).min();
            let done = self.queue.failure().map_or_else(|| self.commit(), Err);
            if let Err(error) = done {
                self.refuse(&error);
            }
        }
        if self.queue.failure().is_none()
            && let Err(error) = self.sync().and_then(|()| self.seal())
        {
            self.refuse(&error);
        }
    }

    /// Waits for the writers that the last sync let go, if that is likely to pay.
    fn gather(&mut self) {
        // Asked in any case: a plan is for what comes right behind a sync.
        let plan = self.gather.plan();
        if self.pending.is_empty()
            && let Some(plan) = plan
        {
            let there = self.queue.gather(plan.items(), plan.deadline);
            self.gather.gathered(&plan, there);
        }
    }

    fn relaxed_deadline(&self) -> Option<Instant> {
        self.relaxed_since.map(|since| since + self.config.relaxed_sync_after)
    }

    /// Commits as much of what is pending as fits one write.
    fn commit(&mut self) -> Result<(), Error> {
        if let Some(Item::Barrier(_)) = self.pending.front() {
            self.sync()?;
            if let Some(Item::Barrier(barrier)) = self.pending.pop_front() {
                self.applying.barrier(barrier, &self.queue);
            }
            return Ok(());
        }
        let awaited = self.write_batch()?;
        let overdue = self.relaxed_deadline().is_some_and(|deadline| deadline <= Instant::now());
        if awaited || overdue { self.sync() } else { Ok(()) }
    }

    /// Writes one batch, and says whether somebody waits for it to be durable.
    fn write_batch(&mut self) -> Result<bool, Error> {
        let Some(first) = self.pending.front() else { return Ok(false) };
        let first = stored_length(first);
        self.make_room(first)?;
        let Some(active) = &mut self.active else { return Ok(false) };
        let mut batch = Batch::new(active, self.next_sequence);
        fill(&mut batch, &mut self.pending, self.config.segment_bytes, active.end);
        self.next_sequence = batch.next_sequence();
        let length = batch.length();
        hit(Point::JournalWriteBefore);
        let written = active.write(&mut batch.slices(), length);
        hit(Point::JournalWriteAfter);
        let preallocated = active.allocated.saturating_sub(u64::from(active.end));
        self.queue.preallocated.store(preallocated, Ordering::Relaxed);
        self.queue.done(batch.weight);
        if let Err(error) = written {
            let error = self.classify(error);
            self.queue.note_lost(batch.relaxed_entries());
            batch.refuse(&error);
            return Err(error);
        }
        active.reach = batch.reach;
        if batch.relaxed {
            self.relaxed_since.get_or_insert_with(Instant::now);
        }
        let awaited = batch.awaited;
        self.unsynced.append(&mut batch.entries);
        Ok(awaited)
    }

    /// Makes sure that a record of `length` bytes may go into the active segment.
    fn make_room(&mut self, length: u64) -> Result<(), Error> {
        if let Some(active) = &self.active {
            let end = u64::from(active.end);
            let empty = active.end == crate::format::SEGMENT_HEADER;
            if empty || end + length + SEAL_BYTES as u64 <= self.config.segment_bytes {
                return Ok(());
            }
            self.sync()?;
            self.seal()?;
        }
        let reserve = self.config.segment_bytes.min(self.queue.headroom());
        let id = self.next_segment;
        self.next_segment = SegmentId(id.0 + 1);
        let created = Active::create(&self.segments, &self.config, id, reserve);
        let active = created.map_err(|error| self.classify(error))?;
        self.queue.preallocated.store(active.allocated, Ordering::Relaxed);
        self.active = Some(active);
        Ok(())
    }

    /// Makes everything written durable and hands it to the follower.
    fn sync(&mut self) -> Result<(), Error> {
        let started = Instant::now();
        if let Some(active) = &mut self.active {
            active.sync()?;
            let (end, reach) = (active.synced, active.reach);
            self.segments.update(active.id, |known| {
                known.end = end;
                known.reach = reach;
            });
        }
        self.relaxed_since = None;
        // Nobody comes back whose append was not waited for.
        let released = self.unsynced.iter().filter(|durable| durable.completion.is_some()).count();
        // Before any of these knows: who comes from now on may be one of them.
        let waiting = self.queue.len();
        self.gather.synced(released, waiting, started.elapsed());
        if !self.unsynced.is_empty() {
            let entries = std::mem::take(&mut self.unsynced);
            let idle = self.pending.is_empty() && waiting == 0;
            self.applying.batch(entries, idle, &self.queue);
        }
        Ok(())
    }

    fn seal(&mut self) -> Result<(), Error> {
        let Some(active) = &mut self.active else { return Ok(()) };
        let sealed = active.seal(&self.segments, self.next_sequence);
        self.next_sequence += 1;
        sealed.map_err(|error| self.classify(error))?;
        self.active = None;
        self.queue.preallocated.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Ends what is pending. Appends go on afterwards, unless it is not known any more what the disk holds.
    fn refuse(&mut self, error: &Error) {
        if matches!(error, Error::SyncFailed(_)) {
            self.queue.fail(error.clone());
        }
        if self.queue.failure().is_some() {
            self.queue.note_lost(relaxed(&self.unsynced));
            for entry in std::mem::take(&mut self.unsynced) {
                entry.complete(Err(error.clone()));
            }
        }
        for item in std::mem::take(&mut self.pending) {
            self.queue.done(Weight::of(&item));
            self.queue.note_lost(usize::from(item.is_relaxed()));
            item.refuse(error);
        }
    }

    fn classify(&self, error: Error) -> Error {
        match &error {
            Error::Io { source, .. } if is_full(source) => self.queue.disk_full(),
            _ => error,
        }
    }
}

/// Moves items into the batch while they fit it and the segment.
fn fill<T>(batch: &mut Batch<T>, pending: &mut VecDeque<Item<T>>, segment_bytes: u64, end: u32) {
    while let Some(item) = pending.front() {
        let room =
            segment_bytes.saturating_sub(u64::from(end) + u64::from(batch.length()) + SEAL_BYTES as u64);
        let first = batch.length() == 0;
        if matches!(item, Item::Barrier(_)) || (!first && stored_length(item) > room) {
            return;
        }
        if batch.length() > MAX_BATCH_BYTES {
            return;
        }
        let Some(item) = pending.pop_front() else { return };
        batch.weight += Weight::of(&item);
        match item {
            Item::Entry(entry) => batch.push_entry(entry),
            Item::Chunk(chunk) => batch.push_chunk(chunk),
            Item::Barrier(_) => return,
        }
    }
}
