//! The segments there are, and their open files.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
};

use failpoint::{Point, hit};
use parking_lot::Mutex;

use crate::{
    config::Config,
    error::Error,
    file::{self, SegmentFile, sync_names},
    position::{Position, SegmentId},
};

/// What is known of one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) salt: u32,
    /// Bytes that are durable; the length, once sealed.
    pub(crate) end: u32,
    pub(crate) sealed: bool,
    /// The oldest segment that holds parts of bodies of entries in this one; this one if there is no older.
    pub(crate) reach: SegmentId,
    /// Bodies that are being written and have parts here.
    pub(crate) pins: u32,
    /// Holds damage, so it must stay for whoever repairs it.
    pub(crate) quarantined: bool,
    /// Unlinked, and perhaps not yet for good.
    pub(crate) leaving: bool,
}

/// All segments of a journal.
#[derive(Debug)]
pub(crate) struct Segments {
    config: Config,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: BTreeMap<SegmentId, Segment>,
    open: HashMap<SegmentId, Handle>,
    clock: u64,
}

#[derive(Debug)]
struct Handle {
    file: Arc<SegmentFile>,
    used: u64,
}

impl Segment {
    /// A segment that is complete, and all that is known is where it ends.
    pub(crate) fn sealed(id: SegmentId, salt: u32, end: u32) -> Self {
        Self { salt, end, sealed: true, reach: id, pins: 0, quarantined: false, leaving: false }
    }
}

impl Segments {
    pub(crate) fn new(config: &Config) -> Self {
        Self { config: config.clone(), state: Mutex::default() }
    }

    pub(crate) fn path(&self, id: SegmentId) -> PathBuf {
        self.config.dir.join(format!("{id}.seg"))
    }

    /// The segment's file, opened if it is not. Whoever holds it can read on although the segment is removed.
    pub(crate) fn file(&self, id: SegmentId) -> Result<Arc<SegmentFile>, Error> {
        let mut state = self.state.lock();
        state.present(id)?;
        state.clock += 1;
        let used = state.clock;
        if let Some(handle) = state.open.get_mut(&id) {
            handle.used = used;
            return Ok(Arc::clone(&handle.file));
        }
        let path = self.path(id);
        let file = Arc::new(SegmentFile::open(&path, &self.config).map_err(Error::io("open", &path))?);
        state.keep_open(id, Arc::clone(&file), self.config.max_open_segments);
        Ok(file)
    }

    pub(crate) fn insert(&self, id: SegmentId, segment: Segment) {
        self.state.lock().known.insert(id, segment);
    }

    /// Adds a segment that was just made, and is open already.
    pub(crate) fn insert_open(&self, id: SegmentId, segment: Segment, file: Arc<SegmentFile>) {
        let mut state = self.state.lock();
        state.known.insert(id, segment);
        state.keep_open(id, file, self.config.max_open_segments);
    }

    pub(crate) fn update(&self, id: SegmentId, change: impl FnOnce(&mut Segment)) {
        if let Some(segment) = self.state.lock().known.get_mut(&id) {
            change(segment);
        }
    }

    pub(crate) fn segment(&self, id: SegmentId) -> Result<Segment, Error> {
        self.state.lock().present(id)
    }

    /// Whether the segment may still be there after a crash.
    pub(crate) fn contains(&self, id: SegmentId) -> bool {
        self.state.lock().known.contains_key(&id)
    }

    /// A copy of what is known, in order.
    pub(crate) fn all(&self) -> Vec<(SegmentId, Segment)> {
        let state = self.state.lock();
        state
            .known
            .iter()
            .filter(|(_, segment)| !segment.leaving)
            .map(|(&id, &segment)| (id, segment))
            .collect()
    }

    pub(crate) fn newest(&self) -> Option<SegmentId> {
        self.state.lock().known.last_key_value().map(|(&id, _)| id)
    }

    /// Where the durable log ends.
    pub(crate) fn end(&self) -> Position {
        let state = self.state.lock();
        let newest = state.known.last_key_value();
        newest.map_or_else(Position::default, |(&segment, known)| Position { segment, offset: known.end })
    }

    /// Removes the segment for good. Its number is never used again, because the newest is never removed.
    ///
    /// It reads as gone from the start, and counts as there until no crash can bring it back.
    pub(crate) fn remove(&self, id: SegmentId) -> Result<(), Error> {
        let path = self.path(id);
        self.update(id, |segment| segment.leaving = true);
        hit(Point::JournalRemoveBefore);
        file::remove(&path, &self.config).map_err(|error| {
            self.update(id, |segment| segment.leaving = false);
            Error::io("remove", &path)(error)
        })?;
        hit(Point::JournalRemoveUnlinked);
        sync_names(&self.config).map_err(Error::io("sync", &self.config.dir))?;
        hit(Point::JournalRemoveAfter);
        let mut state = self.state.lock();
        state.known.remove(&id);
        state.open.remove(&id);
        Ok(())
    }
}

impl State {
    fn present(&self, id: SegmentId) -> Result<Segment, Error> {
        let known = self.known.get(&id).filter(|segment| !segment.leaving);
        known.copied().ok_or(Error::Gone { segment: id })
    }

    fn keep_open(&mut self, id: SegmentId, file: Arc<SegmentFile>, limit: usize) {
        if self.open.len() >= limit.max(1) {
            let oldest = self.open.iter().min_by_key(|(_, handle)| handle.used).map(|(&id, _)| id);
            oldest.map(|id| self.open.remove(&id));
        }
        self.clock += 1;
        self.open.insert(id, Handle { file, used: self.clock });
    }
}
